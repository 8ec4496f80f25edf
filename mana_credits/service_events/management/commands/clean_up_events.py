"""`manage.py clean_up_events`: delete old delivered messages of events."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Deletes old delivered messages, and those of ended subscriptions."""

    help = "Deletes old delivered messages of events, and those of ended subscriptions."
    job = "clean_up_events"
