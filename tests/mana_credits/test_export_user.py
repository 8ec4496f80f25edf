"""`manage.py export_user` exports all rows about a person, and no others."""

import errno
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits.controls import account_settings
from credits.controls.account_settings import NewSettings
from credits.ledger.posting import Origin
from mana_credits.privacy import export
from tests.factories import gift, give, redeem, spend

pytestmark = pytest.mark.django_db


def exported(user_id: str) -> dict[str, list[dict[str, object]]]:
    out = StringIO()
    call_command("export_user", user_id, stdout=out)
    document: dict[str, list[dict[str, object]]] = json.loads(out.getvalue())
    return document


def test_it_has_all_rows_in_their_order() -> None:
    give("alice", 100)
    for amount in ("0.1", "2.5", "3"):
        spend("alice", amount)

    with patch.object(export, "ROWS_AT_ONCE", 2):
        document = exported("alice")

    amounts = [row["amount"] for row in document["transactions"]]
    assert amounts == ["100.0000", "-0.1000", "-2.5000", "-3.0000"]
    assert [row["posted"] for row in document["balances"]] == ["94.4000"]
    assert document["purchases"] == []


def test_it_has_the_settings_and_what_was_agreed_to_when() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    for limit in (10, 20):
        wanted = NewSettings(Decimal(5), Decimal(limit), {"chat": Decimal(1)})
        account_settings.save("alice", wanted, origin=Origin("user"), now=now)

    document = exported("alice")

    assert [row["low_balance"] for row in document["settings"]] == ["5.0000"]
    limits = [(row["app_id"], row["amount"]) for row in document["spending_limits"]]
    assert limits == [("", "20.0000"), ("chat", "1.0000")]
    changes: Any = document["changes_of_settings"]
    assert [row["after"]["monthlyLimit"] for row in changes] == ["10", "20"]
    assert all(row["changed_at"].endswith("Z") for row in changes)


def test_it_has_nothing_of_anybody_else() -> None:
    give("alice", 100)
    give("alice2", 7)
    redeem(gift("alice", 10, message="for Judy"), "judy")
    gift("alice", 5, target_email="someone@example.test")

    of_judy = exported("judy")

    assert [row["gift_code__message"] for row in of_judy["gifts_redeemed"]] == ["for Judy"]
    assert of_judy["gifts_created"] == of_judy["gifts_addressed"] == []
    assert "alice" not in json.dumps(of_judy)
    assert len(exported("alice2")["transactions"]) == 1


@pytest.mark.usefixtures("committed")
def test_it_is_of_one_moment_and_changes_nothing() -> None:
    give("alice", 100)
    parts = export.document("alice", now=None)  # type: ignore[arg-type]

    next(parts)
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        isolation = cursor.fetchone()
        cursor.execute("SHOW transaction_read_only")
        read_only = cursor.fetchone()
    rest = "".join(parts)

    assert (isolation, read_only) == (("repeatable read",), ("on",))
    assert rest.endswith("]\n}\n")


def test_the_snapshot_ends_where_the_output_cannot_be_written() -> None:
    give("alice", 5)
    ended: list[str] = []

    def document(user_id: str, *, now: datetime) -> Iterator[str]:
        with ExitStack() as stack:
            stack.callback(ended.append, user_id)
            yield "a part"

    class Full(StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, text)

    with patch.object(export, "document", document), pytest.raises(OSError, match="a part") as kept:
        call_command("export_user", "alice", stdout=Full())

    assert ended == ["alice"]
    assert kept.tb  # a traceback keeps the document alive, which would otherwise end by itself


def test_a_user_never_seen_is_an_error_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "nobody.json"

    with pytest.raises(CommandError, match="The user nobody is unknown"):
        call_command("export_user", "nobody", "--output", str(path))

    assert list(tmp_path.iterdir()) == []
