"""Reading the environment: passwords with any characters, one-sentence errors."""

import os
import re
import runpy
import stat
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from mana_credits import generate_secrets
from mana_credits.environment import Environment, EnvironmentInvalid, database_url
from tests.mana_credits.test_settings import (
    IN_PRODUCTION,
    PRODUCTION,
    complaint,
    start,
    without,
)

ROOT = Path(__file__).resolve().parents[2]
MISSING = "MANA_SERVICE_KEY is not set. The service does not start without it.\n"
WEB_SERVER = ("-W", "ignore", "-m", "mana_credits.web_server")


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
    ("variable", "setting", "default"),
    [
        ("ALLOWED_HOSTS", "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"]),
        ("EVENT_HOSTS", "EVENT_HOSTS", []),
        ("STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRETS", []),
    ],
)
def test_spaces_in_a_list_are_not_part_of_its_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, setting: str, default: list[str]
) -> None:
    def read() -> Any:
        return runpy.run_path(str(ROOT / "mana_credits" / "settings.py"))[setting]

    monkeypatch.delenv(variable, raising=False)
    assert read() == default
    monkeypatch.setenv(variable, " a.example, b.example,, ")
    assert read() == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql:///credits?host=/run/x", {"dbname": "credits", "host": "/run/x"}),
        (
            "postgres://mana:s@[::1]/c?sslmode=require",
            {"user": "mana", "password": "s", "host": "::1", "dbname": "c", "sslmode": "require"},
        ),
        ("host=db dbname=c", {"host": "db", "dbname": "c"}),
        ("service=credits", {"service": "credits"}),
        (
            "postgresql://mana@db:5432,db2:5433/c",
            {"user": "mana", "host": "db,db2", "port": "5432,5433", "dbname": "c"},
        ),
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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mana:100%@db/c",
        "mysql://db/c",
        "nonsense",
        "postgresql://",
        "postgresql://mana@db",
        "postgresql://mana@db:99999/c",
        "postgresql://mana@db:5432,db2:0/c",
    ],
)
def test_an_invalid_database_url_is_reported_without_its_password(
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


@pytest.mark.slow
def test_the_web_server_names_it_too_and_leaves_no_folder_behind(tmp_path: Path) -> None:
    environment = without("MANA_SERVICE_KEY")

    told = start(*WEB_SERVER, **environment, HOST="127.0.0.1", PORT="0", TMPDIR=str(tmp_path))

    assert (told.returncode, told.stdout, told.stderr) == (1, "", MISSING)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"), [("WEB_CONCURRENCY", "two"), ("DATABASE_POOL_SIZE", "8x"), ("PORT", "")]
)
def test_the_web_server_names_an_invalid_number_in_one_sentence(name: str, value: str) -> None:
    told = start(*WEB_SERVER, **{**IN_PRODUCTION, "HOST": "127.0.0.1", "PORT": "0", name: value})

    assert told.returncode == 1
    assert told.stderr.startswith(f"{name} is not a whole number ")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_sandbox_names_it_too(tmp_path: Path) -> None:
    told = start("-m", "mana_credits.dev.sandbox", SANDBOX_DIR=str(tmp_path), WEB_CONCURRENCY="two")

    assert told.returncode == 1
    assert told.stderr == (
        "mana-credits cannot start: WEB_CONCURRENCY is not a whole number from 1 to 1000.\n"
    )
    assert list(tmp_path.iterdir()) == []


OF_THE_WEB_SERVER = {"PORT", "WEB_CONCURRENCY", "WEB_THREADS", "WEB_MAX_REQUESTS"}
NUMBERS = re.compile(r'(?:whole_number|amount|duration|numbers)\(\s*"([A-Z_]+)"')


def sources() -> str:
    paths = ("settings.py", "gunicorn.conf.py", "environment.py")
    return "".join((ROOT / "mana_credits" / path).read_text() for path in paths)


