"""The SQL that models cannot express: one file of an app's `sql/` for each function.

Migrations install a file by its name. A changed file is installed again by a new migration; a test
compares a migrated database with the files.
"""

from pathlib import Path

from django.db.migrations import RunSQL

PROJECT = Path(__file__).resolve().parent.parent


def path(app: str, name: str) -> Path:
    """Return where the file `name` of an app is kept."""
    return PROJECT / app / "sql" / f"{name}.sql"


def install(app: str, *names: str) -> list[RunSQL]:
    """Return operations that run these files of an app, in this order.

    Backwards they do nothing: a function stays until it is replaced, or dropped with its schema.
    """
    return [RunSQL(path(app, name).read_text(), RunSQL.noop) for name in names]
