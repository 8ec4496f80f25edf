"""Reading environment variables for the settings. Every error names the variable."""

import os
import re
from typing import Any
from urllib.parse import quote

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

# The greedy middle group is the password. It ends at the last @, because a host cannot contain one.
WITH_PASSWORD = re.compile(r"(postgres(?:ql)?://[^:/?#@]*:)(.*)(@[^@]*)", re.DOTALL)
NO_URL = (
    "DATABASE_URL is not a PostgreSQL URL: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. "
    "Percent-encode special characters in the password: %25 for %, %40 for @, %2F for /."
)


class EnvironmentInvalid(ImproperlyConfigured):
    """A required variable is missing, or its value is invalid. The message names the variable."""


class Environment(environ.Env):  # type: ignore[misc]
    """Reads variables. Errors name the variable but not its value, which may be a secret."""

    def get_value(self, var: str, *arguments: Any, **options: Any) -> Any:
        """Return the variable converted to the requested type. Raises EnvironmentInvalid."""
        try:
            return super().get_value(var, *arguments, **options)
        except (ValueError, ArithmeticError) as error:
            kind = getattr(options.get("cast"), "__name__", "value")
            raise EnvironmentInvalid(f"{var} is not a valid {kind}.") from error


def secret(name: str) -> str:
    """Return the secret `name`. Raises EnvironmentInvalid if it is unset or empty."""
    value = os.environ.get(name, "")
    if not value.strip(" ,"):
        raise EnvironmentInvalid(f"{name} is not set. The service does not start without it.")
    return value


def database_url(name: str) -> dict[str, Any]:
    """Return the parts of the libpq URL in the variable `name`. Raises EnvironmentInvalid.

    A password may contain `/`, `@`, `?` or `#` unencoded. `%` starts a percent-encoded character.
    """
    url = secret(name)
    if found := WITH_PASSWORD.fullmatch(url):
        before, password, after = found.groups()
        url = f"{before}{quote(password, safe='%')}{after}"
    try:
        return dict(conninfo_to_dict(url))
    except (ProgrammingError, UnicodeError):
        raise EnvironmentInvalid(NO_URL) from None
