"""Each system check finds its own fault only."""

from typing import Any

import pytest
from django.conf import settings as live
from django.core.checks import Tags, run_checks

from mana_credits import checks
from tests.mana_credits.test_settings import IN_PRODUCTION, start

SAFE: dict[str, Any] = {
    "SECRET_KEY": "a-secret-of-production-0123456789-abcdefghijklmnopqrstuvwxyz",
    "MANA_SERVICE_KEYS": ["a-key-of-production-9f2c", "the-next-key-of-production"],
    "STATEMENT_KEYS": ["Kq2xV9tB7mZr4LcW8sYpJf1GhD6nEuXa3oTiQw5vR0M"],
    "STRIPE_SECRET_KEY": "sk_live_of_production",
    "STRIPE_WEBHOOK_SECRETS": ["whsec_of_production_7Qm2xK9v"],
    "STRIPE_API_BASE": "",
    "ALLOWED_HOSTS": ["credits.example.com", "localhost"],
    "BASE_URL": "https://credits.example.com",
    "MANA_AUTH_URL": "https://auth.example.com",
    "MANA_NOTIFY_URL": "https://notify.example.com",
    "CORS_ALLOWED_ORIGINS": ["https://app.example.com"],
    "TRUSTED_PROXIES": 1,
    "LOG_LEVEL": "INFO",
}


@pytest.fixture
def safe(settings: Any) -> Any:
    """Set the settings of a production environment."""
    for name, value in SAFE.items():
        setattr(settings, name, value)
    return settings


def found() -> list[str]:
    """Return the faults of the settings. The checks of models and templates take longer."""
    messages = run_checks(tags=[Tags.security], include_deployment_checks=True)
    return [str(one.id) for one in messages if str(one.id).startswith("mana_credits.")]


def test_safe_settings_pass(safe: Any) -> None:
    assert found() == []
    messages = run_checks(include_deployment_checks=True)
    assert [one for one in messages if str(one.id).startswith("mana_credits.")] == []


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("SECRET_KEY", "7Qm2xK9vTz4Lc8Rw5Hn3-pYd6Jf1Gs0Bu-eXaVkWqZoMiN4t"[:49], "E002"),
        ("MANA_SERVICE_KEYS", ["a-key-of-production-9f2c", "aQ7-zK2.mX9_bT4"], "E003"),
        ("MANA_SERVICE_KEYS", ["a-key-of-production-9f2c", "x" * 64], "E011"),
        ("MANA_SERVICE_KEYS", ["0123456789abcdefghijklmnopqrstuvwxyz"], "E011"),
        ("MANA_SERVICE_KEYS", ["changeme-changeme-changeme-changeme-"], "E011"),
        ("SECRET_KEY", "abcdefghijklmnopqrstuvwxyz0123456789" * 2, "E011"),
        ("SECRET_KEY", "the-secret-" * 8, "E011"),
        ("STRIPE_WEBHOOK_SECRETS", ["whsec_of_production_7Qm2xK9v", "whsec_test"], "E011"),
        ("STRIPE_WEBHOOK_SECRETS", ["whsec_"], "E011"),
        ("ADMIN_REQUIRE_2FA", False, "E012"),
        ("EVENT_HOSTS_MAY_BE_LOCAL", True, "E014"),
        ("ALLOWED_HOSTS", ["credits.example.com", "*"], "E005"),
        ("STRIPE_SECRET_KEY", "sk_test_0123456789", "W001"),
        ("STRIPE_SECRET_KEY", "rk_test_0123456789", "W001"),
        ("STRIPE_WEBHOOK_SECRETS", [], "W002"),
        ("ALLOWED_HOSTS", ["localhost", "127.0.0.1"], "W003"),
        ("ALLOWED_HOSTS", ["other.example.com"], "W003"),
        ("BASE_URL", "http://credits.example.com", "W004"),
        ("MANA_AUTH_URL", "http://localhost:3001", "W005"),
        ("CORS_ALLOWED_ORIGINS", ["https://app.example.com", "https://localhost:5173"], "W006"),
        ("CORS_ALLOWED_ORIGINS", ["http://app.example.com"], "W006"),
        ("STRIPE_API_BASE", "http://127.0.0.1:12111", "W007"),
        ("MANA_NOTIFY_URL", "", "W008"),
        ("TRUSTED_PROXIES", 0, "W009"),
        ("LOG_LEVEL", "DEBUG", "W011"),
        ("STATEMENT_KEYS", [], "W012"),
        ("STATEMENT_KEYS", ["public:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"], "W012"),
        ("STATEMENT_KEYS", ["A" * 43], "E011"),
    ],
)
def test_each_fault_is_found_and_no_other(safe: Any, name: str, value: Any, fault: str) -> None:
    setattr(safe, name, value)

    assert found() == [f"mana_credits.{fault}"]


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({"PASSWORD": "devpassword"}, ["mana_credits.E004"]),
        ({"HOST": "db.example.com", "OPTIONS": {}}, ["mana_credits.W010"]),
        ({"HOST": "8.8.8.8", "OPTIONS": {"sslmode": "prefer"}}, ["mana_credits.W010"]),
        ({"HOST": "db.example.com", "OPTIONS": {"sslmode": "verify-full"}}, []),
        ({"HOST": "10.0.0.5", "OPTIONS": {}}, []),
    ],
)
def test_the_way_to_the_database_is_looked_at(
    safe: Any, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], faults: list[str]
) -> None:
    database = {**safe.DATABASES["default"], **changed}
    monkeypatch.setattr(live, "DATABASES", {"default": database})

    assert found() == faults


def test_the_way_to_the_standby_is_looked_at_too(
    safe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = safe.DATABASES["default"]
    remote = {**default, "HOST": "db2.example.com", "PASSWORD": "devpassword", "OPTIONS": {}}
    monkeypatch.setattr(live, "DATABASES", {"default": default, "replica": remote})

    assert found() == ["mana_credits.E004", "mana_credits.W010"]


def test_a_developer_may_be_unsafe(settings: Any) -> None:
    settings.DEBUG = True
    settings.MANA_SERVICE_KEYS = ["short"]

    checks.refuse_unsafe()


def test_production_may_not(safe: Any) -> None:
    safe.MANA_SERVICE_KEYS = ["short"]

    with pytest.raises(checks.UnsafeSettings, match=r"mana_credits.E003: A key in MANA_SERVICE"):
        checks.refuse_unsafe()


@pytest.mark.slow
def test_the_web_server_does_not_start_with_unsafe_settings() -> None:
    started = start(
        *("-W", "ignore", "-m", "mana_credits.web_server"),
        **{**IN_PRODUCTION, "MANA_SERVICE_KEY": "short"},
        HOST="127.0.0.1",
        PORT="0",
    )

    assert started.returncode == 1
    assert "The service does not start with these settings." in started.stderr
    assert "mana_credits.E003: A key in MANA_SERVICE_KEY has fewer" in started.stderr
    assert "Traceback" not in started.stderr


def test_an_unknown_log_level_is_named_in_a_sentence() -> None:
    started = start("-c", "import mana_credits.settings", **IN_PRODUCTION, LOG_LEVEL="loud")

    assert started.stderr.splitlines()[-1].endswith(
        "LOG_LEVEL is LOUD, not one of DEBUG, INFO, WARNING, ERROR, CRITICAL."
    )
