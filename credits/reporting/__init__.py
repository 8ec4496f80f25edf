"""Sums over all users: daily totals, the monthly report and the dashboard's figures."""
