"""Operators create, change and retire packages; each change is recorded."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from credits.amounts import InvalidAmount
from credits.models import Package, PackageChange
from credits.payments import packages
from credits.payments.packages import InvalidPackage, Offer, PackageUnknown
from tests.api import Caller, at_once

pytestmark = pytest.mark.django_db

ANNA = "operator:anna"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
PLUS = Offer("Plus", Decimal("1200.5"), 999, "For a month", "price_1", 2, {"for": "artists"})


def history(package: Package) -> list[tuple[Any, ...]]:
    rows = PackageChange.objects.filter(package=package).order_by("changed_at")
    return list(rows.values_list("before", "after", "actor", "changed_at"))


def test_a_new_package_is_on_offer_and_on_record(anonymous: Caller) -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)

    (shown,) = anonymous.get("packages").json()
    assert (shown["id"], shown["name"], shown["credits"]) == (str(package.pk), "Plus", 1200.5)
    assert (shown["priceEuroCents"], shown["createdAt"]) == (999, "2026-11-22T12:00:00.000Z")
    after = {
        "name": "Plus",
        "credits": "1200.5",
        "price_euro_cents": 999,
        "description": "For a month",
        "stripe_price_id": "price_1",
        "sort_order": 2,
        "name_de": None,
        "description_de": None,
        "expires_after_days": None,
        "metadata": {"for": "artists"},
        "active": True,
    }
    assert history(package) == [(None, after, ANNA, NOW)]


def test_a_change_says_which_fields_from_what_to_what() -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)
    wanted = PLUS._replace(credits=Decimal(1300), price_euro_cents=1099, description=None)

    packages.change(package.pk, wanted, actor="operator:otto", now=LATER)

    package.refresh_from_db()
    assert (package.credits, package.price_euro_cents, package.name) == (1300, 1099, "Plus")
    assert history(package)[1:] == [
        (
            {"credits": "1200.5", "price_euro_cents": 999, "description": "For a month"},
            {"credits": "1300", "price_euro_cents": 1099, "description": None},
            "operator:otto",
            LATER,
        )
    ]


def test_the_same_again_changes_nothing() -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)
    before = Package.objects.get().updated_at

    packages.change(package.pk, PLUS._replace(name=" Plus "), actor=ANNA, now=LATER)
    packages.change(package.pk, PLUS._replace(credits=Decimal("1200.5000")), actor=ANNA, now=LATER)
    packages.bring_back(package.pk, actor=ANNA, now=LATER)

    assert len(history(package)) == 1
    assert Package.objects.get().updated_at == before


def test_a_retired_package_is_not_offered_until_it_is_brought_back() -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)

    packages.retire(package.pk, actor=ANNA, now=LATER)
    packages.retire(package.pk, actor=ANNA, now=LATER)
    packages.change(package.pk, PLUS._replace(name="Old"), actor=ANNA, now=LATER)
    retired = list(packages.offered())
    packages.bring_back(package.pk, actor=ANNA, now=LATER + timedelta(days=1))

    assert retired == []
    assert [one.name for one in packages.offered()] == ["Old"]
    assert [(before, after) for before, after, *_ in history(package)[1:]] == [
        ({"active": True}, {"active": False}),
        ({"name": "Plus"}, {"name": "Old"}),
        ({"active": False}, {"active": True}),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 101),
        ("name", "a\0b"),
        ("price_euro_cents", 49),
        ("price_euro_cents", 100_000_000),
        ("description", ""),
        ("description", "x" * 501),
        ("stripe_price_id", "\0"),
        ("sort_order", 1_000_001),
        ("metadata", ["a list"]),
        ("metadata", {"a": "b\0c"}),
        ("metadata", {"a": "x" * 16_384}),
    ],
)
def test_an_invalid_package_is_refused(field: str, value: Any) -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)
    wrong = PLUS._replace(**{field: value})

    with pytest.raises(InvalidPackage) as created:
        packages.create(wrong, actor=ANNA, now=LATER)
    with pytest.raises(InvalidPackage):
        packages.change(package.pk, wrong, actor=ANNA, now=LATER)

    assert list(created.value.details or {}) == [field]
    assert Package.objects.get().name == "Plus"
    assert PackageChange.objects.count() == 1


@pytest.mark.parametrize("amount", ["0", "-1", "0.00001", "NaN"])
def test_credits_are_a_positive_amount(amount: str) -> None:
    with pytest.raises(InvalidAmount):
        packages.create(PLUS._replace(credits=Decimal(amount)), actor=ANNA, now=NOW)

    assert not Package.objects.exists()


def test_an_unknown_package_cannot_be_changed() -> None:
    with pytest.raises(PackageUnknown):
        packages.change(uuid4(), PLUS, actor=ANNA, now=NOW)
    with pytest.raises(PackageUnknown):
        packages.retire(uuid4(), actor=ANNA, now=NOW)


@pytest.mark.parametrize(
    ("constraint", "wrong"),
    [
        ("package_change_changes_something", {"before": {"name": "Plus"}}),
        ("package_change_actor_known", {"actor": "somebody"}),
    ],
)
def test_a_row_of_history_that_breaks_a_rule_is_refused(
    constraint: str, wrong: dict[str, Any]
) -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)
    row = {"after": {"name": "Plus"}, "actor": ANNA, "changed_at": NOW, **wrong}

    with pytest.raises(IntegrityError, match=f'constraint "{constraint}"'), transaction.atomic():
        PackageChange.objects.create(package=package, **row)

    assert len(history(package)) == 1


def test_changes_at_once_are_one_after_the_other(committed: None) -> None:
    package = packages.create(PLUS, actor=ANNA, now=NOW)

    at_once(
        5,
        lambda index: packages.change(
            package.pk,
            PLUS._replace(price_euro_cents=1000 + index),
            actor=ANNA,
            now=LATER,
        ),
    )

    prices = [
        (row.before and row.before["price_euro_cents"], row.after["price_euro_cents"])
        for row in PackageChange.objects.filter(package=package)
    ]
    followers = dict(prices)
    price: int | None = None
    for _ in prices:
        price = followers[price]
    package.refresh_from_db()
    assert len(prices) == 6
    assert package.price_euro_cents == price
