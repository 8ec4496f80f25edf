"""`python -m mana_credits.web_server`: run gunicorn with the project's configuration.

gunicorn reads WEB_CONCURRENCY during its import, and an invalid value causes a traceback. This
module therefore checks the variable first. Arguments are gunicorn's own, e.g. `--check-config`.
"""

import sys
from pathlib import Path

from mana_credits.environment import EnvironmentInvalid, web_processes

CONFIGURATION = Path(__file__).resolve().parents[1] / "gunicorn.conf.py"
# The command that a master runs to start its successor (SIGUSR2). The path of this module would not
# work, because it is inside a package.
COMMAND = Path(sys.executable).with_name("gunicorn")


def main() -> None:
    """Serve until the process is stopped. Raises SystemExit."""
    try:
        web_processes()
    except EnvironmentInvalid as error:
        sys.exit(str(error))
    from gunicorn.app.wsgiapp import run  # noqa: PLC0415  # it reads WEB_CONCURRENCY

    sys.argv = [str(COMMAND), "-c", str(CONFIGURATION), *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
