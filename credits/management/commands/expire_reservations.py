"""`manage.py expire_reservations`: release the credits of expired reservations."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Expires due reservations; several processes may run at the same time."""

    help = (
        "Expires open reservations past their expiry, each in its own transaction. Safe to stop, "
        "to run again, and to run several times at once. Exits with 1 if one failed, with 75 if "
        "one was skipped because another process has locked it or its balance."
    )
    job = "expire_reservations"
