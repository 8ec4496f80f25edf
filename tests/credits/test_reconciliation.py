"""Reconciliation finds changes that no event announced."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import stripe as library
from django.core.management import CommandError, call_command
from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from credits.ledger import ledger
from credits.ledger.outcomes import BalanceTooLarge
from credits.models import JobRun, MoneyBack, Package, Purchase
from credits.payments import checkout, current_state, reconciliation, stripe_fields
from credits.payments.stripe_errors import PaymentUnavailable
from tests.api import Caller
from tests.stripe import PAGES, Stripe, buy, deliver, no_waiting, reconcile, state
from webhooks import events
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

Output = pytest.CaptureFixture[str]


@pytest.fixture
def bought(alice: Caller, starter: Package, stripe: Stripe) -> Purchase:
    """Return a pending purchase of alice."""
    return Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])


def test_a_purchase_made_with_the_webhook_switched_off_is_completed(
    bought: Purchase, stripe: Stripe, settings: Any, capsys: Output
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    stripe.pay(str(bought.pk))
    refused = [deliver(event).status_code for event in stripe.events()]

    exit_code = reconcile()

    assert refused == [503]
    assert exit_code == 0
    assert state(bought) == ("completed", 500)
    intent = bought.stripe_payment_intent_id
    assert f"Applied: payment {intent}: pending → completed." in capsys.readouterr().out


def test_a_second_run_finds_nothing_to_do(bought: Purchase, stripe: Stripe, capsys: Output) -> None:
    stripe.pay(str(bought.pk))
    reconcile()
    capsys.readouterr()

    assert reconcile() == 0
    assert capsys.readouterr().out == "1 looked at, 0 applied, 0 unexplained.\n"
    assert state(bought) == ("completed", 500)


def test_a_run_is_on_record_and_the_worker_still_runs_its_own(
    bought: Purchase, stripe: Stripe
) -> None:
    stripe.pay(str(bought.pk))
    reconcile()
    good = JobRun.objects.get(pk="reconcile_stripe")
    stripe.delete(f"payment_intents/{bought.stripe_payment_intent_id}")
    reconcile()

    bad = JobRun.objects.get(pk="reconcile_stripe")

    assert (good.result, good.error) == ({"applied": 1}, "")
    assert bad.result == {"unexplained": 1}
    missing = f"payment {bought.stripe_payment_intent_id}: is not at Stripe"
    assert bad.error == f"DoesNotReconcile: 1 unexplained difference\n{missing}"
    assert (bad.succeeded_at, bad.night, bad.claimed_until) == (good.started_at, None, None)


def test_a_dry_run_says_what_it_would_do_and_does_not(
    bought: Purchase, stripe: Stripe, capsys: Output
) -> None:
    stripe.pay(str(bought.pk))
    stripe.refund(bought.stripe_payment_intent_id or "", amount=100)

    assert reconcile("--dry-run") == 0
    assert "Would apply: payment" in capsys.readouterr().out
    assert state(bought) == ("pending", 0)
    assert not MoneyBack.objects.exists()
    assert not JobRun.objects.exists()


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (lambda stripe, intent: stripe.pay(intent, "declined-card"), "failed"),
        (lambda stripe, intent: stripe.pay(intent, "sepa"), "processing"),
        (lambda stripe, intent: stripe.post(f"v1/payment_intents/{intent}/cancel"), "cancelled"),
        (lambda stripe, intent: None, "pending"),
    ],
)
def test_what_was_not_paid_is_brought_up_to_date(
    bought: Purchase, stripe: Stripe, act: Any, status: str
) -> None:
    act(stripe, bought.stripe_payment_intent_id)

    exit_code = reconcile()

    assert exit_code == 0
    assert state(bought) == (status, 0)


def test_a_checkout_that_expired_is_cancelled(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    buy(alice, starter, **PAGES)
    purchase = Purchase.objects.get()
    still_open = (reconcile(), state(purchase))
    stripe.post(f"v1/checkout/sessions/{purchase.stripe_checkout_session_id}/expire")

    exit_code = reconcile()

    assert still_open == (0, ("pending", 0))
    assert exit_code == 0
    assert state(purchase) == ("cancelled", 0)


def test_an_old_payment_that_is_unfinished_here_is_asked_for(
    bought: Purchase, stripe: Stripe
) -> None:
    stripe.pay(str(bought.pk))

    with patch("credits.payments.stripe_api.intents", return_value=iter([])):
        exit_code = reconcile()

    assert exit_code == 0
    assert state(bought) == ("completed", 500)


def test_old_refunds_and_disputes_that_are_unfinished_here_are_asked_for(
    bought: Purchase, stripe: Stripe
) -> None:
    stripe.pay(str(bought.pk))
    refund = stripe.refund(bought.stripe_payment_intent_id or "", amount=100)
    dispute = stripe.post(f"disputes/{bought.pk}", amount=399)
    reconcile()
    before = state(bought)
    stripe.post(f"refunds/{refund['id']}/failed")
    stripe.post(f"disputes/{dispute['id']}/won")

    with (
        patch("credits.payments.stripe_api.refunds", return_value=iter([])),
        patch("credits.payments.stripe_api.disputes", return_value=iter([])),
    ):
        exit_code = reconcile()

    assert before == ("disputed", 0)
    assert exit_code == 0
    assert state(bought) == ("completed", 500)


def test_what_stands_only_at_stripe_is_reported(
    bought: Purchase, stripe: Stripe, capsys: Output
) -> None:
    lost = "01a20744-0000-7000-8000-000000000000"
    stripe.post("v1/payment_intents", amount=5, currency="eur")
    other = stripe.post(
        "v1/payment_intents", amount=5, currency="eur", **{"metadata[purchaseId]": lost}
    )

    assert reconcile() == 1
    out = capsys.readouterr().out
    assert f"Unexplained: payment {other['id']}: belongs to the purchase {lost}" in out
    assert "1 unexplained" in out


def test_what_stands_only_here_is_reported(
    bought: Purchase, alice: Caller, starter: Package, stripe: Stripe, capsys: Output
) -> None:
    buy(alice, starter, **PAGES)
    stripe.pay(str(bought.pk))
    refund = stripe.refund(bought.stripe_payment_intent_id or "", amount=100)
    reconcile()
    for forgotten in ("payment_intents", "refunds"):
        name = bought.stripe_payment_intent_id if "intent" in forgotten else refund["id"]
        stripe.delete(f"{forgotten}/{name}")
    session = Purchase.objects.exclude(pk=bought.pk).get().stripe_checkout_session_id
    Purchase.objects.exclude(pk=bought.pk).update(stripe_checkout_session_id="cs_gone")
    capsys.readouterr()

    assert session
    assert reconcile() == 1
    out = capsys.readouterr().out
    assert f"payment {bought.stripe_payment_intent_id}: is not at Stripe" in out
    assert f"refund {refund['id']}: is not at Stripe" in out
    assert "session cs_gone: of the purchase" in out
    assert "3 unexplained" in out


def test_what_was_credited_and_is_not_paid_is_reported(
    bought: Purchase, stripe: Stripe, capsys: Output
) -> None:
    stripe.pay(str(bought.pk))
    reconcile()

    unpaid = {**stripe.get(f"payment_intents/{bought.stripe_payment_intent_id}")}
    with patch(
        "credits.payments.stripe_api.intents", return_value=[{**unpaid, "status": "canceled"}]
    ):
        exit_code = reconcile()

    assert exit_code == 1
    assert "is canceled, but credited here" in capsys.readouterr().out


def test_what_cannot_be_applied_is_reported_and_the_rest_applied(
    bought: Purchase, alice: Caller, starter: Package, stripe: Stripe, capsys: Output
) -> None:
    other = Purchase.objects.get(pk=buy(alice, starter).json()["purchaseId"])
    stripe.pay(str(bought.pk))
    stripe.pay(str(other.pk))
    real = ledger.credit_purchase

    def credit(*arguments: Any, **options: Any) -> Any:
        if options["purchase_id"] == bought.pk:
            raise BalanceTooLarge
        return real(*arguments, **options)

    with patch("credits.ledger.credit_purchase", side_effect=credit):
        exit_code = reconcile()

    assert exit_code == 1
    assert "The balance would become too large" in capsys.readouterr().out
    assert state(bought) == ("pending", 500)
    assert state(other) == ("completed", 500)


def test_long_lists_are_read_page_by_page(alice: Caller, starter: Package, stripe: Stripe) -> None:
    names = [buy(alice, starter).json()["purchaseId"] for _ in range(5)]
    for name in names:
        stripe.pay(name)

    with patch("credits.payments.stripe_api.PAGE", 2):
        exit_code = reconcile()

    assert exit_code == 0
    assert ledger.balance_of("alice").posted == 2500


def test_a_rate_limit_is_waited_for(bought: Purchase, stripe: Stripe) -> None:
    stripe.pay(str(bought.pk))
    real = library.PaymentIntentService.list
    refusals = [library.RateLimitError("slow down")] * 2

    def listed(*arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return real(*arguments)

    with (
        patch.object(library.PaymentIntentService, "list", listed),
        patch("credits.payments.stripe_api.time.sleep") as sleep,
    ):
        exit_code = reconcile()

    assert exit_code == 0
    assert [call.args[0] for call in sleep.call_args_list] == [1, 2]
    assert state(bought) == ("completed", 500)


def test_a_rate_limit_without_end_is_an_error(bought: Purchase, stripe: Stripe) -> None:
    refusal = library.RateLimitError("slow down")

    with (
        patch.object(library.PaymentIntentService, "list", side_effect=refusal),
        patch("credits.payments.stripe_api.time.sleep") as sleep,
        pytest.raises(PaymentUnavailable),
    ):
        reconcile()

    assert sum(call.args[0] for call in sleep.call_args_list) == 31


def test_an_object_that_cannot_be_looked_at_fails_the_run_and_stops_nobody(
    bought: Purchase, stripe: Stripe, capsys: Output
) -> None:
    refusal = library.InvalidRequestError("what?", "id", http_status=400)  # type: ignore[no-untyped-call]

    with (
        patch("credits.payments.stripe_api.intents", return_value=[]),
        patch.object(library.PaymentIntentService, "retrieve", side_effect=refusal),
        patch("credits.payments.stripe_api.refunds", return_value=[{"id": "re_broken"}]),
    ):
        code = reconcile()

    assert code == 1
    printed = [line for line in capsys.readouterr().out.splitlines() if line[0] != "{"]
    assert printed == [
        "Unexplained: refund re_broken: amount is not a whole number from 1 to 10000000000000",
        f"Failed: purchase {bought.pk}: RefusedByStripe: what?",
        "2 looked at, 0 applied, 1 unexplained, 1 failed.",
    ]
    assert JobRun.objects.get(pk="reconcile_stripe").error == (
        "DoesNotReconcile: 1 unexplained difference\n"
        "refund re_broken: amount is not a whole number from 1 to 10000000000000"
    )
    assert state(bought) == ("pending", 0)


def test_a_purchase_that_was_opened_meanwhile_is_not_given_up(bought: Purchase) -> None:
    checkout.give_up(bought)

    assert state(bought) == ("pending", 0)


def test_without_stripe_it_says_so(bought: Purchase, settings: Any) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    with no_waiting(), pytest.raises(PaymentUnavailable):
        reconcile()


@pytest.mark.parametrize("since", ["3", "d", "-1d", "3w", "99999d"])
def test_an_invalid_span_is_refused(db: None, since: str) -> None:
    with pytest.raises(CommandError, match="is not a time span"):
        call_command("reconcile_stripe", f"--since={since}")


def test_a_refund_of_anothers_payment_takes_nothing(
    bought: Purchase, stripe: Stripe, capsys: Output
) -> None:
    stripe.pay(str(bought.pk))
    other = stripe.post("v1/payment_intents", amount=5, currency="eur")
    stripe.pay(other["id"])
    stripe.refund(other["id"])

    assert reconcile() == 0
    assert state(bought) == ("completed", 500)
    assert "0 unexplained" in capsys.readouterr().out


def test_a_payment_without_its_charge_is_completed_without_a_receipt(
    bought: Purchase, stripe: Stripe
) -> None:
    paid = stripe.pay(str(bought.pk))["id"]
    intent = {**stripe.get(f"payment_intents/{paid}"), "latest_charge": "ch_not_expanded"}

    step = current_state.intent_step(intent, now=datetime.now(UTC))
    assert step is not None
    step()

    assert state(bought) == ("completed", 500)
    assert Purchase.objects.get(pk=bought.pk).receipt_url is None


def test_a_reference_may_be_the_whole_object() -> None:
    assert stripe_fields.id_in({"payment_intent": {"id": "pi_1"}}, "payment_intent") == "pi_1"


def locked() -> OperationalError:
    error = OperationalError("locked")
    error.__cause__ = LockNotAvailable()
    return error


def test_a_locked_object_is_skipped_and_an_outage_ends_the_run(bought: Purchase) -> None:
    intent = {"object": "payment_intent", "id": "pi_1"}
    now = datetime.now(UTC)
    check = reconciliation.Reconciliation(since=now - timedelta(days=1), now=now)
    with patch("credits.payments.stripe_api.intents", return_value=[intent]):
        with patch.object(check, "_intent", side_effect=locked()):
            skipped = next(check.run())
        for outage in (OperationalError("away"), PaymentUnavailable()):
            with patch.object(check, "_intent", side_effect=outage), pytest.raises(type(outage)):
                next(check.run())

    assert skipped.outcome == "skipped"
    assert state(bought) == ("pending", 0)


def test_a_locked_event_is_skipped() -> None:
    now = datetime.now(UTC)
    StripeEvent.objects.create(
        id="evt_1", type="ping", payload="{}", created_at=now, received_at=now
    )

    with patch("webhooks.events._apply", side_effect=locked()):
        outcomes = [one.outcome for one in events.process_due(now=now, limit=10)]

    assert outcomes == ["skipped"]
    assert StripeEvent.objects.get().processed_at is None
