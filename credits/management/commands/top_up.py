"""`manage.py top_up`: buy the automatic top-ups that are due."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Buys the top-ups that are due; several processes may run at the same time."""

    help = (
        "Starts and charges the automatic top-ups that are due. Safe to stop, to run again, and to "
        "run several times at once. Exits with 1 if one failed, with 75 if one was skipped because "
        "another process has locked it."
    )
    job = "top_up"
