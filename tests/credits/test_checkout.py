"""Users buy credits: packages, purchases and Stripe's API."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
import stripe as library

from credits.ledger.posting import Origin
from credits.models import Balance, Package, Purchase, StripeCustomer, Transaction
from credits.payments import purchases
from tests.api import Caller, at_once, statuses, use
from tests.factories import give, package
from tests.stripe import PAGES, Stripe, buy, deliver
from webhooks.models import StripeEvent

pytestmark = pytest.mark.django_db


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
        "nameDe": None,
        "descriptionDe": None,
        "credits": 500,
        "priceEuroCents": 499,
        "expiresAfterDays": None,
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
        "packageName": "Starter",
        "packageNameDe": None,
        "credits": 500,
        "priceEuroCents": 499,
        "expiresAfterDays": None,
        "stripePaymentIntentId": intent["id"],
        "stripeCustomerId": intent["customer"],
        "status": "completed",
        "metadata": None,
        "underReview": False,
        "receiptUrl": None,
        "invoiceUrl": None,
        "failureCode": None,
        "automatic": False,
        "cancellable": False,
        "checkoutUrl": None,
        "payableUntil": None,
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
def test_an_invalid_package_is_refused(
    alice: Caller, starter: Package, body: Any, status: int
) -> None:
    answer = alice.post("purchase", body)

    assert answer.status_code == status
    assert not Purchase.objects.exists()


def test_a_retired_package_cannot_be_bought(alice: Caller, db: None) -> None:
    answer = buy(alice, package(active=False))

    assert answer.status_code == 404
    assert answer.json()["code"] == "package_not_found"


def test_a_purchase_is_visible_to_its_buyer_only(
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


@pytest.mark.parametrize("before", [" ", "\t", "\n", "\u00a0", "\u2003"])
@pytest.mark.parametrize("name", ["successUrl", "cancelUrl"])
def test_an_address_with_a_blank_is_refused_and_stripe_is_not_asked(
    alice: Caller, starter: Package, stripe: Stripe, before: str, name: str
) -> None:
    for url in (before + PAGES[name], PAGES[name] + before):
        answer = buy(alice, starter, **{**PAGES, name: url})

        assert answer.status_code == 400
        assert name in answer.json()["details"]
    assert not Purchase.objects.exists()


def test_an_empty_address_is_refused_as_empty(alice: Caller, starter: Package) -> None:
    answer = buy(alice, starter, **{**PAGES, "successUrl": ""})

    assert answer.status_code == 400
    assert answer.json()["details"] == {"successUrl": ["This field may not be blank."]}


@pytest.mark.parametrize(
    ("param", "field"), [("success_url", "successUrl"), ("cancel_url", "cancelUrl")]
)
def test_an_address_that_stripe_refuses_is_the_callers_mistake(
    alice: Caller, starter: Package, stripe: Stripe, param: str, field: str
) -> None:
    refusal = library.InvalidRequestError("Not a valid URL", param, http_status=400)  # type: ignore[no-untyped-call]

    with patch("stripe.checkout._session_service.SessionService.create", side_effect=refusal):
        answer = buy(alice, starter, **PAGES)

    assert (answer.status_code, answer.json()["code"]) == (400, "page_refused")
    assert answer.json()["details"] == {field: ["Not a valid URL"]}
    assert Purchase.objects.get().checkout_url is None


def test_another_question_that_stripe_refuses_is_a_defect(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    refusal = library.InvalidRequestError("What?", "mode", http_status=400)  # type: ignore[no-untyped-call]

    with patch("stripe.checkout._session_service.SessionService.create", side_effect=refusal):
        answer = buy(alice, starter, **PAGES)

    assert answer.status_code == 500


def test_a_purchase_whose_payment_does_not_fit_is_under_review_until_it_is_resolved(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    purchase_id = buy(alice, starter).json()["purchaseId"]
    stripe.pay(purchase_id)
    (event,) = stripe.events()
    event["data"]["object"]["amount_received"] = 400
    deliver(event)
    waiting = alice.get(f"purchase/{purchase_id}").json()

    purchases.resolve_quarantine(
        UUID(purchase_id),
        credit=False,
        reason="too little",
        origin=Origin("operator:olga"),
        now=datetime.now(UTC),
    )

    resolved = alice.get("purchases").json()[0]
    assert (waiting["status"], waiting["underReview"]) == ("pending", True)
    assert (resolved["status"], resolved["underReview"]) == ("cancelled", False)
