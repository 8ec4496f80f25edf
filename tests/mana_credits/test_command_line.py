"""`manage.py` in a pipe."""

import os
import signal
import subprocess
import sys


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
