"""`/credits/sync` in a real browser."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger import ledger
from credits.models import SyncSubscription
from credits.sync import cloud_sync, renewals
from tests.browser.people import somebody
from tests.factories import give, subscribe

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_without_enough_credits_the_page_says_what_is_missing(home: str, browser: Browser) -> None:
    give("demo-bob", 2.5)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync")
        bob.page.get_by_role("button", name="Switch on").click()

        alert = bob.page.get_by_role("alert")
        expect(alert).to_contain_text("Not enough credits: you need 5 and have 2.5.")
        alert.get_by_role("link", name="Buy credits").click()
        expect(bob.page).to_have_url(f"{home}/credits#packages")
    assert not cloud_sync.status("demo-bob").active
    assert ledger.balance_of("demo-bob").available == 2.5


def test_on_to_another_interval_and_off(home: str, browser: Browser) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync")
        bob.page.get_by_role("radio", name="Every three months").check()
        bob.page.get_by_role("button", name="Switch on").click()
        expect(bob.page.get_by_role("status")).to_contain_text("You paid 15 credits")
        expect(bob.page.get_by_text("Next payment:")).to_be_visible()

        bob.page.get_by_role("radio", name="Yearly").check()
        bob.page.get_by_role("button", name="Save").click()
        expect(bob.page.get_by_role("status")).to_contain_text("you pay 60 credits each time")

        bob.page.get_by_role("button", name="Switch off").click()
        bob.page.get_by_role("dialog").get_by_role("button", name="Keep it as it is").click()
        expect(bob.page.get_by_text("Next payment:")).to_be_visible()
        bob.page.get_by_role("button", name="Switch off").click()
        bob.page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
        expect(bob.page.get_by_role("button", name="Switch on")).to_be_visible()

    assert ledger.balance_of("demo-bob").available == 85
    assert not cloud_sync.status("demo-bob").active


def test_what_is_told_later_is_told_in_the_language_that_was_switched_to(
    home: str, browser: Browser
) -> None:
    give("demo-bob", 5)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync?language=de")
        bob.page.get_by_role("button", name="Einschalten").click()
        expect(bob.page.get_by_role("status")).to_contain_text("Bezahlt: 5 Credits.")

    assert SyncSubscription.objects.get().language == "de"


def test_a_pause_is_explained_and_ends_with_new_credits(home: str, browser: Browser) -> None:
    now = datetime.now(UTC)
    give("demo-bob", 5)
    subscribe("demo-bob", at=now - timedelta(days=40))
    assert list(renewals.renew_due(now=now, limit=1)) == ["paused"]
    give("demo-bob", 5)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync")
        expect(bob.page.get_by_text("so syncing paused")).to_be_visible()
        bob.page.get_by_role("button", name="Switch on again").click()
        expect(bob.page.get_by_text("Next payment:")).to_be_visible()

    assert cloud_sync.status("demo-bob").active


def test_a_present_has_nothing_to_press(home: str, browser: Browser) -> None:
    cloud_sync.give("demo-bob", by="operator:olga", now=datetime.now(UTC))

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync")
        expect(bob.page.get_by_text("Your Cloud Sync is a present")).to_be_visible()

        assert bob.page.locator("#page button:visible").count() == 0
