"""Who calls the API: a user with a token, or a service of the ecosystem with a key."""

from dataclasses import dataclass
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
    """Another service; `name` is its `X-App-Id`, if it gave one."""

    name: str | None = None

    is_authenticated: ClassVar[bool] = True

    @property
    def actor(self) -> str:
        """The actor that its transactions carry."""
        return f"service:{self.name}" if self.name else "service"
