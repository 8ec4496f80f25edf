"""What the service reads from its environment: passwords of any kind, errors in one sentence."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mana_credits import generate_secrets
from mana_credits.environment import EnvironmentInvalid, database_url
from tests.mana_credits.test_settings import IN_PRODUCTION, PRODUCTION, start, without

ROOT = Path(__file__).resolve().parents[2]
MISSING = "MANA_SERVICE_KEY is not set. The service does not start without it.\n"
GUNICORN = ("-W", "ignore", "-m", "gunicorn", "-c", "mana_credits/gunicorn.conf.py")


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("plain", "plain"),
        ("p/w@h?o#st:x", "p/w@h?o#st:x"),
        ("%2F%40%25", "/@%"),
        ("a b[c]", "a b[c]"),
        ("50%25", "50%"),
        ("ä€", "ä€"),
        ("", None),
    ],
)
def test_a_password_of_any_characters_is_read(
    monkeypatch: pytest.MonkeyPatch, written: str, password: str | None
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://mana:{written}@db.example:5433/credits")

    read = database_url("DATABASE_URL")

    assert read.get("password") == password
    others = {name: value for name, value in read.items() if name != "password"}
    assert others == {"user": "mana", "host": "db.example", "port": "5433", "dbname": "credits"}


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql:///credits?host=/run/x", {"dbname": "credits", "host": "/run/x"}),
        (
            "postgres://mana:s@[::1]/c?sslmode=require",
            {"user": "mana", "password": "s", "host": "::1", "dbname": "c", "sslmode": "require"},
        ),
        ("host=db dbname=c", {"host": "db", "dbname": "c"}),
        (
            "postgresql://mana@database:5432/c",
            {"user": "mana", "host": "database", "port": "5432", "dbname": "c"},
        ),
    ],
)
def test_other_forms_are_read_as_libpq_reads_them(
    monkeypatch: pytest.MonkeyPatch, url: str, parts: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert database_url("DATABASE_URL") == parts


@pytest.mark.parametrize("url", ["postgresql://mana:100%@db/c", "mysql://db/c", "nonsense"])
def test_what_is_no_url_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(
        EnvironmentInvalid, match=r"^DATABASE_URL is not a PostgreSQL URL"
    ) as refusal:
        database_url("DATABASE_URL")

    assert "100%" not in str(refusal.value)


@pytest.mark.parametrize("command", ["check", "worker", "migrate"])
def test_every_command_names_a_missing_secret_in_one_sentence(command: str) -> None:
    told = start("manage.py", command, **without("MANA_SERVICE_KEY"))

    assert (told.returncode, told.stdout, told.stderr) == (1, "", MISSING)


def test_the_web_server_names_it_too_and_leaves_no_folder_behind(tmp_path: Path) -> None:
    environment = without("MANA_SERVICE_KEY")

    told = start(*GUNICORN, **environment, HOST="127.0.0.1", PORT="0", TMPDIR=str(tmp_path))

    assert (told.returncode, told.stdout, told.stderr) == (1, "", MISSING)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("WEB_THREADS", "two"), ("DATABASE_POOL_SIZE", "8x"), ("PORT", "")]
)
def test_a_number_that_is_none_is_named(name: str, value: str) -> None:
    told = start(*GUNICORN, **{**IN_PRODUCTION, "HOST": "127.0.0.1", "PORT": "0", name: value})

    assert told.returncode == 1
    assert told.stderr.startswith(f"{name} is not a")
    assert len(told.stderr.splitlines()) == 1


def test_the_secrets_of_a_new_installation_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    command = [sys.executable, "-I", "-c"]
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    program += "from mana_credits.generate_secrets import main; sys.exit(main(sys.argv[1:]))"

    written = subprocess.run([*command, program, path], check=True, capture_output=True, text=True)
    text = path.read_text()
    again = subprocess.run([*command, program, path], check=False, capture_output=True, text=True)
    read = dict(line.split("=", 1) for line in text.splitlines() if line[:1].isalpha())

    assert "Now fill in STRIPE_SECRET_KEY" in written.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read["SECRET_KEY"]) >= 50
    assert len(read["MANA_SERVICE_KEY"]) >= 16
    assert read["POSTGRES_PASSWORD"].replace("-", "").replace("_", "").isalnum()
    assert read["STRIPE_SECRET_KEY"] == ""
    assert (again.returncode, path.read_text()) == (1, text)
    assert again.stderr == f"{path} was not written: File exists.\n"


def test_printed_secrets_are_new_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    generate_secrets.main([])
    first = capsys.readouterr().out
    generate_secrets.main([])
    second = capsys.readouterr().out

    assert [line.split("=")[0] for line in first.splitlines()] == [
        "SECRET_KEY",
        "MANA_SERVICE_KEY",
        "POSTGRES_PASSWORD",
    ]
    assert not set(first.splitlines()) & set(second.splitlines())


def test_an_example_that_lacks_a_secret_is_a_defect() -> None:
    with pytest.raises(LookupError, match="POSTGRES_PASSWORD"):
        generate_secrets.filled("SECRET_KEY=\nMANA_SERVICE_KEY=\n", generate_secrets.new_secrets())


@pytest.mark.parametrize(
    ("value", "preload"), [({}, "False"), ({"SECURE_HSTS_PRELOAD": "1"}, "True")]
)
def test_the_preload_list_is_a_choice(value: dict[str, str], preload: str) -> None:
    program = "from mana_credits import settings; print(settings.SECURE_HSTS_PRELOAD)"

    assert start("-c", program, **PRODUCTION, **value).stdout == f"{preload}\n"


def test_the_units_of_systemd_start_what_the_guide_says() -> None:
    units = {path.name: path.read_text() for path in (ROOT / "ops/systemd").iterdir()}

    assert "bin/gunicorn -c mana_credits/gunicorn.conf.py\n" in units["mana-credits.service"]
    assert "bin/python manage.py worker\n" in units["mana-credits-worker.service"]
    assert all("EnvironmentFile=/etc/mana-credits/env\n" in text for text in units.values())
    assert all("User=mana-credits\n" in text for text in units.values())
    assert os.access(ROOT / "ops/install.sh", os.X_OK)
