"""Fixtures: callers of the API, users with credits, and the books that close after every test."""

from collections.abc import Iterator

import pytest
from django.db import connection

from credits import books
from credits.models import Balance
from tests.api import Caller
from tests.environment import PROVIDER, SERVICE_KEY

TABLES = (
    "balances",
    "idempotency_keys",
    "job_runs",
    "outbox",
    "reservations",
    "sync_subscriptions",
    "transactions",
    "usage_stats",
)


@pytest.fixture(autouse=True)
def books_close(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the rules of the money after every test that touches the database."""
    if "committed" in request.fixturenames:
        request.getfixturevalue("committed")
    elif "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
    else:
        yield
        return
    yield
    if not request.node.get_closest_marker("breaks_the_books"):
        assert discrepancies() == []


def discrepancies() -> list[str]:
    """Return what is wrong with the books, in sentences."""
    users = list(Balance.objects.values_list("pk", flat=True))
    found = [*books.check(users), *books.orphans()]
    return [f"{one.user_id}: {one.sentence} ({one.rule})" for one in found]


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """Let the test commit, for threads and processes to see; empty the tables afterwards."""
    yield
    names = ", ".join(f"credits.{table}" for table in TABLES)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credits.transactions DISABLE TRIGGER USER")
        cursor.execute(f"TRUNCATE {names}")
        for trigger in ("transactions_are_append_only", "transactions_are_never_truncated"):
            cursor.execute(f"ALTER TABLE credits.transactions ENABLE ALWAYS TRIGGER {trigger}")


@pytest.fixture
def service() -> Caller:
    """Another service of the ecosystem, with a valid key."""
    return Caller({"X-Service-Key": SERVICE_KEY}, prefix="/api/v1/internal/credits/")


@pytest.fixture
def alice() -> Caller:
    """A user with a valid token."""
    return Caller.with_token(PROVIDER.token("alice"))


@pytest.fixture
def anonymous() -> Caller:
    """Somebody without a token."""
    return Caller({}, prefix="/api/v1/credits/")
