"""`manage.py empty_event_payloads`: forget what old events of Stripe said."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Empties the payloads of events that were processed long ago."""

    help = (
        "Empties the payloads of Stripe's events that were processed and are older than "
        "STRIPE_PAYLOADS_KEPT_DAYS; their ids, types, times and outcomes stay. Safe at any time."
    )
    job = "empty_event_payloads"
