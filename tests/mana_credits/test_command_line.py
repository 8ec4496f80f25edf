"""`manage.py` in a pipe, and without a database."""

import os
import signal
import subprocess
import sys

import pytest


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
