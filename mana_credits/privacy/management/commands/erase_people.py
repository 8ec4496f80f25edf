"""`manage.py erase_people`: complete the erasures that were left to the worker."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Erases whoever is to be erased."""

    help = (
        "Completes the erasures that services asked for and that were too long for a request. The "
        "worker does it every 10 seconds. Safe at any time, also in several processes."
    )
    job = "erase_people"
