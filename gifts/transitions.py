"""The return of a gift's credits to its creator; a redemption moves them to the redeemer instead.

Callers hold the lock of the gift's row. Both transactions have the cause `gift:ID`, which is unique
per user, not across users. The credits still arrive once, because the gift's status changes in the
same transaction and a trigger allows one change only.
"""

from datetime import datetime

from credits import ledger
from credits.ledger import Memo, Origin, Posting
from credits.models import Transaction
from credits.postgresql.atomicity import transaction_required
from gifts.models import GiftCode, GiftRedemption

APP_ID = "gifts"

Status = GiftCode.Status


@transaction_required
def go_back(gift: GiftCode, status: Status, *, origin: Origin, now: datetime) -> Posting:
    """Return the gift's credits to its creator and set the final `status`, cancelled or expired."""
    posting = ledger.return_gift(
        gift.creator_id,
        gift.total_credits,
        memo=memo(gift, f"Gift {status}"),
        origin=origin,
        gift_id=gift.pk,
        payment_id=gift.payment_id,
    )
    # A replay may come after the gift's status has changed, which a trigger allows only once.
    if not posting.replayed:
        _settle(gift, status, now)
    return posting


def arrival(gift: GiftCode, redemption: GiftRedemption | None) -> Transaction | None:
    """Return the transaction by which the gift's credits arrived, or None while it is active."""
    user_id = redemption.redeemer_id if redemption else gift.creator_id
    return Transaction.objects.filter(user_id=user_id, cause=f"gift:{gift.pk}").first()


def was_settled(gift: GiftCode, *, by: str, key: str | None) -> bool:
    """Return whether this user's request with this idempotency key set the gift's final status."""
    return (
        gift.status != Status.ACTIVE
        and key is not None
        and Transaction.objects.filter(
            cause=f"gift:{gift.pk}", user_id=by, idempotency_key=key
        ).exists()
    )


def memo(gift: GiftCode, description: str) -> Memo:
    """Return the memo of a transaction of this gift. It never contains the code."""
    return Memo(APP_ID, description, {"giftCodeId": str(gift.pk)})


def _settle(gift: GiftCode, status: Status, now: datetime) -> None:
    gift.status = status
    gift.updated_at = now
    gift.save(update_fields=["status", "updated_at"])
