"""A gift's credits arrive once under concurrency, also without its row lock."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from credits.ledger.posting import Origin
from credits.models import Balance
from credits.principals import User
from gifts import codes, transitions
from gifts.codes import GiftNotRedeemable
from gifts.models import GiftCode, GiftRedemption
from tests.api import at_once
from tests.factories import gift, give

pytestmark = pytest.mark.usefixtures("committed")

NOW = datetime.now(UTC)
ORIGIN = Origin("user")


def posted() -> dict[str, Decimal]:
    return dict(Balance.objects.values_list("user_id", "posted"))


def test_twelve_redeem_and_the_creator_cancels_at_once() -> None:
    give("ivan", 10)
    made = gift("ivan", 10)

    def act(index: int) -> Any:
        try:
            if index == 0:
                return codes.cancel(made.pk, user=User("ivan"), origin=ORIGIN, now=NOW)
            user = User(f"judy-{index}")
            return codes.redeem(made.code, user=user, address="::1", origin=ORIGIN, now=NOW)
        except GiftNotRedeemable as refusal:
            return refusal

    answers = at_once(13, act)

    assert sum(isinstance(answer, GiftNotRedeemable) for answer in answers) == 12
    assert sum(posted().values()) == 10
    made.refresh_from_db()
    assert (made.status == "depleted") == GiftRedemption.objects.exists()


def test_without_the_lock_the_database_lets_one_of_them_arrive() -> None:
    give("ivan", 10)
    made = gift("ivan", 10)
    seen = [GiftCode.objects.get(pk=made.pk) for _ in range(8)]

    def act(index: int) -> Any:
        try:
            if index % 2:
                user = User(f"judy-{index}")
                return codes.redeem(made.code, user=user, address="::1", origin=ORIGIN, now=NOW)
            with transaction.atomic():
                return transitions.go_back(
                    seen[index], GiftCode.Status.CANCELLED, origin=ORIGIN, now=NOW
                )
        except (IntegrityError, GiftNotRedeemable) as refusal:
            return str(refusal)

    answers = at_once(8, act)

    refused = [answer for answer in answers if isinstance(answer, str)]
    returned = [answer for answer in answers if getattr(answer, "replayed", False)]
    assert len(refused) + len(returned) == 7
    final = ("status of a gift may change, and only once", "Gift code is")
    assert all(any(text in answer for text in final) for answer in refused)
    assert sum(posted().values()) == 10
