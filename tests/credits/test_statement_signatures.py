"""Anybody who has the published keys can verify a statement, and every change of it is found."""

import base64
import copy
import json
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.core.management import CommandError, call_command

from credits.reporting import statement_checks, statement_signatures, statements
from credits.reporting.statement_checks import StatementInvalid
from credits.reporting.statement_signatures import SignatureInvalid
from tests.api import Caller
from tests.factories import give, spend

pytestmark = pytest.mark.django_db

MONTH = f"{datetime.now(UTC):%Y-%m}"
KEYS = "/api/v1/statements/keys"


def asked(caller: Caller, sheet: int = 1) -> Any:
    return caller.get(f"statements/{MONTH}?sheet={sheet}").json()


def resigned(answer: Any, **changes: Any) -> Any:
    """Return the answer with another text, signed by us: what only a defect would make."""
    statement = {**answer["statement"], **changes}
    jws = statement_signatures.sign(json.dumps(statement).encode())
    return {**answer, "statement": statement, "jws": jws}


def verify(*sheets: Any) -> statement_checks.VerifiedStatement:
    return statement_checks.verify(json.dumps(sheets), statement_signatures.public_keys())


@pytest.fixture
def three_sheets(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Alice's month of five movements, in sheets of two."""
    monkeypatch.setattr(statements, "MOVEMENTS_PER_SHEET", 2)
    give("alice", 100)
    for _ in range(4):
        spend("alice", 0.1)
    return [asked(alice, sheet) for sheet in (1, 2, 3)]


def test_the_keys_are_public_and_hold_no_secret(settings: Any) -> None:
    answer = Caller({}, prefix="").get(KEYS)

    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert key["x"] not in settings.STATEMENT_KEYS
    assert answer["Cache-Control"] == "public, max-age=60"
    assert answer["ETag"]


def test_the_signed_text_is_the_readable_one_byte_for_byte(alice: Caller) -> None:
    give("alice", "0.1")
    answer = alice.get(f"statements/{MONTH}")
    (key,) = jwt.PyJWKSet.from_dict(Caller({}, prefix="").get(KEYS).json()).keys

    payload = jwt.PyJWS().decode(answer.json()["jws"], key.key, algorithms=["EdDSA"])

    assert b'"statement":' + payload in answer.content
    assert jwt.get_unverified_header(answer.json()["jws"]) == {
        "alg": "EdDSA",
        "kid": key.key_id,
        "typ": "mana-statement+jws",
    }


def test_the_key_id_is_the_thumbprint_of_rfc_8037(settings: Any) -> None:
    settings.STATEMENT_KEYS = ["nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"]

    (key,) = statement_signatures.key_set()

    assert key["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_whole_statement_is_verified(three_sheets: list[Any]) -> None:
    found = verify(*three_sheets)

    assert (found.month, found.user_id, found.movements) == (MONTH, "alice", 5)
    assert (found.opening, str(found.closing), found.final) == (0, "99.6", False)


def test_one_sheet_needs_no_array(alice: Caller) -> None:
    give("alice", 1)
    keys = statement_signatures.public_keys()

    assert statement_checks.verify(json.dumps(asked(alice)), keys).movements == 1


def test_a_sheet_that_was_full_before_the_month_went_on_is_still_good(
    alice: Caller, three_sheets: list[Any]
) -> None:
    spend("alice", 0.1)
    spend("alice", 0.1)

    found = verify(*three_sheets[:2], asked(alice, 3), asked(alice, 4))

    assert found.movements == 7


def changed(name: str, value: Any) -> Callable[[list[Any]], None]:
    return lambda sheets: sheets[0]["statement"].update({name: value})


def without(place: int) -> Callable[[list[Any]], None]:
    return lambda sheets: sheets.__delitem__(place)


def unsigned(sheets: list[Any]) -> None:
    sheets[1]["jws"] = None


def swapped(sheets: list[Any]) -> None:
    sheets[0], sheets[1] = sheets[1], sheets[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("closing", 1000), "Sheet 1: the readable text differs from the signed one"),
        (changed("userId", "bob"), "Sheet 1: the readable text differs from the signed one"),
        (changed("more", 1), "Sheet 1: the readable text differs from the signed one"),
        (without(0), "Sheet 1 is missing or out of order"),
        (without(1), "Sheet 2 is missing or out of order"),
        (without(2), "Sheet 3 is missing or out of order"),
        (swapped, "Sheet 1 is missing or out of order"),
        (unsigned, "Sheet 2 is not signed"),
    ],
)
def test_a_change_of_the_file_is_named(
    three_sheets: list[Any], change: Callable[[list[Any]], None], sentence: str
) -> None:
    change(three_sheets)

    with pytest.raises(StatementInvalid, match=f"^{sentence}$"):
        verify(*three_sheets)


