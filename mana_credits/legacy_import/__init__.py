"""The earlier service's data: copied as it stands at one moment, then made ours by SQL.

`source` copies it, `contributions` lists each app's tables, `importer` does the work. See
docs/decisions/0050-importing-history.md.
"""
