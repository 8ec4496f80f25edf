"""Fixtures for tests in headless Chromium."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from pytest_django.live_server_helper import LiveServer

from credits.models import Package
from mana_credits.dev.sandbox import stripe as sandbox_stripe
from tests.stripe import SECRET, Stripe

# Playwright runs an event loop in this thread, which Django would reject.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield Debian's Chromium for the whole session."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed: `make test-browser` installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def home(live_server: LiveServer, settings: Any) -> str:
    """Return the service's URL, which its links and Stripe's redirects need."""
    settings.BASE_URL = live_server.url
    return live_server.url


@pytest.fixture
def shop(home: str, stripe: Stripe, starter: Package) -> Iterator[Stripe]:
    """Provide Stripe and a package. Stripe delivers signed events by itself."""
    with sandbox_stripe.telling(f"{home}/api/v1/webhooks/stripe", SECRET):
        yield stripe
