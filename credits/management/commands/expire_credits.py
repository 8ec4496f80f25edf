"""`manage.py expire_credits`: post the expiry of credits past their date."""

from credits.management.job_command import LimitedJobCommand


class Command(LimitedJobCommand):
    """Expires due credits; several processes may run at the same time."""

    help = (
        "Posts the expiry of credits past their date, each grant in its own transaction. Safe to "
        "stop, to run again, and to run several times at once. Exits with 1 if one failed, with 75 "
        "if one was skipped because another process has locked its balance."
    )
    job = "expire_credits"
