"""`manage.py empty_event_payloads`: empty the payloads of old Stripe events."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Empties the payloads of old processed events."""

    help = (
        "Empties the payloads of processed Stripe events that are older than "
        "STRIPE_PAYLOADS_KEPT_DAYS. Ids, types, times and outcomes are kept. Safe at any time."
    )
    job = "empty_event_payloads"
