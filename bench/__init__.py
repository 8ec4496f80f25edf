"""Measures the service under load, as in production: what a request costs and how long it takes."""
