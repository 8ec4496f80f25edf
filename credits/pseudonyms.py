"""Pseudonyms: the random user ids that replace the ids of erased persons."""

PREFIX = "erased:"


def is_erased(user_id: str) -> bool:
    """Return whether `user_id` is the pseudonym of an erased person."""
    return user_id.startswith(PREFIX)
