"""The two roles of a database for development: its owner, and the role of the service."""

from psycopg.conninfo import make_conninfo

SERVICE_ROLE = "mana_credits_service"


def service_url(owner_url: str) -> str:
    """Return the URL of the owner's database for the role of the service."""
    return make_conninfo(owner_url, user=SERVICE_ROLE)


def environment(owner_url: str) -> dict[str, str]:
    """Return the variables that name both roles, for the service and its commands."""
    return {"DATABASE_URL": service_url(owner_url), "MIGRATIONS_DATABASE_URL": owner_url}
