"""Users of the pages: each has a browser, a mana-auth session and a language."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright._impl._api_structures import SetCookieParam
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Response,
    ViewportSize,
)

from mana_credits.dev.sandbox.identity import SESSION
from tests.environment import PROVIDER

BUDGET_BYTES = 100_000
PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PATIENCE_MILLISECONDS = 8_000
# Detects when a page has loaded and rendered everything.
COUNTING = """
const ask = window.fetch;
let pending = 0;
window.fetch = async (...request) => {
  pending += 1;
  try { return await ask(...request); }
  finally { setTimeout(() => { pending -= 1; }, 60); }
};
window.settled = async () => {
  while (pending) await new Promise((on) => setTimeout(on, 20));
};
"""
EXPECTED = ("Failed to load resource",)  # the browser's own message for a 401, 402, 404 or 429


@dataclass
class Person:
    """A user's browser window, with its errors and its traffic."""

    page: Page
    home: str
    complaints: list[str] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MILLISECONDS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._notice)
        self.page.on("response", self._keep)

    def visit(self, path: str) -> None:
        """Open a page of the service and wait until it has loaded."""
        self.page.goto(f"{self.home}{path}")
        self.page.evaluate("settled()")

    def transferred(self) -> int:
        """Return the bytes of all responses, uncompressed and without images."""
        answers = [one for one in self.responses if one.request.resource_type != "image"]
        return sum(len(one.body()) for one in answers if one.ok)

    def origins(self) -> set[str]:
        """Return all origins that were requested."""
        parts = [urlsplit(one.url) for one in self.responses]
        return {f"{part.scheme}://{part.netloc}" for part in parts}

    def _hear(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(EXPECTED):
            self.complaints.append(message.text)

    def _notice(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _keep(self, response: Response) -> None:
        self.responses.append(response)


@contextmanager
def somebody(
    browser: Browser,
    home: str,
    user_id: str | None = None,
    *,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
    viewport: Any = DESKTOP,
) -> Iterator[Person]:
    """Open a window as `user_id`, or without a session. Fail on any browser error."""
    context = browser.new_context(
        viewport=viewport, locale={"en": "en-GB", "de": "de-DE"}[language], color_scheme=scheme
    )
    if user_id:
        cookie: SetCookieParam = {
            "name": SESSION,
            "value": user_id,
            "url": PROVIDER.issuer,
            "httpOnly": True,
        }
        context.add_cookies([cookie])
    context.add_init_script(COUNTING)
    person = Person(context.new_page(), home)
    try:
        yield person
    except Exception as error:
        error.add_note(f"The window's complaints: {person.complaints}")
        raise
    assert not person.complaints, person.complaints
    context.close()
