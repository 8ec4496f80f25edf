"""Demo data: a year of an invented community's history, posted under the ledger's own rules.

`demo_users` plans the users and the times of their entries, `histories` plans the entries, and
`batch_writer` writes a batch to the database.
"""
