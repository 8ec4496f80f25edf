"""Account marks: 32 bits of a keyed digest of a user id. A reservation's id ends with its user's.

A commit names only the reservation. The mark tells whose account it changes, without a round trip.
Without SECRET_KEY, a mark tells nothing about a user id.
"""

from functools import cache
from hashlib import blake2b
from uuid import UUID

from django.utils.crypto import salted_hmac

from credits.ids import new_id

# Four bytes leave 42 random bits in an id. Two users with the same mark share their places in a
# bulkhead, which does no harm.
BYTES = 4


def mark_of(user_id: str) -> int:
    """Return the mark of a user. Two users have the same mark once in four billion pairs."""
    # Lone surrogates are refused later, by the serializer.
    text = user_id.encode(errors="surrogatepass")
    return int.from_bytes(blake2b(text, key=_key(), digest_size=BYTES).digest())


def marked_id(user_id: str) -> UUID:
    """Return a new UUIDv7 that ends with the user's mark, after 42 random bits."""
    return new_id(ending=mark_of(user_id).to_bytes(BYTES))


def mark_in(row_id: UUID) -> int:
    """Return the mark in an id of `marked_id`; of any other id, its last 32 bits."""
    return int.from_bytes(row_id.bytes[-BYTES:])


@cache
def _key() -> bytes:
    # The salt is part of every mark, so it keeps the name that this module had first.
    return salted_hmac("credits.account_marks", "", algorithm="sha256").digest()
