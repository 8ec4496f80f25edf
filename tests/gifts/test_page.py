"""The public page of a gift."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.staticfiles import finders
from django.db import OperationalError
from django.test import Client
from django.utils import translation

from gifts import code_format
from gifts.models import GiftCode
from tests.api import Answer, Caller, statuses
from tests.conftest import gifts_of
from tests.factories import gift, give, redeem

pytestmark = pytest.mark.django_db


def page(code: str, language: str = "en", **headers: str) -> Answer:
    client = Client(raise_request_exception=False)
    return client.get(f"/g/{code}", headers={"Accept-Language": language, **headers})


def text(answer: Answer) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_the_page_says_what_is_in_the_gift_from_whom_and_until_when() -> None:
    give("ivan", 2000)
    at = datetime.now(UTC)
    made = gift("ivan", 1234.5, message="Happy birthday!\nIvan", at=at)

    answer = page(made.code)

    code = made.code
    html = answer.content.decode()
    assert answer.status_code == 200
    assert answer["Content-Language"] == "en"
    assert '<html lang="en">' in html
    assert "<h1>Ivan has a gift for you</h1>" in html
    assert "<strong>1,234.5</strong> credits" in html
    assert "Happy birthday!<br>Ivan" in html
    assert f'<a class="button" href="/gifts/redeem/{code}">Redeem</a>' in html
    groups = f"<span>{code[:5]}</span><span>{code[5:]}</span>"
    assert f'<code class="groups">{groups}</code>' in html
    assert f"{at + timedelta(days=90):%Y}" in html


def test_the_page_speaks_german() -> None:
    give("ivan", 2000)
    made = gift("ivan", 1234.5)

    answer = page(made.code, "de-AT,de;q=0.9,en;q=0.5")

    html = answer.content.decode()
    assert answer["Content-Language"] == "de"
    assert '<html lang="de">' in html
    assert "<h1>Ivan hat ein Geschenk für dich</h1>" in html
    assert "<strong>1.234,5</strong> Credits" in html
    assert ">Einlösen</a>" in html
    assert translation.get_language() == "en"


@pytest.mark.parametrize("language", ["fr", "", "de-x-y;q=nonsense", "*"])
def test_every_other_language_is_english(language: str) -> None:
    give("ivan", 10)

    answer = page(gift("ivan").code, language)

    assert answer["Content-Language"] == "en"


def test_one_credit_is_a_credit() -> None:
    give("ivan", 1)

    assert "<strong>1</strong> credit<" in page(gift("ivan", 1).code).content.decode()


def test_the_page_shows_no_email_address_for_an_unnamed_creator() -> None:
    give("ivan", 10)
    sender = gifts_of("ivan", name="ivan@example.test", email="ivan@example.test")
    body = {"totalCredits": 5, "type": "personalized", "targetEmail": "kate@example.test"}
    made = sender.post("/api/v1/gifts", body).json()

    answer = page(made["code"])

    assert "<h1>Somebody has a gift for you</h1>" in answer.content.decode()
    assert "sign in with the e-mail address that it was meant for" in text(answer)
    assert "@" not in answer.content.decode()


def test_names_and_messages_are_text_and_nothing_else() -> None:
    give("ivan", 10)
    evil = '<script>alert("x")</script>'
    sender = gifts_of("ivan", name=evil, email="ivan@example.test")
    made = sender.post("/api/v1/gifts", {"totalCredits": 5, "message": evil}).json()

    html = page(made["code"]).content.decode()

    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&quot;x&quot;)") == 3


@pytest.mark.parametrize(
    ("status", "english", "german"),
    [
        ("depleted", "This gift has been redeemed", "Dieses Geschenk wurde schon eingelöst"),
        ("cancelled", "This gift was cancelled", "Dieses Geschenk wurde zurückgezogen"),
        ("expired", "This gift has expired", "Dieses Geschenk ist abgelaufen"),
    ],
)
def test_the_page_says_what_became_of_the_gift(
    ivan: Caller, status: str, english: str, german: str
) -> None:
    give("ivan", 10)
    days = 1 if status == "expired" else 90
    made = gift("ivan", message="secret", at=datetime.now(UTC) - timedelta(days=2), days=days)
    if status == "depleted":
        redeem(made, "judy")
    if status == "cancelled":
        ivan.delete(f"{made.pk}")

    answers = page(made.code), page(made.code, "de")

    for answer, headline in zip(answers, (english, german), strict=True):
        assert answer.status_code == 200
        assert f"<h1>{headline}</h1>" in answer.content.decode()
        assert "/gifts/redeem/" not in answer.content.decode()
        assert "secret" not in answer.content.decode()


def test_a_shared_link_shows_a_card(imported: GiftCode) -> None:
    html = page("rvz5jg").content.decode()

    assert dict(re.findall(r'<meta property="(og:[a-z_:]+)" content="([^"]*)">', html)) == {
        "og:type": "website",
        "og:site_name": "Mana",
        "og:locale": "en_US",
        "og:url": "http://localhost:3061/g/RVZ5JG",
        "og:title": "Ivan has a gift for you",
        "og:description": f"Credits for the Mana apps: 10. Valid until {end_of(imported)}.",
        "og:image": "http://localhost:3061/static/gift-card.png",
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "A wrapped gift with a bow",
    }


def end_of(made: GiftCode) -> str:
    return f"{made.expires_at.day} {made.expires_at:%b %Y}"


def test_search_engines_and_other_sites_are_kept_out(imported: GiftCode) -> None:
    answer = page("RVZ5JG")

    assert '<meta name="robots" content="noindex, nofollow">' in answer.content.decode()
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert answer["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store"
    assert "Accept-Language" in answer["Vary"]


def test_the_page_needs_no_script_no_inline_style_and_nothing_from_elsewhere(
    imported: GiftCode,
) -> None:
    html = page("RVZ5JG").content.decode()

    assert "<script" not in html
    assert " style=" not in html
    assert "<style" not in html
    files = re.findall(r'(?:src|href)="(/static/[^"]+|https?:[^"]+)"', html)
    assert set(files) == {"/static/icon.svg", "/static/pages.css"}
    for name in ("icon.svg", "pages.css", "gift-card.png"):
        assert finders.find(name)


@pytest.mark.parametrize(
    ("language", "headline"), [("en", "No gift here"), ("de", "Hier ist kein Geschenk")]
)
@pytest.mark.parametrize("code", ["ABCDEFGHJKLM", "x", "%00", "%F0%9F%8E%81", "a" * 2000])
def test_an_unknown_code_meets_a_friendly_page(code: str, language: str, headline: str) -> None:
    answer = page(code, language)

    assert answer.status_code == 404
    assert f"<h1>{headline}</h1>" in answer.content.decode()


def test_a_machine_that_tries_codes_meets_a_friendly_429(imported: GiftCode) -> None:
    answers = [page(code_format.new_code()) for _ in range(31)]
    hit = page("RVZ5JG", "de")

    assert statuses(answers) == {404: 30, 429: 1}
    assert hit.status_code == 429
    assert 0 < int(hit["Retry-After"]) <= 600
    assert "<h1>Bitte warte ein wenig</h1>" in hit.content.decode()
    assert "Ivan" not in hit.content.decode()


def test_the_database_being_away_meets_a_friendly_503() -> None:
    with patch("gifts.codes.find", side_effect=OperationalError):
        answer = page("RVZ5JG", "de")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert "<h1>Gleich wieder da</h1>" in answer.content.decode()


def test_the_page_is_only_read(client: Client, imported: GiftCode) -> None:
    assert client.head("/g/RVZ5JG").status_code == 200
    assert client.post("/g/RVZ5JG").status_code == 405


def test_the_api_has_no_language(stranger: Caller, settings: Any) -> None:
    answer = stranger.get("me/created", **{"Accept-Language": "de"})

    assert answer.json()["message"] == "Missing or invalid Authorization header"
    assert "Content-Language" not in answer
    assert not {name for name in settings.MIDDLEWARE if "locale" in name or "session" in name}


def test_the_qr_code_of_a_link_is_an_image() -> None:
    answer = page("abcde-fghjk.svg")

    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert answer.content == page("ABCDEFGHJK.svg").content
    assert answer.content != page("ABCDEFGHJM.svg").content
    assert b"<svg" in answer.content


def test_no_qr_image_is_made_of_an_invalid_code() -> None:
    assert page("nothing.svg").status_code == 404
