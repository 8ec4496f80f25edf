"""Pages of purchases: one purchase with its history, its refund, a retry of a refund."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.errors import DomainError
from credits.models import ActRequest, MoneyBack, Purchase
from credits.payments import money_back
from mana_credits.back_office.account import timeline, timeline_styles
from mana_credits.back_office.acts import purchase_refunds
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, row_pages, stale_forms
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.templatetags.office import euros, in_credits

LARGEST_DIGITS = 9


class RefundForm(WhyForm):
    """The amount of a refund and its justification."""

    amount = forms.DecimalField(
        label="Euros",
        max_digits=LARGEST_DIGITS,
        decimal_places=2,
        min_value=Decimal("0.01"),
        error_messages={"min_value": "A refund of €0 moves nothing: enter at least €0.01."},
        help_text="What goes back to the buyer, in euros and cents.",
        widget=forms.NumberInput(attrs={"autofocus": True, "step": "0.01"}),
    )
    reason = forms.ChoiceField(choices=[("", "Choose …"), *purchase_refunds.RefundReason.choices])
    field_order = ("amount", "reason", "note", "ticket")

    @property
    def cents(self) -> int:
        """Return the amount of a valid form, in cents."""
        return int(self.cleaned_data["amount"] * 100)


@operator_pages.page("purchase/<uuid:pk>/", name="purchase", permission="credits.view_purchase")
def purchase(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a purchase: its facts, money, credits and history."""
    found = _purchase(pk)
    operator_pages.looked(request, found.user_id, f"purchase:{pk}")
    known = money_back.of_purchase(found)
    context = {
        "purchase": found,
        "account": address_of(found.user_id),
        "returns": [(one, operator_pages.ActForm()) for one in known],
        "transactions": money_back.transactions_of(found),
        "entries": [timeline_styles.shown(entry) for entry in timeline.of_purchase(found)],
        "actions": row_pages.acts_on(f"purchase:{pk}"),
        "spent": purchase_refunds.spent_since(found),
        "refundable": purchase_refunds.refundable(found),
    }
    return operator_pages.render(request, "purchase.html", f"Purchase {found.number}", context)


@operator_pages.page(
    "purchase/<uuid:pk>/refund/", name="refund_purchase", permission="credits.refund_purchase"
)
def refund(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Refund a purchase: fill in, preview the effect, confirm."""
    found = _purchase(pk)
    # The state of the form is the refundable amount: it changes if Stripe or a colleague refunded
    # meanwhile.
    left, state = purchase_refunds.refundable(found), _refundable(pk)
    form = RefundForm(request.POST or None, initial={"amount": f"{left / 100:.2f}", "seen": state})
    planned = None
    if form.is_valid() and not stale_forms.refuse(form, state):
        if form.cleaned_data["confirmed"]:
            if done := _act(request, found, form):
                return done
        else:
            planned = _plan(found, form)
    context: dict[str, Any] = {
        "form": form,
        "purchase": found,
        "planned": planned,
        "account": address_of(found.user_id),
        "refundable": left,
        "spent": purchase_refunds.spent_since(found),
        "waiting": _requested(money_back.of_purchase(found)),
    }
    return operator_pages.render(request, "refund.html", "Refund a purchase", context)


@operator_pages.page(
    "return/<uuid:pk>/send/", name="send_refund", permission="credits.refund_purchase"
)
def send(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a requested refund to Stripe again."""
    asked = MoneyBack.objects.filter(pk=pk).first()
    payment = asked.stripe_payment_intent_id if asked else ""
    found = Purchase.objects.filter(stripe_payment_intent_id=payment).first()
    if asked is None or found is None:
        raise Http404
    form = operator_pages.ActForm(request.POST or None)
    there = reverse("admin:purchase", args=(found.pk,))
    if form.is_valid():
        done = operator_pages.act(request, form, lambda: _send(request, asked, form), then=there)
        if done:
            return done
    context = {"form": form, "asked": asked, "purchase": found}
    return operator_pages.render(request, "send_refund.html", "Send a refund again", context)


def _refundable(pk: UUID) -> str:
    """Return what a refund's form shows of the purchase."""
    return stale_forms.lines([("Refundable", euros(purchase_refunds.refundable(_purchase(pk))))])


def _act(request: HttpRequest, found: Purchase, form: RefundForm) -> HttpResponse | None:
    there, locked = (
        reverse("admin:purchase", args=(found.pk,)),
        Purchase.objects.filter(pk=found.pk),
    )
    with stale_forms.guarding(form, lambda: _refundable(found.pk), locked):
        return operator_pages.act(request, form, lambda: _refund(request, found, form), then=there)


def _purchase(pk: UUID) -> Purchase:
    found = Purchase.objects.select_related("package", "transaction").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _requested(known: Iterable[MoneyBack]) -> int:
    """Return the cents of refunds that Stripe has not confirmed."""
    return sum(one.amount_cents for one in known if one.state == MoneyBack.State.REQUESTED)


def _plan(found: Purchase, form: RefundForm) -> purchase_refunds.RefundPlan | None:
    try:
        return purchase_refunds.plan_refund(found, form.cents)
    except DomainError as refusal:
        form.add_error("amount", refusal.text)
        return None


def _refund(request: HttpRequest, found: Purchase, form: RefundForm) -> str:
    asked = purchase_refunds.refund(
        operator_pages.operator_of(request),
        found,
        form.cents,
        why=form.why,
        key=form.act_key,
        now=datetime.now(UTC),
    )
    return _told(asked)


def _send(request: HttpRequest, asked: MoneyBack, form: operator_pages.ActForm) -> str:
    return _told(
        purchase_refunds.send_refund(
            operator_pages.operator_of(request), asked.pk, key=form.act_key, now=datetime.now(UTC)
        )
    )


def _told(asked: MoneyBack | ActRequest) -> str:
    if isinstance(asked, ActRequest):
        return operator_pages.WAITS
    money = euros(asked.amount_cents)
    if asked.stripe_id is None:
        return f"Stripe could not be reached: {money} stay requested and will be sent again."
    if asked.state == MoneyBack.State.GONE:
        return f"{money} refunded; {in_credits(asked.taken)} clawed back."
    return f"{money} sent to Stripe ({asked.stripe_status}); the credits follow its confirmation."
