"""The sandbox's substitute for mana-auth, in a browser."""

import pytest
import requests

from tests.environment import PROVIDER

HERE = "http://localhost:3061"
TOKEN = f"{PROVIDER.issuer}/api/auth/token"


def signed_in(user_id: str, back: str = f"{HERE}/gifts#create") -> requests.Response:
    return requests.get(
        f"{PROVIDER.issuer}/sign-in",
        params={"user": user_id, "redirectTo": back},
        allow_redirects=False,
        timeout=5,
    )


def test_it_offers_the_demo_users_and_remembers_the_way_back() -> None:
    page = requests.get(PROVIDER.issuer, params={"redirectTo": f"{HERE}/gifts#x"}, timeout=5)

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.text.count("<a href=") == 5
    back = "http%3A%2F%2Flocalhost%3A3061%2Fgifts%23x"
    assert f'<a href="/sign-in?user=demo-nora&amp;redirectTo={back}"><b>Nora</b>' in page.text


def test_a_click_is_a_session_and_a_session_has_tokens() -> None:
    clicked = signed_in("demo-bob")
    answer = requests.get(TOKEN, cookies=clicked.cookies, timeout=5)

    assert clicked.status_code == 303
    assert clicked.headers["Location"] == f"{HERE}/gifts#create"
    assert "HttpOnly" in clicked.headers["Set-Cookie"]
    assert answer.status_code == 200
    assert list(answer.json()) == ["token"]


@pytest.mark.parametrize("cookie", [None, "", "nobody", "demo-bob; x"])
def test_without_a_session_there_is_no_token(cookie: str | None) -> None:
    headers = {} if cookie is None else {"Cookie": f"other=1; sandbox_session={cookie!r}"}

    assert requests.get(TOKEN, headers=headers, timeout=5).status_code == 401


@pytest.mark.parametrize("user", ["", "demo-nobody"])
def test_only_demo_users_can_be_picked(user: str) -> None:
    assert signed_in(user).status_code == 404


@pytest.mark.parametrize(
    "back", ["", "https://evil.example/", "//evil.example", "http://localhost@evil.example/", "x"]
)
def test_it_leads_to_pages_of_this_machine_alone(back: str) -> None:
    assert signed_in("demo-bob", back).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (HERE, HERE),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://evil.example", None),
        ("http://localhost.evil.example", None),
        ("null", None),
    ],
)
def test_only_pages_of_this_machine_may_read_a_token(origin: str, allowed: str | None) -> None:
    cookies = signed_in("demo-bob").cookies
    answer = requests.get(TOKEN, cookies=cookies, headers={"Origin": origin}, timeout=5)

    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert ("Access-Control-Allow-Credentials" in answer.headers) == bool(allowed)
