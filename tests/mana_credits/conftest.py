"""Fixtures: a caller with all credentials, and a check that nothing was stored."""

from collections.abc import Iterator

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from tests.api import Caller
from tests.environment import PROVIDER, SERVICE_KEY
from tests.factories import give, hold
from tests.refusals import counts


@pytest.fixture
def caller() -> Caller:
    """Return a caller with a user's token and a service's key."""
    token = PROVIDER.token("alice")
    headers = {"Authorization": f"Bearer {token}", "X-Service-Key": SERVICE_KEY}
    return Caller(headers, prefix="/api/v1/")


@pytest.fixture
def reservation(db: None) -> str:
    """Create an open reservation of a user with remaining credits."""
    give("alice", 100)
    return str(hold("alice", 5).pk)


@pytest.fixture
def nothing_stored(reservation: str) -> Iterator[None]:
    """Check that no table has more or fewer rows after the test."""
    before = counts()
    yield
    assert counts() == before


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Run requests through the bare WSGI application within the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)
