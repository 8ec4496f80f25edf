"""The conventions of the API: bodies, errors, tokens, pages, its description."""
