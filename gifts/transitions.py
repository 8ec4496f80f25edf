"""The way back of a gift: its credits return to the creator. `redemptions` is the other way out.

Callers hold the lock of the gift's row. Both ways share one cause in the ledger, `gift:ID`, which
moves credits once per user. They arrive at one user only because the gift's state changes in the
same transaction, and a trigger lets it change once.
"""

from datetime import datetime

from credits.atomicity import transaction_required
from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Posting
from credits.models import Transaction
from gifts.models import GiftCode, GiftRedemption

APP_ID = "gifts"

Status = GiftCode.Status


@transaction_required
def go_back(gift: GiftCode, status: Status, *, origin: Origin, now: datetime) -> Posting:
    """Give what is in the gift back to its creator; `status` says why, cancelled or expired."""
    posting = ledger.return_gift(
        gift.creator_id,
        gift.total_credits,
        memo=memo(gift, f"Gift {status}"),
        origin=origin,
        gift_id=gift.pk,
        payment_id=gift.payment_id,
    )
    if not posting.replayed:
        _settle(gift, status, now)
    return posting


def arrival(gift: GiftCode, redemption: GiftRedemption | None) -> Transaction | None:
    """Return the transaction by which the gift's credits left it, None while they are in it."""
    user_id = redemption.redeemer_id if redemption else gift.creator_id
    return Transaction.objects.filter(user_id=user_id, cause=f"gift:{gift.pk}").first()


def was_settled(gift: GiftCode, *, by: str, key: str | None) -> bool:
    """Tell whether the gift took its last step by this user's request with this key."""
    return (
        gift.status != Status.ACTIVE
        and key is not None
        and Transaction.objects.filter(
            cause=f"gift:{gift.pk}", user_id=by, idempotency_key=key
        ).exists()
    )


def memo(gift: GiftCode, description: str, source_app_id: str | None = None) -> Memo:
    """Return what an entry of this gift says; never its code."""
    return Memo(source_app_id or APP_ID, description, {"giftCodeId": str(gift.pk)})


def _settle(gift: GiftCode, status: Status, now: datetime) -> None:
    gift.status = status
    gift.updated_at = now
    gift.save(update_fields=["status", "updated_at"])
