"""The role with which the service connects to its database."""

from typing import NamedTuple


class Role(NamedTuple):
    """The role in DATABASE_URL. Migrations create it with this password if it is missing."""

    name: str
    password: str = ""