def refusal(name: str, value: str) -> str:
    """Return the error for a variable from the file that reads it."""
    if name not in OF_THE_WEB_SERVER:
        return complaint(**{**PRODUCTION, name: value})
    with patch.dict(os.environ, {**PRODUCTION, name: value}), pytest.raises(SystemExit) as ended:
        runpy.run_path("mana_credits/gunicorn.conf.py")
    return str(ended.value)


@pytest.mark.parametrize("name", sorted(set(NUMBERS.findall(sources()))))
def test_every_number_is_named_that_cannot_be_read(name: str) -> None:
    assert re.match(rf"{name} is not an? [^\n]+\.$", refusal(name, "two"))


@pytest.mark.parametrize("value", ["-1", "", "1.5.", "1e400", "nan", "\uff19", "9" * 5000])
@pytest.mark.parametrize(
    ("read", "default"),
    [("whole_number", 1), ("amount", Decimal(1)), ("duration", "1s"), ("numbers", {"writes": 1})],
)
def test_other_texts_are_rejected_as_numbers(
    monkeypatch: pytest.MonkeyPatch, read: str, default: Any, value: str
) -> None:
    monkeypatch.setenv("LIMIT", f"writes={value}" if read == "numbers" else value)

    with pytest.raises(EnvironmentInvalid, match=r"^LIMIT is not an? [^\n]+\.$"):
        getattr(Environment(), read)("LIMIT", default=default)


EXAMPLE = (ROOT / ".env.example").read_text()
IN_EXAMPLE = dict(re.findall(r"(?m)^([A-Z_0-9]+)=(.+)$", EXAMPLE)) | PRODUCTION
READ_BY_SETTINGS = sorted((IN_EXAMPLE.keys() - OF_THE_WEB_SERVER | {"PORT"}) - {"HOST"})


def settings_with(name: str, value: str) -> dict[str, Any]:
    """Return the settings with this variable, as text, without those that are read lazily."""
    with patch.dict(os.environ, {**PRODUCTION, name: value}, clear=True):
        read = runpy.run_path(str(ROOT / "mana_credits" / "settings.py"))
    lazy = {"UNFOLD", "SPECTACULAR_SETTINGS", "REST_FRAMEWORK", "DATABASES"}
    return {key: repr(read[key]) for key in read if key.isupper() and key not in lazy}


@pytest.mark.parametrize("name", READ_BY_SETTINGS)
def test_line_ends_and_outer_spaces_are_not_part_of_a_value(name: str) -> None:
    value = IN_EXAMPLE[name]

    assert settings_with(name, f" {value} \r\n") == settings_with(name, value)


