"""A Chromium that runs without a window."""

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

# Playwright keeps an event loop in this thread; Django must not mind.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, for the whole run."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed: `make test-browser` installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def home(live_server: LiveServer, settings: Any) -> str:
    """The service's address, which it knows itself by, as its links and Stripe's returns need."""
    settings.BASE_URL = live_server.url
    return live_server.url


@pytest.fixture
def shop(home: str, stripe: Stripe, starter: Package) -> Iterator[Stripe]:
    """Stripe and a package to buy; what Stripe has to tell arrives by itself, signed."""
    with sandbox_stripe.telling(f"{home}/api/v1/webhooks/stripe", SECRET):
        yield stripe
