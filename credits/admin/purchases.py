"""Purchases: the list, a purchase with all that became of it, refund, quarantine."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display

from credits import ledger, operating, returns
from credits.admin.account import address_of
from credits.admin.adjusting import WhyForm
from credits.models import Purchase, Return, StaffAction
from credits.office import pages
from credits.office.lists import LABELS, ReadOnlyList
from credits.office.pages import Fact, Link, Table
from credits.staff import AlreadyDone
from credits.stripe_api import PaymentUnavailable, RefusedByStripe
from credits.templatetags.office import amount, euros, moment

_tables: list[Callable[[Purchase], Table]] = []


def add_table(table: Callable[[Purchase], Table]) -> None:
    """Let the page of a purchase also show another app's rows."""
    _tables.append(table)


class Quarantine(admin.SimpleListFilter):
    """Whether an operator must look."""

    title = "quarantine"
    parameter_name = "quarantine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("open", "to be decided"), ("resolved", "decided")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the rows of the choice."""
        if self.value() is None:
            return queryset
        resolved = self.value() == "resolved"
        return queryset.filter(
            quarantined_at__isnull=False, quarantine_resolved_at__isnull=not resolved
        )


@admin.register(Purchase)
class Purchases(ReadOnlyList):
    """Purchases, newest first."""

    page = "purchase"
    list_display = ("number", "when", "user_id", "package", "worth", "price", "state")
    list_filter = ("status", Quarantine)
    search_fields = (
        "user_id__exact",
        "stripe_payment_intent_id__exact",
        "stripe_checkout_session_id__exact",
    )
    related = ("package",)
    ordering = ("-number",)

    @display(description="Created")
    def when(self, row: Purchase) -> str:
        """Return when it began."""
        return moment(row.created_at)

    @display(description="Credits")
    def worth(self, row: Purchase) -> str:
        """Return its credits."""
        return amount(row.credits)

    @display(description="Price")
    def price(self, row: Purchase) -> str:
        """Return its price."""
        return euros(row.price_euro_cents)

    @display(description="Status", label=LABELS)
    def state(self, row: Purchase) -> str:
        """Return its status."""
        return row.status


class RefundForm(WhyForm):
    """How much goes back."""

    euros = forms.DecimalField(
        label="Euros",
        min_value=Decimal("0.01"),
        decimal_places=2,
        max_digits=9,
        widget=forms.NumberInput(attrs={"step": "0.01", "autofocus": True}),
    )
    field_order = ("euros", "note", "ticket")


class DecideForm(WhyForm):
    """What becomes of a quarantined purchase."""

    decision = forms.ChoiceField(
        choices=[
            ("", "Choose …"),
            ("credit", "Credit it, as if it had been paid as agreed"),
            ("leave", "Leave it without credits"),
        ]
    )
    field_order = ("decision", "note", "ticket")


