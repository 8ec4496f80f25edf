"""The order of a list is an index's, so that a page of a large table is not sorted first."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import DecimalField, IntegerField, QuerySet
from django.http import HttpRequest
from django.test import RequestFactory

from gifts import campaigns
from gifts.campaigns import CampaignPlan
from gifts.models import Campaign, GiftMisses
from tests.back_office.operators import operator
from tests.factories import give
from tests.owner import as_owner
from tests.query_plans import rows_read_of

pytestmark = pytest.mark.django_db

# The price lists are small by nature.
SMALL = {"credits/operation", "credits/package"}
# Numbers without a unit: places in an order.
PLACES = {"number", "sort_order"}
COUNTED = re.compile("credits|codes|users|items|attempts|tries", re.IGNORECASE)
LISTS = {
    f"{model._meta.app_label}/{model._meta.model_name}": model
    for model in admin.site._registry
    if model is not User
}


def request() -> HttpRequest:
    asked = RequestFactory().get("/admin/")
    asked.user = operator("amir")  # type: ignore[assignment]
    return asked


def first_page(model: Any) -> QuerySet[Any]:
    """Return the rows of a list's first page."""
    asked = request()
    rows: QuerySet[Any] = admin.site._registry[model].get_changelist_instance(asked).queryset
    return rows[:51]


def nodes(plan: dict[str, Any]) -> list[str]:
    """Return the types of a plan's nodes."""
    return [plan["Node Type"], *(kind for one in plan.get("Plans", []) for kind in nodes(one))]


@pytest.mark.parametrize("name", sorted(LISTS.keys() - SMALL))
def test_no_list_is_sorted_as_a_whole(name: str) -> None:
    rows = first_page(LISTS[name])

    with connection.cursor() as cursor:
        # The planner prefers to sort an empty table. Now it sorts only if no index has the order.
        cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")
        sql, values = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        (found,) = cursor.fetchone()

    plan = json.loads(found) if isinstance(found, str) else found
    assert "Sort" not in nodes(plan[0]["Plan"]), name


def test_a_page_of_invalid_codes_reads_a_page_of_rows() -> None:
    with as_owner(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO gifts.gift_misses (bucket, misses, since)"
            " SELECT 'user:' || n, n % 7 + 1, now() - n * interval '1 second'"
            " FROM generate_series(1, 5000) n"
        )

    rows = first_page(GiftMisses)
    read = rows_read_of("gifts.gift_misses", lambda: list(rows))

    assert read <= 60


def test_the_campaigns_count_the_codes_of_the_shown_ones_only() -> None:
    now = datetime.now(UTC)
    give("alice", 900)
    old = campaigns.start(
        "alice",
        CampaignPlan(300, Decimal(1), now + timedelta(days=30), actor="operator:sam"),
        now=now,
    )
    assert list(campaigns.make_codes(old, now=now))[-1] == 300
    for number in range(60):
        Campaign.objects.create(
            name=f"c-{number}",
            account_id="alice",
            count=1,
            credits=1,
            actor="operator:sam",
            expires_at=now,
            created_at=now + timedelta(seconds=1),
        )

    rows = first_page(Campaign)
    read = rows_read_of("gifts.gift_codes", lambda: list(rows))

    assert read == 0


@pytest.mark.parametrize("name", sorted(LISTS))
def test_the_headings_name_the_unit_of_amounts_and_counts(name: str) -> None:
    lists = admin.site._registry[LISTS[name]]
    numbers = (DecimalField, IntegerField)
    fields = {one.name for one in LISTS[name]._meta.fields if isinstance(one, numbers)}
    headings: dict[str, str] = {
        column.__name__: str(getattr(column, "short_description", ""))
        for column in lists.get_list_display(request())
        if callable(column)
    }

    shown = {heading for column, heading in headings.items() if column in fields - PLACES}

    assert all(COUNTED.search(heading) for heading in shown), shown
