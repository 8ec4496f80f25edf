"""`manage.py renew_subscriptions`: charge the due Cloud Sync subscriptions."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Renews due subscriptions; several processes may run at the same time."""

    help = (
        "Charges each due Cloud Sync subscription for its current period, or pauses it if the "
        "credits do not suffice. Safe to stop, to run again, and to run several times at once."
    )
    job = "renew_subscriptions"
