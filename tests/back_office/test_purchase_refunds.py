"""Operators' refunds: permission, once per form, through Stripe, with a possible debt."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
import stripe

from credits.errors import DomainError
from credits.ledger import credit_expiry, ledger
from credits.ledger.posting import Origin
from credits.models import MoneyBack, Purchase
from credits.payments import money_back, refund_requests
from credits.payments.refund_requests import ExceedsPurchase
from credits.payments.stripe_errors import PaymentUnavailable, RefusedByStripe
from mana_credits.back_office.account import timeline
from mana_credits.back_office.acts import purchase_refunds
from mana_credits.back_office.acts.audit import (
    AlreadyDone,
    Justification,
    NoteRequired,
    NotPermitted,
)
from mana_credits.back_office.acts.purchase_refunds import RefundNotRequested, RefundReasonUnknown
from tests.api import at_once
from tests.back_office.operators import WHY, acts, browser, form, operator
from tests.credits.test_disputes import dispute
from tests.credits.test_expiring_purchases import pay, started
from tests.credits.test_money_back import paid
from tests.factories import package, spend
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
MINUS = "\N{MINUS SIGN}"


def answered(asked: MoneyBack) -> dict[str, Any]:
    """Return Stripe's response to a successful refund."""
    return {
        "id": f"re_{uuid4().hex}",
        "object": "refund",
        "status": "succeeded",
        "amount": asked.amount_cents,
        "payment_intent": asked.stripe_payment_intent_id,
        "metadata": {},
    }


@pytest.fixture(autouse=True)
def no_limit(settings: Any) -> None:
    """Let one operator refund everything alone."""
    settings.ADMIN_ADJUST_LIMIT = settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(1_000_000)


@pytest.fixture
def stripe_says() -> Any:
    """Return a Stripe that accepts every refund."""
    with patch("credits.payments.stripe_api.create_refund", side_effect=answered) as said:
        yield said


def page_of(purchase: Purchase) -> str:
    return f"/admin/purchase/{purchase.pk}/"


def available(purchase: Purchase) -> Decimal:
    return ledger.balance_of(purchase.user_id).available


def test_finance_refunds_a_part_and_the_credits_follow(stripe_says: Any) -> None:
    purchase = paid(Decimal(1000), 500)
    fiona = browser("fiona")

    answer = fiona.post(
        f"{page_of(purchase)}refund/", form(amount="1.25", reason="asked"), follow=True
    )

    assert answer.redirect_chain == [(page_of(purchase), 302)]
    assert "€1.25 refunded; 250 credits clawed back." in answer.content.decode()
    assert available(purchase) == 750
    action = acts().get()
    assert (action.operator, action.action) == ("fiona", "credits.refund_purchase")
    assert (action.subject, action.user_id) == (f"purchase:{purchase.pk}", purchase.user_id)
    assert action.after == {"requested_cents": 125}


def test_a_preview_moves_nothing_and_tells_of_the_debt(stripe_says: Any) -> None:
    purchase = paid(Decimal(500), 499)
    spend(purchase.user_id, 400)
    fiona = browser("fiona")

    answer = fiona.post(
        f"{page_of(purchase)}refund/", form(amount="4.99", reason="asked", confirmed="")
    ).content.decode()

    assert f"100 → <strong>{MINUS}400</strong>" in answer
    assert "400 of 500 credits bought" in answer
    assert "goes below zero" in answer
    assert not MoneyBack.objects.exists()
    assert not stripe_says.called


def test_the_preview_shows_expired_credits_which_are_not_taken_again(stripe_says: Any) -> None:
    purchase = pay(started(package(expires_after_days=30)))
    list(credit_expiry.expire_due(now=NOW + timedelta(days=31), limit=1))
    fiona = browser("fiona")

    answer = fiona.post(
        f"{page_of(purchase)}refund/", form(amount="4.99", reason="asked", confirmed="")
    )

    text = " ".join(answer.content.decode().split())
    assert "500 of 500 credits bought; they are not clawed back again" in text
    assert "<dt>Clawed back</dt><dd>0 credits</dd>" in text
    assert "0 → <strong>0</strong>" in text


def test_a_refund_after_spending_leaves_a_debt(stripe_says: Any) -> None:
    purchase = paid(Decimal(500), 499)
    spend(purchase.user_id, 400)

    purchase_refunds.refund(operator("fiona"), purchase, 499, why=WHY, key=uuid4(), now=NOW)

    assert available(purchase) == -400


@pytest.mark.parametrize("name", ["sam", "amir"])
def test_support_and_auditors_look_and_do_not_refund(name: str, stripe_says: Any) -> None:
    purchase = paid()
    client = browser(name)

    looked = client.get(page_of(purchase))
    refused = client.post(f"{page_of(purchase)}refund/", form(amount="4.99", reason="asked"))
    with pytest.raises(NotPermitted):
        purchase_refunds.refund(operator(name), purchase, 499, why=WHY, key=uuid4(), now=NOW)

    assert (looked.status_code, refused.status_code) == (200, 403)
    assert "Refund purchase" not in looked.content.decode()
    assert not MoneyBack.objects.exists()
    assert not stripe_says.called


