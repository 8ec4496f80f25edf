"""`/credits` in a real browser."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from credits.api import transaction_files
from credits.catalogue.catalogue import NewOperation, Price, create_operation
from tests.browser.people import somebody
from tests.factories import give, hold, spend

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def test_a_visitor_without_a_session_is_redirected_to_mana_auth_and_back(
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


def test_the_overview_lists_what_expires_and_what_has_expired(
    live_server: LiveServer, browser: Browser
) -> None:
    give("demo-alice", 5)
    at = datetime.now(UTC) + timedelta(days=400)
    at = at.replace(month=3, day=9, hour=12, minute=0)
    soon = datetime.now(UTC) + timedelta(milliseconds=200)
    give("demo-alice", 7.5, expires_at=at)
    give("demo-alice", 3, expires_at=soon)

    with somebody(browser, live_server.url, "demo-alice", language="de") as alice:
        while datetime.now(UTC) < soon:
            pass
        spend("demo-alice", 2)
        alice.visit("/credits")

        panel = alice.page.locator("#expiring-panel")
        expect(panel).to_be_visible()
        expect(panel.locator("h2")).to_have_text("Credits, die verfallen")
        expect(panel.locator("li")).to_have_count(1)
        assert panel.locator("li").inner_text().split("\n")[-1] == "5,5 Credits"
        assert str(at.year) in panel.locator("li").inner_text()
        titles = alice.page.locator("#latest li b[data-field=title]").all_inner_texts()
        assert titles[:2] == ["a spend", "Credits verfallen"]


def test_without_credits_that_expire_there_is_no_list_of_them(
    live_server: LiveServer, browser: Browser
) -> None:
    give("demo-alice", 5)

    with somebody(browser, live_server.url, "demo-alice") as alice:
        alice.visit("/credits")

        expect(alice.page.locator("[data-field=balance]")).to_have_text("5")
        expect(alice.page.locator("#expiring-panel")).to_be_hidden()


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


def test_the_list_of_transactions_goes_on_as_far_as_one_scrolls(
    home: str, browser: Browser
) -> None:
    give("demo-alice", 500)
    for number in range(60):
        spend("demo-alice", 1, app_id="chat" if number % 2 else "picture")

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#transactions")
        lines = alice.page.locator("#all li")
        expect(lines).to_have_count(25)
        for seen in (50, 61):
            alice.page.mouse.wheel(0, 10_000)
            expect(lines).to_have_count(seen)

        expect(alice.page.get_by_role("button", name="Show more")).to_be_hidden()
        amounts = alice.page.locator("#all [data-field=after]").all_inner_texts()
        assert amounts == [f"Balance {left}" for left in range(440, 501)]


def test_transactions_are_filtered_by_kind_app_and_day(home: str, browser: Browser) -> None:
    give("demo-alice", 500)
    spend("demo-alice", 5)
    spend("demo-alice", 12.5, app_id="picture")

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#transactions")
        lines = alice.page.locator("#all [data-field=amount]")
        expect(lines).to_have_text(["\N{MINUS SIGN}12.5", "\N{MINUS SIGN}5", "+500"])
        alice.page.get_by_role("combobox", name="Kind").select_option("Grant")
        expect(lines).to_have_text(["+500"])
        alice.page.get_by_role("combobox", name="Kind").select_option("All")
        alice.page.get_by_role("combobox", name="App").select_option("Picture")
        expect(lines).to_have_text(["\N{MINUS SIGN}12.5"])
        alice.page.get_by_label("To day").fill("2020-01-01")

        expect(alice.page.get_by_text("No transactions match.")).to_be_visible()
        expect(alice.page.get_by_text("No transactions yet.")).to_be_hidden()
        expect(lines).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("en", "No transactions yet."), ("de", "Noch keine Buchungen.")],
)
def test_a_new_user_has_no_transactions_yet(
    home: str, browser: Browser, language: str, sentence: str
) -> None:
    with somebody(browser, home, "demo-nora", language=language) as nora:
        nora.visit("/credits#transactions")

        expect(nora.page.get_by_text(sentence)).to_be_visible()
        expect(nora.page.locator("#no-match")).to_be_hidden()


@pytest.mark.usefixtures("two_rows_in_a_file")
def test_the_chosen_transactions_are_saved_as_one_file(
    home: str, browser: Browser, tmp_path: Path
) -> None:
    give("demo-alice", 500)
    for amount in range(1, 6):
        spend("demo-alice", amount, app_id="Zürich")

    with somebody(browser, home, "demo-alice", language="de") as alice:
        alice.visit("/credits?type=usage#transactions")
        with alice.page.expect_download() as download:
            alice.page.get_by_role("button", name="Diese als CSV-Datei sichern").click()
        download.value.save_as(tmp_path / "file.csv")

    assert download.value.suggested_filename == "mana-credits-transactions.csv"
    text = (tmp_path / "file.csv").read_text("utf-8")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text[1:])))
    assert [row["amount"] for row in rows] == [f"-{one}.0000" for one in range(5, 0, -1)]
    assert {row["appId"] for row in rows} == {"Zürich"}


@pytest.fixture
def two_rows_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_files, "ROWS", 2)


def test_the_costs_of_all_apps_are_aligned(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#costs")
        expect(alice.page.locator("#cost-list li")).to_have_count(25)

        left = "all => [...new Set(all.map(e => Math.round(e.getBoundingClientRect().left)))]"
        edges = alice.page.locator("#cost-list h3").evaluate_all(left)
        assert len(edges) == 2  # one for each column


def test_costs_can_be_narrowed_to_premium(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#costs")
        lines = alice.page.locator("#cost-list li")
        expect(lines).to_have_count(25)
        alice.page.get_by_role("radio", name="Premium").check()

        expect(lines).to_have_count(6)
        expect(lines.filter(has_text="PDF export")).to_contain_text("1 credit")


def test_an_operation_that_was_added_has_its_german_name(home: str, browser: Browser) -> None:
    new = NewOperation("ai_music", "Music", "ai", "music", name_de="Musik erzeugen")
    for each in (new, new._replace(key="ai_dance", name="Dance", name_de=None)):
        create_operation(each, Price(Decimal(2)), actor="system", now=datetime.now(UTC))

    with somebody(browser, home, "demo-alice", language="de") as alice:
        alice.visit("/credits#costs")

        expect(alice.page.get_by_text("Musik erzeugen")).to_be_visible()
        expect(alice.page.get_by_text("Dance")).to_be_visible()


def test_a_day_that_is_none_filters_nothing(home: str, browser: Browser) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits?to=275760-09-13#transactions")
        expect(bob.page.locator("#all li")).to_have_count(1)
        bob.page.get_by_label("From day").fill("2999-01-02")
        bob.page.get_by_label("To day").fill("2999-01-01")

        expect(bob.page.locator("#transactions-panel .failed")).to_contain_text(
            "The first day must not be after the last one."
        )
