"""`manage.py clean_up_keys`: delete old idempotency keys."""

from credits.management.job_command import JobCommand


class Command(JobCommand):
    """Deletes old idempotency keys."""

    help = (
        "Deletes idempotency keys that are older than IDEMPOTENCY_KEYS_KEPT_DAYS. A retry after "
        "that counts as a new request. The worker runs this every night. Safe at any time."
    )
    job = "clean_up_keys"
