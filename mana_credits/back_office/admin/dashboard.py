"""The dashboard: liabilities, sales, spending, and open work."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from credits.models import Operation, OutboxMessage
from credits.payments import money_back, purchases
from mana_credits.back_office.acts import balance_adjustments
from mana_credits.back_office.admin import dashboard_figures, job_states
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.dashboard_figures import Period, SpendingShare
from mana_credits.back_office.frame import charts, operator_pages
from mana_credits.back_office.frame.charts import Chart, Series
from mana_credits.back_office.templatetags.office import amount, euros
from webhooks import events
from webhooks.models import StripeEvent

DAYS = 30
MONTHS = 12


class Alarm(NamedTuple):
    """Open work for operators: a label, a count, and the list that has it."""

    what: str
    number: Callable[[], int]
    page: str
    query: str = ""


@operator_pages.page("", name="index", permission="credits.view_balance")
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the figures."""
    now = datetime.now(UTC)
    today = now.date()
    days = dashboard_figures.per_day(DAYS, today=today)
    months = dashboard_figures.per_month(MONTHS, today=today)
    jobs = dashboard_figures.job_results()
    states = job_states.shown(jobs)
    context = {
        "alarms": _standing(),
        "jobs": states,
        "failed": job_states.failed(states),
        "outstanding": dashboard_figures.outstanding(now=now),
        "reservations": dashboard_figures.open_reservations(now=now),
        "sums": _sums(days),
        "as_of": getattr(jobs.get("sum_days"), "succeeded_at", None),
        "charts": [*_of_credits(days, months), *_of_money(days, months)],
        "apps": dashboard_figures.by_app(DAYS, today=today),
        "operations": _named(dashboard_figures.by_operation(DAYS, today=today)),
        "spenders": [
            (one, address_of(one.name)) for one in dashboard_figures.top_spenders(DAYS, today=today)
        ],
    }
    return operator_pages.render(request, "dashboard.html", "Dashboard", context)


def _named(spent: list[SpendingShare]) -> list[SpendingShare]:
    """Return what was spent with the names of the operations instead of their keys."""
    keys = [one.name for one in spent]
    names = dict(Operation.objects.filter(pk__in=keys).values_list("key", "name"))
    return [one._replace(name=names.get(one.name, one.name)) for one in spent]


def _standing() -> list[tuple[str, int, str]]:
    counted = ((alarm, alarm.number()) for alarm in ALARMS)
    return [
        (alarm.what, count, reverse(alarm.page) + alarm.query) for alarm, count in counted if count
    ]


def _sums(periods: list[Period]) -> dict[str, Any]:
    names = ("sold", "spent", "refunded", "gifted", "granted", "clawed_back", "expired")
    sums = {name: sum(getattr(one, name) for one in periods) for name in names}
    return {**sums, "revenue_cents": sum(one.revenue_cents for one in periods)}


def _of_credits(days: list[Period], months: list[Period]) -> list[Chart]:
    series = (
        Series("sold", "series-a", lambda one: one.sold),
        Series("spent", "series-b", lambda one: one.spent),
        Series("given in gifts", "series-c", lambda one: one.gifted),
        Series("refunded", "series-d", lambda one: one.refunded),
    )
    return [
        charts.bars("Credits per day", days, series, label=_day, written=amount),
        charts.bars("Credits per month", months, series, label=_month, written=amount),
    ]


def _of_money(days: list[Period], months: list[Period]) -> list[Chart]:
    series = (Series("revenue", "series-e", lambda one: Decimal(one.revenue_cents) / 100),)
    return [
        charts.bars("Revenue per day, €", days, series, label=_day, written=_money),
        charts.bars("Revenue per month, €", months, series, label=_month, written=_money),
    ]


def _money(value: Decimal) -> str:
    # The series are in euros, because the charts show them.
    return euros(int(value * 100))


def _day(period: Period) -> str:
    start: date = period.start
    return f"{start.day} {start:%b}"


def _month(period: Period) -> str:
    return f"{period.start:%b %Y}"


# A query set that is never evaluated keeps no rows, so each call of its `count` asks the database.
ALARMS = (
    Alarm("Requests that wait for approval", balance_adjustments.pending, "admin:adjustments"),
    Alarm(
        "Quarantined purchases",
        purchases.quarantined().count,
        "admin:credits_purchase_changelist",
        "?quarantined=open",
    ),
    Alarm(
        "Won disputes whose money has not come back",
        lambda: money_back.won_without_money(now=datetime.now(UTC)).count(),
        "admin:credits_purchase_changelist",
        "?dispute=won_without_money",
    ),
    Alarm(
        "Undeliverable messages",
        OutboxMessage.objects.filter(status="dead").count,
        "admin:credits_outboxmessage_changelist",
        "?status__exact=dead",
    ),
    Alarm(
        "Stripe events that wait or failed",
        StripeEvent.objects.filter(processed_at__isnull=True).count,
        "admin:webhooks_stripeevent_changelist",
    ),
    Alarm(
        "Stripe events that could not be read",
        lambda: events.unreadable(now=datetime.now(UTC)).count(),
        "admin:webhooks_stripeevent_changelist",
        "?outcome__exact=unreadable",
    ),
)