@pytest.mark.parametrize("name", READ_BY_SETTINGS)
@pytest.mark.parametrize("form", ['"{}"', "'{}'", "\ufeff{}", "{}\r\nX=1"])
def test_quotes_and_invisible_characters_are_named(name: str, form: str) -> None:
    assert complaint(**{**PRODUCTION, name: form.format(IN_EXAMPLE[name])}).startswith(f"{name} ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in ("BASE_URL", "MANA_AUTH_URL", "JWT_ISSUER", "JWT_AUDIENCE")),
        ("BASE_URL", "$BASE"),
        ("BASE_URL", "credits.example.com"),
        ("MANA_AUTH_URL", "https://auth.example.com:port"),
        ("MANA_AUTH_PUBLIC_URL", "ftp://auth.example.com"),
        ("MANA_NOTIFY_URL", "notify:3005"),
        ("STRIPE_API_BASE", "https://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("ALLOWED_HOSTS", "https://credits.example.com"),
        ("ALLOWED_HOSTS", "credits.example.com:443"),
        ("ALLOWED_HOSTS", "*.example.com"),
        ("ALLOWED_HOSTS", " , "),
        ("BASE_URL", "https://credits.example.com/app"),
        ("BASE_URL", "https://mana:secret@credits.example.com"),
        ("BASE_URL", "https://credits.example.com:443"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://App.example.com"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "https://app.example.com,null"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "http://app.example.com:80"),
        ("EVENT_HOSTS", "https://chat.example.com"),
        ("EVENT_HOSTS", "Chat.example.com"),
        ("STRIPE_ACCOUNT_ID", "mana"),
        ("SERVICE_PASSWORD", "of-windows\r"),
        ("PROMETHEUS_MULTIPROC_DIR", "/nowhere"),
        ("PROMETHEUS_MULTIPROC_DIR", "/dev/null"),
    ],
)
def test_a_text_that_would_be_ignored_is_named(name: str, value: str) -> None:
    assert complaint(**{**PRODUCTION, name: value}).startswith(
        (f"{name} is ", f"{name} has ", f"{name} begins ")
    )


def test_the_origins_of_apps_are_a_list() -> None:
    origins = ["https://app.example.com", "http://[::1]:5173", "capacitor://localhost"]

    assert settings_with("CORS_ORIGINS", f" {', '.join(origins)}, ")["CORS_ALLOWED_ORIGINS"] == str(
        origins
    )
    assert settings_with("CORS_ORIGINS", "")["CORS_ALLOWED_ORIGINS"] == "[]"


def test_the_role_of_the_service_is_named_beside_an_owner() -> None:
    urls = {"DATABASE_URL": "postgresql://db/c", "MIGRATIONS_DATABASE_URL": "postgresql://m@db/c"}

    assert complaint(**{**PRODUCTION, **urls}).startswith("DATABASE_URL names no role")


@pytest.mark.parametrize("host", ["nowhere.invalid", "https://a b", "-1", "192.0.2.1"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with patch.dict(os.environ, {"HOST": host}), pytest.raises(SystemExit, match=r"^HOST is not "):
        runpy.run_path("mana_credits/gunicorn.conf.py")


def test_a_password_of_the_service_may_begin_with_a_dollar_sign() -> None:
    environment = {
        **PRODUCTION,
        "DATABASE_URL": "postgresql://mana_service@localhost:1/unused",
        "MIGRATIONS_DATABASE_URL": "postgresql://mana@localhost:1/unused",
        "SERVICE_PASSWORD": " '$ecret'",
    }

    with patch.dict(os.environ, environment, clear=True):
        role = runpy.run_path(str(ROOT / "mana_credits" / "settings.py"))["SERVICE_ROLE"]

    assert role.password == " '$ecret'"


@pytest.mark.parametrize(
    ("host", "bind"),
    [("::1", "[::1]:3061"), ("[::]", "[::]:3061"), (" 127.0.0.1\r", "127.0.0.1:3061")],
)
def test_the_web_server_listens_on_addresses_of_both_families(host: str, bind: str) -> None:
    with patch.dict(os.environ, {"HOST": host, "PROMETHEUS_MULTIPROC_DIR": "/tmp"}, clear=True):
        assert runpy.run_path("mana_credits/gunicorn.conf.py")["bind"] == bind


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="only Linux has it")
def test_counters_are_in_memory_because_a_full_disk_would_kill_the_processes() -> None:
    with patch.dict(os.environ, clear=True), patch("atexit.register"):
        runpy.run_path("mana_credits/gunicorn.conf.py")
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])

    folder.rmdir()
    assert folder.parent == Path("/dev/shm")


