"""System checks that ask the database.

The service's role must own nothing and write the ledger through functions only. A Citus cluster
needs DATABASE_SHARDED.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution

from credits.ledger import distribution, grants
from mana_credits.database import KEYS

HINT = (
    "Connect the service as a role of its own: the owner's URL goes into MIGRATIONS_DATABASE_URL, "
    "the service's into DATABASE_URL. Then run `manage.py migrate`."
)
CONNECT_SECONDS = 2


@register(Tags.database, deploy=True)
def reachable(
    app_configs: object, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find a database that does not answer: the other checks of this module then find nothing.

    The web server starts without its database, so this is a warning.
    """
    if "default" not in (databases or ()):
        return []
    try:
        psycopg.connect(**_parameters()).close()
    except psycopg.OperationalError as error:
        text = f"The database in DATABASE_URL cannot be asked: {str(error).strip()}"
        return [Caution(text, id="mana_credits.W014")]
    return []


@register(Tags.database, deploy=True)
def service_role(
    app_configs: object, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find what the role in DATABASE_URL may do beyond the service's needs."""
    if "default" not in (databases or ()):
        return []
    found = grants.faults(_parameters())
    return [Error(f"{text}.", hint=HINT, id="mana_credits.E013") for text in found]


@register(Tags.database, deploy=True)
def cluster(
    app_configs: object, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find a Citus cluster without DATABASE_SHARDED: batches would fail on it."""
    if "default" not in (databases or ()) or settings.DATABASE_SHARDED:
        return []
    if not distribution.is_distributed(_parameters()):
        return []
    text = "The users' tables are distributed over a Citus cluster. Set DATABASE_SHARDED=1."
    return [Error(text, id="mana_credits.E015")]


def _parameters() -> dict[str, Any]:
    database = settings.DATABASES["default"]
    known = {name: database[key] for name, key in KEYS.items() if database[key]}
    secured = {name: text for name, text in database["OPTIONS"].items() if name.startswith("ssl")}
    return {**known, **secured, "connect_timeout": CONNECT_SECONDS}
