"""The public gift page in a browser: languages, screen sizes and themes.

With SCREENSHOTS=FOLDER in the environment, each page is saved there as a picture.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from gifts.models import GiftCode
from tests.factories import gift, give, redeem

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]

SIZES = {"phone": (360, 740), "desktop": (1280, 800)}
LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz " * 4


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(SIZES))
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["en", "de"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def window(
    browser: Browser, size: str, language: str, scheme: Literal["light", "dark"]
) -> Iterator[Page]:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale={"en": "en-GB", "de": "de-DE"}[language],
        color_scheme=scheme,
        java_script_enabled=False,
    )
    yield context.new_page()
    context.close()


def gifts_of_every_kind() -> dict[str, str]:
    give("ivan", 1000)
    give("somebody", 20_000)
    now = datetime.now(UTC)
    used = gift("ivan", 20)
    redeem(used, "judy")
    old = gift("ivan", 30, at=now - timedelta(days=2), days=1)
    long = gift(LONG[:100], 1) if give(LONG[:100], 1) else used
    made: dict[str, GiftCode] = {
        "active": gift("ivan", 12.5, message="Alles Gute zum Geburtstag!\nDein Ivan"),
        "personalized": gift("somebody", 10_000, target_email="kate@example.test"),
        "depleted": used,
        "expired": old,
        "long": long,
    }
    return {name: one.code for name, one in made.items()}


def test_the_pages_fit_and_nothing_of_them_is_refused(
    live_server: LiveServer, window: Page, size: str, language: str, scheme: str
) -> None:
    complaints: list[Any] = []
    window.on("console", lambda message: complaints.append(message.text))
    window.on("requestfailed", lambda request: complaints.append(request.url))
    codes = {**gifts_of_every_kind(), "unknown": "ABCD-EFGH-JKLM"}

    for name, code in codes.items():
        answer = window.goto(f"{live_server.url}/g/{code}")
        keep(window, f"{name}-{language}-{size}-{scheme}")

        assert answer is not None
        assert answer.status == (404 if name == "unknown" else 200)
        assert window.locator("html").get_attribute("lang") == language
        assert styled(window)
        if size == "phone":
            box = window.locator("main").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        assert window.locator("h1").count() == 1
        assert window.locator(".button").count() == (name in {"active", "personalized", "long"})

    assert [one for one in complaints if "404" not in one] == []


def test_the_button_leads_to_the_redeem_page(live_server: LiveServer, browser: Browser) -> None:
    give("ivan", 10)
    code = gift("ivan").code
    window = browser.new_page(locale="de-DE")
    window.goto(f"{live_server.url}/g/{code.lower()}")

    window.get_by_role("link", name="Einlösen").click()

    assert window.url == f"{live_server.url}/gifts/redeem/{code}"
    window.close()


def styled(window: Page) -> bool:
    """Return whether the stylesheet is applied: a card has round corners."""
    radius = window.locator("main.card").evaluate("e => getComputedStyle(e).borderRadius")
    return bool(radius != "0px")


def keep(window: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        window.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
