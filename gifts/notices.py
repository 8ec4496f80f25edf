"""What mana-notify tells people about gifts."""

from typing import Any

from django.conf import settings

from credits.amounts import plain
from gifts import spelling
from gifts.models import GiftCode

_BODY = """\
{name} schenkt dir {credits} Credits. Löse sie hier ein:

{link}
"""


def link(gift: GiftCode) -> str:
    """Return the address of the gift's page."""
    return f"{settings.BASE_URL}/g/{spelling.shown(gift.code)}"


def gift_link(gift: GiftCode) -> dict[str, Any]:
    """Return the message that sends a personalised gift's link to its address."""
    return {
        "channel": "email",
        "appId": "gifts",
        "to": gift.target_email,
        "subject": "Dein Geschenk",
        "body": _BODY.format(
            name=gift.creator_name or "Jemand", credits=plain(gift.total_credits), link=link(gift)
        ),
        "data": {"type": "gift_link", "giftCodeId": str(gift.pk)},
    }
