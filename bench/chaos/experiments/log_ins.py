"""Strangers flood the log-in of the back office with names, and guess one operator's password."""

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
ACCOUNT = (
    "from django.contrib.auth.models import User; "
    "User.objects.create_user('chaos', password='{password}', is_staff=True)"
)
HTTPS = {"X-Forwarded-Proto": "https", "Referer": "https://localhost/", "Host": "localhost"}


@contextmanager
def proxy() -> Iterator[dict[str, str]]:
    """Let the service believe what a proxy says of addresses."""
    yield {"TRUSTED_PROXIES": "1"}


def new_names(site: Site) -> str:
    """Try 48 names that nobody has, 16 at once, from one address."""
    return _told(_flood(site, [f"nobody-{index}" for index in range(ATTEMPTS)], one_address=True))


def one_name(site: Site) -> str:
    """Try 48 passwords of one operator from 12 addresses, then the right one from a thirteenth."""
    password = secrets.token_urlsafe(12)
    made = site.manage("shell", "-c", ACCOUNT.format(password=password))
    assert made.returncode == 0, made.stderr
    statuses = _flood(site, ["chaos"] * ATTEMPTS)
    right = _log_in(site, "chaos", password, "203.0.113.250")
    assert right in {429, 503}, f"the right password after {ATTEMPTS} wrong ones: {right}"
    assert statuses[200] <= ATTEMPTS // 2, statuses
    return f"{_told(statuses)}; then the right one: {right}"


def long_name(site: Site) -> str:
    """Try a name of 256 characters."""
    status = _log_in(site, "n" * 256, "wrong", "203.0.113.1")
    assert status == 200, status
    return f"status {status}"


def _flood(site: Site, names: list[str], *, one_address: bool = False) -> Counter[int]:
    def attempt(index: int) -> int:
        last = 1 if one_address else index % 12
        return _log_in(site, names[index], f"wrong-{index}", f"203.0.113.{last}")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(attempt, range(len(names))))


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
    time.sleep(0.05)
    return status


def _told(statuses: Counter[int]) -> str:
    return ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))


EXPERIMENTS = (
    Experiment("12a", "log-ins with new names", new_names, neighbours=proxy),
    Experiment("12b", "guesses from 12 addresses", one_name, neighbours=proxy),
    Experiment("12c", "a name of 256 characters", long_name, neighbours=proxy),
)
