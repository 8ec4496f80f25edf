"""`manage.py tell_low_balances`: enqueue the notices of low balances."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Enqueues the notices that are due; several processes may run at the same time."""

    help = (
        "Enqueues the low-balance notices of balances that fell to their user's threshold. Safe to "
        "stop, to run again, and to run several times at once. Exits with 1 if one failed, with 75 "
        "if one was skipped because another process has locked it."
    )
    job = "tell_low_balances"
