"""Admins give and revoke free Cloud Sync. Paid periods are never lost."""

from datetime import UTC, datetime, timedelta

import pytest

from credits.models import Balance, SyncSubscription, Transaction
from credits.sync import cloud_sync, renewals
from tests.api import Caller
from tests.environment import PROVIDER
from tests.factories import give, subscribe

pytestmark = pytest.mark.django_db
NOW = datetime(2027, 1, 31, 9, 30, tzinfo=UTC)


@pytest.fixture
def admin() -> Caller:
    """Return an admin of the ecosystem."""
    token = PROVIDER.token("root", role="admin")
    return Caller({"Authorization": f"Bearer {token}"}, prefix="/api/v1/admin/sync/")


def test_a_gift_turns_sync_on_without_a_charge(admin: Caller) -> None:
    answers = [admin.post("bob/gift"), admin.post("bob/gift")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == {"success": True, "userId": "bob", "gifted": True, "active": True}
    assert admin.get("bob").json() == {
        "active": True,
        "interval": "monthly",
        "nextChargeAt": None,
        "pausedAt": None,
        "gifted": True,
    }
    assert SyncSubscription.objects.get().gifted_by == "operator:root"
    assert not Transaction.objects.exists()
    assert list(renewals.renew_due(now=datetime.now(UTC) + timedelta(days=999), limit=9)) == []


def test_a_revoked_gift_of_somebody_who_never_paid_is_off(admin: Caller) -> None:
    admin.post("bob/gift")

    answers = [admin.delete("bob/gift"), admin.delete("bob/gift"), admin.delete("carol/gift")]

    assert [answer.json()["active"] for answer in answers] == [False] * 3
    assert answers[0].json() == {
        "success": True,
        "userId": "bob",
        "gifted": False,
        "active": False,
    }
    assert SyncSubscription.objects.count() == 1


def test_fault_15_a_gift_over_a_paid_year_gives_the_year_back() -> None:
    give("bob", 60)
    paid = subscribe("bob", at=NOW, interval="yearly")
    cloud_sync.give("bob", by="operator:root", now=NOW + timedelta(days=30))
    gifted = cloud_sync.status("bob")
    assert (gifted.active, gifted.next_charge_at) == (True, None)

    revoked = cloud_sync.revoke("bob", now=NOW + timedelta(days=60))

    assert (revoked.active, revoked.gifted) == (True, False)
    assert revoked.next_charge_at == paid.next_charge_at == NOW.replace(year=2028)
    assert Balance.objects.get(pk="bob").posted == 0


def test_a_gift_that_outlasts_the_paid_period_ends_in_no_charge() -> None:
    give("bob", 60)
    subscribe("bob", at=NOW)
    cloud_sync.give("bob", by="operator:root", now=NOW)

    renewed = list(renewals.renew_due(now=NOW + timedelta(days=60), limit=9))
    revoked = cloud_sync.revoke("bob", now=NOW + timedelta(days=60))
    later = list(renewals.renew_due(now=NOW + timedelta(days=90), limit=9))

    assert (renewed, revoked.active, later) == ([], False, [])
    assert Balance.objects.get(pk="bob").posted == 55


def test_who_had_deactivated_before_the_gift_is_off_after_it() -> None:
    give("bob", 60)
    subscribe("bob", at=NOW, interval="yearly")
    cloud_sync.deactivate("bob", now=NOW)
    cloud_sync.give("bob", by="operator:root", now=NOW)

    revoked = cloud_sync.revoke("bob", now=NOW + timedelta(days=1))
    again = subscribe("bob", at=NOW + timedelta(days=2), interval="yearly")

    assert revoked.active is False
    assert (again.charged, again.next_charge_at) == (0, NOW.replace(year=2028))


def test_a_paused_subscription_that_is_given_is_paused_no_more() -> None:
    give("bob", 5)
    subscribe("bob", at=NOW)
    assert list(renewals.renew_due(now=NOW + timedelta(days=28), limit=9)) == ["paused"]

    given = cloud_sync.give("bob", by="operator:root", now=NOW + timedelta(days=29))

    assert (given.active, given.paused_at) == (True, None)


@pytest.mark.parametrize("path", ["activate", "deactivate", "change-interval"])
def test_a_gift_is_not_the_users_to_change(admin: Caller, path: str) -> None:
    admin.post("bob/gift")
    bob = Caller.with_token(PROVIDER.token("bob"))

    answer = bob.post(f"/api/v1/sync/{path}", {"interval": "yearly"})

    assert (answer.status_code, answer.json()["code"]) == (400, "sync_gifted")
    assert admin.get("bob").json()["active"] is True


def test_only_admins_pass(alice: Caller) -> None:
    answers = [
        alice.get("/api/v1/admin/sync/bob"),
        alice.post("/api/v1/admin/sync/bob/gift"),
        alice.delete("/api/v1/admin/sync/bob/gift"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert answers[0].json() == {
        "statusCode": 403,
        "message": "You do not have permission to perform this action.",
        "code": "forbidden",
        "error": "Forbidden",
    }
    assert not SyncSubscription.objects.exists()


def test_a_user_id_in_the_path_may_hold_any_printable_character(admin: Caller) -> None:
    strange = admin.post("a%2Fb%20c%3Fd/gift")
    wrong = admin.post("a%00b/gift")

    assert strange.json()["userId"] == "a/b c?d"
    assert wrong.status_code == 400
    assert SyncSubscription.objects.count() == 1
