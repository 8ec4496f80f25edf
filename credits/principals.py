"""Who calls the API: a user with a token, or a service of the ecosystem with a key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class User:
    """A person, as their token from mana-auth describes them.

    `email_verified` is false when mana-auth says that it does not know whose address `email` is.
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
    """Another service; `name` is that of its key, or its `X-App-Id` with the shared key.

    `scopes` is None for the shared key, which has every scope. `caps` are credits per UTC day, by
    the name of the cap.
    """

    name: str | None = None
    scopes: frozenset[str] | None = None
    caps: Mapping[str, Decimal] = field(default_factory=dict)

    is_authenticated: ClassVar[bool] = True

    @property
    def actor(self) -> str:
        """The actor that its transactions carry."""
        return f"service:{self.name}" if self.name else "service"
