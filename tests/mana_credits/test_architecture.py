"""Architecture rules that import-linter cannot check, read from the syntax trees."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

# Parsing every module takes seconds in each process.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
APPS = ("credits", "gifts", "webhooks", "internal_api", "mana_credits")
DEVELOPMENT = "mana_credits/dev/"

WRITTEN_BY_THE_DATABASE = {"Balance", "Transaction", "IdempotencyKey", "UsageStat"}
WRITES = {
    "acreate",
    "adelete",
    "asave",
    "aupdate",
    "bulk_create",
    "bulk_update",
    "create",
    "delete",
    "get_or_create",
    "save",
    "update",
    "update_or_create",
}
# Modules that translate between the outside and the domain. All others are the domain.
TRANSLATORS = {
    "api",
    "client_ip",
    "admin",
    "apps",
    "authentication",
    "management",
    "migrations",
    "pages",
    "serializers",
    "templatetags",
    "urls",
    "views",
}


@cache
def syntax(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text())


def modules(*apps: str) -> dict[str, ast.Module]:
    """Return the syntax trees of these apps' modules by path."""
    return {
        path.relative_to(ROOT).as_posix(): syntax(path)
        for app in apps
        for path in sorted((ROOT / app).rglob("*.py"))
    }


def names(tree: ast.AST) -> set[str]:
    """Return every name, attribute and imported name in `tree`."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                found.add(name)
            case ast.alias(name=name):
                found.update(name.split("."))
    return found


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield every string in `tree` except docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text


def imports(tree: ast.AST) -> set[str]:
    """Return the full names of the imports in `tree`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                found.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(module), names=aliases):
                found.update(f"{module}.{alias.name}" for alias in aliases)
    return found


def roots(tree: ast.Module) -> dict[str, set[str]]:
    """Return the names from which each variable of `tree` is built."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, set()).update(names(value))
            case ast.For(target=ast.Name(id=name), iter=value):
                found.setdefault(name, set()).update(names(value))
    return found


def rows_written(tree: ast.Module) -> set[str]:
    """Return the models of database-written tables that `tree` writes through the ORM.

    A call such as `x.save()` counts for each model in the expression `x`, or in the expression that
    the variable was built from.
    """
    variables = roots(tree)
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=subject, attr=verb)) if verb in WRITES:
                direct = names(subject)
                behind = set().union(*(variables.get(name, set()) for name in direct))
                found |= (direct | behind) & WRITTEN_BY_THE_DATABASE
    return found


def is_domain(path: str) -> bool:
    parts = set(Path(path).with_suffix("").parts)
    stem = Path(path).stem
    translates = parts & TRANSLATORS or stem.endswith(("_serializers", "_urls", "_views"))
    return not translates


def test_only_the_ledger_calls_the_function_that_posts() -> None:
    callers = {
        path
        for path, tree in modules(*APPS).items()
        if "/migrations/" not in path and any("post_transaction" in text for text in texts(tree))
    }

    assert callers == {
        "credits/ledger/posting.py",
        "credits/ledger/bulk_posting.py",  # many movements at once
        "credits/ledger/distribution.py",  # its place on a cluster
        "credits/ledger/idempotency.py",  # a key without a movement
        "credits/ledger/ledger.py",  # a balance without a movement
    }


def test_no_module_writes_the_ledgers_rows_otherwise() -> None:
    writers = {path for path, tree in modules(*APPS).items() if rows_written(tree)}

    assert writers == set()


def test_no_module_writes_the_ledgers_rows_in_sql_of_its_own() -> None:
    tables = [f"credits.{name}" for name in ("balances", "transactions", "idempotency_keys")]
    verbs = ("INSERT INTO", "UPDATE", "DELETE FROM", "TRUNCATE")
    writers = {
        path
        for path, tree in modules(*APPS).items()
        for text in texts(tree)
        if any(f"{verb} {table}" in text for verb in verbs for table in tables)
    }

    assert writers == set()


def test_only_these_scripts_write_the_ledgers_rows() -> None:
    tables = "balances|transactions|idempotency_keys"
    writing = re.compile(rf"(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE) credits\.({tables})\b")

    writers = {
        path.relative_to(ROOT).as_posix()
        for app in APPS
        for path in (ROOT / app).rglob("*.sql")
        if writing.search(path.read_text())
    }

    assert writers == {
        "credits/ledger/sql/post_transaction.sql",
        "credits/ledger/sql/spend_batch.sql",
        "credits/ledger/sql/mark_settings.sql",  # a flag; no number
        "credits/ledger/sql/note_next_expiry.sql",  # a timestamp; no number
        "credits/ledger/sql/delete_key.sql",
        "credits/ledger/sql/delete_old_keys.sql",
        "credits/ledger/sql/blank_key.sql",
        "credits/ledger/sql/erase_transactions.sql",
        "credits/ledger/sql/erase_balance.sql",
        "credits/ledger/sql/backfill/balances_fix.sql",
        "credits/ledger/sql/backfill/operations_fix.sql",  # one column's worth; ADR 0051
        "mana_credits/legacy_import/sql/credits/post.sql",  # old history; ADR 0050
        "mana_credits/legacy_import/sql/credits/rows.sql",  # what its reservations hold
    }


def test_the_domain_knows_neither_http_nor_drf() -> None:
    apps = ("credits", "gifts", "webhooks")
    domain = {path: tree for path, tree in modules(*apps).items() if is_domain(path)}

    translating = {
        path
        for path, tree in domain.items()
        for name in imports(tree)
        if name.startswith(("django.http", "rest_framework", "drf_spectacular"))
    }

    assert {"credits/ledger/ledger.py", "gifts/codes.py"} <= set(domain)
    assert translating == set()


def test_the_service_imports_nothing_of_development() -> None:
    service = {
        path: tree for path, tree in modules(*APPS).items() if not path.startswith(DEVELOPMENT)
    }

    knowing = {
        path
        for path, tree in service.items()
        for name in imports(tree)
        if name.startswith("mana_credits.dev")
    }

    assert "mana_credits/settings.py" in service
    assert knowing == set()


def test_no_app_knows_the_composition_root() -> None:
    apps = [app for app in APPS if app != "mana_credits"]

    knowing = {
        path
        for path, tree in modules(*apps).items()
        for name in imports(tree)
        if name.split(".")[0] == "mana_credits"
    }

    assert knowing == set()


@pytest.mark.parametrize(
    "code",
    [
        "Transaction.objects.create(amount=1)",
        "Balance.objects.filter(pk='a').update(posted=1)",
        "row = Balance.objects.get()\nrow.posted = 1\nrow.save()",
        "for row in UsageStat.objects.all():\n    row.delete()",
        "models.Balance(user_id='a').save()",
        "IdempotencyKey.objects.bulk_create([])",
    ],
)
def test_these_tests_see_a_write(code: str) -> None:
    assert rows_written(ast.parse(code))


def test_modules_are_named_by_nouns() -> None:
    nouns = {"posting", "bulk_posting", "encoding", "tracing", "key_ring"}
    adjectives = {"pending"}  # gifts that wait for their recipient
    found = {
        path.stem
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if path.stem.endswith("ing")
    }

    assert found - nouns - adjectives == set()


def test_no_module_is_long() -> None:
    lists = {"mana_credits/settings.py"}  # one list of all settings

    long = {
        name
        for name in modules(*APPS)
        if "/migrations/" not in name and len((ROOT / name).read_text().splitlines()) >= 300
    }

    assert long <= lists
