"""Fixtures: browsers of logged-in operators."""

from typing import Any

import pytest
from django.test import Client

from tests.back_office.operators import browser


@pytest.fixture(autouse=True)
def one_factor(settings: Any) -> None:
    """Disable the second factor, and render pages without collected static files."""
    settings.ADMIN_REQUIRE_2FA = False
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def sam(db: None) -> Client:
    """Return the browser of a support operator."""
    return browser("sam")


@pytest.fixture
def fiona(db: None) -> Client:
    """Return the browser of a finance operator."""
    return browser("fiona")


@pytest.fixture
def amir(db: None) -> Client:
    """Return the browser of an auditor."""
    return browser("amir")


@pytest.fixture
def ada(db: None) -> Client:
    """Return the browser of an administrator."""
    return browser("ada")
