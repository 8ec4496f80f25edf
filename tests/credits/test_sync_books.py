"""Book rules of Cloud Sync and the catalogue, and their erasure."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Operation, OperationPrice, OutboxMessage, SyncSubscription, Transaction
from credits.outbox import outbox
from credits.sync import cloud_sync, renewals
from mana_credits.privacy import erasure
from tests.books import discrepancies
from tests.factories import give, subscribe

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 31, 9, 30, 0, 123, tzinfo=UTC)
RULE = "the newest charge of Cloud Sync is for the paid period"


@pytest.mark.breaks_the_books
def test_a_period_that_was_charged_and_not_given_is_found() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW)
    ledger.spend(
        "alice",
        Priced("cloud_sync"),
        memo=Memo("sync"),
        origin=Origin("system"),
        cause="sync:alice:2027-02-28T09:30:00+00:00",
    )

    found = discrepancies()

    assert len(found) == 1
    assert found[0].endswith(f"({RULE})")
    assert "charged for sync:alice:2027-02-28T09:30:00+00:00" in found[0]


@pytest.mark.breaks_the_books
def test_a_period_that_was_moved_by_hand_is_found() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW)
    SyncSubscription.objects.update(paid_from=NOW + timedelta(days=1))

    assert [RULE in one for one in discrepancies()] == [True]


@pytest.mark.breaks_the_books
def test_a_period_that_was_prolonged_by_hand_is_found() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW)
    SyncSubscription.objects.update(paid_until=NOW + timedelta(days=365))

    assert discrepancies() == [
        (
            "alice: paid until 2028-01-31T09:30:00.000Z, the charge says 2027-02-28T09:30:00.000Z "
            "(Cloud Sync is paid until the end of its charge)"
        )
    ]


@pytest.mark.breaks_the_books
def test_a_charged_subscription_that_is_gone_is_found() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW)
    SyncSubscription.objects.all().delete()

    assert [RULE in one for one in discrepancies()] == [True]


@pytest.mark.breaks_the_books
def test_an_operation_that_the_catalogue_does_not_have_is_found() -> None:
    give("alice", 100)
    ledger.spend("alice", Priced("pdf_export"), memo=Memo("presi"), origin=Origin("user"))
    OperationPrice.objects.filter(operation="pdf_export").delete()
    Operation.objects.filter(pk="pdf_export").update(key="renamed")

    assert discrepancies() == [
        (
            "alice: transaction 2 is for pdf_export, which the catalogue does not have "
            "(a priced entry names an operation of the catalogue)"
        )
    ]


def test_erasure_forgets_the_subscription_and_keeps_its_entries() -> None:
    give("alice", 100)
    subscribe("alice", at=NOW)
    list(renewals.renew_due(now=NOW + timedelta(days=28), limit=9))
    outbox.tell("alice", {}, key="k", now=NOW)

    erasure.erase("alice")

    assert not SyncSubscription.objects.exists()
    assert not OutboxMessage.objects.exists()
    entries = Transaction.objects.filter(operation="cloud_sync")
    assert [entry.amount for entry in entries] == [-5, -5]
    assert not any("alice" in f"{entry.user_id} {entry.cause}" for entry in entries)


def test_erasure_of_somebody_without_a_balance_forgets_a_gift() -> None:
    cloud_sync.give("bob", by="operator:root", now=NOW)

    assert erasure.erase("bob") == 1
    assert not SyncSubscription.objects.exists()
