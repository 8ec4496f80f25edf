"""The catalogue: operations, prices, and the history of changes."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.db import IntegrityError, transaction

from credits.amounts import InvalidAmount
from credits.catalogue import catalogue
from credits.catalogue.catalogue import (
    AnyPrice,
    InvalidBatch,
    InvalidOperation,
    NewOperation,
    OperationExists,
    OperationUnknown,
    Price,
)
from credits.catalogue.metered_prices import InvalidUnitCosts, MeteredPrice
from credits.models import Operation, OperationPrice
from tests.api import Caller

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA = "operator:anna"


def test_the_price_list_is_loaded(anonymous: Caller) -> None:
    answer = anonymous.get("operations")

    assert answer.status_code == 200
    operations = {row["operation"]: row for row in answer.json()}
    assert len(operations) == 25
    assert list(operations) == sorted(operations)
    assert operations["ai_chat_ollama"] == {
        "operation": "ai_chat_ollama",
        "name": "Ollama message (local model)",
        "nameDe": None,
        "description": "",
        "category": "ai",
        "app": "chat",
        "cost": 0.1,
        "perItems": None,
    }
    assert operations["bulk_import"]["perItems"] == 10
    assert operations["cloud_sync"]["cost"] == 5
    first = OperationPrice.objects.get(operation="cloud_sync", cost_before=None)
    assert (first.actor, first.cost_after) == ("system", Decimal(5))


def test_pricing_is_every_cost_and_when_it_changed(anonymous: Caller) -> None:
    catalogue.set_price(
        "ai_chat_gpt4", Price(Decimal("5.5")), actor=ANNA, now=datetime(2030, 1, 1, tzinfo=UTC)
    )

    body = anonymous.get("pricing").json()

    assert body["lastUpdated"] == "2030-01-01T00:00:00.000Z"
    assert len(body["operationCosts"]) == 25
    assert body["operationCosts"]["ai_chat_gpt4"] == 5.5
    assert body["operationCosts"]["bulk_import"] == 0.2


@pytest.mark.parametrize("path", ["operations", "pricing"])
def test_prices_are_sent_again_only_when_they_changed(anonymous: Caller, path: str) -> None:
    first = anonymous.get(path)

    same = anonymous.get(path, **{"If-None-Match": first["ETag"]})
    catalogue.set_price("cloud_sync", Price(Decimal(6)), actor=ANNA, now=NOW)
    changed = anonymous.get(path, **{"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "public, max-age=60"
    assert (same.status_code, same.content) == (304, b"")
    assert (same["ETag"], same["Cache-Control"]) == (first["ETag"], "public, max-age=60")
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


@pytest.mark.parametrize("path", ["operations", "/api/schema"])
@pytest.mark.parametrize("header", ["If-Match", "If-Unmodified-Since", "Range"])
def test_preconditions_of_other_methods_are_ignored(
    anonymous: Caller, path: str, header: str
) -> None:
    answer = anonymous.get(path, **{header: '"other"'})

    assert answer.status_code == 200
    assert answer.content == anonymous.get(path).content


def test_a_price_per_items_rounds_up_to_started_batches() -> None:
    quantities = [1, 10, 11, 20, 21]

    prices = [catalogue.price("bulk_import", quantity) for quantity in quantities]

    assert prices == [Decimal(text) for text in ("0.2", "0.2", "0.4", "0.4", "0.6")]
    assert catalogue.price("ai_chat_ollama", 3) == Decimal("0.3")


def test_a_new_price_is_remembered_with_who_and_when() -> None:
    catalogue.set_price("bulk_import", Price(Decimal("0.3"), 20), actor=ANNA, now=NOW)

    operation = Operation.objects.get(pk="bulk_import")
    assert (operation.cost, operation.per_items) == (Decimal("0.3"), 20)
    row = OperationPrice.objects.get(operation="bulk_import", actor=ANNA)
    assert row.changed_at == NOW
    assert (row.cost_before, row.per_items_before) == (Decimal("0.2"), 10)
    assert (row.cost_after, row.per_items_after) == (Decimal("0.3"), 20)


def test_setting_the_same_price_again_changes_nothing() -> None:
    catalogue.set_price("cloud_sync", Price(Decimal(5)), actor=ANNA, now=NOW)

    assert OperationPrice.objects.filter(operation="cloud_sync").count() == 1


def test_an_operation_off_offer_is_gone_until_it_has_a_price_again(anonymous: Caller) -> None:
    catalogue.deactivate("pdf_export", actor=ANNA, now=NOW)
    catalogue.deactivate("pdf_export", actor=ANNA, now=NOW)
    off = [row["operation"] for row in anonymous.get("operations").json()]
    with pytest.raises(OperationUnknown):
        catalogue.price("pdf_export")
    catalogue.set_price(
        "pdf_export", Price(Decimal(1)), actor=ANNA, now=datetime(2030, 1, 1, tzinfo=UTC)
    )

    assert "pdf_export" not in off
    assert catalogue.price("pdf_export") == 1
    assert OperationPrice.objects.filter(operation="pdf_export", actor=ANNA).count() == 2


def test_a_price_is_a_positive_amount_for_a_known_operation() -> None:
    with pytest.raises(InvalidAmount):
        catalogue.set_price("cloud_sync", Price(Decimal(0)), actor=ANNA, now=NOW)
    with pytest.raises(InvalidAmount):
        catalogue.set_price("cloud_sync", Price(Decimal("0.00001")), actor=ANNA, now=NOW)
    with pytest.raises(InvalidBatch):
        catalogue.set_price("cloud_sync", Price(Decimal(1), 0), actor=ANNA, now=NOW)
    with pytest.raises(OperationUnknown):
        catalogue.set_price("task_create", Price(Decimal(1)), actor=ANNA, now=NOW)

    assert catalogue.price("cloud_sync") == 5
    assert not OperationPrice.objects.filter(actor=ANNA).exists()


def test_the_database_refuses_a_change_that_changes_nothing() -> None:
    change = {"operation_id": "cloud_sync", "actor": ANNA, "changed_at": NOW}

    with (
        pytest.raises(IntegrityError, match="price_change_changes_the_price"),
        transaction.atomic(),
    ):
        OperationPrice.objects.create(cost_before=5, cost_after=5, **change)
    with (
        pytest.raises(IntegrityError, match="price_change_changes_the_price"),
        transaction.atomic(),
    ):
        OperationPrice.objects.create(**change)


def added(key: str = "ai_music", **fields: str) -> NewOperation:
    usual = {"name": "Music", "category": "ai", "app": "music"}
    return NewOperation(key, **{**usual, **fields})


@pytest.mark.parametrize(
    "price", [Price(Decimal("1.5"), 10), MeteredPrice({"inputTokens": Decimal("0.4")})]
)
def test_an_operation_is_created_with_its_first_price(price: AnyPrice) -> None:
    created = catalogue.create_operation(added(), price, actor=ANNA, now=NOW)

    stored = Operation.objects.get(pk="ai_music")
    assert created.pk == stored.pk
    assert (stored.active, stored.version, stored.name, stored.app) == (True, 1, "Music", "music")
    assert catalogue.price_of(stored) == price
    change = stored.prices.get()
    assert (change.actor, change.version, change.changed_at) == (ANNA, 1, NOW)
    assert catalogue.price_before(change) is None
    assert catalogue.price_after(change) == price


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (added(""), "A key has 1 to 64"),
        (added("Music"), "A key has 1 to 64"),
        (added("1up"), "A key has 1 to 64"),
        (added("a\n"), "A key has 1 to 64"),
        (added("a" * 65), "A key has 1 to 64"),
        (added(name=""), "name: This field cannot be blank."),
        (added(name="x" * 101), "name: Ensure this value has at most 100 characters"),
        (added(app="x" * 101), "app: Ensure this value has at most 100 characters"),
        (added(description="x" * 501), "description: Ensure this value has at most 500"),
        (added(category="toys"), "category: Value 'toys' is not a valid choice."),
    ],
)
def test_an_invalid_operation_is_not_created(new: NewOperation, message: str) -> None:
    with pytest.raises(InvalidOperation, match=re.escape(message)):
        catalogue.create_operation(new, Price(Decimal(1)), actor=ANNA, now=NOW)

    assert Operation.objects.count() == 25


@pytest.mark.parametrize("withdrawn", [False, True])
def test_the_key_of_an_operation_is_taken(withdrawn: bool) -> None:
    if withdrawn:
        catalogue.deactivate("pdf_export", actor=ANNA, now=NOW)

    with pytest.raises(OperationExists):
        catalogue.create_operation(added("pdf_export"), Price(Decimal(9)), actor=ANNA, now=NOW)

    assert Operation.objects.get(pk="pdf_export").cost == 1


def test_the_second_of_two_operations_created_at_once_is_refused() -> None:
    """Both looked for the key before either was stored. The primary key decides."""
    with patch.object(catalogue, "require_valid_operation"), pytest.raises(OperationExists):
        catalogue.create_operation(added("pdf_export"), Price(Decimal(9)), actor=ANNA, now=NOW)

    # The transaction around the refused one can continue.
    assert Operation.objects.get(pk="pdf_export").cost == 1


def test_an_operation_is_not_created_with_an_invalid_price() -> None:
    refused: list[tuple[AnyPrice, type[Exception]]] = [
        (Price(Decimal(0)), InvalidAmount),
        (Price(Decimal(1), 0), InvalidBatch),
        (MeteredPrice({}), InvalidUnitCosts),
    ]
    for price, error in refused:
        with pytest.raises(error):
            catalogue.create_operation(added(), price, actor=ANNA, now=NOW)

    assert Operation.objects.count() == 25
