"""The recipients of notifications to users."""

from typing import Any

from credits.models import StripeCustomer


def mail_to(user_id: str) -> dict[str, Any]:
    """Return the channel, the user and the recipient of a mail.

    The recipient is the e-mail address that was sent to Stripe with a purchase; no other is known
    here. Without one the message has no recipient and is not mailed, but apps read the state.
    """
    buyer = StripeCustomer.objects.filter(user_id=user_id).first()
    recipient = {"recipient": buyer.email} if buyer and buyer.email else {}
    return {"channel": "email", "userId": user_id, **recipient}
