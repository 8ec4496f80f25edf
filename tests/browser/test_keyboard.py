"""Buy, give, redeem and set a limit with the keyboard alone."""

import pytest
from playwright.sync_api import Browser, Locator, expect

from credits.ledger import ledger
from credits.models import Package, SpendingLimit
from gifts.models import GiftCode
from tests.browser.people import Person, somebody
from tests.factories import gift, give, spend
from tests.stripe import Stripe

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

MOST_TABS = 60
FOCUSED = "element => element === document.activeElement"
# The outline, or that of the label's text for a radio button.
RING = """element => [element, element.nextElementSibling].filter(Boolean)
    .some((one) => getComputedStyle(one).outlineStyle !== 'none')"""


def go_to(person: Person, target: Locator) -> None:
    """Press Tab until the element has the focus, and assert that its focus is visible."""
    target.wait_for()
    for _ in range(MOST_TABS):
        person.page.keyboard.press("Tab")
        if target.evaluate(FOCUSED):
            assert target.evaluate(RING), "no visible focus"
            return
    pytest.fail(f"the Tab key does not reach {target}")


def press(person: Person, name: str, *, role: str = "button") -> None:
    """Go to the button or link of that name and press Enter."""
    go_to(person, person.page.get_by_role(role, name=name, exact=True).first)  # type: ignore[arg-type]
    person.page.keyboard.press("Enter")


def write(person: Person, label: str, text: str) -> None:
    """Go to the field of that label and type the text."""
    go_to(person, person.page.get_by_label(label))
    person.page.keyboard.press("Control+a")
    person.page.keyboard.type(text)


def test_the_first_tab_skips_to_the_content(home: str, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits")
        bob.page.keyboard.press("Tab")
        expect(bob.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        bob.page.keyboard.press("Enter")
        bob.page.keyboard.press("Tab")

        expect(bob.page.get_by_role("link", name="Buy credits")).to_be_focused()


def test_buying(home: str, shop: Stripe, browser: Browser) -> None:
    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits")
        press(bob, "Buy credits", role="link")
        press(bob, "Buy Starter")
        bob.page.get_by_role("heading", name="4.99 EUR").wait_for()
        bob.page.get_by_role("button", name="Pay: card", exact=True).press("Enter")

        expect(bob.page.get_by_text("Your credits have arrived: 500 credits")).to_be_visible()


def test_giving_and_taking_back(home: str, browser: Browser) -> None:
    give("demo-alice", 100)

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/gifts")
        press(alice, "Create", role="link")
        go_to(alice, alice.page.get_by_role("radio", name="Anybody"))
        alice.page.keyboard.press("ArrowRight")
        write(alice, "E-mail address of the person", "bob@example.test")
        write(alice, "Credits", "12.5")
        write(alice, "Message (optional)", "By hand")
        press(alice, "Create the gift")
        expect(alice.page.get_by_role("heading", name="Your gift is ready")).to_be_visible()
        expect(alice.page.locator("#ready")).to_be_focused()
        made = GiftCode.objects.get()
        alice.visit("/gifts#created")
        press(alice, f"Take back {made.code}")
        press(alice, "Take it back")

        expect(alice.page.locator("#created-list")).to_be_focused()
        expect(alice.page.locator("#created-list li")).to_contain_text("Taken back")
    assert (made.target_email, made.total_credits) == ("bob@example.test", 12.5)
    assert ledger.balance_of("demo-alice").available == 100


def test_redeeming(home: str, browser: Browser) -> None:
    give("demo-alice", 100)
    code = gift("demo-alice", 40).code

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/gifts")
        press(bob, "Redeem a code", role="link")
        write(bob, "Code of the gift", code)
        bob.page.keyboard.press("Enter")
        press(bob, "Redeem")

        expect(bob.page.get_by_text("Redeemed! You now have 40 credits.")).to_be_visible()
        expect(bob.page.locator("#gift")).to_be_focused()


def test_setting_limits(home: str, browser: Browser, starter: Package) -> None:
    give("demo-bob", 100)
    spend("demo-bob", 1)

    with somebody(browser, home, "demo-bob") as bob:
        bob.visit("/credits/settings")
        write(bob, "Notify me when my balance falls to (credits)", "20")
        write(bob, "Monthly spending limit for all apps (credits)", "50")
        press(bob, "Add a limit for an app")
        app = bob.page.get_by_role("combobox", name="App", exact=True)
        expect(app).to_be_focused()
        bob.page.keyboard.type("Chat")
        write(bob, "Credits per month", "7")
        press(bob, "Save")

        expect(bob.page.get_by_text("Saved.", exact=True)).to_be_visible()
    limits = dict(SpendingLimit.objects.values_list("app_id", "amount"))
    assert limits == {"": 50, "chat": 7}
