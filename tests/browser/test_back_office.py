"""Support adjusts a balance in a browser, from the log-in to the timeline."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, Page, expect

from credits import contacts, roles
from credits.ledger import ledger
from credits.principals import User as Person
from tests.factories import give, spend

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


@pytest.fixture
def sam(home: str, settings: Any) -> str:
    """Create a support operator without second factor. Return the back office's URL."""
    settings.ADMIN_REQUIRE_2FA = False
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.CSRF_TRUSTED_ORIGINS = [home]
    user = User.objects.create_user("sam", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=roles.SUPPORT))
    return f"{home}/admin/"


def clicks(page: Page) -> list[str]:
    """Count the clicks from now on."""
    counted: list[str] = []
    page.expose_function("counted", lambda tag: counted.append(tag))  # noqa: PLW0108
    page.add_init_script(
        "addEventListener('click', e => counted(e.target.tagName), {capture: true})"
    )
    return counted


@pytest.mark.parametrize("size", [(1280, 900), (390, 800)])
def test_from_the_log_in_to_an_adjusted_balance(
    sam: str, browser: Browser, size: tuple[int, int]
) -> None:
    give("alice", 100)
    spend("alice", 5)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    clicked = clicks(page)

    page.goto(sam)
    page.fill("#id_username", "sam")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.fill("#content input[name=q]", "alice")
    page.keyboard.press("Enter")
    page.click("text=Adjust balance")
    page.fill("#id_amount", "2.5")
    page.select_option("#id_reason", "failed_operation")
    page.fill("#id_note", "The answer never came")
    page.click("text=Preview")
    page.click("button:has-text('Post +2.5 credits')")

    expect(page.locator(".bo-timeline")).to_contain_text("An operation failed and was charged")
    expect(page.locator(".bo-timeline")).to_contain_text("sam: adjust balance")
    expect(page.locator("body")).to_contain_text("97.5 available now")
    assert ledger.balance_of("alice").available == Decimal("97.5")
    assert len(clicked) < 10
    assert problems == []
    context.close()


def test_from_a_mail_of_carol_to_her_balance(sam: str, browser: Browser) -> None:
    give("u-7f3a", 37.5)
    carol = Person(id="u-7f3a", email="Carol@example.test", name="Carol")
    contacts.record({carol: datetime.now(UTC)})
    page = browser.new_page()
    page.goto(sam)
    page.fill("#id_username", "sam")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    clicked = clicks(page)
    page.reload()

    page.click("#content input[name=q]")
    page.keyboard.insert_text("carol@example.test")
    page.click("#content button:has-text('Find')")

    expect(page.locator(".bo-figure").first).to_contain_text("37.5")
    expect(page.locator("body")).to_contain_text("Carol · carol@example.test")
    assert len(clicked) <= 3
    page.close()


def test_what_was_typed_survives_the_end_of_the_session(sam: str, browser: Browser) -> None:
    give("alice", 100)
    page = browser.new_page()
    log_in(page, sam)
    send_without_a_session(page, sam, note="The answer never came\nand I wrote two lines")

    log_in(page, page.url)

    expect(page.locator("form [role=status]")).to_contain_text("Your session had ended")
    assert page.input_value("#id_amount") == "2.5"
    assert page.input_value("#id_note") == "The answer never came\nand I wrote two lines"
    page.click("text=Preview")
    page.click("button:has-text('Post +2.5 credits')")
    expect(page.locator("body")).to_contain_text("102.5 available now")
    # A form that was answered is empty when it is opened again.
    page.goto(f"{sam}account/adjust/?user=alice")
    assert page.input_value("#id_note") == ""
    page.close()


def test_nobody_sees_what_another_operator_typed(sam: str, browser: Browser) -> None:
    give("alice", 100)
    tom = User.objects.create_user("tom", password=PASSWORD, is_staff=True)
    tom.groups.add(Group.objects.get(name=roles.SUPPORT))
    page = browser.new_page()
    log_in(page, sam)
    send_without_a_session(page, sam, note="Between us")

    log_in(page, page.url, "tom")

    expect(page.locator("#id_note")).to_have_value("")
    assert "Between us" not in str(page.evaluate("JSON.stringify(sessionStorage)"))
    page.close()


def send_without_a_session(page: Page, address: str, *, note: str) -> None:
    """Send the form of an adjustment after the end of the session."""
    page.goto(f"{address}account/adjust/?user=alice")
    page.fill("#id_amount", "2.5")
    page.select_option("#id_reason", "failed_operation")
    page.fill("#id_note", note)
    page.context.clear_cookies(name="back_office")
    page.click("text=Preview")


def log_in(page: Page, address: str, name: str = "sam") -> None:
    page.goto(address)
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("[data-operator]")
