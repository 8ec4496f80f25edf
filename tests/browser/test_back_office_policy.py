"""Every page of the back office in Chromium: nothing runs that its policy forbids, widgets work."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from credits import roles
from credits.models import ActRequest, StaffAction
from tests.browser.test_every_page import keep
from tests.factories import gift, give, package, spend
from tests.owner import as_owner

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
PATHS = (
    *("", "account/?user=alice", "account/adjust/?user=alice", "search-accounts/?q=al"),
    *("adjustments/", "export/", "staff/", "staff/new/", "password_change/"),
    *("gifts/giftcode/", "gifts/giftmisses/", "gifts/giftblock/", "gifts/campaign/"),
    *("credits/purchase/", "credits/package/", "credits/operation/", "credits/staffaction/"),
    *("credits/outboxmessage/", "credits/reservation/", "credits/syncsubscription/"),
    *("credits/grantcampaign/", "new-grant-campaign/", "new-gift-campaign/"),
    *("webhooks/stripeevent/", "package/new/", "operation/ai_chat_gpt4/price/"),
    "new-operation/",
)


@pytest.fixture
def office(home: str, settings: Any) -> str:
    """An administrator with a password; returns the address of the back office."""
    settings.ADMIN_REQUIRE_2FA = False
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.CSRF_TRUSTED_ORIGINS = [home]
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=roles.ADMINISTRATOR))
    give("alice", 100)
    spend("alice", 5)
    gift("alice", 10)
    package()
    ActRequest.objects.create(
        kind="price",
        subject="operation:ai_chat_gpt4",
        summary="Price of ai_chat_gpt4: 5 credits each → 25 credits each",
        note="The provider raised its price",
        requested_by="fiona",
        requested_at=datetime.now(UTC),
    )
    with as_owner():
        StaffAction.objects.create(at=datetime.now(UTC), operator="ada", action="x", note="n")
    return f"{home}/admin/"


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture(params=["light", "dark"])
def page(
    office: str, browser: Browser, problems: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A page whose errors and violations of the policy are collected."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=request.param
    )
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))

    def hear(one: ConsoleMessage) -> None:
        if one.type in {"error", "warning"}:
            problems.append(one.text)

    page.on("console", hear)
    page.goto(office)
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    yield page
    context.close()


def test_no_page_runs_what_its_policy_forbids(
    office: str, page: Page, problems: list[str], request: pytest.FixtureRequest
) -> None:
    theme = request.node.callspec.params["page"]
    row = StaffAction.objects.order_by("pk").first()
    assert row

    asked = ActRequest.objects.get().pk
    decisions = (f"approvals/{asked}/", f"withdraw/{asked}/")
    for path in (*PATHS, *decisions, f"credits/staffaction/{row.pk}/change/"):
        answer = page.goto(office + path)
        assert answer
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert "unsafe-eval" not in policy
        assert "script-src 'self';" in policy
        page.wait_for_load_state()
        assert (
            "dark" in (page.locator("html").get_attribute("class") or "light") or theme == "light"
        )
        name = path.strip("/").replace("/", "-").partition("?")[0] or "dashboard"
        keep(page, f"office-{name}-{theme}")
        assert problems == [], path


def test_the_widgets_of_the_frame_still_work(office: str, page: Page, problems: list[str]) -> None:
    page.goto(office + "gifts/giftcode/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#content :focus")).to_have_count(1)
    sidebar = page.locator("#nav-sidebar")
    expect(sidebar).to_be_visible()

    page.locator("[x-on\\:click='toggleSidebar()']").first.click()
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_hidden()
    page.locator("[x-on\\:click='toggleSidebar()']").first.click()
    expect(sidebar).to_be_visible()
    page.locator(
        "a[x-on\\:click='filterOpen = true'], [x-on\\:click='filterOpen = true']"
    ).first.click()
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("[x-on\\:click='openUserLinks = !openUserLinks']").first.click()
    page.locator("[x-on\\:click=\"switchTheme('dark')\"]").first.click()
    expect(page.locator("html")).to_have_class("dark")
    page.keyboard.press("Control+k")

    assert problems == []
