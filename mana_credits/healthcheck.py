"""`python -m mana_credits.healthcheck`: exit with 0 if the web server at HOST and PORT answers.

The image needs this module because it has no curl. The check covers the process only, not its
database: restarting the container would not repair the database.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from mana_credits.environment import Environment, EnvironmentInvalid, web_host, whole_number

TIMEOUT_SECONDS = 4


def alive() -> bool:
    """Return whether `/health` answers 200 to a request with the first allowed host."""
    try:
        hosts = Environment().texts("ALLOWED_HOSTS", default=["localhost"])
        address = web_host()  # 0.0.0.0 and :: reach this machine
        port = whole_number("PORT", default=3061, at_most=65535)
    except EnvironmentInvalid:  # with which the web server does not start
        return False
    host = hosts[0].lstrip(".") if hosts else "localhost"
    line = HTTPConnection(address, port, TIMEOUT_SECONDS)
    try:
        line.request("GET", "/health", headers={"Host": host})
        return line.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        line.close()


if __name__ == "__main__":
    sys.exit(0 if alive() else 1)
