#!/usr/bin/env python3
"""Django's command line for mana-credits."""

import atexit
import errno
import gc
import os
import signal
import sys

from django.core.management import execute_from_command_line
from django.db import DatabaseError

from mana_credits.command_errors import sentence_for
from mana_credits.environment import EnvironmentInvalid

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")
    atexit.register(gc.freeze)  # at its end the interpreter looks through all that is not: 0.3 s
    # A stream that was closed at the start is None.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except EnvironmentInvalid as error:
        sys.exit(str(error))
    except DatabaseError as error:  # such as a server that does not answer
        sentence = sentence_for(error)
        if "--traceback" in sys.argv or not sentence:
            raise
        sys.exit(f"Error of the database: {sentence}")
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.ENOSPC}:
            raise
        # The interpreter flushes stdout at its end, which would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:  # the reader of the output ended first, as in `… | head`
            sys.exit(128 + signal.SIGPIPE)
        sys.exit("The output cannot be written: No space left on device.")
