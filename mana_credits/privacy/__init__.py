"""A person's data over all apps: erasure and export."""
