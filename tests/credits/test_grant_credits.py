"""`manage.py grant_credits`: many users, one reason, once per campaign."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from credits.models import Balance, Transaction
from tests.factories import give
from tests.importing import available

pytestmark = pytest.mark.django_db

REASON = "Thank you for waiting"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two users with 5 and 2.5 credits."""
    path = tmp_path / "users.csv"
    path.write_text("user_id,credits\nbob,5\nalice,2.5\n")
    return path


def run(file: Path, *options: str, campaign: str = "winter") -> int:
    """Run the command; return its exit code."""
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
    assert capsys.readouterr().out.splitlines()[:5] == [
        "granted             2",
        "had theirs          0",
        "had another amount  0",
        "credits to grant    7.5",
        "Nothing changed.",
    ]


def test_everybody_gets_theirs_with_the_reason(file: Path) -> None:
    assert run(file, "--apply") == 0

    assert available() == {"alice": 2.5, "bob": 5}
    entry = Transaction.objects.get(user_id="alice")
    assert (entry.type, entry.actor, entry.description) == ("grant", "operator:anna", REASON)
    assert entry.metadata == {"campaign": "winter", "reason": REASON}


@pytest.mark.parametrize("batch_size", ["1", "2", "3"])
def test_a_campaign_grants_once(
    file: Path, batch_size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(file, "--apply")
    file.write_text("user_id,credits\nbob,5\nalice,2.5\ncarol,1\nbob,5\n")

    assert run(file, "--apply", f"--batch-size={batch_size}") == 0
    capsys.readouterr()
    assert run(file) == 0

    assert available() == {"alice": 2.5, "bob": 5, "carol": 1}
    assert capsys.readouterr().out.splitlines()[:2] == [
        "granted             0",
        "had theirs          4",
    ]


def test_another_campaign_grants_again(file: Path) -> None:
    run(file, "--apply")

    assert run(file, "--apply", campaign="summer") == 0

    assert available() == {"alice": 5, "bob": 10}


@pytest.mark.parametrize("options", [("--apply",), ()])
def test_another_amount_is_told_and_not_granted(
    file: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run(file, "--apply")
    file.write_text("user_id,credits\nbob,6\n")

    assert run(file, *options) == 1

    assert available() == {"alice": 2.5, "bob": 5}
    assert "User bob got 5 before, not 6." in capsys.readouterr().err


def test_one_file_with_two_amounts_for_a_user(file: Path) -> None:
    file.write_text("user_id,credits\nbob,6\nbob,5\n")

    assert run(file) == 1
    assert run(file, "--apply") == 1

    assert available() == {"bob": 5}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "first line must be: user_id,credits"),
        ("user,amount\n", "first line must be: user_id,credits"),
        ("user_id,credits\nalice,1\nbob,x\n", "Line 3: 'x' is no amount"),
        ("user_id,credits\nalice,1\nbob,-1\n", "Line 3: '-1' is no amount"),
        ("user_id,credits\nalice,1\nbob,0.00001\n", "Line 3"),
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
    with pytest.raises(CommandError, match="--campaign has 1 to 100 characters"):
        run(file, "--apply", campaign="c" * 101)


def test_the_cause_names_user_and_campaign(file: Path) -> None:
    give("bob", 1)

    assert run(file, "--apply") == 0

    assert Transaction.objects.get(user_id="bob", amount=5).cause == "grant:3:bob:campaign:winter"
