"""`manage.py deliver_outbox`: send due messages to mana-notify."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Delivers due messages; several processes may run at once."""

    help = (
        "Sends the notifications that are due to MANA_NOTIFY_URL; what fails is tried again with "
        "growing pauses. Safe to stop, to run again, and to run many times at once."
    )
    job = "deliver_outbox"
