"""System checks for unsafe settings and for settings that are easily forgotten.

With DEBUG off, an error (`mana_credits.E…`) stops the web server from starting. `manage.py check
--deploy` shows warnings (`W…`) too. Missing secrets and invalid numbers stop every command earlier,
in `environment.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from itertools import pairwise
from math import log2
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.core.checks import Warning as Caution
from django.db import DatabaseError
from django.http.request import split_domain_port, validate_host

from credits.postgresql import replica

SHORTEST_SERVICE_KEY = 16
SHORTEST_SECRET_KEY = 50
LEAST_BITS = {
    "SECRET_KEY": 128,
    "MANA_SERVICE_KEY": 48,
    "STRIPE_WEBHOOK_SECRET": 48,
    "STATEMENT_KEYS": 128,
}
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1"}
# libpq's other modes, including its default `prefer`, may fall back to an unencrypted connection.
WITH_TLS = {"require", "verify-ca", "verify-full"}

Found = Iterator[CheckMessage]


class UnsafeSettings(Exception):
    """Lists the errors that the checks found, one per line."""


def refuse_unsafe() -> None:
    """Raise UnsafeSettings if a check below finds an error. Does nothing with DEBUG on."""
    # The same checks as `manage.py check --deploy`, so that both give the same answer.
    messages = run_checks(
        tags=[Tags.security, Tags.database],
        databases=["default"],
        include_deployment_checks=not settings.DEBUG,
    )
    errors = [f"{one.id}: {one.msg}" for one in messages if one.is_serious()]
    if errors:
        raise UnsafeSettings("\n".join(errors))


def environment(check: Callable[[], Found]) -> Callable[..., list[CheckMessage]]:
    """Register a check that runs only in production (`deploy=True`)."""

    def registered(app_configs: Iterable[AppConfig] | None, **_: Any) -> list[CheckMessage]:
        return list(check())

    return register(Tags.security, deploy=True)(registered)


@environment
def secrets() -> Found:
    """Find weak, published or missing secrets and Stripe test keys."""
    if len(settings.SECRET_KEY) < SHORTEST_SECRET_KEY:
        text = f"SECRET_KEY has fewer than {SHORTEST_SECRET_KEY} characters."
        yield Error(text, id="mana_credits.E002")
    if any(len(key) < SHORTEST_SERVICE_KEY for key in settings.MANA_SERVICE_KEYS):
        text = f"A key in MANA_SERVICE_KEY has fewer than {SHORTEST_SERVICE_KEY} characters."
        yield Error(text, id="mana_credits.E003")
    for name, values in _keys().items():
        if any(_bits(value) < LEAST_BITS[name] for value in values):
            text = f"{name} can be guessed: it has few different characters, or repeats some."
            yield Error(text, id="mana_credits.E011")
    if "_test_" in settings.STRIPE_SECRET_KEY:
        text = "STRIPE_SECRET_KEY is a test key. Purchases do not charge real money."
        yield Caution(text, id="mana_credits.W001")
    if not settings.STRIPE_WEBHOOK_SECRETS:
        text = "STRIPE_WEBHOOK_SECRET is not set. Every webhook is rejected."
        yield Caution(text, id="mana_credits.W002")


@environment
def databases() -> Found:
    """Find the password of .env.example, and remote servers without TLS."""
    for variable, database in _databases().items():
        if database["PASSWORD"] == "devpassword":  # noqa: S105
            text = f"{variable} has the password of .env.example."
            yield Error(text, id="mana_credits.E004")
        encrypted = database["OPTIONS"].get("sslmode") in WITH_TLS
        if not encrypted and not _is_near(database["HOST"]):
            text = f"{variable} names a remote host without TLS. Add sslmode=require."
            yield Caution(text, id="mana_credits.W010")


@environment
def statement_keys() -> Found:
    """Warn if statements are not signed."""
    if all(key.startswith("public:") for key in settings.STATEMENT_KEYS):
        text = "STATEMENT_KEYS has no secret. Users' statements are not signed."
        yield Caution(text, id="mana_credits.W012")


@environment
def second_factor() -> Found:
    """Find operators who need no second factor."""
    if not settings.ADMIN_REQUIRE_2FA:
        text = "ADMIN_REQUIRE_2FA is off: a password alone opens the back office."
        yield Error(text, id="mana_credits.E012")


@environment
def receivers() -> Found:
    """Find the setting with which events may be sent to this machine."""
    if settings.EVENT_HOSTS_MAY_BE_LOCAL:
        text = "EVENT_HOSTS_MAY_BE_LOCAL is on: events may go to this machine, unencrypted."
        yield Error(text, id="mana_credits.E014")


@environment
def addresses() -> Found:
    """Find development URLs, unencrypted URLs and hosts that are open to everybody."""
    if "*" in settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS accepts every host.", id="mana_credits.E005")
    host, _ = split_domain_port(urlsplit(settings.BASE_URL).netloc)
    if not validate_host(host, settings.ALLOWED_HOSTS):
        text = "ALLOWED_HOSTS lacks the host of BASE_URL. Gift links are answered with an error."
        yield Caution(text, id="mana_credits.W003")
    if not settings.BASE_URL.startswith("https://"):
        text = "BASE_URL, the start of every gift link, does not begin with https://."
        yield Caution(text, id="mana_credits.W004")
    if _is_local(settings.MANA_AUTH_URL):
        yield Caution("MANA_AUTH_URL is a local URL.", id="mana_credits.W005")
    if any(_is_local(origin) or "http:" in origin for origin in settings.CORS_ALLOWED_ORIGINS):
        text = "CORS_ORIGINS allows a local or unencrypted origin to call the API."
        yield Caution(text, id="mana_credits.W006")
    if settings.STRIPE_API_BASE:
        text = "STRIPE_API_BASE is set. Purchases do not reach Stripe."
        yield Caution(text, id="mana_credits.W007")
    if not settings.MANA_NOTIFY_URL:
        text = "MANA_NOTIFY_URL is not set. Users receive no notifications."
        yield Caution(text, id="mana_credits.W008")


@environment
def surroundings() -> Found:
    """Find settings that do not fit a service behind a proxy."""
    if not settings.TRUSTED_PROXIES:
        text = "TRUSTED_PROXIES is 0. Behind a proxy, all clients share one IP address."
        yield Caution(text, id="mana_credits.W009")
    if settings.TRACES_ENDPOINT and find_spec("opentelemetry") is None:
        text = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed."
        yield Error(text, id="mana_credits.E010")
    if settings.LOG_LEVEL == "DEBUG":
        text = "LOG_LEVEL is DEBUG. Libraries may log personal data."
        yield Caution(text, id="mana_credits.W011")


@register(Tags.database, deploy=True)
def standby(
    app_configs: object, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find a standby that cannot be read. The web server starts without one."""
    if replica.ALIAS not in (databases or ()) or replica.ALIAS not in settings.DATABASES:
        return []
    try:
        lag = replica.lag_seconds()
    except DatabaseError as error:
        text = f"The standby in REPLICA_DATABASE_URL cannot be asked: {str(error).strip()}"
    else:
        if lag <= settings.REPLICA_LAG_SECONDS:
            return []
        text = f"The server in REPLICA_DATABASE_URL is no standby, or {lag:.0f} seconds behind."
    return [Caution(text, id="mana_credits.W013")]


