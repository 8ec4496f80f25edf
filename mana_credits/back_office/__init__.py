"""The back office of all apps: frame, account page, lists, acts of operators."""
