"""The recipients of notifications to users."""

from typing import Any

from credits.models import Contact, StripeCustomer


def mail_to(user_id: str) -> dict[str, Any]:
    """Return the channel, the user and the recipient of a mail.

    The recipient is the e-mail address that was sent to Stripe with a purchase, or else the
    verified one of the user's last token. Without one the message has no recipient and is not
    mailed, but apps read the state.
    """
    address = _of_buyer(user_id) or _of_token(user_id)
    recipient = {"recipient": address} if address else {}
    return {"channel": "email", "userId": user_id, **recipient}


def _of_buyer(user_id: str) -> str | None:
    buyer = StripeCustomer.objects.filter(user_id=user_id).first()
    return buyer.email if buyer else None


def _of_token(user_id: str) -> str | None:
    # An address that was not verified may belong to somebody else.
    contact = Contact.objects.filter(user_id=user_id, email_verified=True).first()
    return contact.email if contact else None
