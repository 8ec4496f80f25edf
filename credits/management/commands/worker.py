"""`manage.py worker`: run due jobs until a signal stops it."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from credits import worker
from credits.management.stop_signals import stopped_by

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Runs all jobs; any number of workers may run at the same time."""

    help = (
        "Runs the due jobs in a loop: expires reservations, renews subscriptions, delivers "
        "notifications, checks the ledger every night, and runs the jobs of the other apps. Any "
        "number of workers may run at once. SIGTERM and Ctrl-C stop it after the current step, at "
        "the latest after ten seconds. An interrupted step is rolled back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--once`."""
        parser.add_argument(
            "--once", action="store_true", help="run the jobs that are due now and exit (for cron)"
        )

    def handle(self, *, once: bool, **options: Any) -> None:
        """Run until stopped. With --once, run once and exit with 1 if a job or a row failed."""
        with stopped_by(signal.SIGTERM, signal.SIGINT) as stop:
            logger.info("worker_started", jobs=list(worker.jobs()))
            if not once:
                worker.work(stop)
            elif not worker.work_once(stop):
                sys.exit(1)
            logger.info("worker_stopped")
