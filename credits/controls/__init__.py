"""The user's own controls: spending limits and the low-balance notice."""
