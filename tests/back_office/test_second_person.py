"""What one operator cannot do alone, by whatever way, and who counts as a second person."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django_otp.plugins.otp_totp.models import TOTPDevice

from credits import roles
from credits.amounts import MINUS
from credits.catalogue.catalogue import Price
from credits.errors import DomainError
from credits.ledger import ledger
from credits.ledger.outcomes import TransactionUnknown
from credits.models import (
    ActRequest,
    AdjustmentRequest,
    MoneyBack,
    Operation,
    Package,
    StaffAction,
    Transaction,
)
from credits.payments.packages import Offer
from credits.payments.stripe_errors import RefusedByStripe
from mana_credits.back_office.acts import (
    act_requests,
    approvals,
    balance_adjustments,
    operator_accounts,
    package_changes,
    price_changes,
    purchase_refunds,
)
from mana_credits.back_office.acts.act_requests import (
    AlreadyRequested,
    NotYourRequest,
    RequestDecided,
)
from mana_credits.back_office.acts.audit import NotPermitted, Operator
from mana_credits.back_office.acts.balance_adjustments import AlreadyReversed
from mana_credits.back_office.acts.second_person import CannotDecideOwnRequest, NotIndependent
from mana_credits.privacy import erasure, export
from tests.api import at_once
from tests.back_office.operators import WHY, browser, form, operator
from tests.back_office.test_purchase_refunds import answered
from tests.credits.test_money_back import paid
from tests.factories import give, package, spend

pytestmark = pytest.mark.django_db

CHEAP = Offer("Cheap", Decimal(1000), 499)


def now() -> datetime:
    return datetime.now(UTC)


def how() -> dict[str, Any]:
    return {"why": WHY, "key": uuid4(), "now": now()}


def adjust(name: str, amount: int, user_id: str = "alice") -> object:
    why = WHY._replace(reason="goodwill")
    return balance_adjustments.adjust(
        operator(name), user_id, Decimal(amount), why=why, key=uuid4(), now=now()
    )


def reverse(name: str, entry: Transaction) -> object:
    return balance_adjustments.reverse(operator(name), entry.pk, **how())


def spent(amount: float) -> Transaction:
    give("alice", amount)
    return spend("alice", amount).transaction


def decided(name: str, request_id: UUID) -> ActRequest:
    return approvals.approve(operator(name), request_id, note="", key=uuid4(), now=now())


def available() -> Decimal:
    return ledger.balance_of("alice").available


def test_a_reversal_above_the_limit_waits_for_a_colleague() -> None:
    entry = spent(500)

    asked = reverse("fiona", entry)
    before = available()
    assert isinstance(asked, ActRequest)
    done = decided("ada", asked.pk)

    assert (before, available()) == (0, 500)
    assert (done.status, done.decided_by) == ("approved", "ada")
    assert Transaction.objects.get(type="reversal").actor == "operator:ada"
    record = StaffAction.objects.get(operator="ada")
    assert (record.user_id, record.after["asked_by"]) == ("alice", "fiona")


def test_reversals_and_adjustments_share_one_limit() -> None:
    first, second = spent(60), spent(60)

    assert not isinstance(reverse("fiona", first), ActRequest)
    assert isinstance(reverse("fiona", second), ActRequest)
    assert isinstance(adjust("fiona", 41), AdjustmentRequest)
    assert not isinstance(adjust("fiona", 40), AdjustmentRequest)


def test_an_adjustment_and_its_reversal_do_not_cancel_out_in_the_limit() -> None:
    give("alice", 1)
    adjust("fiona", 90)
    entry = Transaction.objects.get(type="adjustment")

    assert isinstance(reverse("fiona", entry), ActRequest)


def test_a_refund_above_the_limit_waits_and_goes_to_stripe_when_approved() -> None:
    purchase = paid()
    fiona = operator("fiona")
    with patch("credits.payments.stripe_api.create_refund", side_effect=answered) as stripe:
        asked = purchase_refunds.refund(fiona, purchase, 499, **how())
        assert isinstance(asked, ActRequest)
        assert not stripe.called
        assert not MoneyBack.objects.exists()
        decided("ada", asked.pk)

    assert MoneyBack.objects.get().amount_cents == 499
    assert stripe.call_count == 1
    assert ledger.balance_of(purchase.user_id).available == 0


def test_an_approved_refund_that_stripe_refuses_offers_no_second_decision() -> None:
    purchase = paid()
    asked = purchase_refunds.refund(operator("fiona"), purchase, 499, **how())
    answer = form(approve="1")

    with patch("credits.payments.stripe_api.create_refund", side_effect=RefusedByStripe):
        page = browser("ada").post(f"/admin/approvals/{asked.pk}/", answer).content.decode()

    assert "Stripe rejected the request" in page
    assert "Approved by ada" in page
    assert 'name="approve"' not in page


def test_small_refunds_add_up_to_the_limit() -> None:
    purchase = paid()
    fiona = operator("fiona")
    with patch("credits.payments.stripe_api.create_refund", side_effect=answered):
        alone = [purchase_refunds.refund(fiona, purchase, 45, **how()) for _ in range(3)]

    assert [type(one).__name__ for one in alone] == ["MoneyBack", "MoneyBack", "ActRequest"]


def test_many_accounts_have_one_limit_together(settings: Any) -> None:
    settings.ADMIN_ADJUST_LIMIT_TOTAL = Decimal(250)
    for user_id in ("a", "b", "c"):
        give(user_id, 1)

    kinds = [type(adjust("fiona", 100, user_id)).__name__ for user_id in ("a", "b", "c")]

    assert kinds == ["Posting", "Posting", "AdjustmentRequest"]


def test_what_was_approved_does_not_use_up_the_approvers_limit() -> None:
    give("alice", 1)
    asked = adjust("fiona", 500)
    assert isinstance(asked, AdjustmentRequest)
    balance_adjustments.approve(operator("ada"), asked.pk, note="", key=uuid4(), now=now())

    assert not isinstance(adjust("ada", 100), AdjustmentRequest)


@pytest.mark.usefixtures("committed")
def test_reversals_at_once_do_not_share_one_limit() -> None:
    entries = [spent(60) for _ in range(4)]
    fiona = operator("fiona")

    outcomes = at_once(
        4,
        lambda n: type(balance_adjustments.reverse(fiona, entries[n].pk, **how())).__name__,
    )

    assert sorted(outcomes) == ["ActRequest"] * 3 + ["Posting"]
    assert available() == 60


def managed(by: str, name: str, act: str) -> None:
    ada: Operator = operator(by)
    operator(name)
    user = User.objects.get(username=name)
    TOTPDevice.objects.create(user=user)
    acts: dict[str, Callable[[], object]] = {
        "roles": lambda: operator_accounts.set_roles(
            ada, name, [roles.FINANCE, roles.AUDITOR], key=uuid4()
        ),
        "password": lambda: operator_accounts.set_password(
            ada, name, "correct horse battery 7", key=uuid4()
        ),
        "factor": lambda: operator_accounts.reset_second_factor(ada, name, key=uuid4()),
        "active": lambda: [
            operator_accounts.set_active(ada, name, active, key=uuid4()) for active in (False, True)
        ],
    }
    acts[act]()


@pytest.mark.parametrize("act", ["roles", "password", "factor", "active"])
def test_who_managed_an_account_does_not_decide_with_it(act: str) -> None:
    give("alice", 1)
    asked = adjust("ada", 500)
    assert isinstance(asked, AdjustmentRequest)
    managed("ada", "fiona", act)

    for decide in (balance_adjustments.approve, partial(approvals.reject, AdjustmentRequest)):
        with pytest.raises(NotIndependent):
            decide(operator("fiona"), asked.pk, note="n", key=uuid4(), now=now())

    assert available() == 1


def test_nor_is_a_request_of_that_account_decided_by_who_managed_it() -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    managed("ada", "fiona", "password")

    with pytest.raises(NotIndependent):
        decided("ada", asked.pk)


def test_two_accounts_of_one_creator_are_one_person() -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    operator_accounts.create(
        operator("ada"),
        "puppet",
        email="",
        chosen=[roles.FINANCE],
        password="correct horse battery 7",
        key=uuid4(),
    )
    managed("ada", "fiona", "factor")
    puppet = Operator("puppet", lambda permission: True)

    with pytest.raises(NotIndependent):
        approvals.approve(puppet, asked.pk, note="", key=uuid4(), now=now())


def test_after_some_days_a_colleague_is_a_second_person(settings: Any) -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    managed("ada", "fiona", "password")
    later = now() + timedelta(days=settings.ADMIN_NEW_OPERATOR_DAYS, minutes=1)

    approvals.approve(operator("ada"), asked.pk, note="", key=uuid4(), now=later)

    assert available() == 500


def test_nobody_decides_about_their_own_or_without_the_acts_permission() -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    narrow = Operator("sam", lambda permission: permission == approvals.PERMISSION)

    with pytest.raises(CannotDecideOwnRequest):
        decided("fiona", asked.pk)
    with pytest.raises(NotPermitted):
        decided("sam", asked.pk)
    with pytest.raises(NotPermitted):
        approvals.approve(narrow, asked.pk, note="", key=uuid4(), now=now())
    with pytest.raises(IntegrityError, match="decided_by_a_second"), transaction.atomic():
        ActRequest.objects.update(status="approved", decided_by="fiona", decided_at=now())

    assert available() == 0


def set_price(cost: str, per_items: int | None = None) -> object:
    new = Price(Decimal(cost), per_items)
    return price_changes.set_price(operator("fiona"), "ai_chat_gpt4", new, **how())


def cost() -> Decimal:
    return Operation.objects.get(pk="ai_chat_gpt4").cost


@pytest.mark.parametrize(
    ("factor", "per_items", "waits"),
    [
        *(("2", None, False), ("2.02", None, True), ("0.5", None, False), ("0.48", None, True)),
        *(("1", 3, True), ("3", 3, False)),
    ],
)
def test_a_price_beyond_a_factor_waits(factor: str, per_items: int | None, waits: bool) -> None:
    Operation.objects.filter(pk="ai_chat_gpt4").update(cost=5, per_items=None)
    wanted = Decimal(factor) * 5

    outcome = set_price(str(wanted), per_items)

    assert isinstance(outcome, ActRequest) == waits
    assert cost() == (5 if waits else wanted)


def test_two_small_steps_of_a_price_are_one_large_one() -> None:
    Operation.objects.filter(pk="ai_chat_gpt4").update(cost=5, per_items=None)
    set_price("9")

    asked = set_price("17")

    assert isinstance(asked, ActRequest)
    assert asked.summary == "Price of ai_chat_gpt4: 9 credits each → 17 credits each"
    decided("ada", asked.pk)
    assert cost() == 17


def test_a_package_below_the_floor_waits() -> None:
    fiona = operator("fiona")

    asked = package_changes.save_package(fiona, None, CHEAP, **how())
    assert isinstance(asked, ActRequest)
    assert not Package.objects.exists()
    decided("ada", asked.pk)

    assert Package.objects.get().credits == 1000
    assert asked.summary == "Cheap: 1,000 credits for €4.99"


def test_a_package_made_cheap_or_brought_back_cheap_waits() -> None:
    fiona, dear = operator("fiona"), package()
    cheap = package(name="Old", credits=1000, price_euro_cents=499, active=False)

    changed = package_changes.save_package(fiona, dear.pk, CHEAP, **how())
    back = package_changes.put_on_offer(fiona, cheap.pk, True, **how())
    retired = package_changes.put_on_offer(fiona, dear.pk, False, **how())

    assert isinstance(changed, ActRequest)
    assert isinstance(back, ActRequest)
    assert isinstance(retired, Package)
    for asked in (changed, back):
        decided("ada", asked.pk)
    dear.refresh_from_db()
    cheap.refresh_from_db()
    assert (dear.name, dear.credits, cheap.active) == ("Cheap", 1000, True)


def test_a_package_is_made_cheap_by_one_request_at_a_time() -> None:
    package_changes.save_package(operator("fiona"), None, CHEAP, **how())

    with pytest.raises(AlreadyRequested):
        package_changes.save_package(operator("ada"), None, CHEAP, **how())


def test_two_tabs_ask_once(fiona: Client) -> None:
    entry = spent(500)
    page = f"/admin/transaction/{entry.pk}/reverse/"

    first = fiona.post(page, form())
    second = fiona.post(page, form())

    assert (first.status_code, second.status_code) == (302, 200)
    assert AlreadyRequested.message in second.content.decode()
    assert ActRequest.objects.count() == 1


@pytest.mark.usefixtures("committed")
def test_the_same_form_sent_at_once_asks_once() -> None:
    entry, sent = spent(500), form()
    fiona = browser("fiona")

    def send(_: int) -> int:
        client = Client()
        client.cookies = fiona.cookies
        return client.post(f"/admin/transaction/{entry.pk}/reverse/", sent).status_code

    assert at_once(6, send) == [302] * 6
    assert ActRequest.objects.count() == 1
    assert StaffAction.objects.count() == 1


def test_the_asker_withdraws_and_nobody_else(fiona: Client, ada: Client) -> None:
    asked = reverse("fiona", spent(500))
    wish = adjust("fiona", 500)
    assert isinstance(asked, ActRequest)
    assert isinstance(wish, AdjustmentRequest)

    for one in (asked, wish):
        assert (
            "Withdraw request</button>"
            not in ada.get(f"/admin/withdraw/{one.pk}/").content.decode()
        )
        refused = ada.post(f"/admin/withdraw/{one.pk}/", form())
        assert NotYourRequest.message in refused.content.decode()
        assert fiona.post(f"/admin/withdraw/{one.pk}/", form()).status_code == 302
        one.refresh_from_db()
        assert (one.status, one.decided_by) == ("withdrawn", "fiona")
        again = fiona.post(f"/admin/withdraw/{one.pk}/", form()).content.decode()
        assert ">withdrawn</span>" in again
        assert "Withdraw request</button>" not in again

    with pytest.raises(RequestDecided):
        decided("ada", asked.pk)
    assert available() == 0
    assert reverse("fiona", Transaction.objects.get(type="usage")) != asked


@pytest.mark.usefixtures("committed")
def test_withdrawn_or_approved_and_never_both() -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    fiona, ada = operator("fiona"), operator("ada")

    def race(n: int) -> str:
        try:
            if n % 2:
                act_requests.withdraw(ActRequest, fiona, asked.pk, key=uuid4(), now=now())
                return "withdrawn"
            approvals.approve(ada, asked.pk, note="", key=uuid4(), now=now())
        except RequestDecided:
            return "decided"
        return "approved"

    outcomes = sorted(at_once(6, race))

    asked.refresh_from_db()
    assert outcomes in (["approved"] + ["decided"] * 5, ["decided"] * 5 + ["withdrawn"])
    assert asked.status in outcomes
    assert available() == (500 if asked.status == "approved" else 0)


def test_pages_decide_and_reject(fiona: Client, ada: Client) -> None:
    asked = reverse("fiona", spent(500))
    assert isinstance(asked, ActRequest)
    page = f"/admin/approvals/{asked.pk}/"

    own = fiona.get(page).content.decode()
    silent = ada.post(page, form(reject="1", note="")).content.decode()
    listed = ada.get("/admin/adjustments/").content.decode()
    ada.post(page, form(reject="1", note="No"))

    asked.refresh_from_db()
    assert "your own request" in own
    assert "The note is empty" in silent
    assert page in listed
    assert (asked.status, available()) == ("rejected", 0)


def test_an_approval_whose_act_fails_leaves_the_request_pending() -> None:
    entry = spent(500)
    asked = reverse("fiona", entry)
    assert isinstance(asked, ActRequest)
    with patch("django.conf.settings.ADMIN_ADJUST_LIMIT", Decimal(1000)):
        reverse("ada", entry)

    with pytest.raises(AlreadyReversed):
        decided("ada", asked.pk)
    with pytest.raises(DomainError):
        reverse("fiona", entry)

    asked.refresh_from_db()
    assert asked.status == "pending"


def test_the_request_is_in_the_persons_export_and_is_erased_with_them() -> None:
    entry = spent(500)
    asked = reverse("fiona", entry)
    assert isinstance(asked, ActRequest)
    approvals.reject(ActRequest, operator("ada"), asked.pk, note="No", key=uuid4(), now=now())
    reverse("fiona", entry)

    exported = "".join(export.document("alice", now=now()))
    erasure.erase("alice")

    assert exported.count(f"Reverse a movement of {MINUS}500 credits") >= 2
    kept = ActRequest.objects.get()
    assert (kept.note, kept.status, "alice" in str(kept.user_id)) == ("", "rejected", False)


def test_an_unknown_transaction_cannot_be_reversed() -> None:
    with pytest.raises(TransactionUnknown):
        balance_adjustments.reverse(
            operator("fiona"), uuid4(), why=WHY, key=uuid4(), now=datetime.now(UTC)
        )
