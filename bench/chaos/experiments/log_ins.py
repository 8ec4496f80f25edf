"""Strangers flood the back office's log-in with usernames and guess an operator's password."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import urlencode

from bench.chaos.experiment import Experiment
from bench.chaos.site import Site

ATTEMPTS = 48
AT_ONCE = 16
RETRY_SECONDS = 1
PATIENCE_SECONDS = 50
MOST_CHECKED = 16  # ten, those that were checked at once, and one after each pause
HOME = "203.0.113.200"
PASSWORD = secrets.token_urlsafe(12)
ACCOUNT = (
    "from django.contrib.auth.models import User; "
    f"User.objects.create_user('chaos', password='{PASSWORD}', is_staff=True)"
)
HTTPS = {"X-Forwarded-Proto": "https", "Referer": "https://localhost/", "Host": "localhost"}


@contextmanager
def proxy() -> Iterator[dict[str, str]]:
    """Make the service trust the IP addresses in one proxy's header."""
    yield {"TRUSTED_PROXIES": "1"}


def new_names(site: Site) -> str:
    """Try 48 unknown usernames, 16 at once, from one IP address."""
    statuses = _flood(site, [f"nobody-{index}" for index in range(ATTEMPTS)], one_address=True)
    assert statuses[429] >= ATTEMPTS // 3, _told(statuses)
    return _told(statuses)


def add_operator(site: Site) -> None:
    """Create an operator who has logged in from the address HOME."""
    made = site.manage("shell", "-c", ACCOUNT)
    assert made.returncode == 0, made.stderr
    assert _checked(site, "chaos", PASSWORD, HOME) == 302


def one_name(site: Site) -> str:
    """Try 48 passwords of an operator from 12 addresses, then the right one from two others.

    Strangers cannot delay an operator at an address from which the operator has logged in before.
    """
    statuses = _flood(site, ["chaos"] * ATTEMPTS)
    elsewhere = _checked(site, "chaos", PASSWORD, "203.0.113.250")
    at_home = _checked(site, "chaos", PASSWORD, HOME)
    told = f"{_told(statuses)}; then the right one: {elsewhere} elsewhere, {at_home} at home"
    assert (elsewhere, at_home) == (429, 302), told
    assert statuses[200] <= MOST_CHECKED, told
    return told


def long_name(site: Site) -> str:
    """Try a username of 256 characters."""
    status = _log_in(site, "n" * 256, "wrong", "203.0.113.1")
    assert status == 200, status
    return f"status {status}"


def _flood(site: Site, names: list[str], *, one_address: bool = False) -> Counter[int]:
    def attempt(index: int) -> int:
        last = 1 if one_address else index % 12
        return _checked(site, names[index], f"wrong-{index}", f"203.0.113.{last}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(attempt, range(len(names))))


def _checked(site: Site, name: str, password: str, address: str) -> int:
    """Log in. Retry while other log-ins are being checked (503)."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (status := _log_in(site, name, password, address)) == 503:
        assert time.monotonic() < deadline, f"no password was checked in {PATIENCE_SECONDS} s"
        time.sleep(RETRY_SECONDS)
    return status


def _log_in(site: Site, name: str, password: str, address: str) -> int:
    line = HTTPConnection("127.0.0.1", site.port, timeout=60)
    headers = {**HTTPS, "X-Forwarded-For": address}
    line.request("GET", "/admin/login/", headers=headers)
    page = line.getresponse()
    text = page.read().decode()
    if page.status != 200:
        return page.status
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
    cookie = re.search(r"csrftoken=([^;]+)", page.getheader("Set-Cookie") or "")
    assert found
    assert cookie
    form = {"csrfmiddlewaretoken": found[1], "username": name, "password": password}
    headers |= {
        "Cookie": f"csrftoken={cookie[1]}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    line.request("POST", "/admin/login/", urlencode(form), headers)
    status = line.getresponse().status
    line.close()
    return status


def _told(statuses: Counter[int]) -> str:
    return ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))


EXPERIMENTS = (
    Experiment("12a", "log-ins with new names", new_names, neighbours=proxy),
    Experiment("12b", "guesses from 12 addresses", one_name, add_operator, proxy),
    Experiment("12c", "a name of 256 characters", long_name, neighbours=proxy),
)
