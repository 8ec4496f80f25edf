"""`manage.py check_ledger` finds every violation of the book rules."""

import hashlib
import re
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

import gifts.books
from credits.amounts import counted
from credits.ledger import books, ledger, reservations
from credits.ledger.lot_rules import LOT_RULES
from credits.ledger.posting import Memo
from credits.models import Reservation, Transaction
from tests.factories import SYSTEM, give, hold, spend, use_units
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

T = "credits.transactions"
B = "credits.balances"
POSTED = "posted is the sum of the transactions"
HELD = "held is the sum of the open reservations"
TOTALS = "the lifetime totals match the transactions"
CHAIN = "the chain of transactions has no gap"
DIGEST = "every transaction matches its digest"
COUNT = "the balance counts its transactions"
GIVEN_BACK = "what is given back is at most its original"
COMMITTED = "a committed reservation matches its transaction"
NEWEST = "the balance has the digest of its newest transaction"
USAGE = "usage statistics count every usage"
SETTINGS = "movements read every limit and notice"
KEY = "a key of the last day names its transaction"
OWNED = "every row belongs to a balance"
NOBODY = "01a226ca-0000-7000-8000-000000000000"
# These rules are tested in test_sync_books.py, test_metered_books.py and in the tests of gifts.
TRIED_ELSEWHERE = {
    "usage statistics add up to all usages",
    "a priced entry names an operation of the catalogue",
    "a metered transaction took the price of its units, minus what is unpaid",
    "the newest charge of Cloud Sync is for the paid period",
    "a paid purchase has exactly its credits",
    "each refund or dispute matches its claw-backs",
    "claw-backs match the money that went back",
    "the status of a paid purchase matches its refunds and disputes",
    "purchased credits expire as agreed",
    "Cloud Sync is paid until the end of its charge",
    *LOT_RULES,
    *gifts.books.RULES,
}


@pytest.fixture
def alice() -> str:
    """Create a user with 4 transactions (grant, usage, refund, commit) and 5 credits held."""
    give("alice", 100)
    usage = spend("alice", 10).transaction
    keyed = SYSTEM._replace(key="refund-1")
    ledger.refund("alice", Decimal(2), memo=Memo(), origin=keyed, usage_id=usage.pk)
    reservations.commit(hold("alice", 4).pk, amount=Decimal(3), origin=SYSTEM)
    hold("alice", 5)
    return "alice"


@pytest.fixture
def bob() -> str:
    """Create another user whose books close."""
    give("bob", 10)
    return "bob"


def damage(*statements: str) -> None:
    """Run SQL as the owner, without the append-only trigger."""
    with as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for trigger in ("transactions_are_append_only", "transactions_are_never_truncated"):
            cursor.execute(f"ALTER TABLE credits.transactions DISABLE TRIGGER {trigger}")
        for statement in statements:
            cursor.execute(statement)


def check(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str], str]:
    """Run the command. Return its exit code, its lines and its standard error."""
    code: Any = 0
    try:
        call_command("check_ledger", *options)
    except SystemExit as end:
        code = end.code
    written = capsys.readouterr()
    return code, written.out.splitlines(), written.err


@pytest.mark.parametrize("options", [(), ("--batch-size=1",), ("--batch-size=2",)])
def test_books_that_close_are_said_to(
    capsys: pytest.CaptureFixture[str], alice: str, bob: str, options: tuple[str, ...]
) -> None:
    give("carol", 1)

    answer = check(capsys, *options)

    assert answer == (0, ["3 users checked.", "The books close."], "")


