"""Fixtures: callers of the API, users with credits, and the check of the books."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import connection
from django.test import TransactionTestCase, override_settings

from credits.ledger import grants
from credits.models import Package
from credits.postgresql.service_role import Role
from gifts.models import GiftCode
from mana_credits.api import tokens
from mana_credits.api.seen_users import SeenUsers
from mana_credits.api.verified_tokens import VerifiedTokens
from mana_credits.dev.database_roles import SERVICE_ROLE
from mana_credits.dev.sandbox import stripe as sandbox_stripe
from tests import books, event_receiver, legacy_database
from tests.api import Caller
from tests.books import discrepancies
from tests.emptying import Emptying, connected
from tests.environment import PROVIDER, SERVICE_KEY
from tests.event_receiver import EventReceiver
from tests.factories import gift, give, package
from tests.legacy import Earlier
from tests.owner import as_owner
from tests.running import database_of_the_test
from tests.stripe import Stripe

# Collecting garbage as often as by default (700) takes 8 % of the time of the tests.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """Freeze loaded modules and tests so that the garbage collector skips them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def books_close(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the book rules after every test that uses the database."""
    if {"committed", "live_server"} & set(request.fixturenames):
        request.getfixturevalue("committed")
    elif "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
    else:
        yield
        return
    yield
    if not request.node.get_closest_marker("breaks_the_books"):
        assert discrepancies() == []


@pytest.fixture(autouse=True)
def nobody_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the tokens of earlier tests."""
    monkeypatch.setattr(tokens, "seen_users", SeenUsers())
    monkeypatch.setattr(tokens, "verified_tokens", VerifiedTokens(tokens.key_ring))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """With TEST_IN_PLACE, use the database of DATABASE_URL itself (`make test-citus`)."""
    if os.environ.get("TEST_IN_PLACE"):
        default = settings.DATABASES["default"]
        default["TEST"] = {**default.get("TEST", {}), "NAME": default["NAME"]}


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Create the role of the service, as `manage.py migrate` does, and run the tests as it."""
    options = connection.settings_dict["OPTIONS"]
    of_the_owner = options["options"]
    with django_db_blocker.unblock():
        grants.apply(Role(SERVICE_ROLE))
        books.install()
        _reconnect()
        options["options"] = f"{of_the_owner} -c role={SERVICE_ROLE}"
    yield
    with django_db_blocker.unblock():
        _reconnect()
        options["options"] = of_the_owner


def _reconnect() -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]


@pytest.fixture
def owner(db: None) -> Iterator[None]:
    """Run the test as the owner of the database: it damages or prepares protected rows."""
    with as_owner():
        yield


@pytest.fixture(scope="session", autouse=True)
def no_flush() -> Iterator[None]:
    """Keep the rows that migrations created, and the connection, whose session has plans."""
    with (
        patch.object(TransactionTestCase, "_fixture_teardown"),
        patch.object(TransactionTestCase, "_should_reload_connections", return_value=False),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Use a fast password hasher; the real one is slow on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def emptying(django_db_setup: None, django_db_blocker: Any) -> Iterator[Emptying]:
    """Connect to the tests' database, to empty its tables."""
    with django_db_blocker.unblock(), connected() as emptying:
        yield emptying


@pytest.fixture
def committed(transactional_db: None, emptying: Emptying) -> Iterator[None]:
    """Make the test commit, for other threads and processes. Empty the tables afterwards."""
    yield
    emptying.run()


@pytest.fixture
def service() -> Caller:
    """Return a service with a valid key."""
    return Caller({"X-Service-Key": SERVICE_KEY}, prefix="/api/v1/internal/credits/")


@pytest.fixture
def alice() -> Caller:
    """Return a user with a valid token."""
    return Caller.with_token(PROVIDER.token("alice"))


@pytest.fixture
def bob() -> Caller:
    """Return another user with a valid token."""
    return Caller.with_token(PROVIDER.token("bob"))


@pytest.fixture
def anonymous() -> Caller:
    """Return a caller without credentials."""
    return Caller({}, prefix="/api/v1/credits/")


def gifts_of(user_id: str, **claims: Any) -> Caller:
    """Return the user with a valid token, for the gift routes."""
    token = PROVIDER.token(user_id, **claims)
    return Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/gifts/")


@pytest.fixture
def ivan() -> Caller:
    """Return a user who creates gifts."""
    return gifts_of("ivan", name="Ivan", email="ivan@example.test")


@pytest.fixture
def judy() -> Caller:
    """Return a user who redeems gifts."""
    return gifts_of("judy", name="Judy", email="judy@example.test")


@pytest.fixture
def kate() -> Caller:
    """Return a user to whose address gifts are sent."""
    return gifts_of("kate", name="Kate", email="Kate@Example.test")


@pytest.fixture
def imported(db: None) -> GiftCode:
    """Create an imported gift of 10 credits with the code RVZ5JG."""
    give("ivan", 10)
    with patch("gifts.code_format.new_code", return_value="RVZ5JG"):
        return gift("ivan", 10)


@pytest.fixture
def stranger() -> Caller:
    """Return a caller without credentials, for the gift routes."""
    return Caller({}, prefix="/api/v1/gifts/")


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[str]:
    """Run a Stripe on loopback that sends no events; tests deliver them."""
    with sandbox_stripe.serving() as url:
        yield url


@pytest.fixture
def stripe(stripe_server: str, settings: Any) -> Iterator[Stripe]:
    """Return the Stripe of the service under test, emptied."""
    settings.STRIPE_API_BASE = stripe_server
    yield Stripe(stripe_server)
    sandbox_stripe.forget()


@pytest.fixture
def receiver(settings: Any) -> Iterator[EventReceiver]:
    """Run a receiver of events to services, whose host is allowed."""
    with event_receiver.serving() as server:
        settings.EVENT_HOSTS = [server.host]
        settings.EVENT_HOSTS_MAY_BE_LOCAL = True
        yield server


@pytest.fixture
def starter(db: None) -> Package:
    """Return a package of 500 credits for 4.99 EUR."""
    return package()


@pytest.fixture(scope="session")
def legacy(django_db_setup: None) -> Iterator[str]:
    """Return the URL of a database for the earlier service."""
    name = f"{connection.settings_dict['NAME']}_legacy"
    with legacy_database.database(database_of_the_test(), name) as url:
        yield url


@pytest.fixture
def source(legacy: str, committed: None) -> str:
    """Return the URL of an empty database of the earlier service."""
    legacy_database.empty(legacy)
    return legacy


@pytest.fixture
def earlier() -> Earlier:
    """Return a writer of the earlier service's rows."""
    return Earlier()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Return the path of the report."""
    return tmp_path / "report.csv"
