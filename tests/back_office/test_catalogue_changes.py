"""Operators' changes of prices and packages, and decisions about quarantined purchases."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from credits.catalogue import catalogue
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Posting, Priced
from credits.models import Operation, OperationPrice, Package, PackageChange, Purchase
from credits.payments import purchases
from credits.payments.packages import Offer, PackageUnknown
from mana_credits.back_office.acts import package_changes
from tests.back_office.operators import WHY, acts, browser, form, operator
from tests.credits.test_money_back import payment, started
from tests.factories import give, package

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
PACKAGE: dict[str, Any] = {
    "name": "Big",
    "description": "",
    "credits": "2000",
    "price_euro_cents": "1499",
    "sort_order": "2",
}
Given = tuple[str, str, dict[str, Any], Callable[[], bool]]


@pytest.fixture(autouse=True)
def one_person(settings: Any) -> None:
    """Let one operator set any price alone."""
    settings.ADMIN_PRICE_FACTOR = Decimal(1_000_000)
    settings.ADMIN_LEAST_CENTS_PER_CREDIT = Decimal(0)


def price() -> Given:
    key = Operation.objects.earliest("key").pk
    page = f"/admin/operation/{key}/"
    fields = {"cost": "77.5", "per_items": "3"}
    return page, f"{page}price/", fields, lambda: Operation.objects.get(pk=key).cost == 77.5


def off_offer() -> Given:
    key = Operation.objects.earliest("key").pk
    page = f"/admin/operation/{key}/"
    return page, f"{page}off/", {}, Operation.objects.filter(pk=key, active=False).exists


def use(operation: str) -> Posting:
    return ledger.spend("alice", Priced(operation), memo=Memo(), origin=Origin("service"))


def new_package() -> Given:
    there = "/admin/credits/package/"
    return there, "/admin/package/new/", PACKAGE, Package.objects.filter(name="Big").exists


def changed_package() -> Given:
    page = f"/admin/package/{package().pk}/"
    return page, f"{page}change/", PACKAGE, Package.objects.filter(credits=2000).exists


def retired_package() -> Given:
    page = f"/admin/package/{package().pk}/"
    return page, f"{page}offer/", {}, Package.objects.filter(active=False).exists


def quarantined() -> Given:
    purchase = started()
    purchases.complete(payment(purchase, amount_cents=1), at=NOW, now=NOW)
    page = f"/admin/purchase/{purchase.pk}/"
    user = purchase.user_id
    return (
        page,
        f"{page}quarantine/?to=credited",
        {},
        lambda: ledger.balance_of(user).available == 500,
    )


ACTS = [price, off_offer, new_package, changed_package, retired_package, quarantined]


@pytest.mark.parametrize("name", ["sam", "fiona", "amir", "ada"])
@pytest.mark.parametrize("make", ACTS)
def test_everybody_looks_and_finance_decides(make: Callable[[], Given], name: str) -> None:
    page, address, fields, happened = make()
    may = name in {"fiona", "ada"}
    client = browser(name)

    looked = client.get(page)
    sent = client.post(address, form(**fields))

    assert looked.status_code == 200
    assert sent.status_code == (302 if may else 403)
    assert happened() == may
    assert acts().count() == may


@pytest.mark.parametrize("make", ACTS)
def test_a_decision_is_made_once_and_is_on_record(make: Callable[[], Given]) -> None:
    page, address, fields, happened = make()
    fiona, key = browser("fiona"), uuid4()

    answers = [fiona.post(address, form(key, **fields), follow=True) for _ in range(2)]

    assert happened()
    assert answers[1].redirect_chain == [(page, 302)]
    assert acts().get().note == "Wrote to us"


@pytest.mark.parametrize("make", [off_offer, quarantined])
def test_a_second_form_for_the_same_is_not_recorded_as_an_act(make: Callable[[], Given]) -> None:
    _, address, fields, _ = make()
    fiona = browser("fiona")

    answers = [fiona.post(address, form(**fields)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 200]
    assert acts().count() == 1


def test_an_operation_off_offer_is_refused_until_it_has_a_price_again() -> None:
    page, address, _, _ = off_offer()
    fiona, key = browser("fiona"), Operation.objects.earliest("key").pk
    give("alice", 100)

    fiona.post(address, form())
    with pytest.raises(catalogue.OperationUnknown):
        use(key)
    while_off = fiona.get(page).content.decode()
    fiona.post(f"{page}price/", form(cost="2"))

    assert use(key).transaction.amount == -2
    assert ("Offer again" in while_off, "Take off offer" in while_off) == (True, False)
    recorded = [(act.before["active"], act.after["active"]) for act in acts()]
    assert sorted(recorded) == [(False, True), (True, False)]


def test_a_price_and_a_package_show_their_history() -> None:
    fiona = browser("fiona")
    rows = [price(), changed_package()]
    for _, address, fields, _ in rows:
        fiona.post(address, form(**fields))

    shown = [fiona.get(page).content.decode() for page, *_ in rows]

    assert OperationPrice.objects.latest("pk").actor == "operator:fiona"
    assert PackageChange.objects.get().actor == "operator:fiona"
    assert all("operator fiona" in text for text in shown)


def test_a_quarantined_purchase_can_be_left_uncredited() -> None:
    page, address, _, happened = quarantined()
    fiona = browser("fiona")

    fiona.post(address.replace("credited", "left"), form())

    found = Purchase.objects.get()
    assert (found.quarantine_resolution, found.quarantine_resolved_by) == ("left", "operator:fiona")
    assert not happened()
    assert "to=credited" not in fiona.get(page).content.decode()


@pytest.mark.parametrize(("name", "may"), [("fiona", True), ("sam", False)])
def test_finance_finds_the_way_to_a_new_package(name: str, may: bool) -> None:
    shown = browser(name).get("/admin/credits/package/").content.decode()

    assert ("/admin/package/new/" in shown) == may


def test_a_package_that_is_not_there_is_not_changed() -> None:
    offer = Offer("Starter", Decimal(500), 499)

    with pytest.raises(PackageUnknown):
        package_changes.save_package(
            operator("fiona"), uuid4(), offer, why=WHY, key=uuid4(), now=NOW
        )

    assert not acts().exists()


def test_a_package_that_cannot_be_offered_is_refused() -> None:
    answer = browser("fiona").post(
        "/admin/package/new/", form(**{**PACKAGE, "price_euro_cents": "1"})
    )

    assert answer.status_code == 200
    assert not Package.objects.exists()
    assert not acts().exists()
