"""What the account page tells of gifts: those a user sent and received, and how one is found."""

from collections.abc import Iterable
from datetime import UTC, datetime

from credits.email_addresses import mailbox
from gifts import code_format
from gifts.models import GiftCode, GiftRedemption
from mana_credits.back_office.account.account_search import MOST, Hit
from mana_credits.back_office.account.timeline import Entry, Window, within


def sent(user_id: str, window: Window) -> Iterable[Entry]:
    """Return the gifts that the user made, newest first."""
    rows = GiftCode.objects.as_of(datetime.now(UTC)).filter(creator_id=user_id)
    for row in within(rows, window, column="number"):
        title = f"Gift of {row.total_credits.normalize():f} credits made"
        yield Entry(
            row.created_at, "gifts sent", str(row.number), title, row, status=row.status_now
        )


def received(user_id: str, window: Window) -> Iterable[Entry]:
    """Return the gifts that the user redeemed, newest first."""
    rows = GiftRedemption.objects.filter(redeemer_id=user_id).select_related("gift_code")
    for row in within(rows, window, column="number"):
        title = f"Gift of {row.gift_code.total_credits.normalize():f} credits redeemed"
        yield Entry(row.created_at, "gifts received", str(row.number), title, row)


def by_code(text: str) -> Iterable[Hit]:
    """Yield the creator and the redeemer of the gift whose code `text` spells."""
    code = code_format.read(text)
    for row in GiftCode.objects.filter(code=code) if code else ():
        yield Hit(row.creator_id, "Made this gift")
        for redemption in GiftRedemption.objects.filter(gift_code=row):
            yield Hit(redemption.redeemer_id, "Redeemed this gift")


def by_email(text: str) -> Iterable[Hit]:
    """Yield who redeemed, and who made, the last gifts for the address `text`."""
    if "@" not in text:
        return
    rows = GiftCode.objects.filter(target_email=mailbox(text)).order_by("-number")[:MOST]
    gifts = list(rows)
    for redemption in GiftRedemption.objects.filter(gift_code__in=gifts):
        yield Hit(redemption.redeemer_id, f"Redeemed a gift for {text}")
    for row in gifts:
        yield Hit(row.creator_id, f"Made a gift for {text}")
