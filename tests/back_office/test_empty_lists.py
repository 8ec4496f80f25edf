"""An empty list says so in the operators' words, and says when only the filters empty it."""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from credits.models import Operation, OperationPrice
from mana_credits.back_office.templatetags.office import menu_titles
from tests.back_office.operators import browser
from tests.back_office.test_titles import text
from tests.factories import give
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

LISTS: dict[str, Any] = {
    model.__name__: admin.site.get_model_admin(model)
    for model in admin.site._registry
    if model.__name__ != "StaffAction"  # looking at a list is on record, so it is never empty
}


def address(shown: Any, query: str = "") -> str:
    options = shown.opts
    return reverse(f"admin:{options.app_label}_{options.model_name}_changelist") + query


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_has_nothing_yet(name: str) -> None:
    shown = LISTS[name]
    with as_owner():
        OperationPrice.objects.all().delete()
        Operation.objects.all().delete()

    page = text(browser("ada"), address(shown))

    things = shown.rows_name or str(shown.opts.verbose_name_plural)
    assert f"No {things} yet." in page
    assert "match" not in page
    assert "Reset search and filters" not in page
    menu = menu_titles()[address(shown)].lower()
    assert things.lower().split()[-1] in f"{menu} subscriptions messages events operations"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("credits/transaction/?q=zoe", "No transactions match the search."),
        ("credits/transaction/?type__exact=usage", "No transactions match the filters."),
        (
            "credits/transaction/?q=zoe&type__exact=usage",
            "No transactions match the search and the filters.",
        ),
        ("credits/purchase/?status__exact=failed", "No purchases match the filters."),
        ("credits/outboxmessage/?status__exact=dead", "No messages match the filters."),
        ("account/?user=alice&kind=gifts+sent", "No entries match the filters."),
    ],
)
def test_a_list_emptied_by_its_filters_says_so(path: str, sentence: str, ada: Client) -> None:
    give("alice", 5)

    assert sentence in text(ada, f"/admin/{path}")