def test_an_empty_ledger_closes(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(capsys) == (0, ["0 users checked.", "The books close."], "")


DAMAGES = [
    (
        [f"UPDATE {B} SET posted = 90, total_earned = 101"],
        [
            (POSTED, "posted is 90.0000, the transactions sum up to 89.0000"),
            (TOTALS, "earned is 101.0000 and spent 11.0000, not 100.0000 and 11.0000"),
        ],
    ),
    (
        [f"UPDATE {B} SET held = 6"],
        [(HELD, "held is 6.0000, the open reservations sum up to 5.0000")],
    ),
    (
        ["DELETE FROM credits.reservations WHERE status = 'open'"],
        [(HELD, "held is 5.0000, the open reservations sum up to 0")],
    ),
    (
        [f"UPDATE {B} SET total_earned = total_earned + 7, total_spent = total_spent + 7"],
        [(TOTALS, "earned is 107.0000 and spent 18.0000, not 100.0000 and 11.0000")],
    ),
    (
        [f"UPDATE {T} SET spent_change = 9 WHERE number = 2"],
        [
            (TOTALS, "earned is 100.0000 and spent 11.0000, not 99.0000 and 10.0000"),
            (DIGEST, "transaction 2 is the first that does not match its digest"),
        ],
    ),
    (
        [f"UPDATE {T} SET number = 7 WHERE number = 4", f"UPDATE {B} SET last_number = 7"],
        [
            (CHAIN, "transaction 7 follows 3: balance 92.0000 after 92.0000"),
            (DIGEST, "transaction 7 is the first that does not match its digest"),
        ],
    ),
    (
        [f"UPDATE {T} SET balance_before = 91, balance_after = 88 WHERE number = 4"],
        [
            (CHAIN, "transaction 4 follows 3: balance 91.0000 after 92.0000"),
            (DIGEST, "transaction 4 is the first that does not match its digest"),
        ],
    ),
    (
        ["DELETE FROM credits.idempotency_keys"],
        [(KEY, "the key of transaction 3 names nothing")],
    ),
    (
        [f"UPDATE credits.idempotency_keys SET subject_id = '{NOBODY}'"],
        [(KEY, f"the key of transaction 3 names {NOBODY}")],
    ),
    (
        [f"UPDATE {B} SET last_number = 5"],
        [(COUNT, "the last transaction is 4, the balance has 5")],
    ),
    (
        [
            f"UPDATE {T} SET amount = 12, balance_after = 102, spent_change = -12 WHERE number = 3",
            f"UPDATE {T} SET balance_before = 102, balance_after = 99 WHERE number = 4",
            f"UPDATE {B} SET posted = 99, total_spent = 1",
        ],
        [
            (DIGEST, "transaction 3 is the first that does not match its digest"),
            (GIVEN_BACK, "12.0000 was given back of transaction 2, which moved -10.0000"),
        ],
    ),
    (
        [f"UPDATE {T} SET related_id = (SELECT id FROM {T} WHERE number = 1) WHERE number = 3"],
        [
            (DIGEST, "transaction 3 is the first that does not match its digest"),
            (GIVEN_BACK, "2.0000 was given back of transaction 1, which moved 100.0000"),
        ],
    ),
    (
        ["UPDATE credits.reservations SET committed_amount = 4 WHERE status = 'committed'"],
        [(COMMITTED, "reservation RESERVATION took 4.0000, its transaction -3.0000")],
    ),
    *(
        (
            [statement],
            [
                (
                    COMMITTED,
                    "transaction 4 of -3.0000 (reservation:RESERVATION) belongs to no reservation",
                )
            ],
        )
        for statement in (
            "DELETE FROM credits.reservations WHERE status = 'committed'",
            """UPDATE credits.reservations
               SET status = 'released', committed_amount = NULL, transaction_id = NULL
               WHERE status = 'committed'""",
        )
    ),
    *(
        (
            [f"UPDATE {T} SET cause = '{kind}:no-id' WHERE number = 3"],
            [(DIGEST, "transaction 3 is the first that does not match its digest"), *more],
        )
        for kind, more in (
            ("grant", []),
            (
                "gift",
                [
                    (
                        "every movement of a gift belongs to one",
                        "transaction 3 of 2.0000 (gift:no-id) belongs to no gift",
                    )
                ],
            ),
        )
    ),
    (
        ["INSERT INTO credits.spending_limits (user_id, app_id, amount) VALUES ('alice', '', 5)"],
        [(SETTINGS, "has_settings is not true, but there are 1 settings")],
    ),
    (
        ["UPDATE credits.usage_stats SET credits_used = 11 WHERE app_id = 'chat'"],
        [(USAGE, "DAY in chat: 11.0000 counted, usages: 1; 10.0000 in the ledger, usages: 1")],
    ),
    (
        ["UPDATE credits.usage_stats SET transactions = 2 WHERE app_id = 'chat'"],
        [(USAGE, "DAY in chat: 10.0000 counted, usages: 2; 10.0000 in the ledger, usages: 1")],
    ),
    (
        ["DELETE FROM credits.usage_stats WHERE app_id = 'chat'"],
        [(USAGE, "DAY in chat:  counted, usages: ; 10.0000 in the ledger, usages: 1")],
    ),
    (
        [
            """INSERT INTO credits.usage_stats SELECT user_id, date, 'none', 1, 1
               FROM credits.usage_stats WHERE app_id = 'chat'"""
        ],
        [(USAGE, "DAY in none: 1.0000 counted, usages: 1;  in the ledger, usages: ")],
    ),
    (
        [f"UPDATE {B} SET last_digest = sha256('')"],
        [(NEWEST, "the digest of transaction 4 is NEWEST, the balance says EMPTY")],
    ),
    ([f"DELETE FROM {B}"], [(OWNED, "has rows, but no balance")]),
]


@pytest.mark.breaks_the_books
@pytest.mark.parametrize(("statements", "expected"), DAMAGES)
def test_each_discrepancy_is_reported_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
    alice: str,
    statements: list[str],
    expected: list[tuple[str, str]],
) -> None:
    (reservation,) = Reservation.objects.filter(status="committed")
    newest = bytes(Transaction.objects.get(number=4).digest).hex()
    day = Transaction.objects.get(number=2).created_at.date()
    damage(*statements)
    give("zoe", 1)

    code, lines, error = check(capsys)

    names = {
        "RESERVATION": str(reservation.pk),
        "DAY": day.isoformat(),
        "NEWEST": newest,
        "EMPTY": hashlib.sha256().hexdigest(),
    }
    told = [
        re.sub("|".join(names), lambda found: names[found[0]], f"User alice: {sentence} ({rule}).")
        for rule, sentence in expected
    ]
    users = 1 if expected[0][0] == OWNED else 2
    assert (code, lines) == (1, [*told, f"{counted(users, 'user')} checked."])
    assert error == f"{counted(len(told), 'discrepancy', 'discrepancies')}\n"


