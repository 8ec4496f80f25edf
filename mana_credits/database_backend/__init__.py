"""Django's backend for PostgreSQL, whose threads keep their connections from request to request."""
