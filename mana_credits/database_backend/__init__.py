"""A PostgreSQL backend for Django whose threads keep connections between requests."""
