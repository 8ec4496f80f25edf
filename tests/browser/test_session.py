"""Tokens in a browser: requested from mana-auth, kept in memory, renewed after expiry."""

import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.people import Person, somebody
from tests.environment import PROVIDER
from tests.factories import give

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

TOKEN = f"{PROVIDER.issuer}/api/auth/token"


def answering(person: Person, *answers: dict[str, Any]) -> list[str]:
    """Make mana-auth return these responses first. Return the list of its callers."""
    left = list(answers)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if not left:
            route.continue_()
            return
        headers = {
            "Access-Control-Allow-Origin": person.home,
            "Access-Control-Allow-Credentials": "true",
        }
        route.fulfill(headers=headers, **left.pop(0))

    person.page.route(TOKEN, answer)
    return asked


def test_an_expired_token_is_renewed_and_nobody_notices(home: str, browser: Browser) -> None:
    give("demo-bob", 100)
    old = PROVIDER.token("demo-bob", exp=int(time.time()) - 60)

    with somebody(browser, home, "demo-bob") as bob:
        asked = answering(bob, {"json": {"token": old}})
        bob.visit("/credits")

        expect(bob.page.locator("#balance [data-field=balance]")).to_have_text("100")
        assert len(asked) == 2
        assert bob.page.locator("#notices .notice").count() == 0


def test_when_the_session_is_over_the_page_says_so(home: str, browser: Browser) -> None:
    old = PROVIDER.token("demo-bob", exp=int(time.time()) - 60)

    with somebody(browser, home, "demo-bob") as bob:
        answering(bob, {"json": {"token": old}}, {"status": 401, "json": {}})
        bob.visit("/credits")

        expect(bob.page.get_by_role("link", name="Sign in")).to_be_visible()
        expect(bob.page.locator("#balance")).to_be_hidden()


def test_the_page_reports_that_mana_auth_is_unreachable(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.page.route(TOKEN, lambda route: route.abort())
        bob.visit("/credits")

        expect(bob.page.get_by_role("alert")).to_contain_text(
            "Der Anmeldedienst ist nicht erreichbar."
        )
        expect(bob.page.get_by_role("button", name="Noch einmal versuchen")).to_be_visible()


def test_the_token_is_in_no_storage(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits")

        expect(bob.page.locator("#person")).to_contain_text("Bob")
        kept = bob.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
        assert kept == [0, 0, ""]


def test_the_switch_changes_the_language_and_is_remembered(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits#costs")
        bob.page.get_by_role("link", name="Deutsch").click()

        expect(bob.page.get_by_role("heading", name="Was etwas kostet")).to_be_visible()
        expect(bob.page).to_have_url(f"{home}/credits#costs")
        bob.visit("/gifts")
        expect(bob.page.get_by_role("heading", name="Geschenke", exact=True)).to_be_visible()


def test_a_page_whose_script_does_not_load_says_so(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.page.route("**/pages/overview.js", lambda route: route.abort())
        bob.page.goto(f"{home}/credits")
        late = bob.page.get_by_text("This page is taking long to load.")
        expect(late).to_be_hidden()

        late.evaluate("node => node.getAnimations().forEach((each) => each.finish())")
        expect(late).to_be_visible()
