"""Two tabs of one browser: each shows what the other one has changed, and for whom."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Package, Purchase, SettingsChange
from tests.browser.people import somebody
from tests.browser.test_purchases_page import start
from tests.browser.test_session import answering
from tests.environment import PROVIDER
from tests.factories import gift, give, package, redeem, spend, subscribe
from tests.stripe import Stripe

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def confirm(page: Page) -> None:
    """Press the dialog's button that says yes."""
    page.locator("#confirm [value=yes]").click()


def test_a_gift_redeemed_in_another_tab_is_shown_as_redeemed(home: str, browser: Browser) -> None:
    give("demo-bob", 100)
    present = gift("demo-bob", 10)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/gifts/redeem/{present.code}")
        redeem(present, "demo-alice")
        alice.page.get_by_role("button", name="Redeem", exact=True).click()

        expect(
            alice.page.get_by_role("heading", name="You have redeemed this gift")
        ).to_be_visible()
        expect(alice.page.get_by_role("button", name="Redeem", exact=True)).to_be_hidden()


def test_a_purchase_paid_in_another_tab_can_no_longer_be_cancelled(
    home: str, shop: Stripe, starter: Package, browser: Browser
) -> None:
    bought = start("demo-bob", starter)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits#packages")
        Purchase.objects.filter(pk=bought.pk).update(status="processing")
        bob.page.get_by_role("button", name="Cancel").click()
        confirm(bob.page)

        expect(bob.page.get_by_role("alert")).to_contain_text("can no longer be cancelled")
        expect(bob.page.locator("#purchases .cancel")).to_have_count(0)
        expect(bob.page.locator("#purchases .resume")).to_have_count(0)


def test_rows_of_the_list_before_do_not_join_the_new_one(
    home: str, starter: Package, browser: Browser
) -> None:
    now = datetime.now(UTC)
    for _ in range(12):
        Purchase.objects.create(
            user_id="demo-bob", package=starter, credits=5, price_euro_cents=499, created_at=now
        )

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits#packages")
        late: list[Route] = []

        def wait(route: Route) -> None:
            late.append(route)

        bob.page.route("**/credits/purchases?*cursor=*", wait)
        bob.page.get_by_role("button", name="Show more").click()
        bob.page.locator(".tabs").get_by_role("link", name="Overview").click()
        bob.page.locator(".tabs").get_by_role("link", name="Packages").click()
        bob.page.wait_for_timeout(300)
        late[0].continue_()
        bob.page.wait_for_timeout(300)

        expect(bob.page.locator("#purchases li")).to_have_count(10)


@pytest.mark.parametrize("press", ["#more", "#more-purchases"])
def test_the_focus_does_not_vanish_with_the_button(
    home: str, starter: Package, browser: Browser, press: str
) -> None:
    give("demo-bob", 100)
    now = datetime.now(UTC)
    for _ in range(26):
        spend("demo-bob", 1)
        Purchase.objects.create(
            user_id="demo-bob", package=starter, credits=5, price_euro_cents=499, created_at=now
        )

    with somebody(browser, home, "demo-bob", viewport={"width": 390, "height": 300}) as bob:
        tab, rows = {
            "#more": ("transactions", "#all"),
            "#more-purchases": ("packages", "#purchases"),
        }[press]
        bob.visit(f"/credits#{tab}")
        more = bob.page.locator(press)
        while more.is_visible():
            more.focus()
            bob.page.keyboard.press("Enter")
            bob.page.evaluate("settled()")

        expect(bob.page.locator(f"{rows} li:focus")).to_have_count(1)


def test_a_page_never_mixes_the_data_of_two_people(home: str, browser: Browser) -> None:
    give("demo-alice", 500)
    other = {"json": {"token": PROVIDER.token("demo-alice")}}
    expired = {"status": 401, "json": {"code": "not_authenticated"}}

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/settings")
        answering(bob, other, other)
        bob.page.get_by_label("Monthly spending limit").fill("5")
        bob.page.route("**/credits/settings", lambda route: route.fulfill(**expired), times=1)
        bob.page.get_by_role("button", name="Save", exact=True).click()

        expect(bob.page.locator("#person")).to_contain_text("Alice")
        expect(bob.page.get_by_label("Monthly spending limit")).to_have_value("")
    assert not SettingsChange.objects.exists()


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wrong_clock_changes_no_date(
    home: str, stripe: Stripe, browser: Browser, days: int
) -> None:
    give("demo-bob", 100)
    spend("demo-bob", 10)
    start("demo-bob", package())
    wrong: Any = time.time() + days * 86_400

    with somebody(browser, home, "demo-bob", viewport={"width": 1280, "height": 900}) as bob:
        bob.page.clock.install(time=wrong)
        bob.visit("/credits")
        today = bob.page.locator("#usage .column").last
        expect(today).to_have_attribute("title", f"{datetime.now(UTC):%-d %b %Y}: 10 credits")
        bob.visit("/credits#packages")
        expect(bob.page.get_by_role("link", name="Pay now")).to_be_visible()


def test_the_texts_of_a_page_do_not_replace_those_of_an_app(home: str, browser: Browser) -> None:
    give("demo-bob", 100)
    memo = Memo("chat", "purchase-cancelled")  # the name of a text of this page
    ledger.spend("demo-bob", Decimal(1), memo=memo, origin=Origin("user"))

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits")

        expect(bob.page.locator("#latest li").first).to_contain_text("purchase-cancelled")


def test_cloud_sync_switched_on_in_another_tab_is_shown_as_on(home: str, browser: Browser) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/sync")
        subscribe("demo-bob", at=datetime.now(UTC))
        bob.page.get_by_role("button", name="Switch on").click()

        expect(bob.page.get_by_role("alert")).to_contain_text("Cloud Sync is already on.")
        expect(bob.page.get_by_text("Next payment:")).to_be_visible()
