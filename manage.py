#!/usr/bin/env python3
"""Django's command line for mana-credits."""

import atexit
import gc
import os
import sys

from django.core.management import execute_from_command_line

from mana_credits.environment import EnvironmentInvalid

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")
    atexit.register(gc.freeze)  # at its end the interpreter looks through all that is not: 0.3 s
    try:
        execute_from_command_line(sys.argv)
    except EnvironmentInvalid as error:
        sys.exit(str(error))
