"""`manage.py grant_credits`: grants to many users, once per campaign."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import transaction

from credits import roles
from credits.models import ActRequest, Balance, GrantCampaign, Transaction
from mana_credits.back_office.acts import approvals, grant_requests
from tests.api import at_once
from tests.back_office.operators import operator
from tests.factories import give
from tests.importing import available
from tests.owner import as_owner

pytestmark = pytest.mark.django_db

REASON = "Thank you for waiting"


@pytest.fixture(autouse=True)
def anna(settings: Any) -> None:
    """Create the operator, who may grant any amount alone."""
    settings.ADMIN_ADJUST_LIMIT = settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(10**12)
    user = User.objects.create(username="anna", is_staff=True)
    user.groups.add(Group.objects.get(name=roles.FINANCE))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file with two users, 5 and 2.5 credits."""
    path = tmp_path / "users.csv"
    path.write_text("user_id,credits\nbob,5\nalice,2.5\n")
    return path


def run(file: Path, *options: str, campaign: str = "winter") -> int:
    """Run the command. Return its exit code."""
    try:
        call_command(
            "grant_credits",
            f"--csv={file}",
            f"--campaign={campaign}",
            f"--reason={REASON}",
            "--operator=anna",
            *options,
        )
    except SystemExit as end:
        return int(str(end.code))
    return 0


def test_a_dry_run_is_the_default(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file) == 0
    assert run(file, "--dry-run") == 0

    assert not Balance.objects.exists()
    assert capsys.readouterr().out.splitlines()[:6] == [
        "granted             2",
        "granted before      0",
        "had another amount  0",
        "refused             0",
        "credits to grant    7.5",
        "Nothing changed.",
    ]


@pytest.mark.parametrize("limit", [10**12, 1])
def test_a_run_that_is_overtaken_continues_with_the_same_campaign(
    file: Path,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
) -> None:
    settings.ADMIN_ADJUST_LIMIT = settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(limit)
    genuine = grant_requests.ask

    def overtaken(*wanted: Any, key: UUID, **named: Any) -> Any:
        genuine(*wanted, key=uuid4(), **named)
        return genuine(*wanted, key=key, **named)

    monkeypatch.setattr(grant_requests, "ask", overtaken)

    assert run(file, "--apply") == 0

    waits = limit == 1
    assert ("waits for a colleague's approval" in capsys.readouterr().out) == waits
    assert GrantCampaign.objects.count() == 1
    assert available() == ({} if waits else {"alice": 2.5, "bob": 5})


def test_everybody_gets_theirs_with_the_reason(file: Path) -> None:
    assert run(file, "--apply") == 0

    assert available() == {"alice": 2.5, "bob": 5}
    entry = Transaction.objects.get(user_id="alice")
    assert (entry.type, entry.actor, entry.description) == ("grant", "operator:anna", REASON)
    assert entry.metadata == {"campaign": "winter", "reason": REASON}


def test_a_campaign_grants_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(file, "--apply")
    file.write_text("user_id,credits\nbob,5\nalice,2.5\ncarol,1\n")

    assert run(file, "--apply") == 0
    capsys.readouterr()
    assert run(file) == 0

    assert available() == {"alice": 2.5, "bob": 5, "carol": 1}
    assert capsys.readouterr().out.splitlines()[:2] == [
        "granted             0",
        "granted before      3",
    ]


