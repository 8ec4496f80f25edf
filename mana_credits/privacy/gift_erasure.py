"""Erasure of a person's data from gifts. Ids, names, texts and addresses go; credits stay."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Now

from credits.email_addresses import mailbox
from credits.ledger import Origin, idempotency
from credits.models import OutboxMessage
from gifts import throttle, transitions
from gifts.models import Campaign, GiftBlock, GiftCode, GiftRedemption
from gifts.transitions import Status
from mana_credits.privacy.erasure_rows import ErasedPerson, PersonalRows, Sections, not_held


def _addresses(user_id: str) -> set[str]:
    """Return the e-mail addresses of the personalised gifts that the user redeemed."""
    redeemed = GiftRedemption.objects.filter(redeemer_id=user_id).values("gift_code")
    personal = GiftCode.objects.filter(pk__in=redeemed, target_email__isnull=False)
    return {email for email in personal.values_list("target_email", flat=True) if email}


def _settle(person: ErasedPerson) -> None:
    """Return the credits of active gifts by the person, and of gifts that only they may redeem."""
    for gift_id in _concerned(person).filter(status=Status.ACTIVE).values_list("pk", flat=True):
        _return(gift_id, now=datetime.now(UTC))


@transaction.atomic
def _return(gift_id: UUID, *, now: datetime) -> None:
    still_active = GiftCode.objects.select_for_update().filter(pk=gift_id, status=Status.ACTIVE)
    for gift in still_active:
        status = Status.CANCELLED if now < gift.expires_at else Status.EXPIRED
        transitions.go_back(gift, status, origin=Origin("system"), now=now)


def _locked(person: ErasedPerson) -> list[QuerySet[Any]]:
    # Campaigns before gifts, as when codes are created. Those that the person pays for are changed.
    return [Campaign.objects.filter(account_id=person.id), _concerned(person)]


def _strip(person: ErasedPerson) -> Counter[str]:
    return Counter(
        {
            "gifts": _strip_addressed(person) + _strip_created(person),
            "redemptions": GiftRedemption.objects.filter(redeemer_id=person.id).update(
                redeemer_id=person.pseudonym
            ),
            "campaigns": not_held(Campaign.objects.filter(account_id=person.id)).update(
                account_id=person.pseudonym,
                creator_name=None,
                message=None,
                reason=None,
                made_at=Coalesce("made_at", Now()),  # ends the creation: nobody pays for more codes
            ),
            "invalid codes": throttle.forget_user(person.id),
            "blocks": GiftBlock.objects.filter(pk=person.id).delete()[0],
            "resent links": OutboxMessage.objects.filter(
                body__recipient__in=_mailboxes(person)
            ).delete()[0],
        }
    )


def _strip_addressed(person: ErasedPerson) -> int:
    addressed = not_held(_addressed(person))
    for creator_id, payment_id in addressed.values_list("creator_id", "payment_id"):
        idempotency.blank(creator_id, subject_id=payment_id)  # names the address
    return addressed.update(target_email=person.pseudonym, message=None)


def _strip_created(person: ErasedPerson) -> int:
    created = GiftCode.objects.filter(creator_id=person.id)
    # The recipients' addresses are personal data that this person entered. Erase them too.
    created.exclude(target_email=None).update(target_email=person.pseudonym)
    return created.update(creator_id=person.pseudonym, creator_name=None, message=None)


def _sections(user_id: str) -> Sections:
    created = GiftCode.objects.filter(creator_id=user_id)
    addressed = GiftCode.objects.filter(target_email__in=_addresses(user_id))
    redemptions = GiftRedemption.objects.filter(redeemer_id=user_id)
    return {
        "gifts_created": created.order_by("number").values(),
        "gifts_redeemed": redemptions.order_by("number").values(
            *_fields(GiftRedemption), "gift_code__creator_name", "gift_code__message"
        ),
        "gifts_addressed": addressed.order_by("created_at").values(
            "id", "total_credits", "status", "target_email", "message", "created_at", "expires_at"
        ),
        "gift_blocks": GiftBlock.objects.filter(pk=user_id).values("since", "why"),
        "campaigns": Campaign.objects.filter(account_id=user_id).values(),
    }


def _fields(model: type[GiftRedemption]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001


def _concerned(person: ErasedPerson) -> QuerySet[GiftCode]:
    return GiftCode.objects.filter(Q(creator_id=person.id) | Q(target_email__in=_mailboxes(person)))


def _addressed(person: ErasedPerson) -> QuerySet[GiftCode]:
    return GiftCode.objects.filter(target_email__in=_mailboxes(person))


def _mailboxes(person: ErasedPerson) -> set[str]:
    return {mailbox(address) for address in person.addresses}


ROWS = PersonalRows(_strip, _sections, _locked, addresses=_addresses, settle=_settle)
