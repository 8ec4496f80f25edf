"""The users' pages: the same shell for everybody, in both languages, with strict headers."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import translation
from django.utils.translation import template, trans_real

from credits.errors import DomainError
from tests.api import Answer
from tests.environment import PROVIDER

ROOT = Path(settings.BASE_DIR)
TEMPLATES = ROOT / "templates"
MODULES = ROOT / "static" / "pages"
APPS = ("credits", "gifts", "webhooks")
PAGES = [
    "/credits",
    "/credits/settings",
    "/credits/sync",
    "/credits/statements",
    "/credits/statements/2026-10",
    "/gifts",
    "/gifts/redeem",
    "/gifts/redeem/ABCD-EFGH-JKLM",
]

OF_THE_API = {
    *("bad_request", "body_too_large", "database_unavailable", "auth_unavailable", "forbidden"),
    *("internal_error", "invalid_json", "method_not_allowed", "not_authenticated", "not_found"),
    *("unavailable", "validation_failed"),
}
OF_THE_PAGES = {"not_copied", "offline", "unknown"}
# Codes that only services, operators and Stripe can receive.
NOT_ON_PAGES = {
    *("campaign_differs", "exceeds_original", "exceeds_purchase", "exceeds_reservation"),
    *("invalid_batch", "invalid_signature", "invalid_ttl", "message_not_dead"),
    *("missing_signature", "not_refundable", "not_reversible", "refused", "reservation_committed"),
    *("reservation_expired", "reservation_not_found", "reservation_released", "user_not_found"),
    *("transaction_not_found", "webhooks_disabled", "invalid_credit_expiry"),
    *("invalid_package", "signature_invalid", "statement_invalid"),
    *("not_creditable", "not_quarantined", "unreadable_object"),
    *("invalid_unit_costs", "invalid_units", "operation_not_metered", "units_required"),
    *("unknown_unit", "invalid_operation", "operation_exists"),
    *("quarantine_changed", "no_cluster", "not_empty", "file_used_before"),
}


def page(path: str, language: str = "en", **headers: str) -> Answer:
    return Client().get(path, headers={"Accept-Language": language, **headers})


def html(answer: Answer) -> str:
    return str(answer.content, "utf-8")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("language", "skip"), [("en", "Skip to"), ("de", "Zum Inhalt")])
def test_a_shell_is_for_everybody_and_may_be_kept(path: str, language: str, skip: str) -> None:
    answer = page(path, language)

    assert answer.status_code == 200
    assert answer["Content-Language"] == language
    assert answer["Cache-Control"] == "public, max-age=60"
    assert answer["Vary"] == "Accept-Language, Cookie, origin"
    assert f'<html lang="{language}"' in html(answer)
    assert skip in html(answer)


@pytest.mark.parametrize("path", PAGES)
def test_a_shell_runs_our_modules_and_asks_our_api_and_mana_auth_alone(path: str) -> None:
    answer = page(path)

    assert answer["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {PROVIDER.issuer}; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    assert answer["Referrer-Policy"] == "no-referrer"
    module = r'<script type="module" src="/static/pages/\w+\.js"></script>'
    assert len(re.findall(module, html(answer))) == html(answer).count("<script") == 1
    assert not re.search(r"<style|\sstyle=|\son\w+=", html(answer))
    files = re.findall(r'(?:src|href)="/static/([^"]+)"', html(answer))
    assert [name for name in files if not finders.find(name)] == []


def test_the_switch_is_remembered_and_its_answer_is_nobody_elses() -> None:
    client = Client()
    switched = client.get("/credits?language=de", headers={"Accept-Language": "en"})
    later = client.get("/gifts", headers={"Accept-Language": "en"})

    assert switched["Cache-Control"] == "no-store"
    assert switched["Content-Language"] == "de"
    assert switched.cookies["django_language"]["samesite"] == "Lax"
    assert later["Content-Language"] == "de"
    assert not later.cookies


@pytest.mark.parametrize("language", ["fr", "", "de-AT", "DE", "../de", "%00"])
def test_there_is_no_switch_to_another_language(language: str) -> None:
    answer = page(f"/credits?language={language}")

    assert answer["Content-Language"] == "en"
    assert not answer.cookies


@pytest.mark.parametrize("path", PAGES)
def test_a_shell_is_only_read(path: str) -> None:
    assert Client().head(path).status_code == 200
    assert Client().post(path).status_code == 405


def test_every_code_that_a_page_can_meet_has_its_sentence() -> None:
    written = re.findall(r'data-code="(\w+)"', (TEMPLATES / "refusals.html").read_text())

    assert sorted(written) == sorted({*codes(), *OF_THE_API, *OF_THE_PAGES} - NOT_ON_PAGES)
    assert {*codes(), *OF_THE_API} >= NOT_ON_PAGES


def codes() -> set[str]:
    """Return the codes of all DomainErrors."""
    for app in APPS:
        for module in pkgutil.walk_packages([str(ROOT / app)], f"{app}."):
            importlib.import_module(module.name)
    kinds, found = [DomainError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind.__module__.split(".")[0] in APPS:
            found.add(kind.code)
    return found


def test_every_text_has_a_german_translation() -> None:
    german = trans_real.translation("de")._catalog  # type: ignore[attr-defined]
    texts = {text for file in TEMPLATES.rglob("*.*") for text in texts_of(file)}

    assert len(texts) > 150
    assert sorted(text for text in texts if not german.get(text)) == []


def texts_of(file: Path) -> list[str]:
    """Return the texts that Django passes to gettext."""
    found = re.findall(r"gettext\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)", source_of(file))
    return [text[1:-1].replace("\\'", "'") for text in found]


def source_of(file: Path) -> str:
    return template.templatize(file.read_text()).replace(" _(", " gettext(")


def test_every_word_that_a_module_asks_for_is_in_a_template() -> None:
    sources = "".join(file.read_text() for file in MODULES.glob("*.js"))
    counted = set(re.findall(r'\bcounted\("([\w-]+)"', sources))
    asked = counted | {f"{name}-one" for name in counted}
    asked |= set(re.findall(r'\btext\("([\w-]+)"', sources))
    written = {
        name
        for file in TEMPLATES.rglob("*.html")
        for name in re.findall(r'data-text="([^"]+)"', file.read_text())
    }

    assert counted
    assert asked - written == set()


def test_modules_keep_no_token_write_no_html_and_name_no_other_place() -> None:
    sources = {file.name: file.read_text() for file in MODULES.glob("*.js")}
    forbidden = r"localStorage|sessionStorage|indexedDB|innerHTML|outerHTML|insertAdjacent|eval\("

    assert len(sources) > 10
    found = [name for name, text in sources.items() if re.search(forbidden, text)]
    assert found == ["store.js"]  # it keeps typed text and keys of requests for this tab
    keeping = [name for name, text in sources.items() if "store.js" in text]
    assert sorted(keeping) == ["api.js", "drafts.js"]
    places = {url for text in sources.values() for url in re.findall(r"https?://[^\"'`\s$]+", text)}
    assert places == set()


def test_the_api_speaks_no_language_for_all_its_pages() -> None:
    page("/credits", "de")

    assert translation.get_language() == "en"
