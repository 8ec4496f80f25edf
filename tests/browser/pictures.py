"""`make pictures`: take the documentation's screenshots from a new sandbox.

Look at each of them afterwards: a screenshot of an error looks valid to this script.
"""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from playwright.sync_api import Browser, Page, sync_playwright

from tests.loopback import free_port
from tests.mana_credits.test_sandbox import running

PASSWORD = "mana-sandbox"  # as printed by the sandbox
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
Going = Callable[[Page], None]


def found(text: str) -> Going:
    """Search for an account. A single match opens at once."""

    def go(page: Page) -> None:
        page.fill("#content input[name=q]", text)
        page.keyboard.press("Enter")
        page.wait_for_load_state()

    return go


def adjusted(page: Page) -> None:
    """Fill in an adjustment and open its preview."""
    found("demo-bob")(page)
    page.click("text=Adjust balance")
    page.fill("#id_amount", "2.5")
    page.select_option("#id_reason", "failed_operation")
    page.fill("#id_note", "The answer never came, see the ticket")
    page.click("text=Preview")


def refunded(page: Page) -> None:
    """Fill in a refund of the newest refundable purchase."""
    page.goto("credits/purchase/?status__exact=completed")
    page.click("#result_list a[href*='/purchase/']")
    page.click("text=Refund purchase")
    page.select_option("#id_reason", index=1)
    page.fill("#id_note", "Bought twice by mistake")
    page.click("text=Preview")


def at(path: str) -> Going:
    """Open a page of the back office."""

    def go(page: Page) -> None:
        page.goto(path)

    return go


FILE = b"user_id,credits\ndemo-bob,5\ndemo-carol,2.5\ndemo-erik,1.000\ndemo-grace,5\ndemo-grace,7\n"


def previewed(page: Page) -> None:
    """Upload a file of grants with three wrong lines and open its preview."""
    page.goto("new-grant-campaign/")
    page.fill("#id_name", "Winter thanks")
    page.fill("#id_reason", "Thank you for your patience")
    file = {"name": "users.csv", "mimeType": "text/csv", "buffer": FILE}
    page.set_input_files("#id_file", file)  # type: ignore[arg-type]
    page.fill("#id_note", "Outage of 12 November")
    page.click("text=Preview")
    page.wait_for_selector("text=Leave the refused lines out")


def granted(page: Page) -> None:
    """Grant the right lines of the file."""
    previewed(page)
    page.check("text=Leave the refused lines out")
    page.click("button:has-text('Grant 7.5 credits')")
    page.wait_for_selector("text=Posted: 2 of 2")
    page.reload()  # without the message


# For each picture: the operator, and the steps from the dashboard.
BACK_OFFICE: dict[str, tuple[str, Going]] = {
    "dashboard": ("fiona", at("")),
    "account": ("sam", found("demo-carol")),
    "adjust": ("sam", adjusted),
    "grants-preview": ("sam", previewed),
    "grants": ("sam", granted),
    "refund": ("fiona", refunded),
    "gifts": ("sam", at("gifts/giftcode/")),
    "campaign": ("sam", at("campaign/Birthday/")),
    "audit": ("amir", at("credits/staffaction/")),
}


def main() -> None:
    """Write all pictures."""
    with TemporaryDirectory(prefix="mana-credits-pictures-") as folder, sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        port = free_port()
        with running(Path(folder) / "state", port) as (printed, _):
            (identity,) = re.findall(r"(http://\S+)/api/auth/token", printed)
            address = f"http://localhost:{port}"
            for name, (operator, go) in BACK_OFFICE.items():
                page = logged_in(chromium, f"{address}/admin/", operator)
                go(page)
                keep(page, name)
            keep(signed_in(chromium, f"{address}/credits", identity), "credits")
        chromium.close()


def logged_in(browser: Browser, address: str, operator: str) -> Page:
    """Log an operator in and return the dashboard."""
    page = browser.new_context(base_url=address, viewport={"width": 1300, "height": 720}).new_page()
    page.goto("")
    page.fill("#id_username", operator)
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_load_state()
    return page


def signed_in(browser: Browser, address: str, identity: str) -> Page:
    """Sign Alice in and return her page /credits."""
    page = browser.new_context(locale="en", viewport={"width": 1120, "height": 800}).new_page()
    page.goto(f"{identity}/sign-in?user=demo-alice&redirectTo={quote(address)}")
    page.wait_for_selector("text=484.9")
    return page


def keep(page: Page, name: str) -> None:
    """Save a screenshot and print its name."""
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"{name}.png")
    page.context.close()
    print(PICTURES / f"{name}.png", file=sys.stderr)


if __name__ == "__main__":
    main()
