"""Timeline entries of the app `gifts`: gifts that a user created or redeemed."""

from collections.abc import Iterable
from datetime import UTC, datetime

from gifts.models import GiftCode, GiftRedemption
from mana_credits.back_office.account.entry import EntryWindow, TimelineEntry, within
from mana_credits.back_office.templatetags.office import in_credits


def sent(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the gifts that the user created, newest first."""
    rows = GiftCode.objects.as_of(datetime.now(UTC)).filter(creator_id=user_id)
    for row in within(rows, window, column="number"):
        title = f"Gift of {in_credits(row.total_credits)} made"
        yield TimelineEntry(
            row.created_at, "gifts sent", str(row.number), title, row, status=row.status_now
        )


def received(user_id: str, window: EntryWindow) -> Iterable[TimelineEntry]:
    """Return the gifts that the user redeemed, newest first."""
    rows = GiftRedemption.objects.filter(redeemer_id=user_id).select_related("gift_code")
    for row in within(rows, window, column="number"):
        title = f"Gift of {in_credits(row.gift_code.total_credits)} redeemed"
        yield TimelineEntry(row.created_at, "gifts received", str(row.number), title, row)