def _databases() -> dict[str, Any]:
    """Return the settings of each database by its variable."""
    variables = {"default": "DATABASE_URL", replica.ALIAS: "REPLICA_DATABASE_URL"}
    return {variables[alias]: found for alias, found in settings.DATABASES.items()}


def _keys() -> dict[str, list[str]]:
    """Return the randomly generated secrets, without Stripe's prefixes."""
    return {
        "SECRET_KEY": [settings.SECRET_KEY],
        "MANA_SERVICE_KEY": settings.MANA_SERVICE_KEYS,
        "STATEMENT_KEYS": [one for one in settings.STATEMENT_KEYS if not one.startswith("public:")],
        "STRIPE_WEBHOOK_SECRET": [
            one.removeprefix("whsec_") for one in settings.STRIPE_WEBHOOK_SECRETS
        ],
    }


def _bits(text: str) -> float:
    """Return the maximum entropy of a key in bits.

    Each character counts by the number of distinct characters. Characters that continue a run
    (`aaa`, `abc`, `321`) or repeat the beginning (`secret-secret-`) do not count.
    """
    # The length of the shortest beginning whose repetitions make the text, or the whole length.
    period = (text + text).find(text, 1) if text else 0
    unit = next((n for n in range(1, period) if text.startswith(text[n:])), period)
    steps = [ord(b) - ord(a) for a, b in pairwise(text[:unit])]
    counted = [1, *(0 if abs(step) <= 1 else 1 for step in steps)]
    return sum(counted) * log2(max(len(set(text)), 1))


def _is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "localhost") in LOCAL_HOSTS


def _is_near(host: str) -> bool:
    """Return whether the host is a Unix socket, this machine or a private IP address."""
    if not host or host.startswith(("/", "@")) or host in LOCAL_HOSTS:
        return True
    try:
        return ip_address(host).is_private
    except ValueError:
        return False