def test_every_bit_of_the_signed_text_counts(three_sheets: list[Any]) -> None:
    head, payload, signature = three_sheets[0]["jws"].split(".")
    text = base64.urlsafe_b64decode(payload + "==").replace(b'"amount":100', b'"amount":900')
    forged = base64.urlsafe_b64encode(text).decode().rstrip("=")

    for parts in ((head, forged, signature), (head, payload, signature[::-1]), (head, payload, "")):
        sheets = copy.deepcopy(three_sheets)
        sheets[0]["jws"] = ".".join(parts)
        with pytest.raises(SignatureInvalid):
            verify(*sheets)


@pytest.mark.parametrize("headers", [{"alg": "none"}, {"alg": "HS256"}])
def test_no_other_algorithm_is_accepted(three_sheets: list[Any], headers: dict[str, str]) -> None:
    (key,) = statement_signatures.key_set()
    payload = json.dumps(three_sheets[0]["statement"]).encode()
    secret = None if headers["alg"] == "none" else key["x"]
    more = {"kid": key["kid"], "typ": "mana-statement+jws"}
    forged = jwt.PyJWS().encode(payload, secret, algorithm=headers["alg"], headers=more)  # type: ignore[arg-type]
    three_sheets[0]["jws"] = forged

    with pytest.raises(SignatureInvalid):
        verify(*three_sheets)


def test_a_users_token_of_the_same_key_is_no_statement(three_sheets: list[Any]) -> None:
    secret = statement_signatures._keys()[0].secret
    assert secret
    kid = statement_signatures.key_set()[0]["kid"]
    three_sheets[0]["jws"] = jwt.encode({"sub": "alice"}, secret, "EdDSA", headers={"kid": kid})

    with pytest.raises(SignatureInvalid):
        verify(*three_sheets)


def moved(sheet: Any, place: int, **changes: Any) -> list[Any]:
    movements: list[Any] = copy.deepcopy(sheet["statement"]["movements"])
    movements[place].update(changes)
    return movements


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            lambda s: {"movements": moved(s, 1, amount=-5)},
            "Transaction 2: balance and amount do not",
        ),
        (lambda s: {"movements": moved(s, 1, number=3)}, "Transaction 2 is missing"),
        (lambda s: {"movements": s["statement"]["movements"][:1]}, "Transaction 2 is missing"),
        (lambda s: {"userId": "bob"}, "Sheet 2 belongs to another statement: userId differs"),
        (lambda s: {"month": "2020-01"}, "Sheet 2 belongs to another statement: month differs"),
        (lambda s: {"opening": 5}, "Sheet 2 belongs to another statement: opening differs"),
    ],
)
def test_what_does_not_add_up_is_named_although_it_is_signed(
    three_sheets: list[Any], changes: Callable[[Any], dict[str, Any]], sentence: str
) -> None:
    three_sheets[0] = resigned(three_sheets[0], **changes(three_sheets[0]))

    with pytest.raises(StatementInvalid, match=f"^{sentence}"):
        verify(*three_sheets)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"closing": 5}, "The movements do not lead to the closing balance"),
        ({"count": 6, "lastNumber": 6}, "The statement has 5 movements instead of 6"),
    ],
)
def test_totals_that_do_not_fit_are_named(
    three_sheets: list[Any], changes: dict[str, Any], sentence: str
) -> None:
    three_sheets[2] = resigned(three_sheets[2], **changes)

    with pytest.raises(StatementInvalid, match=sentence):
        verify(*three_sheets)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", "null", "3", '["x"]', '[{"jws":1,"statement":1}]', "[[]]"]
)
def test_a_file_that_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises((StatementInvalid, SignatureInvalid)):
        statement_checks.verify(text, statement_signatures.public_keys())


