"""Usage over time and the filters of transactions, in a browser."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.people import somebody
from tests.browser.test_every_page import LOOKS, axe_finds, fits, keep
from tests.factories import give, hold, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

APPS = {"chat": 5, "picture": 12.5, "food": 3, "questions": 2, "cards": 1.5, "plants": 0.5}


def a_month_of_usage() -> None:
    """Let Alice spend in six apps on several days."""
    give("demo-alice", 1000)
    now = datetime.now(UTC)
    for days in range(0, 28, 3):
        for app, amount in APPS.items():
            spend("demo-alice", amount, app_id=app, at=now - timedelta(days=days))


@pytest.mark.parametrize("look", list(LOOKS))
def test_the_chart_and_its_table_have_the_same_days(home: str, browser: Browser, look: str) -> None:
    a_month_of_usage()
    options: dict[str, Any] = LOOKS[look]

    with somebody(browser, home, "demo-alice", **options) as alice:
        alice.visit("/credits")
        columns = alice.page.locator("#usage .column")
        expect(columns).to_have_count(30)
        expect(alice.page.locator("#usage .column:has(.piece)")).to_have_count(10)
        expect(alice.page.locator("#usage .legend li")).to_have_count(5)
        german = options["language"] == "de"
        unit = "24,5 Credits" if german else "24.5 credits"
        expect(alice.page.locator("#usage [data-field=most]")).to_contain_text(unit)
        alice.page.locator("#usage summary").click()
        rows = alice.page.locator("#usage tbody tr")
        expect(rows).to_have_count(60)
        expect(alice.page.get_by_role("table")).to_contain_text("Picture")
        keep(alice.page, f"usage-{look}")
        assert axe_finds(alice.page) == []
        assert fits(alice.page)
        alice.page.locator("#span").select_option("7")
        expect(columns).to_have_count(7)


def test_the_filters_are_in_the_address(home: str, browser: Browser) -> None:
    a_month_of_usage()

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#transactions")
        alice.page.locator("#filters [name=appId]").select_option("picture")
        alice.page.locator("#filters [name=type]").select_option("usage")
        expect(alice.page).to_have_url(f"{home}/credits?appId=picture&type=usage#transactions")
        expect(alice.page.locator("#all li")).to_have_count(10)
        alice.page.reload()
        expect(alice.page.locator("#all li")).to_have_count(10)
        expect(alice.page.locator("#filters [name=appId]")).to_have_value("picture")
        alice.page.get_by_role("link", name="Deutsch").click()
        expect(alice.page.get_by_role("heading", name="Buchungen")).to_be_visible()
        expect(alice.page).to_have_url(f"{home}/credits?appId=picture&type=usage#transactions")
        expect(alice.page.locator("#all li")).to_have_count(10)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "At the latest until"), ("de", "Spätestens bis")]
)
def test_the_page_says_what_held_credits_are_for(
    home: str, browser: Browser, language: str, words: str
) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice", language=language) as alice:
        alice.visit("/credits")
        expect(alice.page.locator("#held-panel")).to_be_hidden()
        hold("demo-alice", 25)
        alice.page.reload()
        expect(alice.page.locator("#held li")).to_contain_text("research:openai")
        expect(alice.page.locator("#held li")).to_contain_text(words)
        assert axe_finds(alice.page) == []
