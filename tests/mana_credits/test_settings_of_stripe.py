"""Stripe settings that the service needs to start."""

import os
import subprocess
import sys

import pytest


def check(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "check"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_in_production_a_missing_secret_key_stops_the_start() -> None:
    started = check(DEBUG="0", STRIPE_SECRET_KEY="")

    assert started.returncode != 0
    assert "STRIPE_SECRET_KEY is not set." in started.stderr


@pytest.mark.slow
def test_without_a_webhook_secret_and_for_a_developer_without_a_key_it_starts() -> None:
    assert check(DEBUG="0", STRIPE_WEBHOOK_SECRET="").returncode == 0
    assert check(DEBUG="1", STRIPE_SECRET_KEY="").returncode == 0
