"""Sums over all users: by day, by month, for the dashboard."""
