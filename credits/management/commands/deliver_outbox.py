"""`manage.py deliver_outbox`: send due messages to mana-notify."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Delivers the due messages; several processes may run at the same time."""

    help = (
        "Sends the due notifications to MANA_NOTIFY_URL. Failed ones are retried with exponential "
        "backoff. Safe to stop, to run again, and to run several times at once."
    )
    job = "deliver_outbox"
