"""Each buyer has one Stripe customer."""

from typing import Any
from unittest.mock import patch

import pytest
import stripe as library

from credits.models import Package, Purchase, StripeCustomer
from credits.payments.stripe_errors import CustomerGone, PaymentUnavailable
from tests.api import Caller, at_once, statuses
from tests.environment import PROVIDER
from tests.stripe import PAGES, Stripe, buy

pytestmark = pytest.mark.django_db


def test_5_concurrent_first_purchases_make_one_customer(
    committed: None, alice: Caller, starter: Package, stripe: Stripe
) -> None:
    answers = at_once(5, lambda _: buy(alice, starter))

    assert statuses(answers) == {200: 5}
    assert len(stripe.get("customers")["data"]) == 1
    assert StripeCustomer.objects.get().user_id == "alice"
    intents = stripe.get("payment_intents")["data"]
    assert len(intents) == 5
    assert len({intent["customer"] for intent in intents}) == 1


@pytest.mark.parametrize("pages", [{}, PAGES])
def test_a_customer_who_was_deleted_at_stripe_is_created_again(
    alice: Caller, starter: Package, stripe: Stripe, pages: dict[str, str]
) -> None:
    buy(alice, starter)
    deleted = StripeCustomer.objects.get().stripe_customer_id or ""
    stripe.delete(f"customers/{deleted}")

    answers = [buy(alice, starter, **pages), buy(alice, starter, **pages)]

    assert [answer.status_code for answer in answers] == [200, 200]
    (customer,) = stripe.get("customers")["data"]
    assert customer["metadata"] == {"userId": "alice"}
    assert StripeCustomer.objects.get().stripe_customer_id == customer["id"] != deleted
    of_purchases = Purchase.objects.order_by("number").values_list("stripe_customer_id", flat=True)
    assert list(of_purchases) == [deleted, customer["id"], customer["id"]]


def test_5_concurrent_purchases_of_a_deleted_customer_make_one_new_customer(
    committed: None, alice: Caller, starter: Package, stripe: Stripe
) -> None:
    buy(alice, starter)
    stripe.delete(f"customers/{StripeCustomer.objects.get().stripe_customer_id}")

    answers = at_once(5, lambda _: buy(alice, starter))

    assert statuses(answers) == {200: 5}
    assert len(stripe.get("customers")["data"]) == 1


def test_a_new_customer_is_asked_for_under_another_key(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    seen = []
    real = library.RequestsClient.request

    def request(client: Any, method: str, url: str, headers: Any, *rest: Any, **more: Any) -> Any:
        seen.append(headers.get("Idempotency-Key"))
        return real(client, method, url, headers, *rest, **more)

    with patch.object(library.RequestsClient, "request", request):
        buy(alice, starter)
        row = StripeCustomer.objects.get()
        stripe.delete(f"customers/{row.stripe_customer_id}")
        buy(alice, starter)

    first, second = Purchase.objects.order_by("number")
    assert seen == [
        f"customer-{row.pk}",
        f"purchase-{first.pk}-{row.stripe_customer_id}",
        f"purchase-{second.pk}-{row.stripe_customer_id}",
        f"customer-{row.pk}-{row.stripe_customer_id}",
        f"purchase-{second.pk}-{second.stripe_customer_id}",
    ]


def test_a_customer_who_is_gone_again_at_once_is_503(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    with patch("credits.payments.stripe_api.create_intent", side_effect=CustomerGone) as asked:
        answer = buy(alice, starter)

    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unavailable")
    assert asked.call_count == 2
    assert Purchase.objects.get().unavailable_at is not None


def test_a_customer_whose_making_failed_is_asked_for_under_the_same_key(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    with patch(
        "credits.payments.stripe_api.create_customer", side_effect=PaymentUnavailable
    ) as asked:
        buy(alice, starter)
        buy(alice, starter)

    first, second = (call.args for call in asked.call_args_list)
    assert first == second == (StripeCustomer.objects.get(),)


@pytest.mark.parametrize(
    ("claimed", "known"),
    [
        (" Alice@Example.test", "alice@example.test"),
        (None, None),
        ("nobody", None),
        ("alice@m\u00fcll.test", None),
        ("\u212aate@example.test", None),
        (f"alice@{'x' * 60}.{'y' * 300}.test", None),
    ],
)
def test_stripe_knows_the_buyer_by_the_address_of_their_token(
    starter: Package, stripe: Stripe, claimed: str | None, known: str | None
) -> None:
    answer = buy(Caller.with_token(PROVIDER.token("alice", email=claimed)), starter)

    assert answer.status_code == 200
    assert stripe.get("customers")["data"][0]["email"] == known
    assert StripeCustomer.objects.get().email == known
