"""A system check: the service's role owns nothing and writes the ledger through functions only."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from credits.ledger import grants

HINT = (
    "Connect the service as a role of its own: the owner's URL goes into MIGRATIONS_DATABASE_URL, "
    "the service's into DATABASE_URL. Then run `manage.py migrate`."
)
CONNECT_SECONDS = 2
NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}


@register(Tags.database, deploy=True)
def service_role(
    app_configs: object, *, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Find what the role in DATABASE_URL may do beyond the service's needs."""
    if "default" not in (databases or ()):
        return []
    database = settings.DATABASES["default"]
    known = {name: database[key] for name, key in NAMES.items() if database[key]}
    secured = {name: text for name, text in database["OPTIONS"].items() if name.startswith("ssl")}
    found = grants.faults({**known, **secured, "connect_timeout": CONNECT_SECONDS})
    return [Error(f"{text}.", hint=HINT, id="mana_credits.E013") for text in found]
