"""`/credits` in a real browser."""

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.people import somebody
from tests.factories import give, hold, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_whoever_is_not_signed_in_is_led_to_mana_auth_and_back(
    live_server: LiveServer, browser: Browser
) -> None:
    give("demo-bob", 100)

    with somebody(browser, live_server.url) as bob:
        bob.visit("/credits#costs")
        bob.page.get_by_role("link", name="Sign in").click()
        bob.page.get_by_role("link", name="Bob").click()
        bob.page.get_by_role("heading", name="What things cost").wait_for()

        expect(bob.page.locator("[data-field=balance]")).to_have_text("100")
        assert bob.page.url == f"{live_server.url}/credits#costs"


def test_the_overview_says_what_there_is_and_where_it_went(
    live_server: LiveServer, browser: Browser
) -> None:
    give("demo-alice", 500)
    spend("demo-alice", 5)
    spend("demo-alice", 12.5, app_id="picture")
    hold("demo-alice", 25)

    with somebody(browser, live_server.url, "demo-alice", language="de") as alice:
        alice.visit("/credits")

        assert alice.page.locator("#balance dt, #balance dd").all_inner_texts() == [
            "Reserviert",
            "25",
            "Erhalten",
            "500",
            "Ausgegeben",
            "17,5",
        ]
        assert alice.page.locator("#balance .figure").inner_text() == "457,5 Credits"
        assert alice.page.locator("#spending").inner_text().split("\n") == [
            "Picture",
            "12,5 Credits",
            "Chat",
            "5 Credits",
        ]
        assert alice.page.locator("#latest li").count() == 3
