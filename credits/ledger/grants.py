"""The role of the service: its creation, its grants, and its excess rights.

The owner of the database runs migrations. The service connects as another role, which owns nothing
and changes the ledger only through the owner's functions (`sql/grants.sql`).
"""

from typing import Any

import psycopg
from django.db import connection
from psycopg.sql import SQL, Identifier, Literal

from credits.ledger import sql_files
from credits.postgresql.service_role import Role

PLACE = '"service"'
SCHEMAS = ["public", "credits", "gifts"]
PROTECTED = [
    "credits.balances",
    "credits.transactions",
    "credits.reservations",
    "credits.credit_lots",
    "credits.lot_uses",
    "credits.idempotency_keys",
    "credits.staff_actions",
    "credits.settings_changes",
]

# The last query leaves out owners, because the one before reports them.
# Each row is a sentence about the current role that must not be true.
_FAULTS = """
    SELECT format('The role %%s is a superuser', rolname) FROM pg_roles
    WHERE rolname = current_user AND rolsuper
    UNION ALL
    SELECT format('The role %%s may create roles or ignore row security', rolname) FROM pg_roles
    WHERE rolname = current_user AND NOT rolsuper AND (rolcreaterole OR rolbypassrls)
    UNION ALL
    SELECT format('The role %%s owns %%s, or is a member of its owner', current_user,
                  min(c.oid::regclass::text))
    FROM pg_class c
    WHERE relnamespace = ANY (%(schemas)s::regnamespace[]) AND pg_has_role(relowner, 'MEMBER')
      AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    HAVING count(*) > 0
    UNION ALL
    SELECT format('The role %%s may write %%s', current_user, t.name)
    FROM unnest(%(protected)s::text[]) AS t (name)
    WHERE has_table_privilege(t.name, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
      AND NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = t.name::regclass), 'MEMBER')
"""


class RoleMissing(Exception):
    """The role of the service does not exist, and the owner may not create it."""


def apply(role: Role) -> None:
    """Create the role if it is missing, and grant it only what the service needs.

    Does nothing while the tables are missing. Raises RoleMissing.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user = %s, to_regclass('gifts.gift_codes')", [role.name])
        is_owner, tables = cursor.fetchone()
        if is_owner or tables is None:
            return
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role.name])
        if cursor.fetchone() is None:
            _create(cursor, role)
        grants = sql_files.path("credits.ledger", "grants").read_text(encoding="utf-8")
        cursor.execute(grants.replace(PLACE, Identifier(role.name).as_string()))


def faults(parameters: dict[str, Any]) -> list[str]:
    """Connect with these parameters and return the role's excess rights, a sentence each.

    Returns nothing while the database is unreachable or empty.
    """
    try:
        with psycopg.connect(**parameters) as checked:
            found = checked.execute("SELECT to_regclass('credits.balances')").fetchone()
            if found is None or found[0] is None:
                return []
            values = {"schemas": SCHEMAS, "protected": PROTECTED}
            return [str(sentence) for (sentence,) in checked.execute(_FAULTS, values)]
    except psycopg.OperationalError:
        return []


def _create(cursor: Any, role: Role) -> None:
    cursor.execute("SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user")
    if not cursor.fetchone()[0]:
        raise RoleMissing(
            f"The role {role.name} of DATABASE_URL does not exist, and the role of"
            f" MIGRATIONS_DATABASE_URL may not create it. Run: CREATE ROLE {role.name} LOGIN;"
        )
    password = SQL(" PASSWORD {}").format(Literal(role.password)) if role.password else SQL("")
    statement = SQL("CREATE ROLE {} LOGIN{}").format(Identifier(role.name), password)
    # Migrations of two databases of one server may create it at once.
    tolerant = (
        f"BEGIN {statement.as_string()};"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END"
    )
    cursor.execute(SQL("DO {}").format(Literal(tolerant)).as_string())
