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
