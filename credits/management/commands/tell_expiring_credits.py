"""`manage.py tell_expiring_credits`: enqueue the notices about credits that expire."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Enqueues due notices; several processes may run at the same time."""

    help = (
        "Enqueues a notice for each grant or purchase whose credits expire within a week, once. "
        "Safe to stop, to run again, and to run several times at once. Exits with 1 if one failed, "
        "with 75 if one was skipped because another process has locked its balance."
    )
    job = "tell_expiring_credits"
