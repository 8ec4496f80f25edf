"""The account page's content: the search, and timelines out of many tables."""
