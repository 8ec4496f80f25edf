"""A person's data as JSON, for data requests."""

import json
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import QuerySet

from credits.ledger import books
from credits.models import (
    AccountSettings,
    ActRequest,
    AdjustmentRequest,
    AutoTopUp,
    Balance,
    CampaignGrant,
    Contact,
    CreditLot,
    IdempotencyKey,
    LotUse,
    MoneyBack,
    OutboxMessage,
    Purchase,
    Reservation,
    SettingsChange,
    SpendingLimit,
    StaffAction,
    StripeCustomer,
    SyncSubscription,
    Transaction,
    UsageStat,
)
from mana_credits.privacy.erasure import OTHER_APPS
from mana_credits.privacy.erasure_rows import Sections

ROWS_AT_ONCE = 2_000
# PostgreSQL type ids and how to format their values: JSON has no exact type for them (numeric,
# timestamptz).
WRITTEN = {
    1700: "{}::text",
    1184: """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""",
}


def document(user_id: str, *, now: datetime) -> Generator[str, None, None]:
    """Yield the parts of a JSON document with all rows about a user, in one snapshot.

    Yields nothing for an unknown user. Memory use does not grow with the rows: a part has up to
    ROWS_AT_ONCE rows, one per line. Amounts are exact strings, in credits. Times are in UTC.
    """
    with books.snapshot():
        sections = _sections(user_id)
        if any(rows.exists() for rows in sections.values()):
            yield f'{{\n"user_id": {_json(user_id)},\n"exported_at": {_json(now)}'
            for name, rows in sections.items():
                yield f",\n{_json(name)}: ["
                yield from _lines(rows)
                yield "\n]"
            yield "\n}\n"


def _sections(user_id: str) -> Sections:
    own = {"user_id": user_id}
    purchases = Purchase.objects.filter(**own).order_by("number")
    payments = purchases.values("stripe_payment_intent_id")
    returns = MoneyBack.objects.filter(stripe_payment_intent_id__in=payments)
    sections: Sections = {
        "balances": Balance.objects.filter(**own).values(),
        "transactions": Transaction.objects.filter(**own).order_by("number").values(),
        "reservations": Reservation.objects.filter(**own).order_by("created_at").values(),
        "lots_that_expire": CreditLot.objects.filter(**own).order_by("expires_at").values(),
        "uses_of_lots": LotUse.objects.filter(**own).order_by("taker_id").values(),
        # With the secret, a reader of the document could confirm an open payment.
        "purchases": purchases.values(*_without(Purchase, "client_secret")),
        "returns": returns.order_by("created_at").values(),
        "contacts": Contact.objects.filter(**own).values(),
        "customers_at_stripe": StripeCustomer.objects.filter(**own).values(),
        "subscriptions": SyncSubscription.objects.filter(**own).values(),
        "settings": AccountSettings.objects.filter(**own).values(),
        "spending_limits": SpendingLimit.objects.filter(**own).order_by("app_id").values(),
        "automatic_top_ups": AutoTopUp.objects.filter(**own).values(),
        "changes_of_settings": SettingsChange.objects.filter(**own).order_by("pk").values(),
        "usage_statistics": UsageStat.objects.filter(**own).order_by("date").values(),
        "idempotency_keys": IdempotencyKey.objects.filter(**own).order_by("created_at").values(),
        "adjustments": AdjustmentRequest.objects.filter(**own)
        .order_by("pk")
        .values("amount", "reason", "note", "status", "requested_at", "decided_at"),
        "requested_acts": ActRequest.objects.filter(**own)
        .order_by("pk")
        .values("kind", "summary", "note", "status", "requested_at", "decided_at"),
        "campaign_grants": CampaignGrant.objects.filter(**own)
        .order_by("campaign_id", "line")
        .values("campaign__name", "campaign__reason", "amount", "outcome", "detail"),
        "staff_actions": StaffAction.objects.filter(**own).order_by("pk").values(*_impersonal()),
        "messages": OutboxMessage.objects.filter(**own).order_by("created_at").values(),
    }
    for rows in OTHER_APPS:
        sections.update(rows.sections(user_id))
    return sections


def _impersonal() -> list[str]:
    """Return the fields of a staff action that concern the user, without those of the operator."""
    return ["at", "action", "subject", "reason", "note", "before", "after"]


def _without(model: type[Purchase], name: str) -> list[str]:
    fields = model._meta.concrete_fields  # noqa: SLF001
    return [field.attname for field in fields if field.attname != name]


def _lines(rows: QuerySet[Any]) -> Iterator[str]:
    """Yield the rows as JSON objects, one per line, up to ROWS_AT_ONCE at a time.

    PostgreSQL formats them. Converting each row in Python takes ten times as long.
    """
    names = list(rows.query.values_select)
    try:
        query, values = rows.query.sql_with_params()
    except EmptyResultSet:  # the condition matches no row, for example `IN ()`
        return
    columns = [f"c{index}" for index in range(len(names))]
    found = f"({query}) AS q ({', '.join(columns)})"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {found} LIMIT 0", values)  # noqa: S608
        types = [column.type_code for column in cursor.description]
    selected = ", ".join(
        f'{WRITTEN.get(kind, "{}").format(column)} AS "{name}"'
        for name, column, kind in zip(names, columns, types, strict=True)
    )
    separator = "\n"
    # A cursor on the server, so that the rows of a long history are never all in memory.
    with connection.chunked_cursor() as cursor:
        written = f"SELECT row_to_json(r)::text FROM (SELECT {selected} FROM {found}) r"  # noqa: S608
        cursor.execute(written, values)
        while chunk := cursor.fetchmany(ROWS_AT_ONCE):
            yield separator + ",\n".join(line for (line,) in chunk)
            separator = ",\n"


def _json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
