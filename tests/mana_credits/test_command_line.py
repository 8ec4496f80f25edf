"""`manage.py` in a pipe, and without a database."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.models import Model

from internal_api.models import ServiceKey
from mana_credits.dev.database_roles import service_url
from mana_credits.service_events.models import EventSubscription
from tests import running
from tests.mana_credits.test_settings import PRODUCTION, start


def test_a_reader_that_ended_first_causes_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    run = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "help", "--commands"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)

    assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="Only Linux has /dev/full")
def test_a_full_disk_behind_the_output_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", "help", "--commands"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    said = "The output cannot be written: No space left on device.\n"
    assert (run.returncode, run.stderr) == (1, said)


@pytest.mark.slow
def test_closed_streams_are_no_error() -> None:
    closed = 'exec "$0" -W ignore manage.py help --commands >&- 2>&-'

    assert subprocess.run(["sh", "-c", closed, sys.executable], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("words", "made"),
    [
        (("service_keys", "create", "chat", "--scope=use", "--operator=ada"), ServiceKey),
        (
            (
                *("event_subscriptions", "create", "chat", "https://chat.example.com/events"),
                *("--event=credits.added", "--operator=ada"),
            ),
            EventSubscription,
        ),
    ],
)
def test_nothing_is_created_whose_secret_cannot_be_printed(
    words: tuple[str, ...], made: type[Model]
) -> None:
    database = {"DATABASE_URL": service_url(running.database_of_the_test())}
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", *words],
            env={**os.environ, **database, "EVENT_HOSTS": "chat.example.com"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )

    assert run.returncode == 1
    assert "The output cannot be written" in run.stderr
    assert not made._default_manager.exists()


@pytest.mark.parametrize(
    ("argv", "stream"),
    [
        (["manage.py", "export_user", "alice"], "stderr"),
        (["/srv/mana-credits/manage.py", "check_ledger"], "stderr"),
        (["manage.py", "worker", "--once"], "stdout"),
        (["/srv/web_server/__main__.py"], "stdout"),
    ],
)
def test_the_log_is_not_part_of_the_output_of_a_command(argv: list[str], stream: str) -> None:
    program = f"import logging, sys; sys.argv = {argv!r}; import mana_credits.settings; "
    told = start("-W", "ignore", "-c", program + "logging.warning('a warning')", **PRODUCTION)

    said = {"stdout": told.stdout, "stderr": told.stderr}
    assert '"event": "a warning"' in said.pop(stream)
    assert list(said.values()) == [""]


@pytest.mark.slow
def test_a_database_that_does_not_answer_is_one_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "expire_gifts"],
        env=os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 1
    assert "Error of the database: couldn't get a connection" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SET search_path = nowhere; SELECT * FROM balances", "relation"),
        ("SELECT credits.no_function()", "function"),
        ("SET default_transaction_read_only = on; DELETE FROM gifts.gift_codes", "cannot execute"),
        ("CREATE TABLE credits.mine ()", "permission denied"),
    ],
)
def test_what_an_operator_can_repair_is_one_sentence(statement: str, told: str) -> None:
    statements = statement.split("; ")
    program = (
        f"from django.db import connection as c; [c.cursor().execute(s) for s in {statements}]"
    )
    command = [sys.executable, "-W", "ignore", "manage.py", "shell", "--no-imports"]
    run = subprocess.run(
        [*command, "--command", program],
        env=os.environ | {"DATABASE_URL": service_url(running.database_of_the_test())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith(f"Error of the database: {told}")
    assert len(run.stderr.splitlines()) == 1
