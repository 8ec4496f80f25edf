"""Personal data across all apps: erasure and export."""
