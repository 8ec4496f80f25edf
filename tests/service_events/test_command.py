"""`manage.py event_subscriptions` does what the back office's page does."""

from datetime import UTC, datetime
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from mana_credits.service_events.models import EventSubscription
from tests.event_receiver import EventReceiver, signed_by
from tests.factories import give
from tests.service_events.conftest import Subscribe, deliver

pytestmark = pytest.mark.django_db


def run(*words: object) -> tuple[str, str]:
    """Run the command. Return its output and its messages."""
    out, told = StringIO(), StringIO()
    call_command("event_subscriptions", *map(str, words), stdout=out, stderr=told)
    return out.getvalue().strip(), told.getvalue()


def test_a_subscription_that_the_command_makes_gets_signed_messages(
    receiver: EventReceiver,
) -> None:
    secret, told = run(
        *("create", "chat", receiver.url, "--event", "credits.added"),
        *("--event", "balance.low", "--operator", "ada"),
    )

    made = EventSubscription.objects.get()
    assert (made.service, made.created_by) == ("chat", "ada")
    assert made.events == ["credits.added", "balance.low"]
    assert secret.startswith("whsec_")
    assert secret not in told
    assert secret not in made.secret

    give("alice", 5)
    assert deliver() == ["delivered"]
    assert signed_by(receiver.received[0], secret)


def test_the_secret_is_rotated_with_an_overlap(subscribe: Subscribe) -> None:
    made, old = subscribe()

    secret, _ = run("rotate", made.pk, "--overlap-hours", 2)

    made.refresh_from_db()
    assert secret != old
    assert made.prior_secret_until
    assert 1.9 < (made.prior_secret_until - datetime.now(UTC)).total_seconds() / 3600 <= 2


def test_a_subscription_is_paused_resumed_and_ended(subscribe: Subscribe) -> None:
    made, _ = subscribe("credits.added")
    name = f"{made.pk} chat {made.url}: credits.added"

    assert run("pause", made.pk)[0] == f"{name} (paused)"
    give("alice", 5)
    assert deliver() == []
    assert run("list")[0] == f"{name} (paused), 1 pending, 0 parked"
    assert run("resume", made.pk)[0] == f"{name} (active)"
    assert deliver() == ["delivered"]
    assert run("end", made.pk)[0] == f"{name} (ended)"
    assert run("list")[0] == ""


@pytest.mark.parametrize("act", ["rotate", "pause", "resume", "end"])
def test_an_unknown_subscription_is_named(act: str) -> None:
    with pytest.raises(CommandError, match="There is no event subscription with this id"):
        run(act, uuid4())


@pytest.mark.usefixtures("receiver")
def test_a_host_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(CommandError, match="is not one of EVENT_HOSTS"):
        run(
            *("create", "chat", "https://elsewhere.example.com/"),
            *("--event", "credits.added", "--operator", "ada"),
        )

    assert not EventSubscription.objects.exists()