def test_no_number_and_no_flag_is_read_in_another_way() -> None:
    read = set(NUMBERS.findall(sources()))

    assert {"WEB_CONCURRENCY", "BULKHEADS", "DATABASE_LOCK_TIMEOUT"} <= read
    assert not re.search(r"env\.(int|float|bool|decimal|get_value|str)\(", sources())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_POOL_SIZE", "0"),
        ("PORT", "65536"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_THREADS", "0"),
        ("GIFT_MISSES_PER_ADDRESS", "0"),
        ("ADMIN_SESSION_HOURS", "0"),
        ("STRIPE_PAYLOADS_KEPT_DAYS", "36501"),
        ("IDEMPOTENCY_KEYS_KEPT_DAYS", "4000000000"),
        ("DATABASE_LOCK_TIMEOUT", "25d"),
        ("DATABASE_STATEMENT_TIMEOUT", "5 s"),
        ("DATABASE_IDLE_TIMEOUT", "5seconds"),
        ("BULKHEADS", "writes=0"),
        ("BULKHEADS", "writes"),
        ("BULKHEADS", "reads=1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    assert refusal(name, value).startswith(f"{name} is not a")


def test_numbers_at_their_limits_are_taken() -> None:
    program = (
        "from mana_credits import settings as s; print(s.DATABASE_POOL_SIZE, s.PORT, "
        "s.DATABASE_SESSION['lock_timeout'], s.ADMIN_ADJUST_LIMIT, s.BULKHEADS['writes'], "
        "s.BULKHEADS['stripe'], s.IDEMPOTENCY_KEYS_KEPT_DAYS)"
    )
    told = start(
        *("-c", program),
        **PRODUCTION,
        DATABASE_POOL_SIZE=" 1 ",
        PORT="65535",
        DATABASE_LOCK_TIMEOUT="24d",
        ADMIN_ADJUST_LIMIT="0.0001",
        BULKHEADS="writes = 7,",
        IDEMPOTENCY_KEYS_KEPT_DAYS="0",
    )

    assert (told.stdout, told.stderr) == ("1 65535 24d 0.0001 7 2 0\n", "")


@pytest.mark.parametrize("name", ["DEBUG", "ADMIN_REQUIRE_2FA", "DATABASE_BEHIND_POOLER"])
@pytest.mark.parametrize("value", ["ture", "2", ""])
def test_a_flag_is_not_guessed_at(name: str, value: str) -> None:
    assert complaint(**{**PRODUCTION, name: value}) == f"{name} is neither 1 nor 0."


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


def test_no_file_is_read_in_the_encoding_of_the_locale() -> None:
    folders = ("credits", "gifts", "webhooks", "internal_api", "mana_credits")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))

    assert [path for path in paths if ".read_text()" in path.read_text(encoding="utf-8")] == [
        ROOT / "mana_credits/dev/embedded_postgres.py"  # reads numbers that PostgreSQL wrote
    ]


@pytest.mark.parametrize("arguments", [["--help"], [".env", "other"]])
def test_no_file_is_written_for_an_option_or_a_second_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit):
        generate_secrets.main(arguments)

    assert list(tmp_path.iterdir()) == []


def test_printed_secrets_are_new_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    generate_secrets.main([])
    first = capsys.readouterr().out
    generate_secrets.main([])
    second = capsys.readouterr().out

    assert [line.split("=")[0] for line in first.splitlines()] == [
        "SECRET_KEY",
        "MANA_SERVICE_KEY",
        "STATEMENT_KEYS",
        "POSTGRES_PASSWORD",
        "SERVICE_PASSWORD",
    ]
    assert not set(first.splitlines()) & set(second.splitlines())


def test_an_example_that_lacks_a_secret_is_a_defect() -> None:
    with pytest.raises(LookupError, match="POSTGRES_PASSWORD"):
        generate_secrets.filled(
            "SECRET_KEY=\nMANA_SERVICE_KEY=\nSTATEMENT_KEYS=\n", generate_secrets.new_secrets()
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "preload"), [({}, "False"), ({"SECURE_HSTS_PRELOAD": "1"}, "True")]
)
def test_the_preload_list_is_a_choice(value: dict[str, str], preload: str) -> None:
    program = "from mana_credits import settings; print(settings.SECURE_HSTS_PRELOAD)"

    assert start("-c", program, **PRODUCTION, **value).stdout == f"{preload}\n"


def test_the_units_of_systemd_start_what_the_guide_says() -> None:
    units = {path.name: path.read_text() for path in (ROOT / "ops/systemd").iterdir()}

    assert "bin/python -m mana_credits.web_server\n" in units["mana-credits.service"]
    assert "bin/python manage.py worker\n" in units["mana-credits-worker.service"]
    assert all("EnvironmentFile=/etc/mana-credits/env\n" in text for text in units.values())
    assert all("User=mana-credits\n" in text for text in units.values())
    assert os.access(ROOT / "ops/install.sh", os.X_OK)
