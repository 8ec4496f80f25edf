"""What mana-notify tells people about gifts."""

from typing import Any

from django.conf import settings

from credits.amounts import plain
from gifts.models import GiftCode

# In both languages: nobody knows which one an address reads.
_BODY = """\
{giver} schenkt dir {credits} Credits. Löse sie hier ein:

{link}

{giver_in_english} gives you {credits} credits. Redeem them here:

{link}
"""


def link(gift: GiftCode) -> str:
    """Return the address of the gift's page."""
    return f"{settings.BASE_URL}/g/{gift.code}"


def gift_link(gift: GiftCode) -> dict[str, Any]:
    """Return the message that sends a personalised gift's link to its address.

    It names no user: whoever has the address may not be one yet.
    """
    return {
        "channel": "email",
        "appId": "gifts",
        "recipient": gift.target_email,
        "subject": "Dein Geschenk / Your gift",
        "body": _BODY.format(
            giver=gift.creator_name or "Jemand",
            giver_in_english=gift.creator_name or "Somebody",
            credits=plain(gift.total_credits),
            link=link(gift),
        ),
        "data": {"type": "gift_link", "giftCodeId": str(gift.pk)},
    }