def test_a_form_that_is_sent_twice_refunds_once(stripe_says: Any) -> None:
    purchase = paid(Decimal(1000), 500)
    fiona, key = browser("fiona"), uuid4()

    for _ in range(2):
        answer = fiona.post(f"{page_of(purchase)}refund/", form(key, amount="1.00", reason="asked"))

    assert answer.status_code == 302
    assert available(purchase) == 800
    assert stripe_says.call_count == 1


def test_one_form_at_the_same_instant_refunds_once(committed: None, stripe_says: Any) -> None:
    purchase, fiona, key = paid(Decimal(1000), 500), operator("fiona"), uuid4()

    def refund(_: int) -> str:
        try:
            purchase_refunds.refund(fiona, purchase, 100, why=WHY, key=key, now=NOW)
        except AlreadyDone:
            return "again"
        return "done"

    assert sorted(at_once(4, refund)) == ["again", "again", "again", "done"]
    assert available(purchase) == 800


def test_two_operators_at_once_never_refund_more_than_was_paid(
    committed: None, stripe_says: Any
) -> None:
    purchase = paid(Decimal(1000), 500)
    both = [operator("fiona"), operator("ada")]

    def refund(index: int) -> str:
        try:
            purchase_refunds.refund(both[index], purchase, 300, why=WHY, key=uuid4(), now=NOW)
        except ExceedsPurchase:
            return "too much"
        return "done"

    assert sorted(at_once(2, refund)) == ["done", "too much"]
    assert available(purchase) == 400


def test_without_stripe_a_refund_stays_requested_and_is_sent_again() -> None:
    purchase = paid(Decimal(1000), 500)
    fiona = browser("fiona")
    with patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable):
        told = fiona.post(
            f"{page_of(purchase)}refund/", form(amount="5.00", reason="fault"), follow=True
        ).content.decode()
    asked = MoneyBack.objects.get()
    assert "Stripe could not be reached: €5.00 stay requested" in told
    assert "Send again" in told
    assert (asked.state, available(purchase)) == ("requested", 1000)

    with patch("credits.payments.stripe_api.create_refund", side_effect=answered):
        sent = fiona.post(f"/admin/return/{asked.pk}/send/", {"key": str(uuid4())}, follow=True)

    assert "€5.00 refunded; 1,000 credits clawed back." in sent.content.decode()
    asked.refresh_from_db()
    assert (asked.state, available(purchase)) == ("gone", 0)


def test_a_refund_that_is_not_requested_cannot_be_sent_again(stripe_says: Any) -> None:
    purchase = paid()
    fiona = operator("fiona")
    done = purchase_refunds.refund(fiona, purchase, 499, why=WHY, key=uuid4(), now=NOW)

    with pytest.raises(RefundNotRequested):
        purchase_refunds.send_refund(fiona, done.pk, key=uuid4(), now=NOW)

    assert stripe_says.call_count == 1


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (404, "resource_missing", "Stripe does not know this payment"),
        (400, "charge_already_refunded", "refunded at Stripe already"),
        (400, "charge_disputed", "Answer the dispute"),
        (404, None, "Look the payment up at Stripe"),
    ],
)
def test_the_page_says_what_stripes_refusal_means_and_what_to_do(
    status: int, code: str | None, advice: str
) -> None:
    purchase, fiona = paid(), browser("fiona")
    error = stripe.InvalidRequestError(  # type: ignore[no-untyped-call]
        "Not Found", None, code=code, http_status=status
    )

    with patch("stripe._refund_service.RefundService.create", side_effect=error):
        page = fiona.post(
            f"{page_of(purchase)}refund/", form(amount="4.99", reason="asked")
        ).content.decode()

    for text in ("nothing was refunded", advice, "Stripe: “Not Found”"):
        assert text in page
    assert advice in fiona.get(page_of(purchase)).content.decode()


def test_what_stripe_refuses_leaves_no_refund_and_a_word_in_the_trail() -> None:
    purchase = paid()
    fiona = operator("fiona")

    with (
        patch("credits.payments.stripe_api.create_refund", side_effect=RefusedByStripe),
        pytest.raises(RefusedByStripe),
    ):
        purchase_refunds.refund(fiona, purchase, 499, why=WHY, key=uuid4(), now=NOW)

    assert not MoneyBack.objects.exists()
    assert available(purchase) == 500
    requested, refused = (one.after for one in acts().order_by("pk"))
    assert requested == {"requested_cents": 499}
    assert "Stripe: “Stripe rejected the request”" in refused["refused_by_stripe"]


