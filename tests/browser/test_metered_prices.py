"""The back office's form of a price by units."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_back_office_policy import office, page, problems  # noqa: F401  (fixtures)
from tests.browser.test_every_page import axe_finds
from tests.factories import meter

pytestmark = pytest.mark.browser


def test_a_price_by_units_is_previewed(
    office: str,  # noqa: F811
    page: Page,  # noqa: F811
    tmp_path: Path,
) -> None:
    meter(minimum="0.01")

    page.goto(f"{office}operation/ai_chat_gpt4/price/")
    costs = page.get_by_label("Or credits per 1,000 units")
    expect(costs).to_have_value("inputTokens 0.4\noutputTokens 1.2")
    costs.fill("inputTokens 0.4\noutputTokens 1.8")
    page.get_by_label("Note").fill("The provider is dearer")
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.get_by_role("button", name="Change price").or_(
        page.get_by_role("button", name="Preview")
    ).first.click()

    expect(page.locator("main")).to_contain_text("0.4 inputTokens, 1.8 outputTokens")
    page.screenshot(path=tmp_path / "preview.png", full_page=True)
    assert axe_finds(page) == []
