"""Administrators create, rotate and revoke the keys of services; a secret is shown once."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from credits.models import StaffAction
from internal_api import known_keys, service_keys
from internal_api.models import ServiceKey
from internal_api.service_keys import KeyTerms
from tests.api import Caller
from tests.back_office.operators import form

pytestmark = pytest.mark.django_db

NEW = "/admin/service-key/new/"


@pytest.fixture(autouse=True)
def fresh_keys() -> None:
    known_keys.KNOWN.forget()


def made(name: str = "chat") -> ServiceKey:
    key, _ = service_keys.create(name, KeyTerms(["use"]), by="ada", now=datetime.now(UTC))
    return key


def page_of(key_id: UUID, act: str = "") -> str:
    return f"/admin/service-key/{key_id}/{act}"


def secret_in(answer: Any) -> str:
    found = re.search(r"mana_sk_[\w-]{43}", answer.content.decode())
    assert found
    return found[0]


def test_a_new_key_is_shown_once_and_opens(ada: Client) -> None:
    fields: dict[str, Any] = {
        "name": "chat",
        "scopes": ["balance:read", "grant"],
        "daily_grants": "100",
    }

    answer = ada.post(NEW, form(**fields, expires=""))

    secret = secret_in(answer)
    service = Caller({"X-Service-Key": secret}, prefix="/api/v1/internal/credits/")
    assert service.get("balance/alice").status_code == 200
    key = ServiceKey.objects.get()
    assert (key.name, key.created_by, key.caps) == ("chat", "ada", {"daily_grants": 100})
    assert "no-store" in answer["Cache-Control"]
    assert secret not in ada.get(page_of(key.pk)).content.decode()
    assert not any(secret in str(one.get_decoded()) for one in Session.objects.all())
    line = StaffAction.objects.get()
    assert (line.operator, line.subject) == ("ada", f"service_key:{key.pk}")
    assert line.after == {
        "name": "chat",
        "scopes": "balance:read, grant",
        "expires": None,
        "daily_grants": "100",
    }


def test_a_form_that_is_sent_twice_creates_one_key(ada: Client) -> None:
    fields = form(name="chat", scopes=["use"])
    secret = secret_in(ada.post(NEW, fields))

    again = ada.post(NEW, fields, follow=True)

    assert ServiceKey.objects.count() == 1
    assert "If nobody has it, rotate it." in again.content.decode()
    assert secret not in again.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "two words"},
        {"scopes": ["everything"]},
        {"scopes": []},
        {"daily_grants": "-1"},
        {"expires": "2020-01-01"},
        {"note": ""},
    ],
)
def test_an_invalid_form_creates_nothing(ada: Client, wrong: dict[str, Any]) -> None:
    answer = ada.post(NEW, form(**{"name": "chat", "scopes": ["use"], **wrong}))

    assert answer.status_code == 200
    assert not ServiceKey.objects.exists()
    assert not StaffAction.objects.exists()


def test_a_rotated_key_stays_valid_for_the_overlap(ada: Client) -> None:
    old = made()

    answer = ada.post(page_of(old.pk, "rotate/"), form(hours="2"))

    new = ServiceKey.objects.get(digest=service_keys.digest(secret_in(answer)))
    old.refresh_from_db()
    assert (new.name, new.scopes, new.expires_at) == ("chat", ["use"], None)
    assert old.expires_at is not None
    assert timedelta(minutes=119) < old.expires_at - datetime.now(UTC) <= timedelta(hours=2)


def test_a_revoked_key_is_listed_as_such_and_not_acted_on(ada: Client) -> None:
    key = made()

    ada.post(page_of(key.pk, "revoke/"), form())
    again = ada.post(page_of(key.pk, "revoke/"), form())

    key.refresh_from_db()
    assert key.revoked_at is not None
    shown = ada.get(page_of(key.pk)).content.decode()
    assert "Revoked" in shown
    assert "/rotate/" not in shown
    assert "no valid service key" in again.content.decode()
    assert StaffAction.objects.count() == 1


def test_an_auditor_sees_keys_and_changes_none(amir: Client) -> None:
    key = made()

    assert "chat" in amir.get("/admin/internal_api/servicekey/").content.decode()
    assert "/revoke/" not in amir.get(page_of(key.pk)).content.decode()
    assert amir.post(page_of(key.pk, "revoke/"), form()).status_code == 403
