"""One failed call takes only its own part of a page with it, and typed text survives."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from credits.ledger import ledger
from gifts.models import GiftCode
from tests.browser.people import somebody
from tests.browser.test_session import answering
from tests.factories import gift, give, package, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

SIGNED_OUT = {"status": 401, "json": {"code": "not_authenticated", "message": "over"}}
BUSY = {"status": 503, "json": {"code": "busy", "message": "busy"}}
PARTS = {
    "credits/balance": ("/credits", "#balance"),
    "credits/settings": ("/credits", "#low"),
    "credits/usage": ("/credits", "#spending-panel"),
    "credits/transactions": ("/credits", "#latest-panel"),
    "credits/packages": ("/credits#packages", "#offers"),
    "credits/purchases": ("/credits#packages", "#purchases-panel"),
    "credits/operations": ("/credits#costs", "#tab-costs"),
    "gifts/me/received": ("/gifts", "#tab-received"),
    "sync/status": ("/credits/sync", "#sync"),
    "credits/pricing": ("/credits/sync", "#plan fieldset"),
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


@pytest.mark.parametrize("path", list(PARTS))
def test_a_failed_call_has_its_own_notice_and_retry(home: str, browser: Browser, path: str) -> None:
    give("demo-bob", 100)
    spend("demo-bob", 5)
    package()
    address, part = PARTS[path]
    with somebody(browser, home, "demo-bob") as bob:
        failing = f"**/api/v1/{path}*"
        bob.page.route(failing, lambda route: route.fulfill(**BUSY))
        bob.visit(address)

        notice = bob.page.locator(f"{part} > .failed")
        expect(notice).to_contain_text("Something else is being done with your account.")
        expect(bob.page.locator(".failed")).to_have_count(1)
        expect(bob.page.locator("#trouble")).to_be_hidden()
        if address.startswith("/credits") and part != "#balance" and "sync" not in address:
            expect(bob.page.locator("#balance [data-field=balance]")).to_have_text("95")
        if address == "/credits":
            expect(bob.page.get_by_role("link", name="Buy credits")).to_be_visible()
        bob.page.unroute(failing)
        notice.get_by_role("button", name="Try again").click()
        expect(notice).to_have_count(0)
        expect(bob.page.locator(part)).to_be_focused()


def test_typed_text_survives_a_reload_and_the_end_of_the_session(
    home: str, browser: Browser
) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_role("radio", name="One person").check()
        alice.page.get_by_role("textbox", name="E-mail address").fill("bob@example.test")
        alice.page.get_by_label("Message").fill("A long message, typed with care")
        alice.page.reload()
        expect(alice.page.get_by_label("Message")).to_have_value("A long message, typed with care")
        expect(alice.page.locator("#preview")).to_contain_text("typed with care")
        answering(alice, {"status": 401, "json": {}})
        alice.page.route("**/api/v1/gifts", lambda route: route.fulfill(**SIGNED_OUT))
        alice.page.get_by_role("button", name="Create the gift").click()
        alice.page.get_by_role("link", name="Sign in").wait_for()
        alice.page.unroute("**/api/v1/gifts")
        alice.page.get_by_role("link", name="Sign in").click()
        alice.page.get_by_role("link", name="Alice").click()

        expect(alice.page.get_by_label("Message")).to_have_value("A long message, typed with care")
        email = alice.page.get_by_role("textbox", name="E-mail address")
        expect(email).to_have_value("bob@example.test")
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_role("heading", name="Your gift is ready")).to_be_visible()
        alice.page.reload()
        expect(alice.page.get_by_label("Message")).to_have_value("")
    assert GiftCode.objects.get().message == "A long message, typed with care"


def test_nobody_else_sees_the_typed_text(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts#create")
        alice.page.get_by_label("Message").fill("Only for Bob")
        alice.page.locator("#person").click()
        alice.page.get_by_role("link", name="Bob").click()

        expect(alice.page.locator("#person")).to_contain_text("Bob")
        expect(alice.page.get_by_label("Message")).to_have_value("")
        assert "Only for Bob" not in alice.page.evaluate("JSON.stringify(sessionStorage)")


def test_a_lost_answer_and_a_reload_give_once(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost or route.request.method != "POST":
            route.continue_()
        else:
            lost.append(route.fetch().status)
            route.abort()

    with somebody(browser, home, "demo-alice") as alice:
        alice.page.route("**/api/v1/gifts", lose)
        alice.visit("/gifts#create")
        alice.page.get_by_label("Message").fill("Once")
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_role("alert").get_by_text("No connection")).to_be_visible()
        alice.page.reload()
        alice.page.get_by_role("button", name="Create the gift").click()
        expect(alice.page.get_by_role("heading", name="Your gift is ready")).to_be_visible()

    assert lost == [201]
    assert ledger.balance_of("demo-alice").available == 90


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


def test_a_typed_code_survives_a_reload(home: str, browser: Browser) -> None:
    with somebody(browser, home) as visitor:
        visitor.visit("/gifts/redeem")
        visitor.page.get_by_label("Code of the gift").fill("ABCDE")
        visitor.page.reload()

        expect(visitor.page.get_by_label("Code of the gift")).to_have_value("ABCDE")
