"""The list of purchases in a browser: which was paid, why one was not, resume, cancel, pages."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from credits.models import Package, Purchase
from credits.payments import checkout, purchases
from credits.payments.checkout import ReturnPages
from credits.payments.stripe_facts import Payment
from tests.browser.people import Person, somebody
from tests.browser.test_every_page import keep
from tests.factories import give, package
from tests.stripe import Stripe

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

SETTINGS = "/credits/settings"
ENGLISH = ["Package Starter", "GPT-4 message"]


def start(user_id: str, bought: Package) -> Purchase:
    """Start a purchase at Checkout, as another device of the user does."""
    url = "http://localhost:5173/"
    return checkout.start(
        user_id,
        bought.pk,
        pages=ReturnPages(url, url),
        origin=Origin("user"),
        now=datetime.now(UTC),
    )


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait a few seconds for a condition that Stripe's events bring about."""
    deadline = time.monotonic() + 8
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def go_to_checkout(person: Person) -> None:
    """Press Buy and wait for the payment page."""
    person.visit("/credits#packages")
    person.page.get_by_role("button", name="Buy Starter").click()
    person.page.get_by_role("heading", name="4.99 EUR").wait_for()


def test_the_page_watches_the_purchase_that_was_paid(
    home: str, shop: Stripe, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        go_to_checkout(bob)
        start("demo-bob", package(name="Plus", credits=1200, price_euro_cents=999))
        bob.page.get_by_role("button", name="Pay: card", exact=True).click()

        expect(bob.page.get_by_text("Your credits have arrived: 500 credits")).to_be_visible()
        expect(bob.page.locator("#purchases li")).to_have_count(2)
        expect(bob.page.locator("#purchases li").nth(0)).to_contain_text("Not paid")
        paid = bob.page.locator("#purchases li").nth(1)
        expect(paid).to_contain_text("Starter")
        expect(paid.get_by_role("link", name="Receipt")).to_be_visible()
        expect(bob.page).to_have_url(f"{home}/credits#packages")


def test_a_reload_before_the_report_goes_on_watching(
    home: str, stripe: Stripe, starter: Package, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        go_to_checkout(bob)
        bob.page.get_by_role("button", name="Pay: card", exact=True).click()
        expect(bob.page.get_by_text("We are waiting for the confirmation")).to_be_visible()
        bob.page.reload()

        expect(bob.page.get_by_text("We are waiting for the confirmation")).to_be_visible()


def test_a_declined_purchase_says_why_and_is_paid_later(
    home: str, shop: Stripe, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.visit("/credits#packages")
        bob.page.get_by_role("button", name="Kaufen Starter").click()
        bob.page.get_by_role("button", name="Pay: declined-card").click()
        bob.page.get_by_role("heading", name="Not paid").wait_for()
        wait_until(lambda: Purchase.objects.get().status == "failed")
        bob.visit("/credits#packages")

        line = bob.page.locator("#purchases li")
        expect(line).to_contain_text("Deine Bank hat die Karte abgelehnt.")
        line.get_by_role("link", name="Jetzt bezahlen").click()
        bob.page.get_by_role("button", name="Pay: card", exact=True).click()
        expect(bob.page.get_by_text("Deine Credits sind da: 500 Credits")).to_be_visible()
        expect(bob.page.locator("#purchases li")).to_contain_text("Bezahlt")


def test_an_unpaid_purchase_is_cancelled(home: str, shop: Stripe, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        go_to_checkout(bob)
        bob.page.get_by_role("link", name="Back without paying").click()
        line = bob.page.locator("#purchases li")
        expect(line).to_contain_text("You can still pay until")
        line.get_by_role("button", name="Cancel").click()
        bob.page.get_by_role("dialog").get_by_role("button", name="Cancel the purchase").click()

        expect(bob.page.get_by_role("status").get_by_text("is cancelled")).to_be_visible()
        expect(line).to_contain_text("Nothing was charged")
        expect(line.get_by_role("link", name="Pay now")).to_have_count(0)
        expect(line.get_by_role("button", name="Cancel")).to_have_count(0)
    assert Purchase.objects.get().status == "cancelled"


@pytest.mark.parametrize(
    ("status", "shown"), [("pending", "Being charged"), ("failed", "declined the card")]
)
def test_an_automatic_purchase_offers_nothing_to_do(
    home: str, shop: Stripe, browser: Browser, status: str, shown: str
) -> None:
    start("demo-bob", package())
    Purchase.objects.update(
        status=status, stripe_payment_method_id="pm_1", failure_code="card_declined"
    )

    with somebody(browser, home, "demo-bob") as bob:
        for path, rows in (("/credits#packages", "#purchases li"), (SETTINGS, "#history li")):
            bob.visit(path)
            row = bob.page.locator(rows)

            expect(row).to_contain_text(shown)
            expect(row.get_by_role("button")).to_have_count(0)
            expect(row.get_by_role("link")).to_have_count(0)


def test_all_purchases_are_listed_in_pages(home: str, shop: Stripe, browser: Browser) -> None:
    offer = Package.objects.get()
    for _ in range(12):
        start("demo-bob", offer)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits#packages")
        expect(bob.page.locator("#purchases li")).to_have_count(10)
        bob.page.locator("#more-purchases").click()
        expect(bob.page.locator("#purchases li")).to_have_count(12)
        expect(bob.page.locator("#more-purchases")).to_be_hidden()


def test_german_lists_use_german_names(home: str, shop: Stripe, browser: Browser) -> None:
    Package.objects.update(name_de="Einstieg", description_de="Ein Monat Chat")
    ledger.spend(
        give("demo-bob", 10).transaction.user_id,
        Decimal(5),
        memo=Memo("chat", "GPT-4 message"),
        origin=Origin("user"),
    )

    for language, names in {"de": ["Paket Einstieg", "GPT-4-Nachricht"], "en": ENGLISH}.items():
        with somebody(browser, home, "demo-bob", language=language) as bob:
            if language == "de":
                bob.visit("/credits#packages")
                expect(bob.page.locator("#package-list")).to_contain_text("Ein Monat Chat")
                bob.page.get_by_role("button", name="Kaufen Einstieg").click()
                bob.page.get_by_role("button", name="Pay: card", exact=True).click()
                expect(bob.page.get_by_text("Deine Credits sind da")).to_be_visible()
                expect(bob.page.locator("#purchases li")).to_contain_text("Einstieg")
            bob.visit("/credits#transactions")
            for name in names:
                expect(bob.page.locator("#all")).to_contain_text(name)


@pytest.mark.parametrize(
    ("language", "status", "why"),
    [
        ("en", "Payment under review", "The payment differs from the price. We are looking at it."),
        ("de", "Zahlung wird geprüft", "Die Zahlung weicht vom Preis ab. Wir prüfen sie."),
    ],
)
def test_a_purchase_in_quarantine_has_words_of_its_own(
    home: str, shop: Stripe, browser: Browser, language: str, status: str, why: str
) -> None:
    bought = start("demo-bob", package())
    now = datetime.now(UTC)
    payment = Payment("pi_less", None, bought.pk, 400, "eur", "succeeded")
    purchases.complete(payment, at=now, now=now)

    with somebody(browser, home, "demo-bob", language=language) as bob:
        bob.visit("/credits#packages")
        row = bob.page.locator("#purchases li")

        expect(row).to_contain_text(status)
        expect(row).to_contain_text(why)
        expect(row.get_by_role("button")).to_have_count(0)
        expect(row.get_by_role("link")).to_have_count(0)
        keep(bob.page, f"purchase-under-review-{language}")
