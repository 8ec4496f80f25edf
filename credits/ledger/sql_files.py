"""The SQL that models cannot express: one file of a package's `sql/` for each function.

Migrations install a file by its name. A changed file is installed again by a new migration; a test
compares a migrated database with the files.
"""

from pathlib import Path

from django.db.migrations import RunSQL

PROJECT = Path(__file__).resolve().parents[2]


def path(package: str, name: str) -> Path:
    """Return where the file `name` of a package is kept."""
    return PROJECT.joinpath(*package.split("."), "sql", f"{name}.sql")


def install(package: str, *names: str) -> list[RunSQL]:
    """Return operations that run these files of a package such as `gifts`, in this order.

    Backwards they do nothing: a function stays until it is replaced, or dropped with its schema.
    """
    return [RunSQL(path(package, name).read_text(), RunSQL.noop) for name in names]
