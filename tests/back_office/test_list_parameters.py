"""Query parameters of lists: only declared filters count, and no value is a 500."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from mana_credits.back_office.frame.read_only_lists import ReadOnlyList
from tests.back_office.operators import browser
from tests.factories import gift, give

pytestmark = pytest.mark.django_db

LOOKUPS = ("", "__exact", "__regex", "__gte", "__isnull")
WALKED = ("999999999999999999999999", "0001-01-01 00:00:00+14:00", "99999-13-45", "(", "-1")
ODD = (
    *("a\0b", "999999999999999999999999", "-1", "1e9", "٣", "(", "'", "%", "x" * 5000, "1,2", "."),
    *("0000-01-01", "2026-02-30", "-0", "NaN"),
)
OF_DJANGO = ("q", "p", "o", "all", "e", "_facets", "_to_field")


def lists() -> list[type[Model]]:
    return list(admin.site._registry)


def address_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def declared(model: type[Model]) -> set[str]:
    """Return the query parameters of the list's filters."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="ada")
    found = admin.site._registry[model].get_changelist_instance(request).filter_specs
    return {str(name) for one in found for name in one.expected_parameters()}


def look_ups(model: type[Model]) -> Iterator[str]:
    """Return a look-up of each kind for each column, and for each column one relation further."""
    for field in model._meta.get_fields():
        yield from (field.name + kind for kind in LOOKUPS)
        if related := field.related_model:
            assert not isinstance(related, str)
            for further in related._meta.get_fields():
                yield f"{field.name}__{further.name}__regex"


@pytest.mark.parametrize("model", lists(), ids=lambda model: str(model._meta.label))
@pytest.mark.slow
def test_a_list_takes_the_look_ups_of_its_filters_only(ada: Client, model: type[Model]) -> None:
    address, allowed = address_of(model), declared(model)
    assert isinstance(admin.site._registry[model], ReadOnlyList)

    refused = {name for name in look_ups(model) if ada.get(address, {name: "x"}).status_code == 400}

    assert refused == set(look_ups(model)) - allowed


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("gifts/giftcode", "code__regex"),
        ("gifts/giftcode", "target_email__startswith"),
        ("gifts/giftcode", "message__icontains"),
        ("credits/purchase", "client_secret__startswith"),
        ("credits/outboxmessage", "body__icontains"),
        ("webhooks/stripeevent", "payload__icontains"),
        ("webhooks/stripeevent", "purchase__client_secret__startswith"),
    ],
)
def test_an_auditor_cannot_ask_for_a_secret_letter_by_letter(
    amir: Client, path: str, name: str
) -> None:
    give("ivan", 10)
    gift("ivan")

    answers = [amir.get(f"/admin/{path}/", {name: guess}).status_code for guess in ("^A", "^B")]

    assert answers == [400, 400]


def test_a_refused_look_up_is_a_page_that_says_so(amir: Client) -> None:
    page = amir.get("/admin/gifts/giftcode/", {"code__regex": "^A"}).content.decode()

    assert "Invalid request" in page


@pytest.mark.parametrize("model", lists(), ids=lambda model: str(model._meta.label))
@pytest.mark.slow
def test_no_value_of_a_filter_breaks_a_list(ada: Client, model: type[Model]) -> None:
    ada.raise_request_exception = False
    names = {"q", "p", *declared(model)}

    answers = {
        (name, value): ada.get(address_of(model), {name: value}).status_code
        for name in names
        for value in (*WALKED, "\0")
    }

    assert {key: code for key, code in answers.items() if code not in {200, 302, 400}} == {}


@pytest.mark.slow
def test_no_value_of_a_list_parameter_causes_a_500(ada: Client) -> None:
    ada.raise_request_exception = False
    address = "/admin/gifts/giftblock/"

    answers = {
        (name, value): ada.get(address, {name: value}).status_code
        for name in OF_DJANGO
        for value in ODD
    }

    assert {key: code for key, code in answers.items() if code not in {200, 302, 400}} == {}


def test_a_character_that_no_text_has_breaks_no_page(ada: Client) -> None:
    ada.raise_request_exception = False
    addresses = ["account/", "search-accounts/", "staff/operator/", "account/adjust/", "sync/"]
    addresses += ["gifts/block/", "export/", "search/", "autocomplete/", ""]
    names = ("user", "name", "q", "s")

    answers = {
        (path, name): ada.get(f"/admin/{path}", {name: "a\0b"}).status_code
        for path in addresses
        for name in names
    }
    paths = [
        "operation/%00/",
        "stripe-event/a%00b/",
        "campaign/%00/",
        "gifts/giftblock/%00/change/",
    ]
    answers |= {(path, ""): ada.get(f"/admin/{path}").status_code for path in paths}

    assert set(answers.values()) == {400}


@pytest.mark.slow
def test_no_value_of_a_parameter_breaks_a_page(ada: Client) -> None:
    ada.raise_request_exception = False
    give("alice", 5)
    parameters = {
        "account/": ("after", "until", "kind", "user"),
        "search-accounts/": ("q",),
        "search/": ("s", "page", "extended"),
        "autocomplete/": ("term", "app_label", "model_name", "field_name", "page"),
        "staff/operator/": ("name",),
    }

    answers = {
        (path, name, value): ada.get(f"/admin/{path}", {"user": "alice", name: value}).status_code
        for path, names in parameters.items()
        for name in names
        for value in WALKED
    }

    assert {key: code for key, code in answers.items() if code >= 500} == {}


def test_an_unreadable_value_shows_the_list_without_the_filter(ada: Client) -> None:
    answer = ada.get("/admin/gifts/giftcode/", {"expires_at__gte": "99999-13-45"})

    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/admin/gifts/giftcode/?{ERROR_FLAG}=1",
    )


def test_a_declared_filter_still_filters(ada: Client) -> None:
    give("ivan", 20)
    gift("ivan", 2)
    gift("ivan", 3, at=datetime(2026, 1, 1, tzinfo=UTC), days=1)

    def shown(**query: str) -> int:
        return len(ada.get("/admin/gifts/giftcode/", query).context["cl"].result_list)

    assert [shown(), shown(creator="ivan"), shown(creator="judy")] == [2, 2, 0]
    assert [shown(status="expired"), shown(expires_at__gte="2026-06-01 00:00:00+00:00")] == [1, 1]
    assert [shown(type__exact="simple"), shown(type__exact="personalized")] == [2, 0]
    assert browser("sam").get("/admin/gifts/giftcode/", {"q": "ivan"}).status_code == 200
