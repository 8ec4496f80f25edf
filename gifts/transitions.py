"""The last step of a gift: its credits arrive at the redeemer, or go back to the creator.

Callers hold the lock of the gift's row. Both ways share one cause in the ledger, `gift:ID`, which
moves credits once.
"""

from datetime import datetime
from typing import NamedTuple

from credits.ledger import ledger
from credits.ledger.posting import Memo, Origin, Posting
from credits.models import Balance, Transaction
from gifts.models import GiftCode, GiftRedemption

APP_ID = "gifts"

Status = GiftCode.Status


class Redeemed(NamedTuple):
    """The redemption and the redeemer's balance as it stands now."""

    redemption: GiftRedemption
    balance: Balance


def arrive(
    gift: GiftCode, user_id: str, *, origin: Origin, now: datetime, source_app_id: str | None = None
) -> Redeemed:
    """Give what is in the gift to the user; with a known key, answer the first redemption."""
    posting = ledger.receive_gift(
        user_id,
        gift.total_credits,
        memo=memo(gift, "Gift redeemed", source_app_id),
        origin=origin,
        gift_id=gift.pk,
    )
    if posting.replayed:
        redemption = GiftRedemption.objects.get(transaction=posting.transaction)
    else:
        _settle(gift, Status.DEPLETED, now)
        redemption = GiftRedemption.objects.create(
            gift_code=gift,
            redeemer_id=user_id,
            transaction=posting.transaction,
            source_app_id=source_app_id,
            created_at=now,
        )
    redemption.gift_code = gift
    return Redeemed(redemption, posting.balance)


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
