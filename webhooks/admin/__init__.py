"""The back office of Stripe's events."""

from credits.office import entries
from credits.office.entries import Look
from webhooks import telling

entries.add_look(telling.KIND, Look("webhook", details=lambda row: iter((row.pk,))))
