"""What operators do: one domain call each, recorded in the audit."""
