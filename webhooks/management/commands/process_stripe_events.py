"""`manage.py process_stripe_events`: apply stored events that could not be applied before."""

import sys
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from webhooks import events


class Command(BaseCommand):
    """Takes every stored, unprocessed event again."""

    help = (
        "Applies the events of Stripe that were stored and not processed, oldest first, each in "
        "its own transaction. Exits with 1 if any fails again. Safe at any time."
    )

    def handle(self, **options: Any) -> None:
        """Apply and count; print what fails."""
        processed = failed = 0
        for event_id, error in events.process_all(now=datetime.now(UTC)):
            if error is None:
                processed += 1
            else:
                failed += 1
                self.stdout.write(f"{event_id}: {type(error).__name__}: {error}")
        self.stdout.write(f"{processed} processed, {failed} failed.")
        if failed:
            sys.exit(1)
