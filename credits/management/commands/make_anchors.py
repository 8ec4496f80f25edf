"""`manage.py make_anchors`: write the anchors of the days that are over."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Makes the anchors that are due."""

    help = (
        "Writes one anchor for each day that is over since the newest one: a digest over the "
        "newest digests of all users. The worker does it every night. Safe at any time."
    )
    job = "make_anchors"
