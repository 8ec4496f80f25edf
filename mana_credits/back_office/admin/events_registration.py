"""The back office of Stripe's events."""

from mana_credits.back_office.admin.dashboard import Alarm, add_alarm
from webhooks.models import StripeEvent

add_alarm(
    Alarm(
        "Events of Stripe that wait or failed",
        StripeEvent.objects.filter(processed_at__isnull=True).count,
        "admin:webhooks_stripeevent_changelist",
    )
)
