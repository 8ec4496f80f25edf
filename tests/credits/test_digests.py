"""Each transaction carries a digest of itself and of its user's history, which an edit breaks."""

import hashlib
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from credits.ledger import books, ledger
from credits.ledger.posting import Memo, Origin, Priced
from credits.models import Balance, Transaction
from mana_credits.privacy import erasure
from tests.credits.test_check_ledger import DIGEST, OWNED, damage
from tests.factories import give, hold, meter, spend
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

T = "credits.transactions"


@pytest.fixture
def alice() -> str:
    """A user with 5 transactions that use all columns: grant, spends, refund, metered spend."""
    give("alice", 100)
    memo = Memo("chat", "Ünïcode | text", {"model": "gpt", "nested": {"b": 1.50, "a": None}})
    origin = Origin("service:chat", key="key-1", request_id="request-1")
    ledger.spend("alice", Priced("ai_chat_gpt4", 2), memo=memo, origin=origin, cause="task:1")
    usage = spend("alice", 10).transaction
    ledger.refund("alice", Decimal(2), memo=Memo(), origin=Origin("system"), usage_id=usage.pk)
    meter("pdf_export", pages="3")
    ledger.spend(
        "alice", Priced("pdf_export", None, {"pages": 7}), memo=memo, origin=Origin("user")
    )
    return "alice"


def misfits(*users: str) -> list[str]:
    """Return what the rule of digests says of these users."""
    return [
        f"{one.user_id}: {one.sentence}" for one in books.check(list(users)) if one.rule == DIGEST
    ]


def first_misfit(number: int) -> str:
    return f"alice: transaction {number} is the first that does not match its digest"


def field(text: object) -> str:
    """Return a text as the digest has it: its length in bytes, a colon, itself."""
    return ":" if text is None else f"{len(str(text).encode())}:{text}"


def test_a_digest_can_be_computed_without_the_database(alice: str) -> None:
    balance = Balance.objects.get(pk="alice")
    previous = ""
    for row in Transaction.objects.order_by("number"):
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT metadata::text, metering::text FROM {T} WHERE id = %s", [row.pk]
            )
            metadata, metering = cursor.fetchone()
        said = (row.user_id, row.cause, row.description, metadata, row.request_id)
        texts = "|".join(
            [str(balance.chain_salt), str(row.pk), *map(field, (*said, row.idempotency_key))]
        )
        facts = [
            previous,
            balance.chain_id,
            hashlib.sha256(texts.encode()).hexdigest(),
            row.pk,
            row.number,
            field(row.type),
            row.amount,
            row.balance_before,
            row.balance_after,
            row.spent_change,
            field(row.operation),
            "" if row.unit_cost is None else row.unit_cost,
            "" if row.quantity is None else row.quantity,
            field(row.app_id),
            field(row.actor),
            "",
            row.related_id or "",
            row.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "",
            *([] if metering is None else [metering]),
        ]

        digest = hashlib.sha256("|".join(map(str, facts)).encode()).digest()

        assert bytes(row.digest) == digest, row.number
        previous = digest.hex()


SPEND = """
    SELECT outcome FROM credits.post_transaction(
        p_subject_id => gen_random_uuid(), p_user_id => 'alice', p_actor => 'system',
        p_type => 'usage', p_amount => -1, p_counts_as => 'spent', p_app_id => 'chat',
        p_description => 'a spend', p_metadata => '{"b": 1.50, "a": [null, 1e3]}')
"""


@pytest.mark.parametrize(
    "setting",
    [
        "TIME ZONE 'Pacific/Auckland'",
        "DateStyle = 'German, DMY'",
        "bytea_output = 'escape'",
        "extra_float_digits = -15",
        "IntervalStyle = 'sql_standard'",
        "lc_numeric = 'C'",
        "client_encoding = 'LATIN1'",
        "search_path = pg_catalog",
    ],
)
def test_no_setting_of_a_session_changes_a_digest(alice: str, setting: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {setting}")
        cursor.execute(SPEND)

    assert misfits("alice") == []
    with connection.cursor() as cursor:
        cursor.execute("RESET ALL")
    assert misfits("alice") == []


# Another value of each column, for the transaction with this number.
EDITS = [
    ("id", 1, "gen_random_uuid()"),
    ("user_id", 1, "'mallory'"),
    ("number", 5, "9"),
    ("type", 1, "'purchase'"),
    ("amount", 2, "amount - 1, balance_after = balance_after - 1"),
    ("balance_before", 2, "balance_before + 1, balance_after = balance_after + 1"),
    ("balance_after", 2, "balance_after + 1, balance_before = balance_before + 1"),
    ("spent_change", 2, "0"),
    ("operation", 2, "'pdf_export'"),
    ("unit_cost", 2, "unit_cost + 1"),
    ("quantity", 2, "3"),
    ("metering", 5, 'metering || \'{"unpaid": "1"}\''),
    ("app_id", 2, "'other'"),
    ("description", 2, "'other'"),
    ("metadata", 2, 'metadata || \'{"model": "other"}\''),
    ("actor", 2, "'user'"),
    ("request_id", 2, "'other'"),
    ("idempotency_key", 2, "'other'"),
    ("cause", 2, "'task:2'"),
    ("related_id", 4, "(SELECT id FROM credits.transactions WHERE number = 2)"),
    ("created_at", 2, "created_at - interval '1 microsecond'"),
    ("recorded_at", 2, "created_at"),
    ("digest", 2, "sha256('')"),
    ("erased_digest", 2, "sha256('')"),
    ("attribution_digest", 3, "sha256('')"),
]


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(("column", "number", "value"), EDITS)
def test_an_edit_of_any_column_is_named(alice: str, column: str, number: int, value: str) -> None:
    give("mallory", 1)
    Transaction.objects.get(number=number, user_id="alice")
    damage(
        "SET LOCAL session_replication_role = replica",
        f"UPDATE {T} SET number = 7 WHERE user_id = 'mallory'",
        f"UPDATE {T} SET {column} = {value} WHERE number = {number} AND user_id = 'alice'",
    )

    found = misfits("alice")

    named = {"number": 9, "user_id": 2}.get(column, number)
    assert found == [first_misfit(named)]


def test_every_column_is_edited() -> None:
    columns = {field.column for field in Transaction._meta.concrete_fields}

    assert {column for column, *_ in EDITS} == columns


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    "text", ["description = 'other'", "cause = NULL", "metadata = NULL", "request_id = 'x'"]
)
def test_a_text_cannot_hide_behind_the_digest_of_an_erasure(alice: str, text: str) -> None:
    damage(
        f"UPDATE {T} t SET erased_digest = credits.texts_digest(t, chain_salt), {text} "
        "FROM credits.balances b WHERE b.user_id = t.user_id AND t.number = 2"
    )

    assert misfits("alice") == [first_misfit(2)]


