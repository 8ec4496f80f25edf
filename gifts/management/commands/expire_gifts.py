"""`manage.py expire_gifts`: return the credits of expired gifts to their creators."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Expires due gifts; several processes may run at the same time."""

    help = (
        "Returns the credits of expired gifts to their creators, each in its own transaction, and "
        "deletes old counts of invalid codes. Safe to stop, to run again, and to run several times "
        "at once. Exits with 1 if a gift failed, with 75 if one was skipped because another "
        "process has locked it or its creator's balance."
    )
    job = "expire_gifts"
