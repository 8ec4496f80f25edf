"""`manage.py make_gift_codes`: create the missing codes of campaigns."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Creates missing codes; several processes may run at the same time."""

    help = (
        "Creates the missing codes of the campaigns that were created in the back office or by "
        "create_gift_codes. Safe to stop, to run again, and to run several times at once. Exits "
        "with 1 if a campaign failed, such as one whose account can no longer pay."
    )
    job = "make_gift_codes"