def test_each_rule_of_the_ledger_has_a_damage() -> None:
    tried = {rule for _, expected in DAMAGES for rule, _ in expected}

    assert tried - set(gifts.books.RULES) == {*books.RULES, OWNED} - TRIED_ELSEWHERE


@pytest.mark.breaks_the_books
def test_a_row_linked_to_another_users_is_found(alice: str, bob: str) -> None:
    damage(
        "SET LOCAL session_replication_role = replica",  # without foreign keys
        f"UPDATE {T} SET related_id = (SELECT id FROM {T} WHERE user_id = 'bob'),"
        " spent_change = spent_change WHERE number = 3",
        f"UPDATE {T} SET user_id = 'bob', number = 9 WHERE type = 'usage' AND app_id = 'research'",
    )

    found = books.check(["alice", "bob"])

    assert {(one.rule, one.user_id) for one in found} >= {
        (GIVEN_BACK, "alice"),
        (COMMITTED, "alice"),
    }


@pytest.mark.breaks_the_books
@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_every_batch_is_checked(capsys: pytest.CaptureFixture[str], batch_size: int) -> None:
    names = [f"user-{index}" for index in range(7)]
    for name in names:
        give(name, 1)
    damage(f"UPDATE {B} SET held = 1 WHERE user_id IN ('user-0', 'user-3', 'user-6')")

    code, lines, error = check(capsys, f"--batch-size={batch_size}")

    sentence = f"held is 1.0000, the open reservations sum up to 0 ({HELD})."
    told = [f"User {name}: {sentence}" for name in ("user-0", "user-3", "user-6")]
    assert (sorted(lines[:-1]), lines[-1]) == (told, "7 users checked.")
    assert (code, error) == (1, "3 discrepancies\n")


@pytest.mark.breaks_the_books
def test_one_user_can_be_checked_alone(
    capsys: pytest.CaptureFixture[str], alice: str, bob: str
) -> None:
    damage(f"UPDATE {B} SET last_number = 5 WHERE user_id = 'alice'")

    of_bob = check(capsys, "--user=bob")
    of_alice = check(capsys, "--user=alice")

    assert of_bob == (0, ["The books close."], "")
    sentence = f"User alice: the last transaction is 4, the balance has 5 ({COUNT})."
    assert of_alice == (1, [sentence], "1 discrepancy\n")


def test_the_books_of_a_user_who_is_unknown_do_not_close(
    capsys: pytest.CaptureFixture[str], alice: str
) -> None:
    with pytest.raises(CommandError, match=r"^The user alicia is unknown\.$"):
        check(capsys, "--user=alicia")


@pytest.mark.breaks_the_books
def test_a_user_whose_balance_is_gone_is_found_alone_too(
    capsys: pytest.CaptureFixture[str], alice: str
) -> None:
    damage(f"DELETE FROM {B}")

    answer = check(capsys, "--user=alice")

    sentence = f"User alice: has rows, but no balance ({OWNED})."
    assert answer == (1, [sentence], "1 discrepancy\n")


@pytest.mark.parametrize("size", ["0", "-1", "x"])
def test_a_batch_has_at_least_one_user(size: str) -> None:
    with pytest.raises(CommandError, match="batch-size"):
        call_command("check_ledger", f"--batch-size={size}")


@pytest.mark.usefixtures("committed")
def test_a_snapshot_is_of_one_moment_and_changes_nothing(alice: str) -> None:
    with books.snapshot() as cursor:
        cursor.execute("SHOW transaction_isolation")
        (isolation,) = cursor.fetchone()
        cursor.execute("SHOW transaction_read_only")
        (read_only,) = cursor.fetchone()

    assert (isolation, read_only) == ("repeatable read", "on")


@pytest.mark.breaks_the_books
def test_a_row_that_stops_the_check_hides_nobody_elses_damage(
    committed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    give("alice", 10)
    for user in ("bob", "carol"):
        give(user, 20)
        use_units(user)
    with transaction.atomic():
        damage(
            f"UPDATE {T} SET metering = '{{\"units\": 5}}' WHERE number = 2 AND user_id = 'bob'",
            f"UPDATE {B} SET held = 6 WHERE user_id = 'carol'",
        )
        with as_owner(), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {T} ENABLE ALWAYS TRIGGER transactions_are_append_only")
            cursor.execute(
                f"ALTER TABLE {T} ENABLE ALWAYS TRIGGER transactions_are_never_truncated"
            )

    code, lines, _ = check(capsys)

    assert (code, lines) == (
        1,
        [
            (
                "User bob: a row stops the check: cannot call jsonb_each_text on a non-object "
                "(every row can be computed with)."
            ),
            f"User carol: held is 6.0000, the open reservations sum up to 0 ({HELD}).",
            "3 users checked.",
        ],
    )
