"""The environment variables that the settings are read from, with errors that name the variable."""

import os
import re
from typing import Any
from urllib.parse import quote

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

# The greedy middle is the password, up to the last @: a host has none.
WITH_PASSWORD = re.compile(r"(postgres(?:ql)?://[^:/?#@]*:)(.*)(@[^@]*)", re.DOTALL)
NO_URL = (
    "DATABASE_URL is not a URL of PostgreSQL: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. "
    "Percent-encode special characters in the password: %25 for %, %40 for @, %2F for /."
)


class EnvironmentInvalid(ImproperlyConfigured):
    """A sentence that names a variable which is missing or cannot be read."""


class Environment(environ.Env):  # type: ignore[misc]
    """Reads variables; one that cannot be read is named, its value is not: it may be a secret."""

    def get_value(self, var: str, *arguments: Any, **options: Any) -> Any:
        """Return the variable as the type that is asked for. Raises EnvironmentInvalid."""
        try:
            return super().get_value(var, *arguments, **options)
        except (ValueError, ArithmeticError) as error:
            kind = getattr(options.get("cast"), "__name__", "value")
            raise EnvironmentInvalid(f"{var} is not a valid {kind}.") from error


def secret(name: str) -> str:
    """Return the secret `name`. Raises EnvironmentInvalid when it is unset or holds nothing."""
    value = os.environ.get(name, "")
    if not value.strip(" ,"):
        raise EnvironmentInvalid(f"{name} is not set. The service does not start without it.")
    return value


def database_url(name: str) -> dict[str, Any]:
    """Return the parts of the libpq URL in the variable `name`. Raises EnvironmentInvalid.

    A password with `/`, `@`, `?` or `#` may be written as it is. `%` begins an encoded character.
    """
    url = secret(name)
    if found := WITH_PASSWORD.fullmatch(url):
        before, password, after = found.groups()
        url = f"{before}{quote(password, safe='%')}{after}"
    try:
        return dict(conninfo_to_dict(url))
    except (ProgrammingError, UnicodeError):
        raise EnvironmentInvalid(NO_URL) from None
