"""Operators' browsers."""

from typing import Any

import pytest
from django.test import Client

from tests.back_office.operators import browser


@pytest.fixture(autouse=True)
def one_factor(settings: Any) -> None:
    """Let operators in without a second factor, and pages be rendered without collected files."""
    settings.ADMIN_REQUIRE_2FA = False
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def sam(db: None) -> Client:
    """Support, logged in."""
    return browser("sam")


@pytest.fixture
def fiona(db: None) -> Client:
    """Finance, logged in."""
    return browser("fiona")


@pytest.fixture
def amir(db: None) -> Client:
    """An auditor, logged in."""
    return browser("amir")


@pytest.fixture
def ada(db: None) -> Client:
    """An administrator, logged in."""
    return browser("ada")
