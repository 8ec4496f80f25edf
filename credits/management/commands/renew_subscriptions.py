"""`manage.py renew_subscriptions`: charge due periods of Cloud Sync."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Renews due subscriptions; several processes may run at once."""

    help = (
        "Charges each due Cloud Sync subscription for its current period, or pauses it when the "
        "credits are missing. Safe to stop, to run again, and to run many times at once."
    )
    job = "renew_subscriptions"