@pages.page("purchase/<uuid:pk>/", name="purchase", permission="credits.view_purchase")
def purchase(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a purchase."""
    row = _purchase(pk)
    known = returns.of_purchase(row) if row.stripe_payment_intent_id else []
    links = []
    may = request.user.has_perm
    if may("credits.refund_purchase") and _refundable(row):
        links.append(Link("Refund", reverse("admin:refund", args=(pk,))))
    if may("credits.refund_purchase"):
        links += [
            Link("Send the refund again", reverse("admin:send_refund", args=(one.pk,)))
            for one in known
            if one.state == Return.State.REQUESTED
        ]
    waiting = row.quarantined_at is not None and row.quarantine_resolved_at is None
    if may("credits.resolve_quarantine") and waiting:
        links.append(Link("Decide", reverse("admin:quarantine", args=(pk,))))
    return pages.row_page(
        request,
        f"Purchase {row.number}",
        f"{row.package.name}: {amount(row.credits)} credits for {euros(row.price_euro_cents)}",
        status=row.status,
        facts=_facts(row),
        links=links,
        warnings=[f"Quarantined, nothing credited: {row.quarantine_reason}"] if waiting else [],
        tables=[
            Table(
                "Refunds and disputes",
                ("When", "What", "Money", "State", "Credits taken", "By", "Why"),
                [
                    (
                        moment(one.created_at),
                        one.stripe_id or one.kind,
                        euros(one.amount_cents),
                        _state(one),
                        amount(one.taken),
                        one.actor,
                        one.reason,
                    )
                    for one in known
                ],
            ),
            *(table(row) for table in _tables),
            _acts(f"purchase:{pk}"),
        ],
    )


@pages.page("purchase/<uuid:pk>/refund/", name="refund", permission="credits.refund_purchase")
def refund(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send money back, after a look at what that comes to."""
    row = _purchase(pk)
    left = row.price_euro_cents - returns.cents_refunded(row)
    form = RefundForm(request.POST or None, initial={"euros": f"{left / 100:.2f}"})
    there = reverse("admin:purchase", args=(pk,))
    if form.is_valid() and form.cleaned_data["confirmed"]:
        _refund(request, row, form)
        return redirect(there)
    balance = ledger.balance_of(row.user_id)
    context: dict[str, Any] = {
        "form": form,
        "purchase": row,
        "left": left,
        "balance": balance,
        "spent": _spent_since(row),
        "there": there,
        "account": address_of(row.user_id),
    }
    if form.is_valid():
        cents = int(form.cleaned_data["euros"] * 100)
        if cents > left:
            form.add_error("euros", f"At most {euros(left)} can go back.")
        else:
            taken = returns.share(row, cents)
            context |= {"cents": cents, "taken": taken, "after": balance.available - taken}
    return pages.render(request, "refund.html", "Refund a purchase", context)


@pages.page("refund/<uuid:pk>/send/", name="send_refund", permission="credits.refund_purchase")
def send_refund(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Ask Stripe again for a refund that it did not answer."""
    asked = Return.objects.filter(pk=pk).first()
    if asked is None:
        raise Http404
    row = Purchase.objects.get(stripe_payment_intent_id=asked.stripe_payment_intent_id)
    form = pages.ActForm(request.POST or None)

    def do() -> str:
        operating.send_refund_again(
            pages.operator_of(request), pk, key=form.act_key, now=datetime.now(UTC)
        )
        return "Stripe has the refund."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:purchase", args=(row.pk,)),
        title="Send a refund again",
        button="Send",
        facts=[Fact("Money", euros(asked.amount_cents)), Fact("Why", asked.reason)],
    )


@pages.page(
    "purchase/<uuid:pk>/quarantine/", name="quarantine", permission="credits.resolve_quarantine"
)
def quarantine(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Decide about a quarantined purchase."""
    row = _purchase(pk)
    form = DecideForm(request.POST or None)

    def do() -> str:
        credited = form.cleaned_data["decision"] == "credit"
        operating.resolve_quarantine(
            pages.operator_of(request),
            pk,
            credit=credited,
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "Credited." if credited else "Left without credits."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:purchase", args=(pk,)),
        title="Decide about a quarantined purchase",
        button="Decide",
        facts=[
            Fact("Account", row.user_id, address_of(row.user_id)),
            Fact("Agreed", f"{amount(row.credits)} credits for {euros(row.price_euro_cents)}"),
            Fact("Stripe reported", row.quarantine_reason),
        ],
    )


def _refund(request: HttpRequest, row: Purchase, form: RefundForm) -> None:
    cents = int(form.cleaned_data["euros"] * 100)
    try:
        operating.refund_purchase(
            pages.operator_of(request),
            row.pk,
            cents=cents,
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
    except AlreadyDone as repeat:
        messages.info(request, repeat.text)
    except PaymentUnavailable:
        messages.warning(
            request,
            "Stripe cannot be reached. The refund is requested and is sent again by itself.",
        )
    except (RefusedByStripe, returns.ExceedsPurchase, returns.NotRefundable) as refusal:
        messages.error(request, refusal.text)
    else:
        messages.success(request, f"{euros(cents)} go back; the credits follow Stripe.")


def _purchase(pk: UUID) -> Purchase:
    found = Purchase.objects.select_related("package", "transaction").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _refundable(row: Purchase) -> bool:
    return (row.paid or row.quarantined_at is not None) and (
        returns.cents_refunded(row) < row.price_euro_cents
    )


def _spent_since(row: Purchase) -> Decimal:
    """Return what the user spent, net, since the purchase was credited."""
    if row.transaction is None:
        return Decimal(0)
    return ledger.spent_since(row.transaction)


def _state(one: Return) -> str:
    if one.state == Return.State.REQUESTED:
        return "requested, not confirmed by Stripe"
    return f"{one.state} ({one.stripe_status})" if one.stripe_status else one.state


def _facts(row: Purchase) -> list[Fact]:
    facts = [
        Fact("Account", row.user_id, address_of(row.user_id)),
        Fact("Started", f"{moment(row.created_at)} UTC"),
        Fact("Completed", moment(row.completed_at)),
    ]
    if row.transaction:
        entry = reverse("admin:transaction", args=(row.transaction_id,))
        facts.append(Fact("Credited by", f"transaction {row.transaction.number}", entry))
    facts += [
        Fact("Payment intent", row.stripe_payment_intent_id),
        Fact("Checkout session", row.stripe_checkout_session_id),
        Fact("Customer", row.stripe_customer_id),
        Fact("Id", row.pk),
    ]
    if row.quarantine_resolution:
        facts.append(
            Fact(
                "Quarantine",
                f"{row.quarantine_reason}; {row.quarantine_resolution} by "
                f"{row.quarantine_resolved_by}: {row.quarantine_resolved_why}",
            )
        )
    return facts


def _acts(subject: str) -> Table:
    acts = StaffAction.objects.filter(subject=subject).order_by("-pk")[:50]
    return Table(
        "What operators did",
        ("When", "Who", "What", "Why"),
        [
            (moment(one.at), one.operator, one.action.partition(".")[2].replace("_", " "), one.note)
            for one in acts
        ],
    )
