"""Reading environment variables for the settings. Every error names the variable."""

import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

# The greedy middle group is the password. It ends at the last @, because a host cannot contain one.
WITH_PASSWORD = re.compile(r"(postgres(?:ql)?://[^:/?#@]*:)(.*)(@[^@]*)", re.DOTALL)
LIVE_STRIPE_KEYS = ("sk_live_", "rk_live_")
PRIVATE_NAMES = (".localhost", ".local", ".test", ".internal", ".lan", ".home.arpa")
NO_URL = (
    "{} is not a PostgreSQL URL: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. "
    "Percent-encode special characters in the password: %25 for %, %40 for @, %2F for /."
)
# The largest value of PostgreSQL's integer settings, such as timeouts.
LARGEST_NUMBER = 2**31 - 1
MOST_DAYS = 36_500
MOST_WORKERS = 1000  # processes per machine and threads per process; a larger number is a mistake
DURATION = re.compile(r"(\d{1,12})(us|ms|s|min|h|d)?", re.ASCII)
# 43 characters of base64url have 258 bits; of the last one, two must be 0.
ED25519_KEY = re.compile(r"(public:)?[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
URL = re.compile(r"https?://[^\s/?#\"'<>\\]+(/[^\s?#\"'<>\\]*)?", re.ASCII)
# `*` and a point at the beginning have Django's meaning.
ALLOWED_HOST = re.compile(
    r"\*|\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE
)
EVENT_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9]\d{0,4})?", re.ASCII)
# As browsers send it: without the scheme's own port. Apps have schemes of their own.
ORIGIN = re.compile(
    r"(?!https://.*:443$|http://.*:80$)[a-z][a-z0-9+.-]*://"
    r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:\d{1,5})?",
    re.ASCII,
)
EXAMPLES = {
    ALLOWED_HOST: "host names such as credits.example.com, without scheme and port.",
    EVENT_HOST: "host names such as chat.example.com or shop.example.com:8443, in lower case and "
    "without scheme.",
    ORIGIN: "origins such as https://app.example.com, in lower case, without path and without the "
    "default port.",
}
MILLISECONDS = {
    None: 1,
    "us": 0.001,
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


class EnvironmentInvalid(ImproperlyConfigured):
    """A required variable is missing, or its value is invalid. The message names the variable."""


class Environment(environ.Env):  # type: ignore[misc]
    """Reads variables. Errors name the variable but not its value, which may be a secret."""

    def text(self, name: str, *, default: str = "") -> str:
        """Return the text in a variable. It may be empty only if `default` is.

        Raises EnvironmentInvalid.
        """
        if value_of(name, default).startswith("$"):
            # django-environ would read it as the name of another variable.
            raise EnvironmentInvalid(f"{name} begins with $. Write the value itself.")
        text: str = self.str(name, default=default).strip()
        if default and not text:
            raise EnvironmentInvalid(f"{name} is empty. Without the variable, a default applies.")
        return text

    def url(self, name: str, *, default: str = "", form: re.Pattern[str] = URL) -> str:
        """Return the HTTP URL in a variable, without a slash at the end. It has the `form`.

        It may be empty only if `default` is. Raises EnvironmentInvalid.
        """
        text = self.text(name, default=default).rstrip("/")
        if text and not (is_url(text) and form.fullmatch(text)):
            raise EnvironmentInvalid(f"{name} is not a URL such as https://credits.example.com.")
        return text

    def hosts(self, name: str, *, default: Iterable[str] = (), form: re.Pattern[str]) -> list[str]:
        """Return the hosts or origins in a variable; each has the `form`.

        Raises EnvironmentInvalid.
        """
        hosts = self.texts(name, default=default)
        if not all(map(form.fullmatch, hosts)):
            raise EnvironmentInvalid(f"{name} is not a list of {EXAMPLES[form]}")
        return hosts

    def whole_number(
        self, name: str, *, default: int, at_least: int = 0, at_most: int = LARGEST_NUMBER
    ) -> int:
        """Return the number in a variable. Raises EnvironmentInvalid."""
        return whole_number(name, default=default, at_least=at_least, at_most=at_most)

    def amount(self, name: str, *, default: Decimal) -> Decimal:
        """Return the amount (at least 0) in a variable. Raises EnvironmentInvalid."""
        text = value_of(name, str(default))
        if not re.fullmatch(r"\d{1,12}(\.\d{1,4})?", text, re.ASCII):
            raise EnvironmentInvalid(f"{name} is not an amount such as 100 or 99.5.")
        return Decimal(text)

    def texts(self, name: str, *, default: Iterable[str] = ()) -> list[str]:
        """Return the texts in a variable of the form `text,text…`, or `default` if it is unset."""
        return listed(value_of(name)) if name in os.environ else list(default)

    def ed25519_keys(self, name: str) -> list[str]:
        """Return the Ed25519 keys in a variable, as text. Raises EnvironmentInvalid.

        Each is 32 bytes in base64url, 43 characters: a secret, or a public key after `public:`.
        """
        keys = self.texts(name)
        if not all(ED25519_KEY.fullmatch(key) for key in keys):
            raise EnvironmentInvalid(
                f"{name} is not a list of Ed25519 keys: each is a secret of 43 characters "
                "(generate_secrets makes one), or public: and a public key."
            )
        return keys

    def duration(self, name: str, *, default: str) -> str:
        """Return the duration in a variable, in PostgreSQL's format. Raises EnvironmentInvalid."""
        text = value_of(name, default)
        found = DURATION.fullmatch(text)
        if not found or int(found[1]) * MILLISECONDS[found[2]] > LARGEST_NUMBER:
            raise EnvironmentInvalid(f"{name} is not a duration such as 500ms, 5s or 0 (no limit).")
        return text

    def flag(self, name: str, *, default: bool) -> bool:
        """Return the boolean in a variable. Accepts only known words for yes and no.

        Raises EnvironmentInvalid.
        """
        value = BOOLEANS.get(value_of(name, str(default)).lower())
        if value is None:
            raise EnvironmentInvalid(f"{name} is neither 1 nor 0.")
        return value

    def numbers(self, name: str, *, default: Mapping[str, int]) -> dict[str, int]:
        """Return `default`, updated with a variable of the form `name=number,…`.

        Each number is at least 1. Raises EnvironmentInvalid.
        """
        pairs = [pair.partition("=") for pair in self.texts(name)]
        changed = {key.strip(): number.strip() for key, _, number in pairs}
        for key, number in changed.items():
            if key not in default or not _is_within(number, 1, LARGEST_NUMBER):
                raise EnvironmentInvalid(
                    f"{name} is not a list of NAME=NUMBER, with numbers of 1 or more and "
                    f"the names {', '.join(default)}."
                )
        return {**default, **{key: int(number) for key, number in changed.items()}}


def value_of(name: str, default: str = "") -> str:
    """Return a variable without outer whitespace, or `default`. Raises EnvironmentInvalid.

    Files with Windows line ends add a carriage return to each value, and some readers of files keep
    quotes or a byte order mark.
    """
    text = _printable(name, os.environ.get(name, default).strip())
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        raise EnvironmentInvalid(f"{name} is in quotes, which are part of its value. Remove them.")
    return text


def password(name: str) -> str:
    """Return a password, which may begin with a space or a quote. Raises EnvironmentInvalid."""
    return _printable(name, os.environ.get(name, ""))


def require_folder(name: str) -> None:
    """Raise EnvironmentInvalid if a variable is set to what is not a writable folder."""
    folder = os.environ.get(name)
    if folder and not (Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise EnvironmentInvalid(f"{name} is not a folder in which the service may write.")


def _printable(name: str, text: str) -> str:
    if not text.isprintable():
        raise EnvironmentInvalid(f"{name} has a line break or an invisible character.")
    return text


def is_url(text: str) -> bool:
    """Return whether the text is an HTTP URL of a host, without query and fragment."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading an invalid port raises ValueError, too
    except ValueError:
        return False
    return bool(host and URL.fullmatch(text))


def listed(text: str) -> list[str]:
    """Return the parts of `text` between commas, without outer spaces and without empty parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def whole_number(
    name: str, *, default: int, at_least: int = 0, at_most: int = LARGEST_NUMBER
) -> int:
    """Return the number in the variable `name`. Raises EnvironmentInvalid."""
    text = value_of(name, str(default))
    if _is_within(text, at_least, at_most):
        return int(text)
    limits = f"from {at_least} to {at_most}"
    if at_most == LARGEST_NUMBER:
        limits = f"of {at_least} or more"
    raise EnvironmentInvalid(f"{name} is not a whole number {limits}.")


def web_host() -> str:
    """Return the web server's address, without the brackets of IPv6. Raises EnvironmentInvalid."""
    return Environment().text("HOST", default="0.0.0.0").strip("[]")  # noqa: S104


def web_processes() -> int:
    """Return the number of the web server's worker processes. Raises EnvironmentInvalid."""
    cores = os.cpu_count() or 2
    return whole_number("WEB_CONCURRENCY", default=cores, at_least=1, at_most=MOST_WORKERS)


def secret(name: str) -> str:
    """Return the secret `name`. Raises EnvironmentInvalid if it is unset or empty."""
    value = value_of(name)
    # A list of nothing but separators would accept no key, but look as if it were set.
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
        # `%` stays, because operators encode it themselves (docs/operations.md); otherwise it would
        # be encoded twice.
        url = f"{before}{quote(password, safe='%')}{after}"
    try:
        parts = dict(conninfo_to_dict(url))
    except (ProgrammingError, UnicodeError):
        parts = {}
    ports = listed(str(parts.get("port", "")))
    named = parts.get("dbname") or parts.get("service")  # of pg_service.conf
    if not named or not all(_is_within(port, 1, 65535) for port in ports):
        raise EnvironmentInvalid(NO_URL.format(name))
    return parts


def reject_debug_in_production(stripe_key: str, hosts: Iterable[str]) -> None:
    """Raise EnvironmentInvalid if DEBUG is on with public hosts or a live Stripe key."""
    if stripe_key.startswith(LIVE_STRIPE_KEYS):
        raise EnvironmentInvalid(
            "DEBUG is on and STRIPE_SECRET_KEY is a live key. The service does not start with both."
        )
    if public := next(filter(_is_public, hosts), None):
        raise EnvironmentInvalid(
            f"DEBUG is on and {public} is a public host (ALLOWED_HOSTS, BASE_URL). "
            "Pages of errors would show secrets there; the service does not start with both."
        )


def _is_within(text: str, at_least: int, at_most: int) -> bool:
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > len(str(LARGEST_NUMBER)):
        return False
    return at_least <= int(digits) <= at_most


def _is_public(host: str) -> bool:
    """Return whether the host is public: `*`, a global IP address or a DNS name."""
    name = host.strip("[]").lstrip(".").lower()
    try:
        return ip_address(name).is_global
    except ValueError:
        return name == "*" or ("." in name and not name.endswith(PRIVATE_NAMES))
