"""Principals: the callers of the API. A user has a token, a service of the ecosystem has a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class User:
    """A person, as described by their token from mana-auth.

    `email_verified` is false if mana-auth reports that the user has not confirmed `email`.
    """

    id: str
    email: str | None = None
    name: str | None = None
    role: str = "user"
    email_verified: bool = True

    actor: ClassVar[str] = "user"
    is_authenticated: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Service:
    """Another service; `name` is the name of its key, or its `X-App-Id` with the shared key.

    `scopes` is None for the shared key, which has every scope. `caps` maps the name of each cap to
    its limit in credits per UTC day.
    """

    name: str | None = None
    scopes: frozenset[str] | None = None
    caps: Mapping[str, Decimal] = field(default_factory=dict)

    is_authenticated: ClassVar[bool] = True

    @property
    def actor(self) -> str:
        """Return the actor to record in the service's transactions."""
        return f"service:{self.name}" if self.name else "service"
