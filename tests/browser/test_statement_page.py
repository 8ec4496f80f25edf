"""`/credits/statements/MONTH` in a real browser: read, printed, saved and verified."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, expect

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.reporting import statements
from tests.browser.people import PHONE, somebody
from tests.browser.test_every_page import axe_finds, fits, keep
from tests.factories import gift, give, hold, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

NOW = datetime.now(UTC)
MONTH = f"{NOW:%Y-%m}"
LAST_MONTH = f"{NOW.replace(day=1) - timedelta(days=1):%Y-%m}"
HISTORY = datetime(2025, 5, 5, tzinfo=UTC)


def a_month() -> None:
    give("demo-alice", "500.5")
    ledger.spend(
        "demo-alice", Decimal(3), memo=Memo("chat", "GPT-4 message"), origin=Origin("user")
    )
    spend("demo-alice", 2, at=HISTORY)
    gift("demo-alice", 12.5)
    for _ in range(4):
        spend("demo-alice", "0.1", app_id="picture")
    hold("demo-alice", 25)


def test_a_month_of_several_sheets_is_whole_and_the_saved_file_verifies(
    home: str,
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(statements, "MOVEMENTS_PER_SHEET", 3)
    a_month()
    path = tmp_path / "statement.json"

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/credits/statements/{MONTH}")
        expect(alice.page.locator("#movements tr")).to_have_count(8)
        expect(alice.page.locator("[data-field=closing]")).to_have_text("482.6")
        expect(alice.page.locator("[data-field=received]")).to_have_text("+500.5")
        expect(alice.page.locator("[data-field=given]")).to_have_text("\u221217.9")
        expect(alice.page.locator("[data-field=held]")).to_have_text("25")
        expect(alice.page.get_by_text("This month is not over.")).to_be_visible()
        expect(alice.page.get_by_text("recorded")).to_have_count(1)
        with alice.page.expect_download() as download:
            alice.page.get_by_role("button", name="Save the file").click()
        download.value.save_as(path)
        assert download.value.suggested_filename == f"mana-credits-{MONTH}.json"

    assert len(json.loads(path.read_text())) == 3
    call_command("verify_statement", path)
    assert "8 movements, closing 482.6." in capsys.readouterr().out


def test_months_are_a_click_away_and_the_current_one_is_the_default(
    home: str, browser: Browser
) -> None:
    give("demo-alice", 5)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#transactions")
        alice.page.get_by_role("link", name="Monthly statements").click()
        expect(alice.page.locator("#movements tr")).to_have_count(1)
        expect(alice.page.locator("#next")).to_be_hidden()
        alice.page.locator("#before").click()
        expect(alice.page).to_have_url(f"{home}/credits/statements/{LAST_MONTH}")
        expect(alice.page.get_by_text("No transactions in this month.")).to_be_visible()
        expect(alice.page.get_by_text("This month is not over.")).to_be_hidden()
        expect(alice.page.locator("#next")).to_be_visible()


@pytest.mark.parametrize(
    ("month", "sentence"),
    [("2999-01", "This month has not begun yet."), ("2026-99", "Something in the form")],
)
def test_what_is_no_month_is_explained(
    home: str, browser: Browser, month: str, sentence: str
) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/credits/statements/{month}")

        expect(alice.page.get_by_role("alert")).to_contain_text(sentence)


def test_without_a_key_the_page_says_that_nothing_is_signed(
    home: str, browser: Browser, settings: pytest.FixtureRequest
) -> None:
    settings.STATEMENT_KEYS = []  # type: ignore[attr-defined]

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/credits/statements/{MONTH}")

        expect(alice.page.get_by_text("This statement is not signed.")).to_be_visible()
        expect(alice.page.get_by_text("The saved file is signed.")).to_be_hidden()


def test_the_page_is_sound_on_a_phone_in_german_and_on_paper(home: str, browser: Browser) -> None:
    a_month()

    with somebody(
        browser, home, "demo-alice", language="de", scheme="dark", viewport=PHONE
    ) as alice:
        alice.visit(f"/credits/statements/{MONTH}")
        expect(alice.page.get_by_role("heading", name="Kontoauszug")).to_be_visible()
        keep(alice.page, "statement-phone-de-dark")
        assert axe_finds(alice.page) == []
        assert fits(alice.page)
        alice.page.emulate_media(media="print")
        expect(alice.page.get_by_role("button", name="Drucken")).to_be_hidden()
        expect(alice.page.locator(".places")).to_be_hidden()
        expect(alice.page.locator("#movements tr")).to_have_count(8)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(f"/credits/statements/{MONTH}")
        keep(alice.page, "statement-desktop-en-light")
        assert axe_finds(alice.page) == []
        alice.page.emulate_media(media="print")
        keep(alice.page, "statement-paper")
