"""Typed text survives a reload and the end of the session, and a lost answer gives once."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from credits.ledger import ledger
from gifts.models import GiftCode
from tests.browser.people import somebody
from tests.browser.test_session import answering
from tests.factories import give, package
from tests.stripe import Stripe, agree_to_top_up

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

JSON = "application/json"
# The page waits 30 seconds for an answer.
IMPATIENT = "const limit = AbortSignal.timeout; AbortSignal.timeout = (ms) => limit(ms / 20);"
SIGNED_OUT: dict[str, Any] = {
    "status": 401,
    "json": {"code": "not_authenticated", "message": "over"},
}


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


LOSSES: dict[str, Callable[[Route], None]] = {
    "before": lambda route: route.abort(),
    "cut off": lambda route: route.fulfill(status=201, body='{"id": "01', content_type=JSON),
    "foreign": lambda route: route.fulfill(
        body="<html>Log in to the Wi-Fi", content_type="text/html"
    ),
    "silent": lambda route: None,
}


@pytest.mark.parametrize("how", list(LOSSES))
def test_a_lost_answer_and_a_reload_give_once(home: str, browser: Browser, how: str) -> None:
    give("demo-alice", 100)
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost or route.request.method != "POST":
            route.continue_()
        else:
            lost.append(route.fetch().status)
            LOSSES[how](route)

    with somebody(browser, home, "demo-alice") as alice:
        alice.page.context.add_init_script(IMPATIENT)
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


def test_nobody_else_repeats_the_request_of_a_lost_answer(home: str, browser: Browser) -> None:
    for user in ("demo-alice", "demo-bob"):
        give(user, 100)
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        route.abort()

    with somebody(browser, home, "demo-alice") as alice:
        alice.page.route("**/api/v1/gifts", lose)
        for name in ("Alice", "Bob"):
            alice.visit("/gifts#create")
            alice.page.locator("#person").click()
            alice.page.get_by_role("link", name=name).click()
            alice.page.get_by_role("button", name="Create the gift").click()
            expect(alice.page.get_by_role("alert").get_by_text("No connection")).to_be_visible()

    assert len(set(keys)) == 2


FORMS = {
    "notice": ("/credits/settings", "#limits", "lowBalance", "25", "**/api/v1/credits/settings"),
    "gift": ("/gifts#create", "#new-gift", "message", "With care", "**/api/v1/gifts"),
    "top-up": ("/credits/settings", "#agreement", "threshold", "77", "**/api/v1/credits/auto-top*"),
}


@pytest.mark.parametrize("name", list(FORMS))
def test_every_form_keeps_what_was_typed(
    home: str, stripe: Stripe, browser: Browser, name: str
) -> None:
    address, form, field, typed, path = FORMS[name]
    give("demo-bob", 100)
    agree_to_top_up(stripe, "demo-bob", package(), threshold="5")

    def over(route: Route) -> None:
        if route.request.method == "GET":
            route.continue_()
        else:
            route.fulfill(**SIGNED_OUT)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit(address)
        bob.page.locator(form).locator(f"[name={field}]").fill(typed)
        bob.page.reload()
        expect(bob.page.locator(form).locator(f"[name={field}]")).to_have_value(typed)
        answering(bob, {"status": 401, "json": {}})
        bob.page.route(path, over)
        bob.page.locator(form).locator("[type=submit]").click()
        bob.page.get_by_role("link", name="Sign in").wait_for()
        bob.page.unroute(path)
        bob.page.get_by_role("link", name="Sign in").click()
        bob.page.get_by_role("link", name="Bob").click()

        expect(bob.page.locator(form).locator(f"[name={field}]")).to_have_value(typed)


def test_a_typed_code_survives_a_reload(home: str, browser: Browser) -> None:
    with somebody(browser, home) as visitor:
        visitor.visit("/gifts/redeem")
        visitor.page.get_by_label("Code of the gift").fill("ABCDE")
        visitor.page.reload()

        expect(visitor.page.get_by_label("Code of the gift")).to_have_value("ABCDE")
