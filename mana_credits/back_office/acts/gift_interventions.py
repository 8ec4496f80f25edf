"""Operators' acts on gifts: cancel, extend, resend the link, block a user.

Each act needs a permission, is recorded with its reason, and happens once per form.
"""

from datetime import datetime
from uuid import UUID

from credits.errors import DomainError
from credits.outbox import outbox
from gifts import code_format, notification_texts, transitions
from gifts.codes import LONGEST_VALIDITY, GiftNotRedeemable, GiftUnknown, InvalidExpiry
from gifts.models import GiftBlock, GiftCode
from gifts.transitions import Status
from mana_credits.back_office.acts import audit
from mana_credits.back_office.acts.audit import AuditRecord, Justification, Operator


class GiftNotPersonalized(DomainError):
    """The gift is not personalised and has no e-mail address."""

    code = "gift_not_personalized"
    message = "This gift has no recipient, so there is no address to send it to"


class AlreadyBlocked(DomainError):
    """The user is already blocked from gifts."""

    code = "already_blocked"
    status = 409
    message = "This user is blocked from gifts already"


class NotBlocked(DomainError):
    """The user is not blocked from gifts."""

    code = "not_blocked"
    status = 409
    message = "This user is not blocked from gifts"


def cancel(
    operator: Operator, gift_id: UUID, *, why: Justification, key: UUID, now: datetime
) -> GiftCode:
    """Cancel an active gift and return its credits to its creator.

    Raises NotPermitted, AlreadyDone, NoteRequired, GiftUnknown, GiftNotRedeemable.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "gifts.cancel_gift", why=why, key=key) as act:
        gift = _active(gift_id, act)
        posting = transitions.go_back(
            gift, Status.CANCELLED, origin=operator.origin(at=now, key=key), now=now
        )
        act.after = {"status": gift.status, "returned": posting.transaction.amount}
        return gift


def extend(
    operator: Operator,
    gift_id: UUID,
    end: datetime,
    *,
    why: Justification,
    key: UUID,
    now: datetime,
) -> GiftCode:
    """Move an active gift's expiry to a later time, at most 365 days from now.

    This also reactivates an expired gift whose credits were not returned yet. Raises NotPermitted,
    AlreadyDone, NoteRequired, GiftUnknown, GiftNotRedeemable, InvalidExpiry.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "gifts.extend_gift", why=why, key=key) as act:
        gift = _active(gift_id, act)
        if not max(now, gift.expires_at) < end <= now + LONGEST_VALIDITY:
            raise InvalidExpiry("The new end is later than the old one, at most 365 days ahead")
        act.before["expires_at"] = gift.expires_at
        gift.expires_at = end
        gift.updated_at = now
        gift.save(update_fields=["expires_at", "updated_at"])
        act.after = {"status": gift.status, "expires_at": end}
        return gift


def resend(
    operator: Operator, gift_id: UUID, *, why: Justification, key: UUID, now: datetime
) -> GiftCode:
    """Resend the link of a personalised gift, once per form.

    Raises NotPermitted, AlreadyDone, NoteRequired, GiftUnknown, GiftNotRedeemable,
    GiftNotPersonalized.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "gifts.extend_gift", why=why, key=key) as act:
        gift = _active(gift_id, act)
        # An expired gift stays active until the worker returns its credits.
        if gift.expires_at <= now:
            raise GiftNotRedeemable(status=Status.EXPIRED)
        if gift.target_email is None:
            raise GiftNotPersonalized
        outbox.tell(
            # The message belongs to the creator, so the erasure of the creator deletes it.
            gift.creator_id,
            notification_texts.gift_link(gift),
            key=f"gift-link:{key}",
            now=now,
        )
        # The gift itself does not change.
        act.before = {}
        act.after = {"link": "sent again"}
        return gift


def block(
    operator: Operator, user_id: str, *, why: Justification, key: UUID, now: datetime
) -> GiftBlock:
    """Block a user from creating and redeeming gifts.

    Raises NotPermitted, AlreadyDone, NoteRequired, AlreadyBlocked.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "gifts.block_user", why=why, user_id=user_id, key=key) as act:
        row, is_new = GiftBlock.objects.get_or_create(
            user_id=user_id, defaults={"by": operator.name, "why": why.note, "since": now}
        )
        if not is_new:
            raise AlreadyBlocked
        act.before, act.after = {"blocked": False}, {"blocked": True}
        return row


def unblock(operator: Operator, user_id: str, *, why: Justification, key: UUID) -> None:
    """Unblock a user from gifts.

    Raises NotPermitted, AlreadyDone, NoteRequired, NotBlocked.
    """
    why = audit.require_note(why)
    with audit.acting(operator, "gifts.block_user", why=why, user_id=user_id, key=key) as act:
        if not GiftBlock.objects.filter(pk=user_id).delete()[0]:
            raise NotBlocked
        act.before, act.after = {"blocked": True}, {"blocked": False}


def code_for(operator: Operator, gift: GiftCode) -> str:
    """Return the gift's code; without `gifts.view_codes` only its last four characters."""
    if operator.may("gifts.view_codes"):
        return gift.code
    return code_format.masked(gift.code)


def _active(gift_id: UUID, act: AuditRecord) -> GiftCode:
    gift = GiftCode.objects.select_for_update().filter(pk=gift_id).first()
    if gift is None:
        raise GiftUnknown("Gift not found")
    if gift.status != Status.ACTIVE:
        raise GiftNotRedeemable(status=gift.status)
    act.user_id = gift.creator_id
    act.subject = f"gift:{gift.pk}"
    act.before = {"status": gift.status}
    return gift
