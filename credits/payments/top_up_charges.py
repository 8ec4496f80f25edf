"""Charges of automatic top-ups: first our row, then an off-session payment at Stripe.

Starting makes the purchase and commits it. Charging sends it to Stripe with the keys of any
purchase, so a retry after an unknown outcome charges once. A declined charge is never repeated: the
next one is another purchase, after a pause. A charge that Stripe accepted and later reports as
failed has the same consequences. The credits are posted by Stripe's event or a reconciliation, as
for every purchase.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, takewhile

from django.db.models import QuerySet

from credits import due_rows, ledger
from credits.due_rows import DueWork, Settled
from credits.models import AutoTopUp, MoneyBack, Package, Purchase, Transaction
from credits.outbox import outbox
from credits.payments import notification_texts, saved_cards
from credits.payments.checkout import OPENED_WITHIN
from credits.payments.packages import AGREED
from credits.payments.stripe_errors import (
    CardDeclined,
    CustomerGone,
    PaymentUnavailable,
    RefusedByStripe,
)

TOP_UP_JOB = "top_up"
CHARGE_JOB = "charge_top_ups"
NEEDS_OWNER = frozenset({"authentication_required", "payment_intent_authentication_failure"})
# Pauses after the first and the second declined charge in a row. The third pauses the top-up.
BACK_OFF = (timedelta(days=1), timedelta(days=3))

Status = Purchase.Status
Pause = AutoTopUp.Pause
UNDER_WAY = (Status.PENDING, Status.PROCESSING)

# Conditions of other apps under which nothing is bought for a user, such as a block.
blocked_by: list[Callable[[str], bool]] = []


def top_up_due(*, now: datetime, limit: int) -> Iterator[str]:
    """Start up to `limit` due top-ups, charge up to `limit` started ones; yield each outcome.

    Any number of processes may run this at the same time.
    """
    start = DueWork(TOP_UP_JOB, _due(now), "due_at", partial(_start, now=now))
    charge = DueWork(CHARGE_JOB, _uncharged(), "created_at", partial(_charge, now=now))
    charges = due_rows.settle_each(charge, now=now, limit=limit)
    # Started before charged, so that one run does both for a balance that has just fallen.
    steps = chain(due_rows.settle_each(start, now=now, limit=limit), _until_away(charges))
    return (settled.outcome for settled in steps)


def next_due(now: datetime) -> datetime | None:
    """Return when the first top-up is or was due, or None."""
    return due_rows.next_due(TOP_UP_JOB, AutoTopUp.objects.all(), "due_at", now=now)


def _until_away(charges: Iterator[Settled]) -> Iterator[Settled]:
    """Yield the outcomes up to the first call that Stripe did not answer.

    Every further call would wait for the same timeout. The failed row is postponed, so the next run
    begins with another one.
    """
    for settled in charges:
        yield settled
        if isinstance(settled.error, PaymentUnavailable):
            return


def _due(now: datetime) -> QuerySet[AutoTopUp]:
    return AutoTopUp.objects.filter(due_at__lte=now)


def _uncharged() -> QuerySet[Purchase]:
    return Purchase.objects.filter(
        stripe_payment_method_id__isnull=False,
        stripe_payment_intent_id=None,
        status=Status.PENDING,
    )


def _start(row: AutoTopUp, *, now: datetime) -> str:
    # Reset first: `_decide` may set a later time, and the next crossing sets a new one.
    row.due_at = None
    outcome = _decide(row, now)
    row.save()
    return outcome


def _decide(row: AutoTopUp, now: datetime) -> str:
    if reason := _reason_to_pause(row):
        _pause(row, reason, now)
        return "paused"
    own = Purchase.objects.filter(user_id=row.user_id, stripe_payment_method_id__isnull=False)
    # One at a time: the credits of a payment under way may lift the balance above the threshold.
    if own.filter(status__in=UNDER_WAY).exists():
        return "under_way"
    if ledger.balance_of(row.user_id).posted > row.threshold:
        return "not_needed"
    return _wait_after_failures(row, now) or _buy(row, own, now)


def _wait_after_failures(row: AutoTopUp, now: datetime) -> str | None:
    """Delay or pause the agreement if its last charges failed; return None if it may buy."""
    failed = _failed_in_a_row(row)
    # Counted again: Stripe may have reported a decline, or a payment, which resets the count.
    row.failures = len(failed)
    # The answer to that charge may have been lost, so that only Stripe's report has the code.
    if failed and failed[0].failure_code in NEEDS_OWNER:
        _pause(row, Pause.NEEDS_OWNER, now)
        return "paused"
    if len(failed) > len(BACK_OFF):
        _pause(row, Pause.DECLINED, now)
        return "paused"
    if failed and (due := _failed_at(failed[0]) + BACK_OFF[len(failed) - 1]) > now:
        row.due_at = due
        return "backed_off"
    return None


def _buy(row: AutoTopUp, own: QuerySet[Purchase], now: datetime) -> str:
    month = datetime(now.year, now.month, 1, tzinfo=UTC)
    # The maximum limits what the user pays, so failed charges do not count.
    failed = (Status.FAILED, Status.CANCELLED)
    if own.filter(created_at__gte=month).exclude(status__in=failed).count() >= row.monthly_maximum:
        # 32 days from the first of any month lie in the next one.
        row.due_at = (month + timedelta(days=32)).replace(day=1)
        return "capped"
    Purchase.objects.create(
        user_id=row.user_id,
        package_id=row.package_id,
        credits=row.credits,
        price_euro_cents=row.price_euro_cents,
        expires_after_days=row.expires_after_days,
        stripe_customer_id=row.stripe_customer_id,
        stripe_payment_method_id=row.stripe_payment_method_id,
        created_at=now,
    )
    return "started"


def _reason_to_pause(row: AutoTopUp) -> str | None:
    payments = Purchase.objects.filter(user_id=row.user_id).values("stripe_payment_intent_id")
    back = MoneyBack.objects.filter(
        stripe_payment_intent_id__in=payments, created_at__gte=row.agreed_at
    )
    # The refund or dispute may have been reported before the agreement, its claw-back after it.
    taken = Transaction.objects.filter(
        user_id=row.user_id, type=Transaction.Type.CLAWBACK, created_at__gte=row.agreed_at
    )
    if back.exists() or taken.exists():
        return Pause.MONEY_BACK
    if any(blocks(row.user_id) for blocks in blocked_by):
        return Pause.BLOCKED
    package = Package.objects.filter(pk=row.package_id, active=True).values(*AGREED).first()
    if package != {name: getattr(row, name) for name in AGREED}:
        return Pause.OFFER_CHANGED
    return None


def _charge(purchase: Purchase, *, now: datetime) -> str:
    # The agreement is not locked during the call, because spends write it.
    own = AutoTopUp.objects.filter(pk=purchase.user_id, paused_at=None)
    # Stripe may forget an idempotency key after 24 hours. A later retry could charge twice.
    if now - purchase.created_at > OPENED_WITHIN:
        # By then a reconciliation has found a charge whose answer was lost, and credited it.
        own.filter(due_at=None).update(due_at=now + BACK_OFF[0])
        return _ended(purchase, Status.CANCELLED)
    if not own.exists():
        return _ended(purchase, Status.CANCELLED)
    try:
        intent = saved_cards.charge(purchase)
    except CardDeclined as error:
        # The failed payment is kept, so that its own events find this purchase.
        purchase.stripe_payment_intent_id = error.intent_id
        _failed(purchase, error.decline, now)
        return _ended(purchase, Status.FAILED)
    except (RefusedByStripe, CustomerGone):  # the card or the customer was deleted at Stripe
        _failed(purchase, None, now)
        return _ended(purchase, Status.FAILED)
    purchase.stripe_payment_intent_id = intent["id"]
    purchase.save(update_fields=["stripe_payment_intent_id"])
    return "charged"


def _ended(purchase: Purchase, status: str) -> str:
    purchase.status = status
    purchase.save(update_fields=["status", "stripe_payment_intent_id"])
    return str(status)


def _failed(purchase: Purchase, decline: str | None, now: datetime) -> None:
    """Pause the agreement, or delay it. Without `decline` the card cannot be charged at all."""
    row = AutoTopUp.objects.select_for_update().filter(pk=purchase.user_id, paused_at=None).first()
    if row is None:
        return
    # One more for this purchase, whose status is set after this.
    row.failures = len(_failed_in_a_row(row, before=purchase)) + 1
    if decline in NEEDS_OWNER:
        _pause(row, Pause.NEEDS_OWNER, now)
    elif decline is None or row.failures > len(BACK_OFF):
        _pause(row, Pause.DECLINED, now)
    else:
        row.due_at = now + BACK_OFF[row.failures - 1]
    row.save()


def _failed_in_a_row(row: AutoTopUp, before: Purchase | None = None) -> list[Purchase]:
    """Return the automatic purchases that failed since the last paid one, newest first.

    At most one more than the pauses of BACK_OFF. Purchases before the agreement do not count.
    """
    own = Purchase.objects.filter(
        user_id=row.user_id,
        stripe_payment_method_id__isnull=False,
        created_at__gte=row.agreed_at,
    ).exclude(status=Status.CANCELLED)
    if before:
        own = own.filter(number__lt=before.number)
    newest = own.order_by("-number")[: len(BACK_OFF) + 1]
    return list(takewhile(lambda one: one.status == Status.FAILED, newest))


def _failed_at(purchase: Purchase) -> datetime:
    # A charge that was declined at once has no report yet.
    return purchase.reported_at or purchase.created_at


def _pause(row: AutoTopUp, reason: str, now: datetime) -> None:
    row.due_at, row.paused_at, row.pause_reason = None, now, reason
    outbox.mail(
        row.user_id,
        notification_texts.top_up_paused(row),
        # The time is part of the key, so that each pause is announced, and a repeated run of the
        # same one only once.
        key=f"top_up_paused:{row.user_id}:{now.isoformat()}",
        now=now,
    )
