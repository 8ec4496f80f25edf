"""Buying credits in a real browser, at the sandbox's Stripe."""

import pytest
from playwright.sync_api import Browser, Route, expect

from credits.ledger import ledger
from credits.models import Package, Purchase, Transaction
from tests.browser.people import Person, somebody
from tests.factories import give
from tests.stripe import Stripe, deliver

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]


def buy(person: Person) -> None:
    """Go from the packages to Stripe's Checkout."""
    person.visit("/credits#packages")
    person.page.get_by_role("button", name="Buy Starter").click()
    person.page.get_by_role("heading", name="4.99 EUR").wait_for()


def test_the_balance_grows_after_a_card_payment(home: str, shop: Stripe, browser: Browser) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        buy(bob)
        bob.page.get_by_role("button", name="Pay: card", exact=True).click()

        expect(bob.page.get_by_text("Your credits have arrived: 500 credits")).to_be_visible()
        expect(bob.page.locator("#balance [data-field=balance]")).to_have_text("600")
        expect(bob.page.locator("#purchases li")).to_contain_text("Paid")
        assert bob.page.url == f"{home}/credits#packages"
    assert ledger.balance_of("demo-bob").available == 600


def test_a_bank_debit_is_on_its_way_and_no_error(
    home: str, stripe: Stripe, starter: Package, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.visit("/credits#packages")
        bob.page.get_by_role("button", name="Kaufen Starter").click()
        bob.page.get_by_role("button", name="Pay: sepa", exact=True).click()
        expect(bob.page.get_by_text("Wir warten auf die Bestätigung")).to_be_visible()
        for event in stripe.events():
            if event["type"] == "checkout.session.completed":
                deliver(event)

        expect(
            bob.page.get_by_text("Deine Zahlung wird bearbeitet: Eine Lastschrift")
        ).to_be_visible()
        expect(bob.page.locator("#purchases li")).to_contain_text("Zahlung wird bearbeitet")
        expect(bob.page.locator("#balance [data-field=balance]")).to_have_text("0")
        assert bob.page.locator("#notices .notice").count() == 0


def test_whoever_comes_back_without_paying_is_told_so_once(
    home: str, shop: Stripe, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        buy(bob)
        bob.page.get_by_role("link", name="Back without paying").click()

        expect(bob.page.get_by_text("You left without paying")).to_be_visible()
        bob.page.reload()
        expect(bob.page.locator("#package-list li")).to_have_count(1)
        expect(bob.page.get_by_text("You left without paying")).to_be_hidden()
    assert Transaction.objects.count() == 0


def test_two_presses_start_one_purchase(home: str, shop: Stripe, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits#packages")
        button = bob.page.get_by_role("button", name="Buy Starter")
        button.evaluate("button => { button.click(); button.click(); button.click(); }")

        expect(button).to_have_attribute("aria-busy", "true")
        bob.page.get_by_role("heading", name="4.99 EUR").wait_for()
        started = [one for one in bob.responses if one.url.endswith("/credits/purchase")]
        assert [one.status for one in started] == [200]
        assert len(started[0].request.headers["idempotency-key"]) == 32
    assert Purchase.objects.count() == 1


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    home: str, shop: Stripe, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        keys: list[str] = []

        def lose(route: Route) -> None:
            keys.append(route.request.headers["idempotency-key"])
            if len(keys) == 1:
                route.fetch()
                route.abort()
            else:
                route.continue_()

        bob.page.route("**/api/v1/credits/purchase", lose)
        bob.visit("/credits#packages")
        bob.page.get_by_role("button", name="Buy Starter").click()
        expect(bob.page.get_by_role("alert").get_by_text("No connection")).to_be_visible()
        bob.page.get_by_role("button", name="Buy Starter").click()
        bob.page.get_by_role("heading", name="4.99 EUR").wait_for()

        assert len(keys) == 2
        assert len(set(keys)) == 1
    assert Purchase.objects.count() == 1


def test_the_page_reports_that_stripe_is_unreachable(
    home: str, browser: Browser, starter: Package
) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.visit("/credits#packages")
        bob.page.get_by_role("button", name="Kaufen Starter").click()

        expect(bob.page.get_by_role("alert")).to_contain_text(
            "Unser Zahlungsdienst ist gerade nicht erreichbar. Es wurde nichts abgebucht."
        )
        expect(bob.page.get_by_role("button", name="Kaufen Starter")).to_be_enabled()
