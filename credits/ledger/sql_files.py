"""SQL that models cannot express: one file per function in a package's folder `sql/`.

Migrations install a file by its name. After a release, a changed file is installed again by a new
migration. A test compares a migrated database with the files.
"""

from pathlib import Path

from django.db.migrations import RunSQL

PROJECT = Path(__file__).resolve().parents[2]


def path(package: str, name: str) -> Path:
    """Return the path of the SQL file `name` of a package."""
    return PROJECT.joinpath(*package.split("."), "sql", f"{name}.sql")


def install(package: str, *names: str) -> list[RunSQL]:
    """Return migration operations that run these SQL files of a package in order.

    Reversing them does nothing: a function is kept until it is replaced or its schema is dropped.
    """
    return [RunSQL(path(package, name).read_text(encoding="utf-8"), RunSQL.noop) for name in names]