def new_key() -> str:
    return secrets.token_urlsafe(32)


def test_a_rotation_keeps_old_statements_valid(
    alice: Caller, three_sheets: list[Any], settings: Any
) -> None:
    (old,) = settings.STATEMENT_KEYS
    public = statement_signatures.key_set()[0]

    settings.STATEMENT_KEYS = [new_key(), f"public:{public['x']}"]

    signed_now = jwt.get_unverified_header(asked(alice)["jws"])["kid"]
    assert signed_now == statement_signatures.key_set()[0]["kid"] != public["kid"]
    assert statement_signatures.key_set()[1] == public
    assert verify(*three_sheets).movements == 5
    assert verify(asked(alice, 1), *three_sheets[1:]).movements == 5
    settings.STATEMENT_KEYS = [new_key(), old]
    assert verify(*three_sheets).movements == 5
    settings.STATEMENT_KEYS = [new_key()]
    with pytest.raises(SignatureInvalid):
        verify(*three_sheets)


@pytest.mark.parametrize("keys", [[], ["public:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]])
def test_without_a_secret_the_statement_says_that_it_is_not_signed(
    alice: Caller, settings: Any, keys: list[str]
) -> None:
    settings.STATEMENT_KEYS = keys

    answer = asked(alice)

    assert (answer["signed"], answer["jws"]) == (False, None)
    assert answer["statement"]["closing"] == 0
    assert len(Caller({}, prefix="").get(KEYS).json()["keys"]) == len(keys)


@pytest.fixture
def kept(tmp_path: Path, three_sheets: list[Any]) -> Path:
    path = tmp_path / "statement.json"
    path.write_text(json.dumps(three_sheets))
    return path


def test_the_command_says_what_the_statement_says(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("verify_statement", kept)

    said = capsys.readouterr().out
    assert said.startswith(
        f"The statement of {MONTH} for alice by http://localhost:3061 is genuine"
    )
    assert said.endswith("opening 0, 5 movements, closing 99.6.\n")
    assert "(not final: the month was not over, made 20" in said


def test_the_command_knows_published_keys_too(
    kept: Path, tmp_path: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(Caller({}, prefix="").get(KEYS).content)
    settings.STATEMENT_KEYS = []

    call_command("verify_statement", kept, keys=keys)

    assert "is genuine" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_the_command_reads_files_that_windows_saved(
    kept: Path, tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(Caller({}, prefix="").get(KEYS).content.decode().encode(encoding))
    kept.write_bytes(kept.read_text().encode(encoding))

    call_command("verify_statement", kept, keys=keys)

    assert "is genuine" in capsys.readouterr().out


def test_the_command_fails_for_a_changed_statement(kept: Path) -> None:
    kept.write_text(kept.read_text().replace("99.6", "999.6"))

    with pytest.raises(CommandError, match="differs from the signed one"):
        call_command("verify_statement", kept)


@pytest.mark.parametrize("text", ["", "{}", '{"keys":[]}', '{"keys":[{"kty":"OKP"}]}', "[]", "3"])
def test_the_command_refuses_keys_that_are_none(kept: Path, tmp_path: Path, text: str) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(text)

    with pytest.raises(CommandError, match=r"is not a JWKS document\.$"):
        call_command("verify_statement", kept, keys=keys)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_the_command_names_a_file_that_cannot_be_read(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "statement.json"
    if content:
        path.write_bytes(content)

    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_statement", path)


def test_a_final_statement_is_the_same_whenever_it_is_made() -> None:
    give("alice", 1)
    month, later = date(2030, 1, 1), datetime(2031, 1, 1, tzinfo=UTC)

    first = statements.of_month("alice", month, sheet=1, now=later)
    spend("alice", 1, at=later)
    second = statements.of_month("alice", month, sheet=1, now=later)

    assert first == second
    assert first.final


@pytest.mark.parametrize("name", ["file", "keys"])
def test_a_deeply_nested_file_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    deep, flat = tmp_path / "deep.json", tmp_path / "flat.json"
    deep.write_text("[" * 9_999)
    flat.write_text("{}")
    given = (deep, None) if name == "file" else (flat, deep)

    with pytest.raises(CommandError, match=r"deep\.json"):
        call_command("verify_statement", given[0], keys=given[1])
