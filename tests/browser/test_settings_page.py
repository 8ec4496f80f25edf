"""`/credits/settings` in a real browser: the notice, the limits and the automatic top-up."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Route, expect

from credits.controls import account_settings
from credits.ledger.outcomes import SpendingLimitReached
from credits.models import AutoTopUp, Package, Purchase, SettingsChange
from credits.payments import top_up_charges
from tests.browser.people import Person, somebody
from tests.browser.test_every_page import axe_finds, keep
from tests.factories import give, hold, meter, package, spend, wish
from tests.stripe import Stripe, agree_to_top_up

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

SETTINGS = "/credits/settings"


def agree(person: Person, card: str = "card") -> None:
    """Fill in the terms, save a card at Stripe and agree."""
    person.visit(SETTINGS)
    person.page.get_by_label("Package to buy").select_option("Starter: 500 credits for €4.99")
    person.page.get_by_label("Buy when my balance falls to").fill("50")
    person.page.get_by_label("Maximum number of purchases").fill("2")
    person.page.get_by_role("button", name="Save a card at Stripe").click()
    person.page.get_by_role("button", name=f"Save: {card}", exact=True).click()
    person.page.get_by_role("button", name="Agree and switch on").click()
    expect(person.page.get_by_text("The automatic top-up is on.")).to_be_visible()
    expect(person.page.get_by_text(re.compile("Visa ending in [0-9]{4}"))).to_be_visible()


def work() -> list[str]:
    return list(top_up_charges.top_up_due(now=datetime.now(UTC), limit=100))


def test_limits_are_set_hold_and_say_what_was_spent(home: str, browser: Browser) -> None:
    give("demo-alice", 500)
    spend("demo-alice", "12.5")
    spend("demo-alice", 3, app_id="picture")

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(SETTINGS)
        expect(alice.page.get_by_text("No app has a limit of its own.")).to_be_visible()
        alice.page.get_by_label("Notify me when my balance falls to").fill("100")
        alice.page.get_by_label("Monthly spending limit for all apps").fill("62")
        alice.page.get_by_role("button", name="Add a limit for an app").click()
        alice.page.get_by_role("combobox", name="App").select_option("Chat")
        alice.page.get_by_label("Credits per month").fill("25")
        alice.page.get_by_role("button", name="Save", exact=True).click()
        expect(alice.page.get_by_text("Saved.", exact=True)).to_be_visible()

        for _ in range(2):  # at once, and after a reload
            expect(alice.page.locator("#limits .budget small")).to_have_text(
                [
                    "15.5 of 62 credits spent or held this month",
                    "12.5 of 25 credits spent or held this month",
                ]
            )
            expect(alice.page.get_by_label("Notify me when")).to_have_value("100")
            expect(alice.page.get_by_role("combobox", name="App")).to_have_value("chat")
            alice.visit(SETTINGS)
    with pytest.raises(SpendingLimitReached):
        spend("demo-alice", 13)
    assert SettingsChange.objects.count() == 1


def test_two_tabs_do_not_overwrite_each_other(home: str, browser: Browser) -> None:
    wish("demo-alice", low_balance=100, app_limits={"chat": 7})

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_label("Monthly spending limit for all apps").fill("62")
        wish("demo-alice", low_balance=100, monthly_limit=80)  # another tab
        alice.page.get_by_role("button", name="Save", exact=True).click()

        notice = alice.page.get_by_role("alert").filter(has_text="These settings have changed")
        expect(notice).to_be_focused()
        expect(notice.get_by_role("listitem")).to_have_text(
            [
                "Monthly spending limit for all apps (credits): 80 credits",
                "Monthly limit of Chat: not set",
            ]
        )
        expect(alice.page.get_by_label("Monthly spending limit")).to_have_value("62")
        keep(alice.page, "settings-changed-elsewhere")
        assert axe_finds(alice.page) == []
        alice.page.get_by_role("button", name="Save", exact=True).click()
        expect(alice.page.get_by_text("Saved.", exact=True)).to_be_visible()
        expect(notice).to_be_hidden()

    current = account_settings.of_user("demo-alice", now=datetime.now(UTC))
    assert (current.monthly_limit, [one.amount for one in current.app_limits]) == (62, [7])


def test_typed_text_that_outlives_a_reload_is_compared_too(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-alice", language="de") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_label("Hinweis, wenn dein Guthaben").fill("5")
        wish("demo-alice", low_balance=30)  # another tab
        alice.visit(SETTINGS)
        expect(alice.page.get_by_label("Hinweis, wenn dein Guthaben")).to_have_value("5")
        alice.page.get_by_role("button", name="Speichern", exact=True).click()
        expect(alice.page.locator("#limits .changed")).to_be_visible()
        alice.page.get_by_role("button", name="Gespeicherte übernehmen").click()

        expect(alice.page.get_by_label("Hinweis, wenn dein Guthaben")).to_have_value("30")
        expect(alice.page.locator("#limits .changed")).to_be_hidden()
        alice.visit(SETTINGS)
        expect(alice.page.get_by_label("Hinweis, wenn dein Guthaben")).to_have_value("30")

    assert SettingsChange.objects.count() == 1


def test_a_removed_limit_is_gone(home: str, browser: Browser) -> None:
    wish("demo-alice", low_balance=5, app_limits={"chat": 0})

    with somebody(browser, home, "demo-alice", language="de") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_role("button", name="Entfernen Chat").click()
        alice.page.get_by_label("Hinweis, wenn dein Guthaben").fill("")
        alice.page.get_by_role("button", name="Speichern", exact=True).click()
        expect(alice.page.get_by_text("Gespeichert.", exact=True)).to_be_visible()

    current = account_settings.of_user("demo-alice", now=datetime.now(UTC))
    assert (current.low_balance, current.app_limits) == (None, [])


@pytest.mark.parametrize(
    ("label", "typed", "problem"),
    [
        ("Notify me when", "-1", "Please enter 0 or more credits."),
        ("Monthly spending limit", "1.00001", "Credits have at most 4 decimals."),
        ("Credits per month", "", "Please enter 0 or more credits."),
        ("Credits per month", "1000000000000", "Please enter 0 or more credits."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    home: str, browser: Browser, label: str, typed: str, problem: str
) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_role("button", name="Add a limit for an app").click()
        alice.page.get_by_role("combobox", name="App").select_option("Chat")
        alice.page.get_by_label("Credits per month").fill("1")
        alice.page.get_by_label(label).fill(typed)
        alice.page.get_by_role("button", name="Save", exact=True).click()

        field = alice.page.get_by_label(label)
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
        problems = alice.page.locator(".problem:visible")
        expect(problems).to_have_text(problem, use_inner_text=True)
    assert not SettingsChange.objects.exists()


def test_what_the_api_refuses_is_said_at_its_field(home: str, browser: Browser) -> None:
    def refuse(route: Route) -> None:
        if route.request.method == "GET":
            return route.fallback()
        details = {"monthlyLimit": ["Not this."]}
        body = {"statusCode": 400, "code": "validation_failed", "details": details}
        return route.fulfill(status=400, json=body)

    with somebody(browser, home, "demo-alice") as alice:
        alice.page.route("**/api/v1/credits/settings", refuse)
        alice.visit(SETTINGS)
        alice.page.get_by_role("button", name="Save", exact=True).click()

        expect(alice.page.get_by_label("Monthly spending limit")).to_be_focused()
        expect(alice.page.locator(".problem:visible")).to_have_count(1)
        expect(alice.page.locator("#notices .notice")).to_have_count(0)


def test_an_app_has_one_limit(home: str, browser: Browser) -> None:
    wish("demo-alice", app_limits={"chat": 5})

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_role("button", name="Add a limit for an app").click()
        second = alice.page.get_by_role("combobox", name="App").nth(1)
        second.select_option("Chat")
        alice.page.get_by_label("Credits per month").nth(1).fill("6")
        alice.page.get_by_role("button", name="Save", exact=True).click()
        problem = alice.page.get_by_text("Please choose an app that has no other limit.")
        expect(problem.locator("visible=true")).to_have_count(1)
        second.select_option("Picture")
        alice.page.get_by_role("button", name="Save", exact=True).click()

        expect(alice.page.get_by_text("Saved.", exact=True)).to_be_visible()


def test_what_was_typed_survives_a_reload(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-alice") as alice:
        alice.visit(SETTINGS)
        alice.page.get_by_label("Monthly spending limit").fill("77")
        alice.page.get_by_role("button", name="Add a limit for an app").click()
        alice.page.get_by_role("combobox", name="App").select_option("Chat")
        alice.page.get_by_label("Credits per month").fill("7")
        alice.visit(SETTINGS)

        expect(alice.page.get_by_label("Monthly spending limit")).to_have_value("77")
        expect(alice.page.get_by_role("combobox", name="App")).to_have_value("chat")
        expect(alice.page.get_by_label("Credits per month")).to_have_value("7")


def test_the_top_up_is_agreed_to_after_a_card_was_saved_and_shows_what_it_bought(
    home: str, shop: Stripe, browser: Browser
) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        agree(bob)
        assert bob.page.url == f"{home}{SETTINGS}"
        assert work() == []
        spend("demo-bob", 60)
        assert work() == ["started", "charged"]
        bob.visit(SETTINGS)

        terms = bob.page.locator("#terms dd")
        expect(terms.nth(1)).to_have_text("Starter: 500 credits for €4.99")
        expect(terms.nth(2)).to_have_text("50 credits")
        expect(terms.nth(3)).to_have_text("1 of at most 2 this month")
        expect(bob.page.locator("#history li")).to_contain_text("Starter")
        expect(bob.page.locator("#history button")).to_have_count(0)
        expect(bob.page.locator("#history [data-field=status]")).to_have_text(
            re.compile("Paid|Being charged")
        )
        expect(bob.page.get_by_text("I agree: whenever my balance falls")).to_contain_text(
            "for at most €9.98"
        )
        keep(bob.page, "settings-on")
        assert axe_finds(bob.page) == []


def test_whoever_saves_no_card_agrees_to_nothing(home: str, shop: Stripe, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.visit(SETTINGS)
        bob.page.get_by_label("Paket, das gekauft wird").select_option(index=1)
        bob.page.get_by_label("Kaufen, wenn dein Guthaben").fill("50")
        bob.page.get_by_role("button", name="Karte bei Stripe speichern").click()
        bob.page.get_by_role("link", name="Back without paying").click()

        expect(bob.page.get_by_text("Es wurde keine Karte gespeichert")).to_be_visible()
        expect(bob.page.get_by_label("Kaufen, wenn dein Guthaben")).to_have_value("50")
        expect(bob.page.locator("#top-up .badge:visible")).to_have_text("Aus")
        assert bob.page.url == f"{home}{SETTINGS}"
    assert not AutoTopUp.objects.exists()


def test_a_pause_says_why_and_another_card_goes_on(
    home: str, shop: Stripe, browser: Browser
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        agree(bob, "owner-card")
        assert work() == ["started", "failed"]
        bob.visit(SETTINGS)
        expect(bob.page.locator("#top-up .badge:visible")).to_have_text("Paused")
        expect(bob.page.get_by_text("Your bank wants you to confirm")).to_be_visible()
        expect(bob.page.locator("#history li")).to_contain_text("Failed")
        bob.page.get_by_role("button", name="Save another card").click()
        bob.page.get_by_role("button", name="Save: card", exact=True).click()
        expect(bob.page.get_by_text("Your card is saved.")).to_be_visible()
        bob.page.get_by_role("button", name="Agree and go on").click()

        expect(bob.page.locator("#top-up .badge:visible")).to_have_text("On")
    assert work() == ["started", "charged"]


def test_the_top_up_is_switched_off(home: str, shop: Stripe, browser: Browser) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        agree(bob)
        bob.page.get_by_role("button", name="Switch off").click()
        bob.page.locator("#confirm").get_by_role("button", name="Switch off").click()

        expect(bob.page.locator("#top-up .badge:visible")).to_have_text("Off")
    assert not AutoTopUp.objects.exists()


def test_a_package_that_is_gone_meanwhile_is_refused_in_words(
    home: str, shop: Stripe, browser: Browser
) -> None:
    give("demo-bob", 100)

    with somebody(browser, home, "demo-bob") as bob:
        agree(bob)
        Package.objects.update(active=False)
        bob.page.get_by_role("button", name="Agree to these terms").click()

        expect(bob.page.get_by_role("alert")).to_contain_text("This package is no longer offered")
    assert not Purchase.objects.exists()


@pytest.mark.parametrize("failing", ["credits/settings", "credits/auto-top-up"])
def test_one_failed_call_takes_its_own_part_alone(
    home: str, shop: Stripe, browser: Browser, failing: str
) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        pattern = f"**/api/v1/{failing}"
        bob.page.route(pattern, lambda route: route.fulfill(status=503, json={"code": "busy"}))
        bob.visit(SETTINGS)
        expect(bob.page.locator(".failed")).to_have_count(1)
        bob.page.unroute(pattern)
        bob.page.get_by_role("button", name="Try again").click()

        expect(bob.page.locator(".failed")).to_have_count(0)
        expect(bob.page.get_by_label("Package to buy").locator("option")).to_have_count(2)
        expect(bob.page.get_by_label("Monthly spending limit")).to_be_visible()


@pytest.mark.parametrize(
    ("low_balance", "shown"), [(None, False), ("39.9999", False), ("40", True), ("500", True)]
)
def test_the_notice_is_shown_where_the_user_wanted_it(
    home: str, browser: Browser, low_balance: str | None, shown: bool
) -> None:
    give("demo-alice", 50)
    spend("demo-alice", 10)
    hold("demo-alice", 25)  # it may come back, so it counts
    if low_balance:
        wish("demo-alice", low_balance=low_balance)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits")

        notice = alice.page.locator("#low [role=status]")
        expect(notice).to_be_visible(visible=shown)
        if shown:
            expect(notice).to_contain_text(f"a notice at {low_balance} credits")
            notice.get_by_role("link", name="Change the notice").click()
            expect(alice.page.get_by_label("Notify me when")).to_have_value(str(low_balance))


def test_an_agreement_that_another_tab_switched_off_is_not_renewed_unseen(
    home: str, shop: Stripe, browser: Browser
) -> None:
    give("demo-bob", 200)
    with somebody(browser, home, "demo-bob") as bob:
        agree(bob)
        other = bob.page.context.new_page()
        other.goto(home + SETTINGS)
        other.get_by_label("Maximum number of purchases").fill("9")
        other.get_by_role("button", name="Agree to these terms").click()
        expect(other.get_by_text("The automatic top-up is on.")).to_be_visible()

        bob.page.get_by_label("Buy when my balance falls to").fill("60")
        bob.page.get_by_role("button", name="Agree to these terms").click()
        notice = bob.page.get_by_role("alert").filter(has_text="These settings have changed")
        expect(notice).to_contain_text("Maximum number of purchases per month: 9")
        expect(bob.page.get_by_label("Buy when my balance falls to")).to_have_value("60")
        keep(bob.page, "top-up-changed-elsewhere")
        notice.get_by_role("button", name="Use saved settings").click()

        expect(notice).to_be_hidden()
        expect(bob.page.get_by_label("Maximum number of purchases")).to_have_value("9")
        expect(bob.page.get_by_label("Buy when my balance falls to")).to_have_value("50")
    assert AutoTopUp.objects.get().monthly_maximum == 9


@pytest.mark.parametrize(
    ("language", "expiry", "offer", "consent"),
    [
        ("en", "Expire 1 day after", "1 credit for €4.99, expire 1 day after", "once in a month"),
        ("de", "Verfallen 1 Tag nach", "1 Credit für 4,99 €, verfallen 1 Tag nach", "einmal im Mo"),
    ],
)
def test_one_of_everything_is_singular(
    home: str, browser: Browser, language: str, expiry: str, offer: str, consent: str
) -> None:
    package(credits=1, expires_after_days=1)
    meter("ai_chat_gpt4", tokens="1")

    with somebody(browser, home, "demo-alice", language=language) as alice:
        alice.visit("/credits#packages")
        expect(alice.page.locator("[data-field=expiry]")).to_contain_text(expiry)
        alice.visit("/credits#costs")
        per = "1 Credit je 1.000 Token" if language == "de" else "1 credit per 1,000 tokens"
        expect(alice.page.get_by_text(per)).to_be_visible()
        alice.visit(SETTINGS)
        expect(alice.page.locator("#packageId option").nth(1)).to_contain_text(offer)
        alice.page.locator("#packageId").select_option(index=1)
        alice.page.locator("#threshold").fill("1")
        expect(alice.page.locator("#consent")).to_contain_text(consent)


def test_a_changed_offer_is_told_before_the_top_up_pauses(
    home: str, stripe: Stripe, starter: Package, browser: Browser
) -> None:
    agree_to_top_up(stripe, "demo-bob", starter, threshold="50")
    gone = "The package is no longer offered at the agreed price."

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit(SETTINGS)
        expect(bob.page.get_by_text("Visa ending in")).to_be_visible()
        expect(bob.page.get_by_text(gone)).to_be_hidden()
        Package.objects.update(price_euro_cents=599)
        bob.visit(SETTINGS)
        expect(bob.page.get_by_text(gone)).to_be_visible()
        keep(bob.page, "offer-gone")
        assert axe_finds(bob.page) == []
        bob.page.get_by_role("button", name="Agree to these terms").click()
        expect(bob.page.get_by_text("The automatic top-up is on.")).to_be_visible()
        expect(bob.page.get_by_text(gone)).to_be_hidden()
    assert AutoTopUp.objects.get().price_euro_cents == 599


@pytest.mark.parametrize(("threshold", "warned"), [("499.9999", False), ("500", True)])
def test_a_package_that_may_leave_the_balance_below_the_threshold_is_told(
    home: str, starter: Package, browser: Browser, threshold: str, warned: bool
) -> None:
    with somebody(browser, home, "demo-bob", language="de") as bob:
        bob.visit(SETTINGS)
        bob.page.locator("#packageId").select_option(index=1)
        bob.page.locator("#threshold").fill(threshold)

        expect(bob.page.locator("#consent")).to_be_visible()
        expect(bob.page.get_by_text("Dieses Paket hat 500 Credits.")).to_be_visible(visible=warned)
