"""One failed call takes only its own part of a page with it."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from credits.ledger import ledger
from credits.models import Purchase
from tests.browser.people import somebody
from tests.browser.test_every_page import axe_finds, fits
from tests.factories import gift, give, hold, package, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

BUSY = {"status": 503, "json": {"code": "busy", "message": "busy"}}
# Each call of each page that shows a user's data: the page, the call, and the part that it fills.
PARTS = [
    ("/credits", "credits/balance", "#balance"),
    ("/credits", "credits/settings", "#low"),
    ("/credits", "credits/usage", "#spending-panel"),
    ("/credits", "credits/reservations", "#held-panel"),
    ("/credits", "credits/transactions", "#latest-panel"),
    ("/credits#transactions", "credits/transactions", "#transactions-panel"),
    ("/credits#packages", "credits/packages", "#offers"),
    ("/credits#packages", "credits/purchases", "#purchases-panel"),
    ("/credits?checkout=paid&purchase={purchase}#packages", "credits/purchase/", "#bought"),
    ("/credits#costs", "credits/operations", "#tab-costs"),
    ("/credits/settings", "credits/settings", "#limits-panel"),
    ("/credits/settings", "credits/auto-top-up", "#top-up"),
    ("/credits/settings", "credits/packages", "#terms-form"),
    ("/gifts", "gifts/me/received", "#tab-received"),
    ("/gifts#created", "gifts/me/created", "#tab-created"),
    ("/gifts#create", "credits/balance", "#making > .panel"),
    ("/credits/sync", "sync/status", "#sync"),
    ("/credits/sync", "credits/pricing", "#plan fieldset"),
    ("/credits/sync", "credits/balance", "#yours"),
]
# Calls without which a page is still whole.
SILENT = [
    ("/credits#transactions", "credits/usage", "#all"),
    ("/credits/settings", "credits/usage", "#limits"),
    ("/credits/settings", "credits/operations", "#limits"),
]
FAILURES = {
    "refused": (
        lambda route: route.fulfill(**BUSY),
        "Something else is being done with your account.",
    ),
    "lost": (lambda route: route.abort(), "No connection"),
    "broken": (lambda route: route.fulfill(status=502, body="<html>"), "Something went wrong"),
    "foreign": (
        lambda route: route.fulfill(body="<html>", content_type="text/html"),
        "No connection",
    ),
}


def overlap(one: Locator, other: Locator) -> bool:
    """Return whether the boxes of two elements share a pixel."""
    first, second = (box_of(each) for each in (one, other))
    return bool(
        first["y"] < second["y"] + second["height"] and second["y"] < first["y"] + first["height"]
    )


def box_of(element: Locator) -> Any:
    """Return the element's box in the window."""
    return element.evaluate(
        "e => { const {y, height} = e.getBoundingClientRect(); return {y, height}; }"
    )


def a_life() -> str:
    """Give Bob credits, a spend, a hold and a purchase. Return the purchase's id."""
    give("demo-bob", 110)
    spend("demo-bob", 5)
    hold("demo-bob", 10)
    bought = Purchase.objects.create(
        user_id="demo-bob",
        package=package(),
        credits=500,
        price_euro_cents=499,
        status="cancelled",
        created_at=datetime.now(UTC),
    )
    return str(bought.pk)


@pytest.mark.parametrize("failure", list(FAILURES))
@pytest.mark.parametrize(("address", "path", "part"), PARTS)
def test_a_failed_call_has_its_own_notice_and_retry(
    home: str, browser: Browser, failure: str, address: str, path: str, part: str
) -> None:
    address = address.format(purchase=a_life())
    fail, words = FAILURES[failure]
    with somebody(browser, home, "demo-bob") as bob:
        failing = re.compile(rf"/api/v1/{path}")
        bob.page.route(failing, fail)
        bob.visit(address)

        notice = bob.page.locator(f"{part} > .failed")
        expect(notice).to_contain_text(words)
        assert fits(bob.page)
        assert axe_finds(bob.page) == []
        expect(bob.page.locator(".failed")).to_have_count(1)
        expect(bob.page.locator("#trouble")).to_be_hidden()
        if re.match(r"/credits($|[#?])", address):
            if part != "#balance":
                expect(bob.page.locator("#balance [data-field=balance]")).to_have_text("95")
            expect(bob.page.get_by_role("link", name="Buy credits")).to_be_visible()
        bob.page.unroute(failing)
        notice.get_by_role("button", name="Try again").click()
        expect(notice).to_have_count(0)
        expect(bob.page.locator(part)).to_be_focused()


