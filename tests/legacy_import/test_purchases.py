"""The import of purchases whose entry is missing or of another amount."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from credits.ledger.posting import Origin
from credits.models import Purchase, Transaction
from credits.payments import purchases
from credits.payments.stripe_facts import Payment
from tests.importing import available, findings, named, run
from tests.legacy import Earlier
from tests.legacy_database import Row

pytestmark = pytest.mark.usefixtures("committed", "owner")

NOW = datetime.now(UTC)


def completed_without_entry(earlier: Earlier, user: str) -> Row:
    purchase = earlier.purchase(user)
    purchase.update(status="completed", completed_at=earlier.now)
    earlier.planted.add(("purchase status", user, purchase["id"]))
    return purchase


def sentences(report: Path) -> list[str]:
    return [row["sentence"] for row in findings(report)]


def paid(purchase: Row) -> Payment:
    return Payment(
        intent_id=purchase["stripe_payment_intent_id"],
        session_id=None,
        purchase_id=UUID(purchase["id"]),
        amount_cents=499,
        currency="eur",
        status="succeeded",
    )


def test_credits_that_are_in_the_balance_explain_the_purchase(
    source: str, earlier: Earlier, report: Path
) -> None:
    earlier.grant("alice", 10)
    earlier.reserve("alice", 3)
    purchase = completed_without_entry(earlier, "alice")
    earlier.balance("alice")["balance"] += 500
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0
    assert run(source, "--apply", report=report) == 0

    found = Purchase.objects.get()
    assert (found.status, found.quarantined_at) == ("completed", None)
    entry = Transaction.objects.get(cause=f"purchase:{found.pk}")
    assert (entry.amount, entry.type, entry.pk) == (500, "purchase", found.transaction_id)
    assert available() == {"alice": 507}
    assert named(report) == earlier.planted
    (sentence,) = sentences(report)
    assert sentence == (
        f"purchase {purchase['id']} is completed, its transaction is missing and the balance has "
        "its 500 credits; the transaction is made here"
    )
    purchases.complete(paid(purchase), at=NOW, now=NOW)
    assert available() == {"alice": 507}


def test_a_purchase_that_was_credited_with_another_amount_is_credited(
    source: str, earlier: Earlier, report: Path
) -> None:
    purchase = completed_without_entry(earlier, "alice")
    said = {"purchaseId": purchase["id"]}
    entry = earlier.move("alice", "purchase", 600, app_id="stripe", metadata=said)
    earlier.flush(source)

    assert run(source, "--apply", report=report) == 0

    found = Purchase.objects.get()
    assert (found.status, found.credits, str(found.transaction_id)) == (
        "completed",
        600,
        entry["id"],
    )
    assert available() == {"alice": 600}
    assert named(report) == earlier.planted
    assert sentences(report) == [
        f"purchase {purchase['id']} of 500 credits was credited with 600; it is of 600 here"
    ]
    purchases.complete(paid(purchase), at=NOW, now=NOW)
    assert available() == {"alice": 600}


def test_a_quarantined_purchase_is_credited_and_explained_by_its_payment(
    source: str, earlier: Earlier, report: Path
) -> None:
    purchase = completed_without_entry(earlier, "alice")
    earlier.flush(source)
    run(source, "--apply", report=report)
    waiting = [str(one.pk) for one in purchases.quarantined()]

    purchases.complete(paid(purchase), at=NOW, now=NOW)

    assert waiting == [purchase["id"]]
    assert not purchases.quarantined().exists()
    found = Purchase.objects.get()
    assert (found.quarantine_resolution, found.quarantine_resolved_by) == ("credited", "stripe")
    assert available() == {"alice": 500}
    assert run(source, "--apply", report=report) == 0
    assert available() == {"alice": 500}


def test_an_operator_credits_a_quarantined_purchase_of_the_import(
    source: str, earlier: Earlier, report: Path
) -> None:
    purchase = completed_without_entry(earlier, "alice")
    earlier.flush(source)
    run(source, "--apply", report=report)

    purchases.resolve_quarantine(
        UUID(purchase["id"]),
        credit=True,
        reason="seen the transfer",
        origin=Origin("operator:olga"),
        now=NOW,
    )

    assert available() == {"alice": 500}
    assert not purchases.quarantined().exists()
