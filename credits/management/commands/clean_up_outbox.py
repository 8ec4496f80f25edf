"""`manage.py clean_up_outbox`: delete old delivered messages."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Deletes delivered messages older than 30 days."""

    help = "Deletes notifications that were delivered more than 30 days ago. Safe at any time."
    job = "clean_up_outbox"
