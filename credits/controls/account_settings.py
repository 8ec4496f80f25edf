"""A user's own settings: read them, and change them. Each change is recorded with its time.

The balance row is locked first and the settings after it, as the ledger's functions do. So a change
takes effect between two movements, never within one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction

from credits import ledger
from credits.ledger import Origin, settings_changes
from credits.ledger.db_functions import select
from credits.models import AccountSettings, SettingsChange, SpendingLimit

ALL_APPS = ""


class NewSettings(NamedTuple):
    """The settings to set, in credits. None means no notice or no limit. `app_limits` is by app."""

    low_balance: Decimal | None = None
    monthly_limit: Decimal | None = None
    app_limits: Mapping[str, Decimal] = {}

    @property
    def limits(self) -> dict[str, Decimal]:
        """Return the limits by app; ALL_APPS is the limit over all apps."""
        over_all = {} if self.monthly_limit is None else {ALL_APPS: self.monthly_limit}
        return {**over_all, **self.app_limits}


class MonthlyLimit(NamedTuple):
    """A monthly limit and what counts against it in the current UTC month, in credits."""

    app_id: str
    amount: Decimal
    spent: Decimal


class CurrentSettings(NamedTuple):
    """The user's settings; `updated_at` is None if the user never had any.

    A client that saves sends the `version` that it saw.
    """

    low_balance: Decimal | None = None
    monthly_limit: Decimal | None = None
    spent: Decimal | None = None
    app_limits: Sequence[MonthlyLimit] = ()
    updated_at: datetime | None = None

    @property
    def version(self) -> str:
        """Return the version of the settings."""
        limits = {limit.app_id: limit.amount for limit in self.app_limits}
        return settings_changes.version_of(
            _state(NewSettings(self.low_balance, self.monthly_limit, limits))
        )


def of_user(user_id: str, *, now: datetime) -> CurrentSettings:
    """Return the user's settings and what was spent in the UTC month of `now`."""
    found = AccountSettings.objects.filter(pk=user_id).first()
    if found is None:
        return CurrentSettings()
    limits = {limit.app_id: limit for limit in _limits(user_id, now)}
    over_all = limits.pop(ALL_APPS, None)
    return CurrentSettings(
        found.low_balance,
        over_all and over_all.amount,
        over_all and over_all.spent,
        [limits[app] for app in sorted(limits)],
        found.updated_at,
    )


@transaction.atomic
def save(
    user_id: str,
    wanted: NewSettings,
    *,
    origin: Origin,
    now: datetime,
    language: str = "",
    seen: str | None = None,
) -> CurrentSettings:
    """Replace the user's settings and record the change; equal settings change nothing.

    A new threshold that the balance is already below announces nothing until it is crossed. `seen`
    is the version that the client saw, or None. Raises SettingsChanged if another one is current.
    `language` is that of notices: `de`, `en`, or empty if it is unknown.
    """
    # Locks the balance first, as every movement does.
    ledger.ensure_balance(user_id, origin=origin)
    known = AccountSettings.objects.select_for_update().filter(pk=user_id).first()
    current = _known(user_id, known)
    if current != wanted:
        settings_changes.require_version(seen, _state(current))
        _replace(user_id, known, wanted, language, now)
        subject = SettingsChange.Subject.SPENDING
        change = _recorded(current), _recorded(wanted)
        settings_changes.record(user_id, subject, change, origin=origin)
    # Read again, because the answer contains what was spent, which the database sums.
    return of_user(user_id, now=now)


def _limits(user_id: str, now: datetime) -> list[MonthlyLimit]:
    rows = select(
        # The database's own sum, so that the page shows the number by which a spend is refused.
        "SELECT e.key, (e.value ->> 0)::numeric, (e.value ->> 1)::numeric"
        " FROM jsonb_each(credits.month_spending(%s, %s)) e",
        [user_id, now],
    )
    return [MonthlyLimit(*row) for row in rows]


def _known(user_id: str, known: AccountSettings | None) -> NewSettings:
    limits = dict(SpendingLimit.objects.filter(user_id=user_id).values_list("app_id", "amount"))
    low_balance = known.low_balance if known else None
    return NewSettings(low_balance, limits.pop(ALL_APPS, None), limits)


def _replace(
    user_id: str, known: AccountSettings | None, wanted: NewSettings, language: str, now: datetime
) -> None:
    row = known or AccountSettings(user_id=user_id)
    if row.low_balance != wanted.low_balance:
        # A noted crossing concerns the old threshold.
        row.crossed_at = None
    row.low_balance = wanted.low_balance
    # Stored, because later notices are sent without a request that has a language.
    row.language = language
    row.updated_at = now
    row.save()
    _replace_limits(user_id, wanted.limits)
    # Last, because the database derives the mark from these rows.
    ledger.mark_settings(user_id)


def _replace_limits(user_id: str, wanted: Mapping[str, Decimal]) -> None:
    """Replace the limits that differ, so that an equal one keeps `reached_at`."""
    own = SpendingLimit.objects.filter(user_id=user_id)
    known = dict(own.values_list("app_id", "amount"))
    changed = {app: amount for app, amount in wanted.items() if known.get(app) != amount}
    own.filter(app_id__in=(known.keys() - wanted.keys()) | changed.keys()).delete()
    SpendingLimit.objects.bulk_create(
        SpendingLimit(user_id=user_id, app_id=app, amount=amount) for app, amount in changed.items()
    )


def _state(settings: NewSettings) -> dict[str, Any]:
    """Return the settings as the API names them."""
    limits = sorted(settings.app_limits.items())
    return {
        "lowBalance": settings.low_balance,
        "monthlyLimit": settings.monthly_limit,
        "appLimits": [{"appId": app, "monthlyLimit": amount} for app, amount in limits],
    }


def _recorded(settings: NewSettings) -> dict[str, Any]:
    """Return the settings as they are recorded: the limits of the apps by app."""
    return {**_state(settings), "appLimits": dict(settings.app_limits)}
