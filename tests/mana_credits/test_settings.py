"""Settings without which the service does not start."""

import os
import runpy
import subprocess
import sys
from unittest.mock import patch

import pytest
from django.core.exceptions import ImproperlyConfigured

PRODUCTION = {
    "SECRET_KEY": "a-secret-of-production-0123456789-abcdefghijklmnopqrstuvwxyz",
    "DATABASE_URL": "postgresql://localhost:1/unused",
    "MANA_SERVICE_KEY": "a-key-of-production-9f2c",
    "STRIPE_SECRET_KEY": "sk_live_of_production",
}
# A complete environment without development values.
IN_PRODUCTION = {
    **PRODUCTION,
    "STRIPE_WEBHOOK_SECRET": "whsec_of_production_7Qm2xK9v",
    "STATEMENT_KEYS": "Kq2xV9tB7mZr4LcW8sYpJf1GhD6nEuXa3oTiQw5vR0M",
    "ALLOWED_HOSTS": "credits.example.com",
    "BASE_URL": "https://credits.example.com",
    "MANA_AUTH_URL": "https://auth.example.com",
    "MANA_NOTIFY_URL": "https://notify.example.com",
    "CORS_ORIGINS": "https://app.example.com",
    "TRUSTED_PROXIES": "1",
}
ONLY_IN_PRODUCTION = {"STRIPE_SECRET_KEY"}


def start(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with only this environment and what every process needs."""
    system = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        env={**system, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def complaint(**environment: str) -> str:
    """Return the error of the settings with only this environment."""
    with (
        patch.dict(os.environ, environment, clear=True),
        pytest.raises(ImproperlyConfigured) as refusal,
    ):
        runpy.run_path("mana_credits/settings.py")
    return str(refusal.value)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in PRODUCTION.items() if key != name}


@pytest.mark.parametrize(
    ("name", "debug"),
    [
        *((name, "0") for name in PRODUCTION),
        *((name, "1") for name in PRODUCTION if name not in ONLY_IN_PRODUCTION),
    ],
)
def test_a_missing_secret_is_named_in_a_sentence(name: str, debug: str) -> None:
    said = complaint(DEBUG=debug, **without(name))

    assert said == f"{name} is not set. The service does not start without it."


@pytest.mark.parametrize("name", PRODUCTION)
def test_an_empty_secret_is_a_missing_one(name: str) -> None:
    said = complaint(**{**PRODUCTION, name: ""})

    assert said == f"{name} is not set. The service does not start without it."


DEVELOPER = {**PRODUCTION, "STRIPE_SECRET_KEY": "sk_test_0123456789", "DEBUG": "1"}


@pytest.mark.parametrize("key", ["sk_live_0123456789", "rk_live_0123456789"])
def test_debug_does_not_start_with_a_live_key(key: str) -> None:
    said = complaint(**{**DEVELOPER, "STRIPE_SECRET_KEY": key})

    assert said == (
        "DEBUG is on and STRIPE_SECRET_KEY is a live key. The service does not start with both."
    )


@pytest.mark.parametrize(
    ("name", "value", "host"),
    [
        ("ALLOWED_HOSTS", "localhost,credits.example.com", "credits.example.com"),
        ("ALLOWED_HOSTS", "*", "*"),
        ("ALLOWED_HOSTS", ".example.com", ".example.com"),
        ("ALLOWED_HOSTS", "8.8.8.8", "8.8.8.8"),
        ("ALLOWED_HOSTS", "[2606:4700::1111]", "[2606:4700::1111]"),
        ("BASE_URL", "https://credits.example.com:8443", "credits.example.com"),
    ],
)
def test_debug_does_not_start_at_a_public_host(name: str, value: str, host: str) -> None:
    said = complaint(**{**DEVELOPER, name: value})

    assert said.startswith(f"DEBUG is on and {host} is a public host (ALLOWED_HOSTS, BASE_URL).")


@pytest.mark.parametrize(
    "hosts", ["localhost", "web,127.0.0.1,[::1]", "192.168.1.7,10.0.0.5", "mana.localhost,x.test"]
)
def test_debug_starts_for_a_developer(hosts: str) -> None:
    environment = {**DEVELOPER, "ALLOWED_HOSTS": hosts}

    with patch.dict(os.environ, environment, clear=True):
        assert runpy.run_path("mana_credits/settings.py")["DEBUG"] is True


@pytest.mark.parametrize("keys", [",", " ", " , ,"])
def test_a_service_key_of_commas_only_is_a_missing_one(keys: str) -> None:
    said = complaint(**PRODUCTION | {"MANA_SERVICE_KEY": keys})

    assert said == "MANA_SERVICE_KEY is not set. The service does not start without it."


@pytest.mark.slow
def test_the_web_server_does_not_start_without_a_secret() -> None:
    started = start(
        *("-W", "ignore", "-m", "mana_credits.web_server"),
        **without("MANA_SERVICE_KEY"),
        HOST="127.0.0.1",
        PORT="0",
    )

    assert started.returncode != 0
    assert "MANA_SERVICE_KEY is not set." in started.stderr


def test_the_secrets_suffice_and_debug_is_off_unless_asked_for() -> None:
    program = """
from mana_credits import settings
print(settings.DEBUG, settings.MANA_SERVICE_KEYS, settings.ALLOWED_HOSTS, settings.JWT_ISSUER)
"""

    started = start("-c", program, **PRODUCTION | {"MANA_SERVICE_KEY": " new, old ,"})

    assert started.stdout == (
        "False ['new', 'old'] ['localhost', '127.0.0.1', '[::1]'] http://localhost:3001\n"
    )
    assert started.returncode == 0


@pytest.mark.slow
def test_a_production_environment_passes_the_deployment_check() -> None:
    checked = start("manage.py", "check", "--deploy", "--fail-level", "WARNING", **IN_PRODUCTION)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no issues" in checked.stdout


SECRET_OF_STATEMENTS = "Kq2xV9tB7mZr4LcW8sYpJf1GhD6nEuXa3oTiQw5vR0M"


@pytest.mark.parametrize(
    "keys",
    ["x", SECRET_OF_STATEMENTS[:-1], f"{SECRET_OF_STATEMENTS[:-1]}N", f"{SECRET_OF_STATEMENTS}=="],
)
def test_what_is_no_key_of_statements_is_named_and_not_quoted(keys: str) -> None:
    said = complaint(**PRODUCTION | {"STATEMENT_KEYS": f"{SECRET_OF_STATEMENTS},{keys}"})

    assert said.startswith("STATEMENT_KEYS is not a list of Ed25519 keys")
    assert keys not in said.split()
    assert SECRET_OF_STATEMENTS not in said


def test_the_keys_of_statements_are_a_list() -> None:
    program = "from mana_credits import settings; print(settings.STATEMENT_KEYS)"
    keys = f" {SECRET_OF_STATEMENTS}, public:{SECRET_OF_STATEMENTS} ,"

    started = start("-c", program, **PRODUCTION | {"STATEMENT_KEYS": keys})

    assert started.stdout == f"{[SECRET_OF_STATEMENTS, 'public:' + SECRET_OF_STATEMENTS]}\n"
