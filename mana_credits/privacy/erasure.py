"""Erasure of a person's data. Names and texts are deleted; the numbers of the ledger stay."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from uuid import uuid4

from django.db import transaction
from django.db.models import Max, QuerySet

from credits import contacts
from credits.ledger import Origin, reservations
from credits.ledger.db_functions import Routine, call
from credits.ledger.reservations import ReservationCommitted, ReservationExpired
from credits.models import (
    AccountSettings,
    AutoTopUp,
    Balance,
    CheckedBalance,
    Contact,
    ErasureRequest,
    IdempotencyKey,
    JobRun,
    MoneyBack,
    OutboxMessage,
    PostponedRow,
    Purchase,
    Reservation,
    SpendingLimit,
    StripeCustomer,
    SyncSubscription,
    Transaction,
    UsageStat,
)
from credits.pseudonyms import PREFIX
from mana_credits.privacy import (
    announcement_erasure,
    erasure_locks,
    event_erasure,
    gift_erasure,
    staff_erasure,
)
from mana_credits.privacy.erasure_rows import ErasedPerson, not_held

OTHER_APPS = (gift_erasure.ROWS, event_erasure.ROWS, announcement_erasure.ROWS)
ENTRIES_PER_STATEMENT = 20_000  # takes one to two seconds


class Erased(NamedTuple):
    """The result of an erasure: the pseudonym, and the number of changed rows by kind."""

    pseudonym: str
    rows: Counter[str]


class _Ended(NamedTuple):
    keys: int
    balances: int


_erase_balance = Routine("credits.erase_balance", _Ended, ("user_id", "pseudonym", "unused"))


def erase(user_id: str) -> int:
    """Erase the person and return the number of changed rows. See `erasing`."""
    return erase_rows(user_id).rows.total()


def erase_rows(user_id: str, *, addresses: Iterable[str] = ()) -> Erased:
    """Erase the person and return the changed rows by kind. See `erasing`."""
    return completed(erasing(user_id, addresses=addresses))


def completed(
    steps: Generator[int, None, Erased], *, advance: Callable[[int], object] = lambda _: None
) -> Erased:
    """Run the steps of `erasing` and return its result. `advance` receives what each one yields."""
    while True:
        try:
            advance(next(steps))
        except StopIteration as end:
            return cast("Erased", end.value)


def erasing(
    user_id: str, *, addresses: Iterable[str] = (), count_only: bool = False
) -> Generator[int, None, Erased]:
    """Move all of the user's rows to a random id and delete their texts.

    Yields how many transactions each statement moved. Closing the generator early rolls back.
    `addresses` adds e-mail addresses to those that the service knows. First, open reservations are
    released and gifts by or to the person are returned. The subscription, the link to Stripe and
    undelivered messages are deleted. The chain and all sums stay.

    An unknown user counts 0 rows. If the same id is used later, it is a new user. With `count_only`
    the history is counted instead of moved; the caller must roll back.
    """
    person = _person(user_id, addresses)
    # The next steps have transactions of their own. A gift returns credits to its creator, whose
    # balance the erasure itself must not lock.
    _release_all(user_id)
    for rows in OTHER_APPS:
        rows.settle(person)
    # Before the rows are deleted: a token of the person may be valid for days and would record a
    # contact again.
    if not count_only:
        contacts.refuse(user_id, now=datetime.now(UTC))
    with transaction.atomic():
        had_balance = erasure_locks.lock(person, OTHER_APPS)
        stripped = _strip(person)
        if count_only:
            stripped.update({name: rows.count() for name, rows in _history(person).items()})
            known = Balance.objects.filter(pk=person.id)
            stripped["balances"] = (known if had_balance else known.exclude(version=0)).count()
        else:
            stripped.update((yield from _move_history(person)))
            # Last, because the digests of the erased texts need the balance's salt.
            stripped.update(_move_balance(person, unused=not had_balance))
    # `+` drops the kinds without rows.
    return Erased(person.pseudonym, +stripped)


def _person(user_id: str, addresses: Iterable[str]) -> ErasedPerson:
    customers = StripeCustomer.objects.filter(user_id=user_id)
    at_stripe = {address for address in customers.values_list("email", flat=True) if address}
    # Anybody can register an unconfirmed address. Gifts to it may belong to another person.
    confirmed = Contact.objects.filter(user_id=user_id, email_verified=True).exclude(email="")
    told = set(confirmed.values_list("email", flat=True))
    known = {*addresses, *at_stripe, *told}.union(*(rows.addresses(user_id) for rows in OTHER_APPS))
    return ErasedPerson(user_id, f"{PREFIX}{uuid4()}", frozenset(known))


def _release_all(user_id: str) -> None:
    origin = Origin("system")
    still_open = Reservation.objects.filter(user_id=user_id, status="open")
    for reservation_id in still_open.values_list("pk", flat=True):
        # An app or the worker may settle the reservation in between.
        with suppress(ReservationCommitted, ReservationExpired):
            reservations.release(reservation_id, origin=origin)


def _strip(person: ErasedPerson) -> Counter[str]:
    stripped: Counter[str] = Counter()
    # The other apps first: they find their rows by the purchases and customers that are changed
    # next.
    for rows in OTHER_APPS:
        stripped.update(rows.strip(person))
    # The copies last: a job locks the settings that are due before it deletes their failures.
    own = (_strip_settings, _strip_purchases, staff_erasure.strip, _strip_ledger, _strip_copies)
    for strip in own:
        stripped.update(strip(person))
    return stripped


def _strip_copies(person: ErasedPerson) -> Counter[str]:
    # A job's error message may quote a row.
    quoting = JobRun.objects.filter(error__contains=person.id)
    return Counter(
        {
            "contacts": Contact.objects.filter(user_id=person.id).delete()[0],
            "messages": OutboxMessage.objects.filter(user_id=person.id).delete()[0],
            "job errors": quoting.update(error="erased")
            + PostponedRow.objects.filter(user_id=person.id).delete()[0],
        }
    )


def _strip_settings(person: ErasedPerson) -> Counter[str]:
    own = {"user_id": person.id}
    settings = AccountSettings.objects.filter(**own).delete()[0]
    top_ups = AutoTopUp.objects.filter(**own).delete()[0]
    limits = SpendingLimit.objects.filter(**own).delete()[0]
    changes = call("credits.erase_settings_changes", **person.moves())
    return Counter({"settings": settings + limits + top_ups, "changes of settings": changes})


def _strip_purchases(person: ErasedPerson) -> Counter[str]:
    purchases = Purchase.objects.filter(user_id=person.id)
    payments = purchases.values("stripe_payment_intent_id")
    explained = MoneyBack.objects.filter(
        stripe_payment_intent_id__in=payments, reason__isnull=False
    )
    # Without its card, an automatic purchase that was not charged yet can never be paid.
    purchases.filter(
        status=Purchase.Status.PENDING,
        stripe_payment_method_id__isnull=False,
        stripe_payment_intent_id=None,
    ).update(status=Purchase.Status.CANCELLED)
    # In this order: the refunds are found by the purchases of the user, which move to the
    # pseudonym.
    return Counter(
        {
            "refunds": explained.update(reason=""),
            "quarantines": purchases.filter(quarantine_resolved_at__isnull=False).update(
                quarantine_resolved_why=""
            ),
            "purchases": purchases.update(
                user_id=person.pseudonym,
                stripe_customer_id=None,
                stripe_payment_method_id=None,
                metadata=None,
                client_secret=None,
                success_url=None,
                cancel_url=None,
                checkout_url=None,
                receipt_url=None,
                invoice_url=None,
                request_id=None,
            ),
            "Stripe customers": StripeCustomer.objects.filter(user_id=person.id).delete()[0],
        }
    )


def _strip_ledger(person: ErasedPerson) -> Counter[str]:
    CheckedBalance.objects.filter(pk=person.id).delete()
    # A worker that holds a newer request waits for this erasure, and then finds nothing to erase.
    not_held(ErasureRequest.objects.filter(pk=person.id)).delete()
    moved = call("credits.erase_reservations", **person.moves())
    lots = call("credits.erase_lots", user_id=person.id)
    ended, _ = SyncSubscription.objects.filter(pk=person.id).delete()
    return Counter({"subscriptions": ended, "reservations": moved, "lots": lots})


def _history(person: ErasedPerson) -> dict[str, QuerySet[Any]]:
    """Return the tables that may hold a million rows of one user."""
    own = {"user_id": person.id}
    return {
        "transactions": Transaction.objects.filter(**own),
        "usage statistics": UsageStat.objects.filter(**own),
        "idempotency keys": IdempotencyKey.objects.filter(**own),
    }


def _move_history(person: ErasedPerson) -> Generator[int, None, Counter[str]]:
    history = _history(person)
    moved: Counter[str] = Counter()
    for count in _move_transactions(person, history["transactions"]):
        moved["transactions"] += count
        yield count
    moved["usage statistics"] = history["usage statistics"].update(user_id=person.pseudonym)
    return moved


def _move_balance(person: ErasedPerson, *, unused: bool) -> Counter[str]:
    ended = _erase_balance(**person.moves(), unused=unused)
    return Counter({"idempotency keys": ended.keys, "balances": ended.balances})


def _move_transactions(
    person: ErasedPerson, rows: QuerySet[Transaction]
) -> Generator[int, None, None]:
    """Move the transactions by ranges of numbers. Yield how many each statement moved."""
    last = rows.aggregate(last=Max("number"))["last"] or 0
    for first in range(1, last + 1, ENTRIES_PER_STATEMENT):
        through = first + ENTRIES_PER_STATEMENT - 1
        yield call("credits.erase_transactions", **person.moves(), first=first, last=through)