def test_a_repeated_command_grants_nothing_and_says_so(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(file, "--apply")
    capsys.readouterr()

    assert run(file, "--apply") == 0

    assert available() == {"alice": 2.5, "bob": 5}
    assert capsys.readouterr().out.splitlines()[:2] == [
        "granted             0",
        "granted before      2",
    ]


@pytest.mark.usefixtures("committed")
def test_a_locked_balance_leaves_its_grant_waiting(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    give("bob", 1)

    with transaction.atomic():
        with as_owner():
            Balance.objects.select_for_update().get(pk="bob")
        (code,) = at_once(1, lambda _: run(file, "--apply"))
    printed = capsys.readouterr()
    again = run(file, "--apply")

    assert (code, again) == (1, 0)
    assert "waiting             1" in printed.out.splitlines()
    assert "The worker retries them." in printed.err
    assert available() == {"alice": 2.5, "bob": 6}


def test_another_campaign_grants_again(file: Path) -> None:
    run(file, "--apply")

    with pytest.raises(CommandError, match=r"This file is in a campaign already.*winter"):
        run(file, "--apply", campaign="summer")
    assert available() == {"alice": 2.5, "bob": 5}
    assert run(file, "--apply", "--again", campaign="summer") == 0

    assert available() == {"alice": 5, "bob": 10}


@pytest.mark.parametrize("options", [("--apply",), ()])
def test_another_amount_is_told_and_not_granted(
    file: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run(file, "--apply")
    file.write_text("user_id,credits\nbob,6\n")

    assert run(file, *options) == 1

    assert available() == {"alice": 2.5, "bob": 5}
    assert "User bob: got 5 before, not 6." in capsys.readouterr().err


def test_a_user_named_twice_is_refused_with_both_lines_before_anything_moves(file: Path) -> None:
    users = [f"d-{number}" for number in range(600)]
    users[301:301] = ["d-7"]
    file.write_text("user_id,credits\n" + "".join(f"{user},1\n" for user in users))

    for option in ("--apply", "--dry-run"):
        with pytest.raises(CommandError, match="Lines 9 and 303 name the same user, d-7"):
            run(file, option)

    assert not Balance.objects.exists()


def test_a_user_with_two_amounts_is_refused_too(file: Path) -> None:
    file.write_text("user_id,credits\nbob,6\nbob,5\n")

    with pytest.raises(CommandError, match="Lines 2 and 3 name the same user, bob"):
        run(file, "--apply")

    assert not Balance.objects.exists()


@pytest.mark.parametrize(
    ("user_id", "says"),
    [
        ('"c24-a\n"', "Control characters"),
        ("c24\x07b", "Control characters"),
        ("c24-c ", "Blanks and invisible characters"),
        ("\tc24-c", "Control characters"),
        ("\xa0c24-c", "Blanks and invisible characters"),
        ("c24-c\u200b", "Blanks and invisible characters"),
        ("\ufeffc24-c", "Blanks and invisible characters"),
        ("   ", "may not be blank"),
        ("x" * 256, "1 to 255 characters"),
    ],
)
def test_an_id_that_the_wire_refuses_is_refused_with_its_line(
    user_id: str, says: str, file: Path
) -> None:
    file.write_text(f"user_id,credits\nalice,1\n{user_id},5\n", encoding="utf-8")

    with pytest.raises(CommandError, match=f"Line 3: .*{says}"):
        run(file, "--apply")

    assert not Balance.objects.exists()


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("1.000", "'1.000' is ambiguous: write 1 or 1000"),
        ("1_000", "'1_000' is not an amount of credits"),
        ("\uff11\uff10", "is not an amount of credits"),
        ("1E+03", "is not an amount of credits"),
        (" 5", "is not an amount of credits"),
        ("+5", "is not an amount of credits"),
        (".5", "is not an amount of credits"),
        ("5.", "is not an amount of credits"),
        ("NaN", "is not an amount of credits"),
        ('"1,5"', "is not an amount of credits"),
        ("0", "must be a positive number"),
        ("999999999999", "with at most 4 decimal places"),
    ],
)
def test_an_amount_is_written_in_one_way(amount: str, says: str, file: Path) -> None:
    file.write_text(f"user_id,credits\nalice,1\nbob,{amount}\n", encoding="utf-8")

    with pytest.raises(CommandError, match=f"Line 3: .*{says}"):
        run(file, "--apply")

    assert not Balance.objects.exists()


def test_a_rehearsal_prints_the_numbers_of_the_run_and_is_rolled_back(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(file, "--apply")
    file.write_text("user_id,credits\nbob,6\nalice,2.5\ncarol,0.1\n")
    before = available()
    capsys.readouterr()

    codes = [run(file)]
    rehearsed = capsys.readouterr()
    assert available() == before
    codes += [run(file, "--apply")]
    done = capsys.readouterr()

    assert codes == [1, 1]
    assert rehearsed.err == done.err == "User bob: got 5 before, not 6.\n"
    assert rehearsed.out.replace("credits to grant ", "credits granted  ") == done.out
    assert {user: float(amount) for user, amount in available().items()} == {
        "alice": 2.5,
        "bob": 5,
        "carol": 0.1,
    }


def test_a_refusal_of_the_ledger_is_the_same_in_both(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("user_id,credits\nbob,99999999999\n")
    run(file, "--apply")

    capsys.readouterr()
    codes = [run(file, "--again", *more, campaign="summer") for more in ((), ("--apply",))]

    assert codes == [1, 1]
    sentence = "User bob: The balance would become too large."
    assert capsys.readouterr().err.splitlines() == [sentence, sentence]
    assert Balance.objects.get().posted == 99999999999


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("user,amount\n", "first line must be: user_id,credits"),
        ("user_id,credits\nalice,1\nbob,x\n", "Line 3: 'x' is not an amount"),
        ("user_id,credits\nalice,1\nbob,-1\n", "Line 3: '-1' is not an amount"),
        ("user_id,credits\nalice,1\nbob,0.00001\n", "Line 3: '0.00001' is not an amount"),
        ("user_id;credits\nalice;1\n", "separated by semicolons"),
        ("user_id,credits\nalice,1\nbob\n", "Line 3"),
        ("user_id,credits\nalice,1\n,5\n", "Line 3"),
        ("user_id,credits\nalice,1\nbob,5,6\n", "Line 3"),
    ],
)
def test_a_file_with_a_mistake_grants_nothing(text: str, says: str, file: Path) -> None:
    file.write_text(text)

    with pytest.raises(CommandError, match=says):
        run(file, "--apply")

    assert not Balance.objects.exists()


def test_names_that_are_too_long(file: Path) -> None:
    with pytest.raises(CommandError, match="--campaign must have 1 to 100 characters"):
        run(file, "--apply", campaign="c" * 101)


@pytest.mark.parametrize("name", ["c\nd", "  ", "c\udcff"])
def test_a_name_that_the_wire_refuses(name: str, file: Path) -> None:
    with pytest.raises(CommandError, match="--campaign"):
        run(file, "--apply", campaign=name)

    assert not Balance.objects.exists()


def test_the_cause_names_user_and_campaign(file: Path) -> None:
    give("bob", 1)

    assert run(file, "--apply") == 0

    assert Transaction.objects.get(user_id="bob", amount=5).cause == "grant:3:bob:campaign:winter"


def test_every_refused_line_is_listed_and_the_others_are_granted_if_told_so(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("user_id,credits\nbob,x\n,5\nalice,1\nalice,1\ncarol,2\n")

    with pytest.raises(CommandError) as refused:
        run(file, "--apply")
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "Line 2",
        "Line 3",
        "Line 4",
        "Line 5",
    ]
    assert not GrantCampaign.objects.exists()

    assert run(file, "--apply", "--leave-out-refused") == 0
    assert available() == {"carol": 2}
    assert capsys.readouterr().err.count("Left out: Line") == 4


def test_a_file_above_the_limit_waits_for_a_colleague_and_is_granted_by_the_same_command(
    file: Path, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(7)

    assert run(file, "--apply") == run(file, "--apply") == 0
    assert capsys.readouterr().out.count("waits for a colleague's approval") == 2
    assert available() == {}

    approve: dict[str, Any] = {"note": "", "key": uuid4(), "now": datetime.now(UTC)}
    with patch("mana_credits.back_office.acts.grant_requests.begin"):  # the worker is away
        approvals.approve(operator("ada"), ActRequest.objects.get().pk, **approve)
    assert run(file, "--apply") == 0

    assert available() == {"alice": 2.5, "bob": 5}
    assert "granted             2" in capsys.readouterr().out
    assert {entry.actor for entry in Transaction.objects.all()} == {"operator:ada"}


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_only_an_active_operator_grants(file: Path, change: dict[str, Any]) -> None:
    User.objects.update(**change)

    with pytest.raises(CommandError, match="There is no such operator"):
        run(file, "--apply")


def test_an_operator_without_the_permission_grants_nothing(file: Path) -> None:
    User.objects.get().groups.clear()

    with pytest.raises(CommandError, match="You do not have the permission"):
        run(file, "--apply")

    assert not Balance.objects.exists()
