"""Development only, never in the image: sandbox, demo data, embedded PostgreSQL."""
