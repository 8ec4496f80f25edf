"""The account page: search and timelines across many tables."""