@pytest.mark.parametrize(("address", "path", "part"), SILENT)
def test_a_page_is_whole_without_the_names_of_apps(
    home: str, browser: Browser, address: str, path: str, part: str
) -> None:
    a_life()
    with somebody(browser, home, "demo-bob") as bob:
        bob.page.route(re.compile(rf"/api/v1/{path}"), lambda route: route.fulfill(**BUSY))
        bob.visit(address)

        expect(bob.page.locator(part)).to_be_visible()
        expect(bob.page.locator(".failed")).to_have_count(0)


@pytest.mark.parametrize("look", [("en", "dark"), ("de", "light"), ("de", "dark")])
def test_a_page_of_which_all_calls_fail_fits_a_phone(
    home: str, browser: Browser, look: tuple[str, Any]
) -> None:
    phone = {"width": 390, "height": 844}
    looks = dict(zip(("language", "scheme"), look, strict=True))
    with somebody(browser, home, "demo-bob", viewport=phone, **looks) as bob:
        bob.page.route("**/api/v1/**", lambda route: route.fulfill(**BUSY))
        for address in ["/credits", "/credits/settings", "/credits/sync", "/gifts"]:
            bob.page.goto("about:blank")
            bob.visit(address)

            expect(bob.page.locator(".failed:visible").first).to_be_visible()
            assert fits(bob.page)
            assert axe_finds(bob.page) == []


def test_settings_that_were_not_loaded_cannot_be_saved(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.page.route("**/api/v1/credits/settings", lambda route: route.fulfill(**BUSY))
        bob.visit("/credits/settings")

        expect(bob.page.locator("#limits-panel .failed")).to_be_visible()
        expect(bob.page.locator("#limits")).to_be_hidden()


def test_a_gift_that_was_not_loaded_can_be_tried_again(home: str, browser: Browser) -> None:
    give("demo-bob", 100)
    code = gift("demo-bob", 10).code
    with somebody(browser, home, "demo-alice") as alice:
        alice.page.route(f"**/api/v1/gifts/{code}", lambda route: route.fulfill(**BUSY))
        alice.visit(f"/gifts/redeem/{code}")
        alice.page.get_by_text("Something else is being done").wait_for()
        alice.page.unroute(f"**/api/v1/gifts/{code}")
        alice.page.get_by_role("button", name="Try again").click()

        expect(alice.page.get_by_role("button", name="Redeem", exact=True)).to_be_visible()


@pytest.mark.parametrize("height", [844, 500])
@pytest.mark.parametrize("edge", ["end", "start"])
def test_a_toast_never_covers_the_button_that_it_is_about(
    home: str, browser: Browser, height: int, edge: str
) -> None:
    give("demo-alice", 100)
    for _ in range(8):
        gift("demo-alice", 1)

    with somebody(browser, home, "demo-alice", viewport={"width": 390, "height": height}) as alice:
        alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        alice.visit("/gifts#created")
        button = alice.page.locator(".copy").nth(4)
        button.evaluate(f"button => button.scrollIntoView({{block: '{edge}'}})")
        button.evaluate("button => button.click()")
        toast = alice.page.locator("#notices .notice")
        expect(toast).to_contain_text("Copied")

        assert not overlap(toast, button)
        other = "start" if edge == "end" else "end"
        button.evaluate(f"button => button.scrollIntoView({{block: '{other}'}})")
        alice.page.wait_for_timeout(100)
        assert not overlap(toast, button)


def test_a_statement_that_was_not_loaded_can_be_tried_again(home: str, browser: Browser) -> None:
    give("demo-bob", 5)
    with somebody(browser, home, "demo-bob") as bob:
        failing = "**/api/v1/credits/statements/**"
        bob.page.route(failing, lambda route: route.abort())
        bob.visit("/credits/statements")
        expect(bob.page.locator("#trouble")).to_contain_text("No connection")
        bob.page.unroute(failing)
        bob.page.get_by_role("button", name="Try again").click()

        expect(bob.page.locator("#movements tr")).to_have_count(1)


def test_a_change_that_was_made_does_not_look_failed(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    gift("demo-alice", 10)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#created")
        alice.page.route("**/api/v1/gifts/me/created*", lambda route: route.fulfill(**BUSY))
        alice.page.get_by_role("button", name="Take back").click()
        alice.page.get_by_role("button", name="Take it back").click()
        expect(alice.page.get_by_role("status")).to_contain_text("The gift is taken back")
        expect(alice.page.locator("#tab-created > .failed")).to_be_visible()
        alice.visit("/credits/sync")
        expect(alice.page.get_by_role("button", name="Switch on")).to_be_visible()
        alice.page.route("**/api/v1/sync/status", lambda route: route.fulfill(**BUSY))
        alice.page.get_by_role("button", name="Switch on").click()
        expect(alice.page.get_by_role("status")).to_contain_text("You paid 5 credits.")
        expect(alice.page.locator("#sync > .failed")).to_be_visible()

    assert ledger.balance_of("demo-alice").available == 95
