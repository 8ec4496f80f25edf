"""The longest of everything on a phone of 390 px, in both languages and themes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from credits.ledger.posting import Origin
from credits.payments import checkout, top_up_charges
from credits.payments.checkout import ReturnPages
from gifts.models import GiftCode
from tests.browser.people import somebody
from tests.browser.test_every_page import axe_finds, fits, keep
from tests.factories import gift, give, hold, package, redeem, spend, wish
from tests.stripe import Stripe, agree_to_top_up

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

PHONE = {"width": 390, "height": 844}
MOST = Decimal("90000000000.9999")
WORD = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
URL = f"https://example.test/{WORD * 4}"
APP = "rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetzanwendung" + "x" * 25
# Numbers that their fields do not show as a whole.
CUT = """[...document.querySelectorAll('input[type=number]')]
    .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth).map((e) => e.value)"""
TYPED = {
    "targetEmail": f"{WORD[:60]}@{WORD[:40]}.example.test",
    "totalCredits": "9999.9999",
    "message": URL[:500],
}
LOOKS: dict[str, Any] = {
    "en-dark": {"language": "en", "scheme": "dark"},
    "de-light": {"language": "de", "scheme": "light"},
}


def a_long_life(page_url: str, stripe: Stripe) -> dict[str, str]:
    """Give Alice the largest numbers and the longest texts. Return the paths of her pages."""
    give("demo-alice", MOST)
    spend("demo-alice", "12345678901.2345", app_id=APP)
    spend("demo-alice", "0.0001", app_id=WORD[:50])
    hold("demo-alice", "1234567890.1234")
    offer = package(
        name=WORD + WORD[:37],
        credits="99999999999.9999",
        price_euro_cents=99_999_999,
        description=URL,
    )
    checkout.start(
        "demo-alice",
        offer.pk,
        pages=ReturnPages(page_url, page_url),
        origin=Origin("user"),
        now=datetime.now(UTC),
    )
    wish(
        "demo-alice",
        low_balance="99999999999.9999",
        monthly_limit="99999999999.9999",
        app_limits={APP: "99999999999.9999", WORD[:50]: 0},
    )
    agree_to_top_up(stripe, "demo-alice", offer, threshold="99999999999.9999", card="owner-card")
    list(top_up_charges.top_up_due(now=datetime.now(UTC), limit=10))
    address = f"{WORD[:60]}@{WORD[:40].replace('ü', 'u')}.example.test"
    ours = gift("demo-alice", 9999.9999, target_email=address, message=URL[:500]).code
    redeem(gift("demo-alice", 10_000, message=WORD * 7), "demo-bob")
    give("demo-bob", 20_000)
    received = gift("demo-bob", 9999.9999, message=URL[:500], creator_name=WORD[:80])
    redeem(received, "demo-alice")
    open_ = gift("demo-bob", 9999.9999, message=URL[:500], creator_name=WORD[:80]).code
    others = gift("demo-bob", 9999.9999, target_email=address, creator_name=WORD[:80]).code
    assert GiftCode.objects.count() == 5
    return {
        "overview": "/credits",
        "transactions": "/credits#transactions",
        "packages": "/credits#packages",
        "costs": "/credits#costs",
        "settings": "/credits/settings",
        "statement": "/credits/statements",
        "sync": "/credits/sync",
        "received": "/gifts",
        "created": "/gifts#created",
        "create": "/gifts#create",
        "ours": f"/gifts/redeem/{ours}",
        "others": f"/gifts/redeem/{others}",
        "redeemed": f"/gifts/redeem/{received.code}",
        "redeem": f"/gifts/redeem/{open_}",
        "public": f"/g/{open_}",
    }


@pytest.mark.parametrize("look", list(LOOKS))
def test_the_longest_of_everything_fits(
    home: str, stripe: Stripe, browser: Browser, look: str
) -> None:
    pages = a_long_life(f"{home}/credits", stripe)

    with somebody(browser, home, "demo-alice", viewport=PHONE, **LOOKS[look]) as alice:
        for name, path in pages.items():
            alice.page.goto("about:blank")
            alice.page.goto(f"{home}{path}")
            alice.page.evaluate("settled()")
            alice.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
            if name == "create":
                alice.page.locator("[value=personalized]").check()
                for field, text in TYPED.items():
                    alice.page.locator(f"#{field}").fill(text)
            keep(alice.page, f"longest-{name}-{look}")
            assert fits(alice.page), name
            assert axe_finds(alice.page) == []
            assert alice.page.evaluate(CUT) == [], name


@pytest.mark.parametrize("look", list(LOOKS))
def test_the_longest_change_of_another_tab_fits(
    home: str, stripe: Stripe, browser: Browser, look: str
) -> None:
    pages = a_long_life(f"{home}/credits", stripe)

    with somebody(browser, home, "demo-alice", viewport=PHONE, **LOOKS[look]) as alice:
        alice.page.goto(f"{home}{pages['settings']}")
        alice.page.evaluate("settled()")
        wish("demo-alice", low_balance=0, app_limits={APP: "9999999999.9999"})
        alice.page.locator("#limits [type=submit]").click()
        expect(alice.page.locator("#limits .changed li")).to_have_count(4)

        keep(alice.page, f"longest-changed-{look}")
        assert fits(alice.page)
        assert axe_finds(alice.page) == []
