"""Pseudonyms: the random ids that stand for persons who were erased."""

PREFIX = "erased:"


def is_erased(user_id: str) -> bool:
    """Tell whether this is the pseudonym of somebody who was erased."""
    return user_id.startswith(PREFIX)
