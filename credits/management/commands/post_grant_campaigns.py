"""`manage.py post_grant_campaigns`: post the approved campaigns of grants."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Posts the waiting rows of running campaigns; several processes may run at the same time."""

    help = (
        "Posts the waiting rows of the campaigns of grants that are approved, each user once. "
        "Safe to stop, to run again, and to run several times at once. Exits with 75 if a campaign "
        "was skipped because another process posts it."
    )
    job = "post_grant_campaigns"
