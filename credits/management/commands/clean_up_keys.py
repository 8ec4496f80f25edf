"""`manage.py clean_up_keys`: delete idempotency keys whose retries are over."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Deletes old keys."""

    help = (
        "Deletes idempotency keys that are older than IDEMPOTENCY_KEYS_KEPT_DAYS; a request that "
        "is sent again after that is a new one. The worker does it every night. Safe at any time."
    )
    job = "clean_up_keys"
