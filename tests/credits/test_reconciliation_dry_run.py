"""A dry run of the reconciliation says what the run says, and changes nothing."""

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone

from credits.ledger import ledger
from credits.ledger.posting import Origin
from credits.models import JobRun, MoneyBack, OutboxMessage, Package, Purchase, Transaction
from credits.payments import refund_requests, stripe_api
from tests.api import Caller
from tests.stripe import PAGES, Stripe, buy, reconcile
from tests.webhooks.histories import start
from tests.webhooks.test_dispute_events import lose_in_part

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]


def rehearsed_and_run(capsys: Output) -> tuple[int, str]:
    """Return the exit code and the output of a run, and verify that its rehearsal says the same."""
    capsys.readouterr()
    before = rows()
    code = reconcile("--dry-run")
    said = capsys.readouterr().out.replace("Would apply", "Applied")
    assert rows() == before

    assert reconcile() == code
    out = capsys.readouterr().out
    assert said == out
    return code, out


def rows() -> list[Any]:
    models = (Purchase, MoneyBack, Transaction, OutboxMessage, JobRun)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_news_of_one_purchase_that_build_on_each_other(
    starter: Package, stripe: Stripe, capsys: Output
) -> None:
    purchase = start(starter, checkout=False)
    lose_in_part(stripe, str(purchase.pk))

    code, out = rehearsed_and_run(capsys)

    assert code == 0
    assert out.endswith("3 looked at, 3 applied, 0 unexplained.\n")
    assert ledger.balance_of(purchase.user_id).posted == 0


def test_what_the_run_itself_puts_in_quarantine(
    alice: Caller, starter: Package, stripe: Stripe, capsys: Output
) -> None:
    bought = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(bought.pk))
    Purchase.objects.update(price_euro_cents=599)

    code, out = rehearsed_and_run(capsys)

    assert code == 1
    assert out.count("Unexplained") == 1
    assert "the price is €5.99." in out


def test_a_purchase_of_the_import_that_its_payment_explains(
    alice: Caller, starter: Package, stripe: Stripe, capsys: Output
) -> None:
    bought = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(bought.pk))
    Purchase.objects.update(
        quarantined_at=timezone.now(),
        quarantine_reason="Completed in the earlier service, whose ledger never credited it.",
        quarantined_intent=bought.stripe_payment_intent_id,
    )

    code, out = rehearsed_and_run(capsys)

    assert code == 0
    assert out.endswith("1 looked at, 1 applied, 0 unexplained.\n")


def test_a_requested_refund_that_stripe_has_is_not_sent_again(
    alice: Caller, starter: Package, stripe: Stripe, capsys: Output
) -> None:
    bought = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(bought.pk))
    reconcile()
    long_ago = timezone.now() - timedelta(hours=1)
    for cents in (100, 150):
        refund_requests.ask(
            bought.pk, cents=cents, reason="asked", origin=Origin("operator:olga"), now=long_ago
        )
    stripe_api.create_refund(MoneyBack.objects.get(amount_cents=100))

    code, out = rehearsed_and_run(capsys)

    assert code == 0
    assert out.count(": sent.") == 1
    assert set(MoneyBack.objects.values_list("amount_cents", "state")) == {
        (100, "gone"),
        (150, "gone"),
    }


def test_nothing_stays_locked_while_stripe_answers(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    for _ in range(2):
        bought = buy(alice, starter, **PAGES).json()["purchaseId"]
        stripe.pay(bought)
    open_transactions: list[int] = []
    genuine = stripe_api._patiently

    def ask(*arguments: Any) -> Any:
        open_transactions.append(len(connection.savepoint_ids))
        return genuine(*arguments)

    with patch("credits.payments.stripe_api._patiently", ask):
        reconcile("--dry-run")

    assert len(open_transactions) >= 3
    assert set(open_transactions) == {len(connection.savepoint_ids)}
