"""`manage.py deliver_events`: deliver the due messages of events to services."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Delivers due messages; several processes may run at the same time."""

    help = "Delivers the due messages of events to the subscribed services. Safe at any time."
    job = "deliver_events"
