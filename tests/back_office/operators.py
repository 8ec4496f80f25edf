"""Helpers for operators: the browser of each role, and the forms that they submit."""

from functools import cache
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.test import Client

from credits import roles
from credits.models import StaffAction
from mana_credits.back_office.acts import looks
from mana_credits.back_office.acts.audit import Justification, Operator

ROLES = {
    "sam": roles.SUPPORT,
    "fiona": roles.FINANCE,
    "amir": roles.AUDITOR,
    "ada": roles.ADMINISTRATOR,
}
WHY = Justification(reason="asked", note="Wrote to us")


def operator(name: str) -> Operator:
    """Return the demo operator of this name, with the permissions of their role."""
    return Operator(name, _user(name).has_perm)


def browser(name: str) -> Client:
    """Return the browser of a logged-in operator.

    The session is written directly. `Client.force_login` takes five times as long, because it
    counts attempts to log in, and `test_log_in.py` logs in by the form.
    """
    user = _user(name)
    session = SessionStore()
    values = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    row = Session.objects.create(
        session_key=uuid4().hex,
        session_data=session.encode(values),
        expire_date=session.get_expiry_date(),
    )
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = row.session_key
    return client


def _user(name: str) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create(username=name, is_staff=True)
        user.groups.through.objects.create(user=user, group=_group(name))
    return user


@cache
def _group(name: str) -> Group:
    """Return the group of the operator's role, which migrations create and no test deletes."""
    return Group.objects.get(name=ROLES[name])


def acts() -> QuerySet[StaffAction]:
    """Return what operators did, without what they only looked at."""
    return StaffAction.objects.exclude(action__in=looks.ACTIONS)


def form(key: UUID | None = None, **fields: Any) -> dict[str, Any]:
    """Return the data of a confirmed form with this key."""
    usual = {"key": str(key or uuid4()), "confirmed": "1", "note": "Wrote to us", "ticket": ""}
    return {**usual, **fields}
