"""Support uploads a file of grants, an administrator approves; gift codes likewise."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group, User
from playwright.sync_api import Browser, Page, expect

from credits import roles, worker
from credits.models import Transaction
from gifts.models import GiftCode
from mana_credits.back_office.acts import gift_campaigns, grant_requests
from tests.browser.test_every_page import keep
from tests.importing import available

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
FILE = (
    "user_id,credits\n"
    + "".join(f"0d9f6c1e-5a6b-4c3d-8e2f-{n:012},5\n" for n in range(220))
    + "erik,1.000\n frank,5\ngrace,5\ngrace,7\nheidi,5,6\n"
)


def axe_finds(page: Page) -> list[str]:
    """Return what axe finds in the page's own part, inside the frame of Unfold."""
    found = Axe().run(page, context=".bo").response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.fixture
def office(home: str, settings: Any) -> str:
    """Create support and an administrator. Return the back office's URL."""
    settings.ADMIN_REQUIRE_2FA = False
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.CSRF_TRUSTED_ORIGINS = [home]
    for name, role in (("sam", roles.SUPPORT), ("ada", roles.ADMINISTRATOR)):
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
    return f"{home}/admin/"


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def log_in(office: str, browser: Browser, theme: str) -> Iterator[Any]:
    """Return a function that logs an operator in, in a browser of their own."""
    contexts, problems = [], list[str]()

    def window(name: str) -> Page:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            color_scheme=theme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda one: problems.append(one.text) if one.type == "error" else None)
        page.goto(office)
        page.fill("#id_username", name)
        page.fill("#id_password", PASSWORD)
        page.click("button[type=submit]")
        return page

    yield window
    for context in contexts:
        context.close()
    assert problems == []


def test_from_the_file_to_the_result(
    office: str, log_in: Any, theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grant_requests, "SECONDS_IN_A_REQUEST", -1)  # one grant, then the worker
    path = tmp_path / "users.csv"
    path.write_text(FILE)
    sam = log_in("sam")
    sam.click("#nav-sidebar >> text=Grants to many")
    sam.click("text=Grant to many >> nth=-1")
    sam.fill("#id_name", "Winter thanks")
    sam.fill("#id_reason", "Thank you for waiting")
    sam.set_input_files("#id_file", path)
    sam.fill("#id_note", "Outage of 12 November")
    keep(sam, f"grants-form-{theme}")
    assert axe_finds(sam) == []
    sam.click("text=Preview")
    expect(sam.locator("tbody tr")).to_have_count(5)
    keep(sam, f"grants-preview-{theme}")
    assert axe_finds(sam) == []
    sam.check("text=Leave the refused lines out")
    sam.click("text=Ask for approval")
    expect(sam.locator(".bo-pill").first).to_have_text("pending")
    keep(sam, f"grants-pending-{theme}")
    assert available() == {}

    ada = log_in("ada")
    ada.goto(f"{office}adjustments/")
    keep(ada, f"grants-approvals-{theme}")
    ada.click("a.bo-button:has-text('Decide')")
    keep(ada, f"grants-decide-{theme}")
    ada.click("text=its file and progress")
    expect(ada.locator("body")).to_contain_text("Posted: 0 of 220")
    ada.click("a.bo-button:has-text('Decide')")
    ada.click("button:has-text('Approve')")
    ada.goto(sam.url)
    expect(ada.locator("body")).to_contain_text("Posted: 1 of 220")
    keep(ada, f"grants-running-{theme}")
    assert axe_finds(ada) == []
    worker.run(worker.jobs()["post_grant_campaigns"], now=worker.now())
    # The page loads itself again.
    expect(ada.locator("body")).to_contain_text("Posted: 220 of 220", timeout=15_000)
    keep(ada, f"grants-done-{theme}")
    with ada.expect_download() as download:
        ada.click("text=Result as CSV")

    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.startswith("\ufeff")
    assert text.count('"granted"') == 220
    assert text.count('"left_out"') == 5
    assert Transaction.objects.count() == 220
    sam.goto(f"{office}credits/grantcampaign/")
    keep(sam, f"grants-list-{theme}")


def test_from_the_campaign_to_its_codes(office: str, log_in: Any, theme: str) -> None:
    sam = log_in("sam")
    sam.goto(f"{office}gifts/campaign/")
    sam.click("text=New campaign")
    for name, value in {
        "name": "Spring fair",
        "count": "20",
        "credits": "10",
        "message": "Welcome to the fair",
        "reason": "Fair in Bonn",
        "note": "Asked by marketing",
    }.items():
        sam.fill(f"#id_{name}", value)
    keep(sam, f"codes-form-{theme}")
    assert axe_finds(sam) == []
    sam.click("button:has-text('Preview')")
    expect(sam.locator("body")).to_contain_text("200 credits")
    keep(sam, f"codes-preview-{theme}")
    sam.click("button:has-text('Create codes')")
    expect(sam.locator("body")).to_contain_text("waits for a colleague")

    ada = log_in("ada")
    ada.goto(f"{office}adjustments/")
    ada.click("a.bo-button:has-text('Decide')")
    keep(ada, f"codes-decide-{theme}")
    ada.click("button:has-text('Approve')")
    ada.goto(f"{office}campaign/Spring%20fair/")
    keep(ada, f"codes-campaign-{theme}")
    assert axe_finds(ada) == []
    ada.click("text=Download codes")
    keep(ada, f"codes-download-{theme}")
    with ada.expect_download() as download:
        ada.click("button:has-text('Download the codes')")

    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 21
    assert GiftCode.objects.filter(total_credits=Decimal(10)).count() == 20
    assert gift_campaigns.CODES == ("code", "url", "credits")
