"""`.env.example` lists exactly the variables that the service reads."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READERS = (
    "mana_credits/settings.py",
    "mana_credits/environment.py",
    "mana_credits/gunicorn.conf.py",
)
READ = re.compile(
    r"""(?:env\.\w+\(|Environment\(\)\.text\(|password\(|require_folder\(|secret\(|database_url\(|whole_number\(|environ\.get\(|environ\.setdefault\(|environ\[)\s*["']([A-Z_]+)["']"""
)


def test_every_variable_that_is_read_is_described_and_no_other() -> None:
    read = {name for path in READERS for name in READ.findall((ROOT / path).read_text())}

    example = (ROOT / ".env.example").read_text()

    only_compose = {"POSTGRES_PASSWORD"}
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == read | only_compose
    assert {"SECRET_KEY", "DATABASE_URL", "WEB_CONCURRENCY"} <= read


def test_a_copy_gives_the_worker_and_commands_no_limits_of_the_web_server() -> None:
    """All processes read one file. The limits are set by the web server itself."""
    configuration = (ROOT / "mana_credits/gunicorn.conf.py").read_text()
    of_the_web_server = set(re.findall(r'setdefault\("(\w+)"', configuration))

    example = (ROOT / ".env.example").read_text()

    assert "DATABASE_STATEMENT_TIMEOUT" in of_the_web_server
    assert of_the_web_server & set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == set()
