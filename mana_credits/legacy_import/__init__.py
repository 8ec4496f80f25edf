"""The import of the earlier service's data: one snapshot is copied, then SQL posts it.

`source` copies the snapshot, `contributions` lists the tables of each app, `importer` runs the
import. See docs/decisions/0050-importing-history.md.
"""
