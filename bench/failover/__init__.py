"""A rehearsal of high availability: the primary is killed under load, and no movement is lost."""
