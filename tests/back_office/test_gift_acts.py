"""Operators' acts on gifts and their effect on credits."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from credits.errors import DomainError
from credits.ledger import ledger
from credits.models import OutboxMessage, StaffAction
from gifts import expiry
from gifts.codes import GiftNotRedeemable, GiftUnknown, InvalidExpiry
from gifts.models import GiftBlock, GiftCode, GiftRedemption
from mana_credits.back_office.acts import gift_interventions
from mana_credits.back_office.acts.audit import (
    AlreadyDone,
    Justification,
    NoteRequired,
    NotPermitted,
    Operator,
)
from mana_credits.back_office.acts.gift_interventions import (
    AlreadyBlocked,
    GiftNotPersonalized,
    NotBlocked,
)
from mana_credits.privacy import erasure
from tests.api import Caller, at_once
from tests.factories import gift, give, redeem

SAM = Operator("sam", lambda permission: permission != "gifts.view_codes")
AMIR = Operator("amir", lambda permission: False)
WHY = Justification(note="asked for by mail")
NOW = datetime.now(UTC)

pytestmark = pytest.mark.django_db


def available(user_id: str) -> Decimal:
    return ledger.balance_of(user_id).available


def status(row: GiftCode) -> str:
    return GiftCode.objects.get(pk=row.pk).status


def test_a_cancelled_gift_goes_back_to_its_creator() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)

    gift_interventions.cancel(SAM, given.pk, why=WHY, key=uuid4(), now=NOW)

    assert available("ivan") == 30
    assert status(given) == "cancelled"
    action = StaffAction.objects.get()
    assert (action.action, action.subject) == ("gifts.cancel_gift", f"gift:{given.pk}")
    assert (action.user_id, action.before) == ("ivan", {"status": "active"})


def test_the_same_form_cancels_once() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)
    key = uuid4()
    gift_interventions.cancel(SAM, given.pk, why=WHY, key=key, now=NOW)

    with pytest.raises(AlreadyDone):
        gift_interventions.cancel(SAM, given.pk, why=WHY, key=key, now=NOW)

    assert available("ivan") == 30
    assert StaffAction.objects.count() == 1


def test_a_redeemed_gift_is_neither_cancelled_nor_extended() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)
    redeem(given, "judy")
    end = NOW + timedelta(days=200)

    with pytest.raises(GiftNotRedeemable):
        gift_interventions.cancel(SAM, given.pk, why=WHY, key=uuid4(), now=NOW)
    with pytest.raises(GiftNotRedeemable):
        gift_interventions.extend(SAM, given.pk, end, why=WHY, key=uuid4(), now=NOW)

    assert (available("ivan"), available("judy")) == (20, 10)
    assert not StaffAction.objects.exists()


def test_nothing_happens_without_permission_or_reason() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)

    with pytest.raises(NotPermitted):
        gift_interventions.cancel(AMIR, given.pk, why=WHY, key=uuid4(), now=NOW)
    with pytest.raises(NoteRequired):
        gift_interventions.cancel(SAM, given.pk, why=Justification(note=" "), key=uuid4(), now=NOW)

    assert available("ivan") == 20
    assert status(given) == "active"


@pytest.mark.usefixtures("committed")
def test_of_cancel_and_redeem_at_once_one_wins() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)

    def cancel() -> str:
        try:
            gift_interventions.cancel(SAM, given.pk, why=WHY, key=uuid4(), now=datetime.now(UTC))
        except DomainError as refusal:
            return refusal.code
        return "done"

    def take() -> str:
        try:
            redeem(given, "judy")
        except DomainError as refusal:
            return refusal.code
        return "done"

    answers = at_once(2, lambda index: (cancel, take)[index]())

    assert sorted(answers) == ["done", "gift_not_redeemable"]
    assert available("ivan") + available("judy") == 30
    assert GiftRedemption.objects.count() == (status(given) == "depleted")


def test_a_gift_gets_a_later_end() -> None:
    give("ivan", 30)
    given = gift("ivan", 10, days=5)
    end = NOW + timedelta(days=300)

    gift_interventions.extend(SAM, given.pk, end, why=WHY, key=uuid4(), now=NOW)

    assert GiftCode.objects.get(pk=given.pk).expires_at == end
    assert available("ivan") == 20


@pytest.mark.parametrize("days", [-1, 4, 366])
def test_an_end_that_is_earlier_or_too_far_is_refused(days: int) -> None:
    give("ivan", 30)
    given = gift("ivan", 10, days=5)
    end = NOW + timedelta(days=days)

    with pytest.raises(InvalidExpiry):
        gift_interventions.extend(SAM, given.pk, end, why=WHY, key=uuid4(), now=NOW)

    assert GiftCode.objects.get(pk=given.pk).expires_at == given.expires_at


def test_an_expired_gift_lives_again_until_its_credits_went_back() -> None:
    give("ivan", 30)
    late = gift("ivan", 10, at=NOW - timedelta(days=9), days=5)
    end = NOW + timedelta(days=30)

    gift_interventions.extend(SAM, late.pk, end, why=WHY, key=uuid4(), now=NOW)
    gone = gift("ivan", 10, at=NOW - timedelta(days=9), days=5)
    list(expiry.expire_due(now=NOW, limit=10))
    with pytest.raises(GiftNotRedeemable):
        gift_interventions.extend(SAM, gone.pk, end, why=WHY, key=uuid4(), now=NOW)

    assert (status(late), status(gone)) == ("active", "expired")


def test_a_link_is_sent_again_once_per_form() -> None:
    give("ivan", 30)
    given = gift("ivan", 10, target_email="Kate@example.test")
    key = uuid4()

    gift_interventions.resend(SAM, given.pk, why=WHY, key=key, now=NOW)
    with pytest.raises(AlreadyDone):
        gift_interventions.resend(SAM, given.pk, why=WHY, key=key, now=NOW)

    message = OutboxMessage.objects.get()
    assert message.body["recipient"] == "kate@example.test"
    assert message.body["body"].count(f"/g/{given.code}") == 2
    assert "schenkt dir 10 Credits" in message.body["body"]
    assert "gives you 10 credits" in message.body["body"]
    assert given.code not in str(StaffAction.objects.get().after)


def test_a_gift_for_anybody_has_nobody_to_send_its_link_to() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)

    with pytest.raises(GiftNotPersonalized):
        gift_interventions.resend(SAM, given.pk, why=WHY, key=uuid4(), now=NOW)

    assert not OutboxMessage.objects.exists()


def test_nobody_is_sent_the_link_of_a_gift_that_has_ended_or_never_was() -> None:
    give("ivan", 30)
    late = gift("ivan", 10, target_email="kate@example.test", at=NOW - timedelta(days=9), days=5)

    with pytest.raises(GiftNotRedeemable) as refusal:
        gift_interventions.resend(SAM, late.pk, why=WHY, key=uuid4(), now=NOW)
    with pytest.raises(GiftUnknown):
        gift_interventions.resend(SAM, uuid4(), why=WHY, key=uuid4(), now=NOW)

    assert refusal.value.details == {"status": "expired"}
    assert not OutboxMessage.objects.exists()
    assert not StaffAction.objects.exists()


def test_a_blocked_user_neither_makes_nor_redeems_gifts(ivan: Caller, judy: Caller) -> None:
    give("ivan", 30)
    give("judy", 30)
    given = gift("ivan", 10)
    gift_interventions.block(SAM, "judy", why=WHY, key=uuid4(), now=NOW)

    made = judy.post("/api/v1/gifts", {"credits": 5})
    redeemed = judy.post(f"{given.code}/redeem", {})

    assert (made.status_code, made.json()["code"]) == (403, "gifts_blocked")
    assert (redeemed.status_code, redeemed.json()["code"]) == (403, "gifts_blocked")
    assert (available("judy"), status(given)) == (30, "active")
    assert GiftCode.objects.count() == 1


def test_an_unblocked_user_redeems_again() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)
    gift_interventions.block(SAM, "judy", why=WHY, key=uuid4(), now=NOW)

    gift_interventions.unblock(SAM, "judy", why=WHY, key=uuid4())
    redeem(given, "judy")

    assert available("judy") == 10
    assert [row.user_id for row in StaffAction.objects.all()] == ["judy", "judy"]


def test_nobody_is_blocked_twice_or_unblocked_unblocked() -> None:
    with pytest.raises(NotBlocked):
        gift_interventions.unblock(SAM, "judy", why=WHY, key=uuid4())
    gift_interventions.block(SAM, "judy", why=WHY, key=uuid4(), now=NOW)

    with pytest.raises(AlreadyBlocked):
        gift_interventions.block(SAM, "judy", why=WHY, key=uuid4(), now=NOW)

    assert GiftBlock.objects.get().by == "sam"


def test_gifts_that_wait_for_a_blocked_user_stay(service: Caller) -> None:
    give("ivan", 30)
    given = gift("ivan", 10, target_email="kate@example.test")
    gift_interventions.block(SAM, "kate", why=WHY, key=uuid4(), now=NOW)

    body = {"userId": "kate", "email": "kate@example.test"}
    answer = Caller(service.headers, prefix="/api/v1/internal/gifts/").post("redeem-pending", body)

    assert (answer.status_code, answer.json()["code"]) == (403, "gifts_blocked")
    assert status(given) == "active"


def test_erasure_forgets_a_block() -> None:
    give("judy", 1)
    gift_interventions.block(SAM, "judy", why=WHY, key=uuid4(), now=NOW)

    erasure.erase("judy")

    assert not GiftBlock.objects.exists()


def test_only_who_may_see_codes_sees_them_whole() -> None:
    give("ivan", 30)
    given = gift("ivan", 10)

    masked = gift_interventions.code_for(SAM, given)
    whole = gift_interventions.code_for(Operator("fiona", lambda permission: True), given)

    assert masked == f"••••{given.code[-4:]}"
    assert whole.replace("-", "") == given.code