@pytest.mark.breaks_the_books
def test_without_its_salt_no_text_of_a_chain_fits(alice: str) -> None:
    damage("UPDATE credits.balances SET chain_salt = NULL")

    assert misfits("alice") == [first_misfit(1)]


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("deleted", [1, 2, 4])
def test_a_deleted_row_breaks_the_chain(alice: str, deleted: int) -> None:
    damage(
        "SET LOCAL session_replication_role = replica",
        f"DELETE FROM {T} WHERE number = {deleted}",
    )

    assert {one.rule for one in books.check(["alice"])} & {
        DIGEST,
        "the balance counts its transactions",
    }


def test_an_erasure_leaves_the_chain_and_its_digests(alice: str) -> None:
    give("bob", 5)
    before = list(Transaction.objects.order_by("digest").values_list("digest", flat=True))

    pseudonym = erasure.erase_rows("alice").pseudonym

    after = list(Transaction.objects.order_by("digest").values_list("digest", flat=True))
    assert after == before
    assert Balance.objects.get(pk=pseudonym).chain_salt is None
    assert misfits(pseudonym, "bob") == []


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(
    "edit",
    ["amount = amount + 1, balance_after = balance_after + 1", "description = 'x'", "cause = 'x'"],
)
def test_an_edit_of_an_erased_persons_row_is_named(alice: str, edit: str) -> None:
    pseudonym = erasure.erase_rows("alice").pseudonym
    damage(f"UPDATE {T} SET {edit} WHERE number = 4")

    assert misfits(pseudonym) == [
        f"{pseudonym}: transaction 4 is the first that does not match its digest"
    ]


def test_an_erased_persons_chain_goes_on(alice: str) -> None:
    pseudonym = erasure.erase_rows("alice").pseudonym

    ledger.claw_back(
        pseudonym, Decimal(1), memo=Memo(), origin=Origin("stripe"), cause="dispute:dp_1"
    )
    give("alice", 3)

    assert misfits(pseudonym, "alice") == []


@pytest.mark.breaks_the_books
def test_an_edit_of_an_attributed_operation_is_named(alice: str) -> None:
    with connection.cursor() as cursor, as_owner():
        cursor.execute(
            f"UPDATE {T} SET operation = 'pdf_export', unit_cost = 5, quantity = 2 WHERE number = 3"
        )
    assert misfits("alice") == []

    damage(f"UPDATE {T} SET unit_cost = 10, quantity = 1 WHERE number = 3")

    assert misfits("alice") == [first_misfit(3)]


@pytest.mark.breaks_the_books
def test_rows_moved_to_another_user_are_named(alice: str) -> None:
    give("bob", 1)
    hold("bob", 1)
    damage(
        "SET LOCAL session_replication_role = replica",
        f"UPDATE {T} SET user_id = 'carol' WHERE user_id = 'alice'",
        "UPDATE credits.balances SET user_id = 'carol' WHERE user_id = 'alice'",
    )

    assert misfits("carol") == ["carol: transaction 1 is the first that does not match its digest"]
    assert OWNED not in {one.rule for one in books.check(["carol"])}


def test_a_row_of_the_past_says_when_it_was_written() -> None:
    give("alice", 10)
    (row,) = Transaction.objects.all()
    past: Any = row.created_at.replace(year=row.created_at.year - 1)

    late: Any = spend("alice", 1, at=past).transaction

    assert row.recorded_at is None
    assert late.created_at == past
    assert abs((late.recorded_at - row.created_at).total_seconds()) < 60
