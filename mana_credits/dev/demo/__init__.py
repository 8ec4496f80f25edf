"""Demonstration data: a year of a made-up community, posted by the ledger's own rules.

`people` says who there is and when they do something, `histories` what they do, `writing` puts a
batch of it into the database.
"""