def test_a_refund_that_stripe_refused_is_corrected_previewed_and_sent(stripe_says: Any) -> None:
    purchase, fiona = paid(), browser("fiona")
    address = f"/admin/purchase/{purchase.pk}/refund/"
    typed = {"amount": "4.99", "reason": "asked", "note": "Wrote to us", "ticket": ""}
    with patch("credits.payments.stripe_api.create_refund", side_effect=RefusedByStripe):
        form = {**typed, "key": str(uuid4()), "confirmed": "1"}
        refused = fiona.post(address, form).content.decode()

    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', refused))
    corrected = {**typed, **hidden, "amount": "2.50"}
    previewed = fiona.post(address, corrected).content.decode()
    stripe_says.assert_not_called()
    sent = fiona.post(address, {**corrected, "confirmed": "1"}, follow=True).content.decode()

    assert "Stripe rejected the request" in refused
    assert "Wrote to us" in refused
    assert "Refund €2.50</button>" in previewed
    assert "€2.50 refunded" in sent
    stripe_says.assert_called_once()


@pytest.mark.parametrize(
    ("why", "cents", "refusal"),
    [
        (Justification(reason="asked", note=" "), 499, NoteRequired),
        (Justification(reason="whim", note="so"), 499, RefundReasonUnknown),
        (WHY, 500, ExceedsPurchase),
        (WHY, 0, ExceedsPurchase),
    ],
)
def test_a_refund_needs_a_reason_a_note_and_money_that_is_left(
    why: Justification, cents: int, refusal: type[DomainError], stripe_says: Any
) -> None:
    purchase = paid()
    fiona = operator("fiona")

    with pytest.raises(refusal):
        purchase_refunds.refund(fiona, purchase, cents, why=why, key=uuid4(), now=NOW)

    assert not MoneyBack.objects.exists()
    assert not acts().exists()


def test_the_preview_counts_refunds_that_are_still_requested() -> None:
    purchase = paid(Decimal(1000), 500)
    with patch("credits.payments.stripe_api.create_refund", side_effect=PaymentUnavailable):
        purchase_refunds.refund(operator("fiona"), purchase, 200, why=WHY, key=uuid4(), now=NOW)

    planned = purchase_refunds.plan_refund(purchase, 100)

    assert (planned.credits, planned.available_after) == (600, 400)
    with pytest.raises(ExceedsPurchase):
        purchase_refunds.plan_refund(purchase, 301)


def test_a_purchases_page_shows_its_transactions(stripe_says: Any) -> None:
    purchase = paid(Decimal(1000), 500)
    purchase_refunds.refund(operator("fiona"), purchase, 100, why=WHY, key=uuid4(), now=NOW)

    shown = browser("amir").get(page_of(purchase)).content.decode()

    assert [one.amount for one in money_back.transactions_of(purchase)] == [1000, -200]
    for text in (
        "+1,000",
        f"{MINUS}200",
        purchase.stripe_payment_intent_id,
        "€4.00",
        "Wrote to us",
    ):
        assert str(text) in shown


def test_purchases_are_found_by_user_payment_and_state() -> None:
    one, other = paid(), paid()
    sam = browser("sam")

    for query in (f"q={one.user_id}", f"q={one.stripe_payment_intent_id}"):
        found = sam.get(f"/admin/credits/purchase/?{query}").content.decode()
        assert one.user_id in found
        assert other.user_id not in found
    for query in ("status__exact=refunded", "quarantined=open", "quarantined=decided"):
        assert one.user_id not in sam.get(f"/admin/credits/purchase/?{query}").content.decode()


def test_stripes_events_stand_in_the_timeline_and_on_the_purchases_page() -> None:
    purchase, other = paid(), paid()
    for number in range(3):
        StripeEvent.objects.create(
            id=f"evt_{number}",
            type="payment_intent.succeeded",
            payload="{}",
            created_at=NOW,
            received_at=NOW,
            processed_at=NOW,
            outcome="applied",
            purchase=purchase,
        )

    first = timeline.page(purchase.user_id, only=["events"], size=2)
    rest = timeline.page(purchase.user_id, only=["events"], size=2, after=first.next)

    told = [entry.row.pk for entry in (*first.entries, *rest.entries)]
    assert told == ["evt_2", "evt_1", "evt_0"]
    assert timeline.page(other.user_id, only=["events"]).entries == []
    sam = browser("sam")
    assert "evt_1" in sam.get(page_of(purchase)).content.decode()
    assert "evt_1" in sam.get(f"/admin/account/?user={purchase.user_id}").content.decode()
    assert "evt_1" not in sam.get(page_of(other)).content.decode()


@pytest.mark.parametrize(
    ("moved", "left"), [([-499], 0), ([-200], 299), ([-499, 499], 499), ([-499, 200], 200)]
)
def test_money_that_a_dispute_withdrew_cannot_be_refunded(
    moved: list[int], left: int, stripe_says: Any
) -> None:
    """Stripe refuses to send back what the bank has taken."""
    purchase = paid()
    money_back.record(dispute(purchase, moved), now=NOW)
    purchase.refresh_from_db()

    page = browser("fiona").get(page_of(purchase)).content.decode()
    with pytest.raises(ExceedsPurchase) as error:
        refund_requests.refund(
            purchase.pk, cents=left + 1, reason="r", origin=Origin("operator:fiona"), now=NOW
        )

    assert error.value.details == {"refundable": left}
    assert purchase_refunds.refundable(purchase) == left
    assert ("Refund purchase" in page) is (left > 0)
    assert not stripe_says.called
