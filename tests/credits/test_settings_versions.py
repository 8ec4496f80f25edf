"""Two tabs that save a user's settings: the second one learns what the first one saved."""

from datetime import UTC, datetime
from typing import Any

import pytest

from credits.models import AutoTopUp, Package, SettingsChange
from tests.api import Caller
from tests.credits.test_auto_top_up import agree, work
from tests.factories import give, spend
from tests.stripe import Stripe

pytestmark = pytest.mark.django_db

EMPTY: dict[str, Any] = {"lowBalance": None, "monthlyLimit": None, "appLimits": []}


def version(who: Caller, path: str = "settings") -> str:
    found: str = who.get(path).json()["version"]
    return found


def test_a_stale_save_is_refused_with_what_is_saved_now(alice: Caller) -> None:
    seen = version(alice)
    limits = [{"appId": "chat", "monthlyLimit": 25}, {"appId": "art", "monthlyLimit": 0.5}]
    first = alice.put(
        "settings", {"lowBalance": 20, "monthlyLimit": 80, "appLimits": limits, "version": seen}
    )

    stale = alice.put("settings", {"monthlyLimit": 50, "version": seen})

    assert first.status_code == 200
    assert (stale.status_code, stale.json()["code"]) == (409, "settings_changed")
    assert stale.json()["details"] == {
        "version": first.json()["version"],
        "current": {"lowBalance": 20, "monthlyLimit": 80, "appLimits": limits[::-1]},
    }
    assert alice.get("settings").json()["monthlyLimit"] == 80
    assert SettingsChange.objects.count() == 1


def test_a_save_with_the_version_of_the_refusal_replaces(alice: Caller) -> None:
    seen = version(alice)
    alice.put("settings", {"monthlyLimit": 80, "version": seen})
    stale = alice.put("settings", {"monthlyLimit": 50, "version": seen}).json()

    again = alice.put("settings", {"monthlyLimit": 50, "version": stale["details"]["version"]})

    assert (again.status_code, again.json()["monthlyLimit"]) == (200, 50)


@pytest.mark.parametrize("extra", [{}, {"version": None}])
def test_a_client_without_a_version_replaces_any(alice: Caller, extra: dict[str, Any]) -> None:
    alice.put("settings", {"monthlyLimit": 80})

    assert alice.put("settings", {"monthlyLimit": 50, **extra}).status_code == 200


def test_a_repeated_save_whose_answer_was_lost_is_accepted(alice: Caller) -> None:
    body = {"monthlyLimit": 80, "version": version(alice)}

    answers = [alice.put("settings", body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


def test_spending_changes_no_version(alice: Caller) -> None:
    give("alice", 20)
    saved = alice.put("settings", {"lowBalance": 15, "monthlyLimit": 100}).json()

    spend("alice", 10)

    assert version(alice) == saved["version"]


def test_equal_settings_have_equal_versions(alice: Caller, bob: Caller) -> None:
    empty = version(alice)
    alice.put("settings", {"monthlyLimit": 80})
    bob.put("settings", {"monthlyLimit": 80.0})

    assert version(alice) == version(bob) != empty
    assert alice.put("settings", EMPTY).json()["version"] == empty


@pytest.mark.parametrize("wrong", [7, "x" * 65, "a\nb"])
def test_a_wrong_version_is_named(alice: Caller, wrong: object) -> None:
    answer = alice.put("settings", {"version": wrong})

    assert (answer.status_code, list(answer.json()["details"])) == (400, ["version"])


def test_a_stale_agreement_is_refused_with_the_current_one(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    off = version(alice, "auto-top-up")
    agreed = agree(alice, starter, stripe, version=off).json()
    terms = {"packageId": str(starter.pk), "threshold": 50, "monthlyMaximum": 9}

    stale = alice.put("auto-top-up", {**terms, "version": off})
    fresh = alice.put("auto-top-up", {**terms, "version": agreed["version"]})

    assert (stale.status_code, stale.json()["code"]) == (409, "settings_changed")
    details = stale.json()["details"]
    assert details["version"] == agreed["version"]
    assert (details["current"]["threshold"], details["current"]["monthlyMaximum"]) == (10, 3)
    assert (fresh.status_code, fresh.json()["agreement"]["threshold"]) == (200, 50)


def test_another_card_is_another_version_and_its_id_stays_here(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    seen = agree(alice, starter, stripe).json()["version"]
    current = agree(alice, starter, stripe).json()["version"]
    terms = {"packageId": str(starter.pk), "threshold": 50, "monthlyMaximum": 9}

    stale = alice.put("auto-top-up", {**terms, "version": seen})

    assert seen != current
    assert stale.json()["details"]["version"] == current
    assert set(stale.json()["details"]["current"]) == {
        "on",
        "packageId",
        "credits",
        "priceEuroCents",
        "expiresAfterDays",
        "threshold",
        "monthlyMaximum",
        "cardBrand",
        "cardLast4",
        "pauseReason",
    }
    assert "pm_" not in stale.content.decode() + alice.get("auto-top-up").content.decode()


def test_a_repeated_agreement_is_accepted(alice: Caller, starter: Package, stripe: Stripe) -> None:
    agree(alice, starter, stripe)
    terms = {"packageId": str(starter.pk), "threshold": 50, "monthlyMaximum": 9}
    body = {**terms, "version": version(alice, "auto-top-up")}

    answers = [alice.put("auto-top-up", body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_an_agreement_that_was_paused_or_switched_off_meanwhile_is_not_resumed_unseen(
    alice: Caller, starter: Package, stripe: Stripe
) -> None:
    agree(alice, starter, stripe, "owner-card")
    body = {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3}
    seen = {"version": version(alice, "auto-top-up")}
    assert work() == ["started", "failed"]

    paused = alice.put("auto-top-up", {**body, **seen})
    alice.delete("auto-top-up")
    off = alice.put("auto-top-up", {**body, **seen})

    assert [paused.status_code, off.status_code] == [409, 409]
    assert paused.json()["details"]["current"]["pauseReason"] == "needs_owner"
    assert off.json()["details"]["current"] == {"on": False}
    assert not AutoTopUp.objects.exists()


@pytest.mark.parametrize("changed", [{"credits": 600}, {"expiresAfterDays": 30}])
def test_an_agreement_to_other_credits_is_another_version(
    alice: Caller, starter: Package, stripe: Stripe, changed: dict[str, int]
) -> None:
    agree(alice, starter, stripe)
    seen = version(alice, "auto-top-up")
    terms = {"packageId": str(starter.pk), "threshold": 10, "monthlyMaximum": 3}
    columns = {"credits": "credits", "expiresAfterDays": "expires_after_days"}
    Package.objects.filter(pk=starter.pk).update(**{columns[k]: v for k, v in changed.items()})
    alice.put("auto-top-up", {**terms, "version": seen})

    stale = alice.put("auto-top-up", {**terms, "threshold": 20, "version": seen})

    assert stale.status_code == 409
    assert changed.items() <= stale.json()["details"]["current"].items()


def test_a_version_is_that_of_the_answer(alice: Caller, starter: Package, stripe: Stripe) -> None:
    on = agree(alice, starter, stripe).json()
    off = alice.delete("auto-top-up").json()

    assert on["version"] != off["version"] == version(alice, "auto-top-up")
    assert datetime.fromisoformat(on["agreement"]["agreedAt"]) <= datetime.now(UTC)
