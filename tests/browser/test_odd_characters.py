"""Texts of users and apps in any script, on the narrowest of phones."""

from decimal import Decimal

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin
from tests.browser.people import somebody
from tests.browser.test_every_page import fits
from tests.factories import gift, give

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

PHONE = {"width": 320, "height": 568}
ADDRESSES = ["/credits", "/credits#costs", "/credits/settings", "/gifts#created", "/credits/sync"]
ARABIC = "مرحبا"
# Returns the left edge of a character.
LEFT = """(node, sign) => {
  const [text, range] = [node.firstChild, document.createRange()];
  range.setStart(text, text.data.indexOf(sign));
  range.setEnd(text, text.data.indexOf(sign) + 1);
  return range.getBoundingClientRect().left;
}"""
STACKED = "Z" + "\u0356\u030d" * 40


def a_life_in_any_script() -> None:
    """Give Alice spends and gifts whose texts are in other scripts."""
    give("demo-alice", 500)
    for text in (ARABIC, "👨‍👩‍👧‍👦🎁", "a\u200b\u202eevil", STACKED):
        ledger.spend("demo-alice", Decimal(1), memo=Memo(ARABIC, text), origin=Origin("user"))
        gift("demo-alice", 1, message=text)


def test_a_name_from_right_to_left_reorders_nothing_beside_it(home: str, browser: Browser) -> None:
    a_life_in_any_script()

    with somebody(browser, home, "demo-alice") as alice:
        alice.visit("/credits#transactions")
        context = alice.page.locator("#all li", has_text="evil").locator("[data-field=context]")

        name, separator, day = (context.evaluate(LEFT, sign) for sign in (ARABIC[-1], "·", "2"))
        assert name < separator < day


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_page_fits_the_narrowest_phone(home: str, browser: Browser, language: str) -> None:
    a_life_in_any_script()

    with somebody(browser, home, "demo-alice", language=language, viewport=PHONE) as alice:
        for address in ADDRESSES:
            alice.page.goto("about:blank")
            alice.visit(address)

            assert fits(alice.page)
            expect(alice.page.locator(".places [aria-current]")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("address", ["/credits#costs", "/credits/settings"])
def test_the_current_tab_is_in_view(home: str, browser: Browser, address: str) -> None:
    with somebody(browser, home, "demo-alice", viewport={"width": 280, "height": 900}) as alice:
        alice.visit(address)

        current = alice.page.locator(".tabs [aria-current]")
        box = current.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= 280 - box["width"]
