"""`manage.py erase_people`: complete the recorded erasures."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Completes the recorded erasures."""

    help = (
        "Completes erasures that services requested and that were too long for the request. The "
        "worker does this every 10 seconds. Safe at any time, also in several processes."
    )
    job = "erase_people"
