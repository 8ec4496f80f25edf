"""`manage.py event_subscriptions`: create, list, rotate, pause, resume and end subscriptions."""

from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count, Q

from credits.errors import DomainError
from credits.management.arguments import key_id, whole_number
from mana_credits.service_events import event_types, subscriptions
from mana_credits.service_events.models import EventMessage, EventSubscription

ACTS = {
    "pause": "stop the deliveries; messages are still collected",
    "resume": "deliver what was collected",
    "end": "end a subscription; its messages are deleted in the night",
}
Status = EventMessage.Status


class Command(BaseCommand):
    """Manages the subscriptions of services to events."""

    help = (
        "Creates, lists, rotates, pauses, resumes and ends the subscriptions of services to "
        "events. A secret is printed once, on standard output, and stored encrypted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the subcommands."""
        acts = parser.add_subparsers(dest="act", required=True)
        create = acts.add_parser("create", help="create a subscription and print its secret")
        create.add_argument("service", help="the service's name")
        create.add_argument("url", help="https:// and a host of EVENT_HOSTS")
        create.add_argument(
            "--event",
            action="append",
            required=True,
            choices=event_types.ALL,
            help="an event to subscribe to; may be repeated",
        )
        create.add_argument("--operator", required=True, help="the operator who subscribes it")
        acts.add_parser("list", help="list the subscriptions that have not ended")
        rotate = acts.add_parser("rotate", help="replace a secret and print the new one")
        rotate.add_argument("id", type=key_id, help="the id that `list` shows")
        rotate.add_argument(
            "--overlap-hours",
            type=whole_number,
            default=24,
            help="hours for which the old secret signs too (default: 24)",
        )
        for name, text in ACTS.items():
            acts.add_parser(name, help=text).add_argument(
                "id", type=key_id, help="the id that `list` shows"
            )

    def handle(self, *, act: str, **options: Any) -> None:
        """Run the subcommand."""
        try:
            getattr(self, f"_{act}")(options, datetime.now(UTC))
        except DomainError as refusal:
            raise CommandError(refusal.text) from refusal

    @transaction.atomic  # rolls back if the secret cannot be printed
    def _create(self, options: dict[str, Any], now: datetime) -> None:
        self._show(
            *subscriptions.create(
                options["service"],
                options["url"],
                options["event"],
                by=options["operator"],
                now=now,
            )
        )

    @transaction.atomic
    def _rotate(self, options: dict[str, Any], now: datetime) -> None:
        overlap = timedelta(hours=options["overlap_hours"])
        self._show(*subscriptions.rotate(options["id"], overlap=overlap, now=now))

    def _pause(self, options: dict[str, Any], now: datetime) -> None:
        self.stdout.write(_line(subscriptions.pause(options["id"], now=now)))

    def _resume(self, options: dict[str, Any], now: datetime) -> None:
        self.stdout.write(_line(subscriptions.resume(options["id"])))

    def _end(self, options: dict[str, Any], now: datetime) -> None:
        self.stdout.write(_line(subscriptions.end(options["id"], now=now)))

    def _list(self, options: dict[str, Any], now: datetime) -> None:
        counts = {
            status: Count("eventmessage", filter=Q(eventmessage__status=status))
            for status in (Status.PENDING, Status.PARKED)
        }
        current = EventSubscription.objects.filter(ended_at__isnull=True)
        for found in current.annotate(**counts).order_by("pk"):
            waiting = f"{getattr(found, Status.PENDING)} pending"
            self.stdout.write(f"{_line(found)}, {waiting}, {getattr(found, Status.PARKED)} parked")

    def _show(self, subscription: EventSubscription, secret: str) -> None:
        self.stderr.write(f"{_line(subscription)}\nThe secret is not shown again:")
        self.stdout.write(secret)
        self.stdout.flush()


def _line(found: EventSubscription) -> str:
    return f"{found.pk} {found.service} {found.url}: {' '.join(found.events)} ({found.status})"
