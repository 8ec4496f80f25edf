"""Operators' acts: one domain call each, recorded in the audit trail."""
