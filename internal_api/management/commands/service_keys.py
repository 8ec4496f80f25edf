"""`manage.py service_keys`: create, list, rotate and revoke the keys of services."""

from argparse import ArgumentParser
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from credits.amounts import plain
from credits.errors import DomainError
from credits.management.arguments import amount, day, key_id, whole_number
from internal_api import scopes, service_keys
from internal_api.models import ServiceKey
from internal_api.service_keys import KeyTerms

CAPS = {
    "daily_grants": "credits that the service may grant per UTC day",
    "daily_refunds": "credits that it may refund per UTC day without naming a usage",
    "daily_spend_per_user": "credits that it may spend for each user per UTC day",
}


class Command(BaseCommand):
    """Manages the keys of services."""

    help = (
        "Creates, lists, rotates and revokes the keys with which services call /api/v1/internal. "
        "A secret is printed once, on standard output, and only its digest is stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the subcommands."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="create a key and print its secret")
        create.add_argument("name", help="the service's name, the actor of its transactions")
        create.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=scopes.ALL,
            help="a scope of the key; may be repeated",
        )
        for cap, text in CAPS.items():
            create.add_argument(f"--{cap.replace('_', '-')}", type=amount, help=text)
        create.add_argument("--expires", type=day, help="the UTC day on which the key expires")
        acts.add_parser("list", help="list the keys that are valid")
        rotate = acts.add_parser("rotate", help="replace a key and print the new secret")
        rotate.add_argument("id", type=key_id, help="the id that `list` shows")
        rotate.add_argument(
            "--overlap-hours",
            type=whole_number,
            default=24,
            help="hours for which the old key stays valid (default: 24)",
        )
        revoke = acts.add_parser("revoke", help="revoke a key; it is refused within 10 seconds")
        revoke.add_argument("id", type=key_id, help="the id that `list` shows")
        for act in (create, rotate):
            act.add_argument("--operator", required=True, help="the operator who creates the key")

    def handle(self, *, act: str, **options: Any) -> None:
        """Run the subcommand."""
        try:
            getattr(self, f"_{act}")(options, datetime.now(UTC))
        except DomainError as refusal:
            raise CommandError(refusal.text) from refusal

    @transaction.atomic  # rolls back if the secret cannot be printed
    def _create(self, options: dict[str, Any], now: datetime) -> None:
        expires = options["expires"]
        terms = KeyTerms(
            scopes=options["scope"],
            **{cap: options[cap] for cap in CAPS},
            expires_at=datetime.combine(expires, time.min, UTC) if expires else None,
        )
        self._show(*service_keys.create(options["name"], terms, by=options["operator"], now=now))

    @transaction.atomic
    def _rotate(self, options: dict[str, Any], now: datetime) -> None:
        overlap = timedelta(hours=options["overlap_hours"])
        self._show(
            *service_keys.rotate(options["id"], overlap=overlap, by=options["operator"], now=now)
        )

    def _revoke(self, options: dict[str, Any], now: datetime) -> None:
        key = service_keys.revoke(options["id"], now=now)
        self.stdout.write(f"Revoked the key {key.prefix}… of {key.name}.")

    def _list(self, options: dict[str, Any], now: datetime) -> None:
        for key in service_keys.valid(now=now):
            self.stdout.write(_line(key))

    def _show(self, key: ServiceKey, secret: str) -> None:
        # Only the secret is on standard output, so that a script can pass it on.
        self.stderr.write(f"{_line(key)}\nThe secret is not shown again:")
        self.stdout.write(secret)
        self.stdout.flush()


def _line(key: ServiceKey) -> str:
    caps = "".join(f" {name}={plain(cap)}" for name, cap in key.caps.items())
    used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
    expires = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never"
    return (
        f"{key.id} {key.prefix}… {key.name}: {' '.join(key.scopes)}{caps}"
        f" (last used {used}, expires {expires})"
    )
