"""`python -m mana_credits.web_server`: run gunicorn with the project's configuration.

gunicorn reads WEB_CONCURRENCY while it is imported and shows a traceback if that is no number, so
the variable is checked before. Arguments are gunicorn's own, e.g. `--check-config`.
"""

import sys
from pathlib import Path

from mana_credits.environment import EnvironmentInvalid, web_processes

CONFIGURATION = Path(__file__).resolve().parents[1] / "gunicorn.conf.py"
# What a master starts as its successor (SIGUSR2); the module's file would not find its package.
COMMAND = Path(sys.executable).with_name("gunicorn")


def main() -> None:
    """Serve until the process is told to stop. Raises SystemExit."""
    try:
        web_processes()
    except EnvironmentInvalid as error:
        sys.exit(str(error))
    from gunicorn.app.wsgiapp import run  # noqa: PLC0415  # it reads WEB_CONCURRENCY

    sys.argv = [str(COMMAND), "-c", str(CONFIGURATION), *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
