"""`python -m mana_credits.healthcheck`: exit with 0 if the local web server answers.

The image needs this module because it has no curl. The check covers the process only, not its
database: restarting the container would not repair the database.
"""

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 4


def alive() -> bool:
    """Return whether `/health` answers 200 to a request with the first allowed host."""
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".")
    try:
        port = int(os.environ.get("PORT", "3061"))
    except ValueError:  # with which the web server does not start
        return False
    line = HTTPConnection("127.0.0.1", port, TIMEOUT_SECONDS)
    try:
        line.request("GET", "/health", headers={"Host": host})
        return line.getresponse().status == HTTPStatus.OK
    except (OSError, OverflowError, HTTPException):
        return False
    finally:
        line.close()


if __name__ == "__main__":
    sys.exit(0 if alive() else 1)
