"""Helpers for operators: the browser of each role, and the forms that they submit."""

from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
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
    user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    user.groups.add(Group.objects.get(name=ROLES[name]))
    return Operator(name, User.objects.get(pk=user.pk).has_perm)


def browser(name: str) -> Client:
    """Return the browser of a logged-in operator.

    The session is written directly. `Client.force_login` takes five times as long, because it
    counts attempts to log in, and `test_log_in.py` logs in by the form.
    """
    operator(name)
    user = User.objects.get(username=name)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client


def acts() -> QuerySet[StaffAction]:
    """Return what operators did, without what they only looked at."""
    return StaffAction.objects.exclude(action__in=looks.ACTIONS)


def form(key: UUID | None = None, **fields: Any) -> dict[str, Any]:
    """Return the data of a confirmed form with this key."""
    usual = {"key": str(key or uuid4()), "confirmed": "1", "note": "Wrote to us", "ticket": ""}
    return {**usual, **fields}
