"""Administrators manage staff accounts; each change is recorded."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from credits.models import StaffAction
from mana_credits.back_office.acts import operator_accounts
from mana_credits.back_office.acts.audit import AlreadyDone, NotPermitted
from mana_credits.back_office.acts.operator_accounts import (
    NameTaken,
    OperatorUnknown,
    OwnAccount,
    WeakPassword,
)
from tests.back_office.operators import browser, form, operator

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def acts() -> list[tuple[str, str]]:
    rows = StaffAction.objects.filter(action="credits.manage_staff").order_by("pk")
    return list(rows.values_list("operator", "subject"))


def test_a_new_operator_logs_in_with_just_the_roles(ada: Client) -> None:
    fields: dict[str, Any] = {"name": "nina", "email": "nina@example.test", "roles": ["Support"]}

    answer = ada.post("/admin/staff/new/", form(password=PASSWORD, **fields))

    nina = User.objects.get(username="nina")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/staff/")
    assert (nina.is_staff, nina.is_superuser, operator_accounts.roles_of(nina)) == (
        True,
        False,
        ["Support"],
    )
    assert list(nina.user_permissions.all()) == []
    door = Client().post("/admin/login/", {"username": "nina", "password": PASSWORD})
    assert (door.status_code, door["Location"]) == (302, "/accounts/profile/")
    assert acts() == [("ada", "operator:nina")]
    assert PASSWORD not in str(list(StaffAction.objects.values()))


@pytest.mark.parametrize("name", ["sam", "no spaces", "", "x" * 151])
def test_a_name_that_is_taken_or_none_is_refused(ada: Client, sam: Client, name: str) -> None:
    answer = ada.post("/admin/staff/new/", form(password=PASSWORD, name=name, roles=["Support"]))

    assert answer.status_code == 200
    assert User.objects.count() == 2
    assert acts() == []


@pytest.mark.parametrize("password", ["short", "password1234", "nina@example.test"])
def test_a_password_that_is_guessed_is_refused(ada: Client, password: str) -> None:
    ada.post(
        "/admin/staff/new/",
        form(password=password, name="nina", email="nina@example.test", roles=["Support"]),
    )

    assert not User.objects.filter(username="nina").exists()


def test_roles_change_and_say_from_what_to_what(ada: Client, sam: Client) -> None:
    ada.post("/admin/staff/roles/?name=sam", form(roles=["Finance", "Auditor"]))

    record = StaffAction.objects.get()
    assert operator_accounts.roles_of(User.objects.get(username="sam")) == ["Auditor", "Finance"]
    assert (record.before, record.after) == ({"roles": "Support"}, {"roles": "Auditor, Finance"})


def test_a_deactivated_operator_is_logged_out_at_once(ada: Client, sam: Client) -> None:
    assert sam.get("/admin/").status_code == 200

    ada.post("/admin/staff/deactivate/?name=sam", form())

    assert sam.get("/admin/").status_code == 302
    ada.post("/admin/staff/activate/?name=sam", form())
    assert User.objects.get(username="sam").is_active
    assert acts() == [("ada", "operator:sam")] * 2


def test_a_new_password_ends_the_sessions(ada: Client, sam: Client) -> None:
    ada.post("/admin/staff/password/?name=sam", form(password=PASSWORD))

    assert sam.get("/admin/").status_code == 302
    assert User.objects.get(username="sam").check_password(PASSWORD)


def test_a_lost_second_factor_is_forgotten(ada: Client, sam: Client) -> None:
    TOTPDevice.objects.create(user=User.objects.get(username="sam"), confirmed=True)

    ada.post("/admin/staff/second-factor/?name=sam", form())

    assert not TOTPDevice.objects.exists()
    assert StaffAction.objects.get().before == {"devices": 1}


@pytest.mark.parametrize("page", ["roles", "password", "second-factor", "deactivate"])
def test_nobody_changes_their_own_account(ada: Client, page: str) -> None:
    answer = ada.post(
        f"/admin/staff/{page}/?name=ada", form(roles=["Administrator"], password=PASSWORD)
    )

    assert OwnAccount.message in answer.content.decode()
    assert User.objects.get(username="ada").is_active
    assert acts() == []


@pytest.mark.parametrize("name", ["sam", "fiona", "amir"])
def test_only_administrators_may(name: str) -> None:
    client = browser(name)

    answers = [
        client.get("/admin/staff/").status_code,
        client.post("/admin/staff/roles/?name=ada", form(roles=["Support"])).status_code,
    ]

    assert answers == [403, 403]
    with pytest.raises(NotPermitted):
        operator_accounts.set_active(operator(name), "ada", False, key=uuid4())


def test_the_same_form_acts_once(sam: Client) -> None:
    ada, key = operator("ada"), uuid4()
    operator_accounts.set_active(ada, "sam", False, key=key)

    with pytest.raises(AlreadyDone):
        operator_accounts.set_active(ada, "sam", False, key=key)

    assert len(acts()) == 1


def test_refusals_have_names(sam: Client) -> None:
    ada = operator("ada")

    with pytest.raises(OperatorUnknown):
        operator_accounts.find("nobody")
    with pytest.raises(OperatorUnknown):
        operator_accounts.set_active(ada, "nobody", False, key=uuid4())
    with pytest.raises(NameTaken):
        operator_accounts.create(ada, "sam", email="", chosen=[], password=PASSWORD, key=uuid4())
    with pytest.raises(WeakPassword):
        operator_accounts.set_password(ada, "sam", "sam", key=uuid4())


def test_unknown_roles_are_ignored() -> None:
    made = operator_accounts.create(
        operator("ada"), "nina", email="", chosen=["Root"], password=PASSWORD, key=uuid4()
    )

    assert operator_accounts.roles_of(made) == []


def test_an_operators_page_offers_what_may_be_done(ada: Client, sam: Client) -> None:
    others = ada.get("/admin/staff/operator/?name=sam").content.decode()
    own = ada.get("/admin/staff/operator/?name=ada").content.decode()

    assert "Reset second factor" in others
    assert "Reset second factor" not in own
    assert ada.get("/admin/staff/operator/?name=nobody").status_code == 404
