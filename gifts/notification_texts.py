"""Texts of the notifications about gifts."""

from typing import Any

from credits.amounts import with_unit
from gifts import code_format
from gifts.models import GiftCode

# In both languages, because the recipient's language is unknown.
_BODY = """\
{giver} schenkt dir {credits}. Öffne diesen Link, um das Geschenk einzulösen:

{link}

{giver_in_english} gives you {credits_in_english}. Open this link to redeem the gift:

{link}
"""


def gift_link(gift: GiftCode) -> dict[str, Any]:
    """Return the notification that sends a personalised gift's link to its e-mail address.

    It has no `userId`, because the recipient may not have registered yet.
    """
    return {
        "channel": "email",
        "appId": "gifts",
        "recipient": gift.target_email,
        "subject": "Dein Geschenk / Your gift",
        "body": _BODY.format(
            giver=gift.creator_name or "Jemand",
            giver_in_english=gift.creator_name or "Somebody",
            credits=with_unit(gift.total_credits, language="de"),
            credits_in_english=with_unit(gift.total_credits),
            link=code_format.link(gift.code),
        ),
        "data": {"type": "gift_link", "giftCodeId": str(gift.pk)},
    }
