"""Checks of every page in both languages and themes, on a phone and a desktop.

With SCREENSHOTS=FOLDER in the environment, each page is saved there as a picture.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.people import BUDGET_BYTES, DESKTOP, PHONE, Person, somebody
from tests.environment import PROVIDER
from tests.factories import gift, give, hold, package, redeem, spend, wish

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

# For a user without data.
EMPTY = ["overview", "transactions", "settings", "statement", "received", "created"]
CLOSED = ["overview", "redeem-code"]  # for a visitor without a session
LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"


def a_full_life() -> dict[str, str]:
    """Create data of every kind for Alice. Return the URLs of the pages by name."""
    give("demo-alice", 1500)
    give("demo-bob", 50)
    for app, amount in {"chat": 34.5, "picture": 120, "questions": 25, "food": 3.1}.items():
        spend("demo-alice", amount, app_id=app)
    for _ in range(30):
        spend("demo-alice", 0.1, app_id="chat")
    hold("demo-alice", 25)
    wish("demo-alice", low_balance=1300, monthly_limit=500, app_limits={"chat": 20, "food": 50})
    for order, (name, amount, cents) in enumerate(
        [("Starter", 500, 499), ("Plus", 1200, 999), ("Studio", 5000, 3499)], start=1
    ):
        package(name=name, credits=amount, price_euro_cents=cents, sort_order=order)
    now = datetime.now(UTC)
    gift("demo-alice", 12.5, message="Alles Gute!\nDeine Alice")
    gift("demo-alice", 100, target_email="kate@example.test", message=LONG)
    gift("demo-alice", 30, at=now - timedelta(days=2), days=1)
    redeem(gift("demo-alice", 20), "demo-carol")
    received = gift("demo-bob", 10, message="Danke für alles!")
    redeem(received, "demo-alice")
    fresh = gift("demo-bob", 7, message="Für dich").code
    own = gift("demo-alice", 3).code
    others = gift("demo-bob", 7, target_email="kate@example.test").code
    return {
        "overview": "/credits",
        "transactions": "/credits#transactions",
        "packages": "/credits#packages",
        "costs": "/credits#costs",
        "settings": "/credits/settings",
        "sync": "/credits/sync",
        "received": "/gifts",
        "created": "/gifts#created",
        "create": "/gifts#create",
        "redeem": "/gifts/redeem",
        "redeem-code": f"/gifts/redeem/{fresh}",
        "redeem-unknown": "/gifts/redeem/ABCD-EFGH-JKLM",
        "redeem-own": f"/gifts/redeem/{own}",
        "redeem-others": f"/gifts/redeem/{others}",
        "redeemed": f"/gifts/redeem/{received.code}",
        "filtered": "/credits?type=usage&appId=chat#transactions",
        "none-match": "/credits?type=reversal#transactions",
        "not-paid": "/credits?checkout=cancelled#packages",
        "statement": "/credits/statements",
    }


LOOKS: dict[str, Any] = {
    "phone-en-light": {"viewport": PHONE, "language": "en", "scheme": "light"},
    "phone-de-dark": {"viewport": PHONE, "language": "de", "scheme": "dark"},
    "desktop-en-dark": {"viewport": DESKTOP, "language": "en", "scheme": "dark"},
    "desktop-de-light": {"viewport": DESKTOP, "language": "de", "scheme": "light"},
}


@pytest.mark.parametrize("look", list(LOOKS))
@pytest.mark.parametrize("user", ["demo-alice", "demo-nora", None])
def test_every_page_is_sound(home: str, browser: Browser, user: str | None, look: str) -> None:
    pages = a_full_life()
    names = list(pages) if user == "demo-alice" else EMPTY if user else CLOSED

    with somebody(browser, home, user, **LOOKS[look]) as person:
        for name in names:
            check(person, pages[name])
            keep(person.page, f"{name}-{user}-{look}")


@pytest.mark.parametrize("look", ["phone-en-light", "phone-de-dark"])
def test_what_opens_on_a_page_is_sound_too(home: str, browser: Browser, look: str) -> None:
    pages = a_full_life()
    public = pages["redeem-code"].replace("/gifts/redeem/", "/g/")

    with somebody(browser, home, "demo-alice", **LOOKS[look]) as alice:
        alice.visit(pages["created"])
        alice.page.locator(".show-qr").first.click()
        opened(alice.page, alice.page.locator("#qr"), f"qr-{look}")
        alice.page.keyboard.press("Escape")
        alice.page.locator(".cancel").first.click()
        opened(alice.page, alice.page.locator("#confirm"), f"confirm-{look}")
        alice.page.keyboard.press("Escape")
        alice.visit(pages["create"])
        alice.page.locator("#totalCredits").fill("0")
        alice.page.locator("#new-gift [type=submit]").click()
        opened(alice.page, alice.page.locator("#totalCredits-problem"), f"problem-{look}")
        alice.page.locator("#totalCredits").fill("9999")
        alice.page.locator("#new-gift [type=submit]").click()
        opened(alice.page, alice.page.get_by_role("alert"), f"alert-{look}")
        alice.page.locator("#totalCredits").fill("2")
        alice.page.locator("#new-gift [type=submit]").click()
        opened(alice.page, alice.page.locator("#ready"), f"ready-{look}")
        alice.page.goto(home + public)
        opened(alice.page, alice.page.locator("main.card"), f"public-{look}")


def opened(page: Page, what: Locator, name: str) -> None:
    expect(what).to_be_visible()
    keep(page, name)

    assert axe_finds(page) == []
    assert fits(page)


def check(person: Person, path: str) -> None:
    person.page.goto("about:blank")  # another tab of the same page also counts as a visit
    person.responses.clear()
    person.visit(path)

    assert person.page.locator("h1:visible, h1.unseen").count() >= 1
    assert axe_finds(person.page) == []
    assert fits(person.page)
    assert person.transferred() < BUDGET_BYTES
    assert person.origins() <= {person.home, PROVIDER.issuer}


def axe_finds(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def fits(page: Page) -> bool:
    """Return whether nothing overflows horizontally."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return wide


def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
