"""The back office for all apps: frame, account page, lists, operators' acts."""
