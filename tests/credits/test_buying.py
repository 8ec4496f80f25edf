"""A user buys credits: packages, purchases, Stripe's part of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
import stripe as library
from django.core.management import call_command

from credits import buying
from credits.models import Balance, Package, Purchase, StripeCustomer, Transaction
from credits.posting import Origin
from credits.stripe_api import CustomerGone, PaymentUnavailable
from tests.api import Caller, at_once, statuses, use
from tests.environment import PROVIDER
from tests.factories import give, package
from tests.stripe import Stripe, deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db

PAGES = {"successUrl": "http://localhost:5173/ok", "cancelUrl": "http://localhost:5173/no"}


def buy(who: Caller, offer: Package, **fields: Any) -> Any:
    return who.post("purchase", {"packageId": str(offer.pk), **fields})


def test_the_packages_on_offer_are_public_and_in_order(anonymous: Caller, starter: Package) -> None:
    package(name="Studio", sort_order=3, stripe_price_id="price_1", metadata={"for": "artists"})
    package(name="Plus", sort_order=2, credits="1200.5", price_euro_cents=999)
    package(name="Gone", sort_order=0, active=False)

    answer = anonymous.get("packages")

    assert answer.status_code == 200
    offered = answer.json()
    assert [one["name"] for one in offered] == ["Starter", "Plus", "Studio"]
    first = offered[0]
    assert first.pop("createdAt").endswith("Z")
    assert first.pop("updatedAt").endswith("Z")
    assert first == {
        "id": str(starter.pk),
        "name": "Starter",
        "description": None,
        "credits": 500,
        "priceEuroCents": 499,
        "stripePriceId": None,
        "active": True,
        "sortOrder": 1,
        "metadata": None,
    }
    assert offered[1]["credits"] == 1200.5
    assert offered[2]["metadata"] == {"for": "artists"}


def test_a_card_payment_credits_the_purchase(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()
    stripe.pay(started["purchaseId"])
    answers = [deliver(event).status_code for event in stripe.events()]

    assert answers == [200]
    intent = stripe.get("payment_intents")["data"][0]
    assert started == {
        "purchaseId": intent["metadata"]["purchaseId"],
        "clientSecret": intent["client_secret"],
        "amount": 499,
        "credits": 500,
    }
    assert intent["metadata"] == {
        "userId": "alice",
        "packageId": str(starter.pk),
        "purchaseId": started["purchaseId"],
    }
    assert (intent["amount"], intent["currency"]) == (499, "eur")
    assert alice.get("balance").json()["balance"] == 500
    shown = alice.get(f"purchase/{started['purchaseId']}").json()
    assert shown.pop("createdAt").endswith("Z")
    assert shown.pop("completedAt").endswith("Z")
    assert shown == {
        "id": started["purchaseId"],
        "userId": "alice",
        "packageId": str(starter.pk),
        "credits": 500,
        "priceEuroCents": 499,
        "stripePaymentIntentId": intent["id"],
        "stripeCustomerId": intent["customer"],
        "status": "completed",
        "metadata": None,
    }
    entry = Transaction.objects.get()
    assert (entry.type, entry.amount, entry.actor) == ("purchase", 500, "stripe")
    assert entry.cause == f"purchase:{started['purchaseId']}"


def test_checkout_leads_to_stripe_and_credits(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter, **PAGES).json()
    stripe.pay(started["purchaseId"])
    for event in stripe.events():
        deliver(event)

    session = stripe.get(f"checkout/sessions/{started['checkoutUrl'].rpartition('/')[2]}")
    intent = stripe.get("payment_intents")["data"][0]
    assert started["clientSecret"] is None
    assert started["checkoutUrl"].startswith(stripe.url)
    assert (session["success_url"], session["cancel_url"]) == tuple(PAGES.values())
    assert (
        session["metadata"]
        == intent["metadata"]
        == {
            "userId": "alice",
            "packageId": str(starter.pk),
            "purchaseId": started["purchaseId"],
        }
    )
    assert 86_300 < session["expires_at"] - session["created"] <= 86_400
    assert alice.get("balance").json()["balance"] == 500
    shown = alice.get(f"purchase/{started['purchaseId']}").json()
    assert (shown["status"], shown["stripePaymentIntentId"]) == ("completed", intent["id"])


@pytest.mark.parametrize(
    "pages",
    [
        {"successUrl": "http://localhost:5173/ok"},
        {"cancelUrl": "http://localhost:5173/no"},
        {**PAGES, "successUrl": "https://evil.example/ok"},
        {**PAGES, "successUrl": "http://localhost:5173.evil.example/"},
        {**PAGES, "successUrl": "http://localhost:5173@evil.example/"},
        {**PAGES, "successUrl": "http://localhost:5173\\@evil.example/"},
        {**PAGES, "cancelUrl": "https://localhost:5173/"},
        {**PAGES, "cancelUrl": "javascript:alert(1)"},
        {**PAGES, "cancelUrl": "//localhost:5173/"},
        {**PAGES, "cancelUrl": "http://[::1"},
        {**PAGES, "cancelUrl": 5},
        {**PAGES, "cancelUrl": f"http://localhost:5173/{'x' * 2048}"},
    ],
)
def test_checkout_leads_only_to_our_own_apps(
    alice: Caller, starter: Package, pages: dict[str, Any]
) -> None:
    answer = buy(alice, starter, **pages)

    assert answer.status_code == 400
    assert answer.json()["details"].keys() <= {"successUrl", "cancelUrl"}
    assert not Purchase.objects.exists()


def test_checkout_may_lead_to_the_services_own_pages(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    own = {"successUrl": "http://localhost:3061/ok?s=1", "cancelUrl": "http://localhost:3061"}

    answer = buy(alice, starter, **own)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"packageId": None}, 400),
        ({"packageId": 5}, 400),
        ({"packageId": "starter"}, 400),
        ({"packageId": "a\x00"}, 400),
        ({"packageId": str(uuid4())}, 404),
        ([], 400),
    ],
)
def test_what_is_no_package_is_refused(
    alice: Caller, starter: Package, body: Any, status: int
) -> None:
    answer = alice.post("purchase", body)

    assert answer.status_code == status
    assert not Purchase.objects.exists()


def test_a_package_that_is_no_longer_offered_cannot_be_bought(alice: Caller, db: None) -> None:
    answer = buy(alice, package(active=False))

    assert answer.status_code == 404
    assert answer.json()["code"] == "package_not_found"


def test_a_purchase_is_its_buyers_business(
    alice: Caller, bob: Caller, anonymous: Caller, starter: Package, stripe: Stripe
) -> None:
    name = buy(alice, starter).json()["purchaseId"]

    others = [bob.get(f"purchase/{name}"), bob.get(f"purchase/{uuid4()}")]

    assert [answer.status_code for answer in others] == [404, 404]
    assert bob.get("purchases").json() == []
    assert bob.get("purchase/nonsense").status_code == 400
    assert anonymous.get(f"purchase/{name}").status_code == 401
    assert anonymous.get("purchases").status_code == 401
    assert anonymous.post("purchase", {}).status_code == 401


def test_purchases_are_listed_page_by_page_newest_first(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    names = [buy(alice, starter).json()["purchaseId"] for _ in range(3)]

    first = alice.get("purchases?limit=2")
    link = first["Link"].partition("<")[2].partition(">")[0]
    second = alice.get(link.partition("http://testserver")[2])

    assert [one["id"] for one in first.json()] == [names[2], names[1]]
    assert [one["id"] for one in second.json()] == [names[0]]
    assert "Link" not in second
    assert alice.get("purchases?limit=abc").status_code == 400


def test_price_and_credits_stay_as_they_were_at_the_start(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    started = buy(alice, starter).json()
    Package.objects.update(credits=1, price_euro_cents=1)
    stripe.pay(started["purchaseId"])
    for event in stripe.events():
        deliver(event)

    assert alice.get("balance").json()["balance"] == 500


def test_the_same_key_starts_one_purchase(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    first = buy(alice, starter, idempotencyKey="k1").json()
    starter.active = False
    starter.save()
    again = alice.post(
        "purchase", {"packageId": str(starter.pk)}, headers={"Idempotency-Key": "k1"}
    )

    assert (again.status_code, again.json()) == (200, first)
    assert Purchase.objects.count() == 1
    assert len(stripe.get("payment_intents")["data"]) == 1


def test_a_key_stands_for_one_request_of_any_kind(
    alice: Caller, bob: Caller, starter: Package, stripe: Stripe
) -> None:
    give("alice", 10)
    alice.post("use", use(1, idempotencyKey="spent"))
    buy(alice, starter, idempotencyKey="bought")

    answers = [
        buy(alice, starter, idempotencyKey="spent"),
        alice.post("use", use(1, idempotencyKey="bought")),
        buy(alice, package(name="Plus"), idempotencyKey="bought"),
        buy(alice, starter, idempotencyKey="bought", **PAGES),
        buy(bob, starter, idempotencyKey="bought"),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 409, 409, 200]
    assert answers[0].json()["code"] == "idempotency_key_reused"
    assert Purchase.objects.filter(user_id="alice").count() == 1


def test_8_concurrent_requests_with_one_key_start_one_purchase(
    committed: None, alice: Caller, starter: Package, stripe: Stripe
) -> None:
    answers = at_once(8, lambda _: buy(alice, starter, idempotencyKey="k1"))

    assert statuses(answers) == {200: 8}
    assert len({answer.json()["clientSecret"] for answer in answers}) == 1
    assert Purchase.objects.count() == 1
    assert len(stripe.get("payment_intents")["data"]) == 1


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
def test_a_customer_who_was_deleted_at_stripe_is_made_anew(
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
    with patch("credits.stripe_api.create_intent", side_effect=CustomerGone) as asked:
        answer = buy(alice, starter)

    assert (answer.status_code, answer.json()["code"]) == (503, "payment_unavailable")
    assert asked.call_count == 2
    assert Purchase.objects.get().unavailable_at is not None


def test_without_stripe_503_and_a_retry_with_the_key_completes_the_same_purchase(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    working = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        refused = buy(alice, starter, idempotencyKey="k1")
    waiting = Purchase.objects.get()
    settings.STRIPE_API_BASE = working

    answer = buy(alice, starter, idempotencyKey="k1")

    assert refused.status_code == 503
    assert refused["Retry-After"] == "5"
    assert refused.json()["code"] == "payment_unavailable"
    assert (waiting.status, waiting.stripe_payment_intent_id) == ("pending", None)
    assert answer.status_code == 200
    assert answer.json()["purchaseId"] == str(waiting.pk)
    assert Purchase.objects.count() == 1


def test_a_customer_whose_making_failed_is_asked_for_under_the_same_key(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    with patch("credits.stripe_api.create_customer", side_effect=PaymentUnavailable) as asked:
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


def test_without_stripe_a_retry_without_a_key_completes_the_same_purchase(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    working = settings.STRIPE_API_BASE
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    with no_waiting():
        buy(alice, starter)
        buy(alice, starter)
    waiting = Purchase.objects.get()
    settings.STRIPE_API_BASE = working

    answers = [buy(alice, starter), buy(alice, starter)]

    assert answers[0].json()["purchaseId"] == str(waiting.pk)
    assert answers[1].json()["purchaseId"] != str(waiting.pk)


def test_a_purchase_that_never_reached_stripe_is_given_up_after_a_day(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    old = datetime.now(UTC) - timedelta(hours=25)
    with (
        patch("credits.stripe_api.create_intent", side_effect=PaymentUnavailable),
        pytest.raises(PaymentUnavailable),
    ):
        buying.start("alice", starter.pk, pages=None, origin=Origin("user", key="k1"), now=old)

    call_command("reconcile_stripe", "--since", "1d")
    answer = buy(alice, starter, idempotencyKey="k1")

    assert Purchase.objects.get().status == "cancelled"
    assert (answer.status_code, answer.json()["code"]) == (409, "purchase_too_old")
    assert stripe.get("payment_intents")["data"] == []


def test_a_wrong_key_at_stripe_is_no_error_of_the_users(
    alice: Caller, starter: Package, stripe: Stripe, settings: Any
) -> None:
    settings.STRIPE_SECRET_KEY = "nonsense"

    answer = buy(alice, starter)

    assert answer.status_code == 503


def test_what_erased_people_bought_stays_in_the_books(
    alice: Caller, service: Caller, starter: Package, stripe: Stripe
) -> None:
    name = buy(alice, starter, **PAGES).json()["purchaseId"]
    stripe.pay(name)
    paid, completed = stripe.events()
    deliver(paid)

    erased = service.delete("balance/alice")
    deliver(completed)

    assert erased.status_code == 200
    purchase = Purchase.objects.get()
    assert purchase.user_id.startswith("erased:")
    assert (purchase.success_url, purchase.checkout_url) == (None, None)
    assert purchase.status == "completed"
    assert not StripeCustomer.objects.filter(user_id="alice").exists()
    assert StripeEvent.objects.get(type="payment_intent.succeeded").payload == ""
    assert Balance.objects.get(pk=purchase.user_id).posted == 500


@contextmanager
def no_waiting() -> Iterator[None]:
    """Let the library retry at once."""
    with patch("stripe._http_client.time.sleep"):
        yield
