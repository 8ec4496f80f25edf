"""Pages that correct balances: adjust, approve or reject, reverse."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits import ledger
from credits.amounts import DIGITS, PLACES
from credits.errors import DomainError
from credits.models import ActRequest, AdjustmentRequest, Balance, StaffAction, Transaction
from mana_credits.back_office.acts import approvals, balance_adjustments
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, stale_forms
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.templatetags.office import amount as written
from mana_credits.back_office.templatetags.office import signed_credits

MOST_SHOWN = 100


class AdjustForm(WhyForm):
    """A signed correction."""

    amount = forms.DecimalField(
        max_digits=DIGITS,
        decimal_places=PLACES,
        help_text="Credits to add; with a minus, to take.",
        widget=forms.NumberInput(attrs={"autofocus": True, "step": "any"}),
    )
    reason = forms.ChoiceField(choices=[("", "Choose …"), *balance_adjustments.Reason.choices])
    field_order = ("amount", "reason", "note", "ticket")


class DecisionForm(operator_pages.ActForm):
    """A note about a colleague's request."""

    note = forms.CharField(
        label="Your note",
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Needed to reject.",
    )


@operator_pages.page("account/adjust/", name="adjust", permission="credits.adjust_balance")
def adjust(request: HttpRequest) -> HttpResponse:
    """Adjust a balance: fill in, preview the effect, confirm."""
    user_id = request.GET.get("user", "")
    # The page shows the balance, so opening it counts as a look at the account. A sent form is
    # recorded by its act.
    if request.method == "GET" and Balance.objects.filter(pk=user_id).exists():
        operator_pages.looked(request, user_id)
    form = AdjustForm(request.POST or None)
    form.initial["seen"] = _adjusted(user_id)
    planned = None
    if form.is_valid() and not stale_forms.refuse(form, form.initial["seen"]):
        planned = _preview(request, user_id, form)
        if planned and form.cleaned_data["confirmed"]:
            if done := _confirmed(request, user_id, form):
                return done
            planned = None
    context = {
        "form": form,
        "user_id": user_id,
        "balance": ledger.balance_of(user_id),
        "planned": planned,
        "account": address_of(user_id),
    }
    return operator_pages.render(request, "adjust.html", "Adjust balance", context)


@operator_pages.page(
    "adjustments/", name="adjustments", permission="credits.view_adjustmentrequest"
)
def adjustments(request: HttpRequest) -> HttpResponse:
    """List pending requests and the latest decided ones."""
    rows = AdjustmentRequest.objects.order_by("-pk")
    # The oldest first: if there are more than a page shows, no request waits for ever.
    oldest = rows.filter(status="pending").order_by("pk")[:MOST_SHOWN]
    pending = [(row, address_of(row.user_id)) for row in oldest]
    decided = [(row, address_of(row.user_id)) for row in rows.exclude(status="pending")[:50]]
    acts = ActRequest.objects.order_by("-pk")
    context = {
        "waiting": pending,
        "decided": decided,
        "acts": [
            *acts.filter(status="pending").order_by("pk")[:MOST_SHOWN],
            *acts.exclude(status="pending")[:50],
        ],
    }
    return operator_pages.render(request, "adjustments.html", "Approvals", context)


@operator_pages.page(
    "adjustments/<uuid:pk>/", name="decide", permission="credits.approve_adjustment"
)
def decide(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Approve or reject a colleague's request."""
    asked = AdjustmentRequest.objects.select_related("transaction").filter(pk=pk).first()
    if asked is None:
        raise Http404
    form = DecisionForm(request.POST or None)
    if form.is_valid():
        done = operator_pages.act(
            request, form, lambda: _decide(request, asked, form), then=reverse("admin:adjustments")
        )
        if done:
            return done
    balance = ledger.balance_of(asked.user_id)
    context = {
        "form": form,
        "asked": asked,
        "balance": balance,
        "after": balance.available + asked.amount,
        "posted": asked.transaction,
        "account": address_of(asked.user_id),
        "own": asked.requested_by == request.user.get_username(),
    }
    return operator_pages.render(request, "decide.html", "Approve an adjustment", context)


@operator_pages.page(
    "transaction/<uuid:pk>/reverse/", name="reverse", permission="credits.reverse_transaction"
)
def reverse_transaction(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Post the opposite of a transaction."""
    original = Transaction.objects.filter(pk=pk).first()
    if original is None:
        raise Http404
    form = WhyForm(request.POST or None)
    if form.is_valid():
        there = reverse("admin:transaction", args=(pk,))
        done = operator_pages.act(request, form, lambda: _reverse(request, pk, form), then=there)
        if done:
            return done
    balance = ledger.balance_of(original.user_id)
    context = {
        "form": form,
        "entry": original,
        "balance": balance,
        "after": balance.available - original.amount,
        "account": address_of(original.user_id),
    }
    return operator_pages.render(request, "reverse.html", "Reverse a transaction", context)


def _preview(
    request: HttpRequest, user_id: str, form: AdjustForm
) -> balance_adjustments.AdjustmentPreview | None:
    operator = operator_pages.operator_of(request)
    try:
        return balance_adjustments.preview(
            operator, user_id, form.cleaned_data["amount"], now=datetime.now(UTC)
        )
    except DomainError as refusal:
        form.add_error(None, refusal.text)
        return None


def _confirmed(request: HttpRequest, user_id: str, form: AdjustForm) -> HttpResponse | None:
    def state() -> str:
        balance_adjustments.lock(user_id)
        return _adjusted(user_id)

    with stale_forms.guarding(form, state, None):
        return operator_pages.act(
            request, form, lambda: _adjust(request, user_id, form), then=address_of(user_id)
        )


def _adjusted(user_id: str) -> str:
    """Return the state of a form: a colleague may adjust the account for the same reason."""
    acts = StaffAction.objects.filter(user_id=user_id, action="credits.adjust_balance")
    return stale_forms.lines([("Last adjustment", stale_forms.last_of(acts))])


def _adjust(request: HttpRequest, user_id: str, form: AdjustForm) -> str:
    amount: Decimal = form.cleaned_data["amount"]
    outcome = balance_adjustments.adjust(
        operator_pages.operator_of(request),
        user_id,
        amount,
        why=form.why,
        key=form.act_key,
        now=datetime.now(UTC),
    )
    if isinstance(outcome, AdjustmentRequest):
        return f"{operator_pages.WAITS} It moves {signed_credits(amount)}."
    return f"{signed_credits(amount)} posted; {written(outcome.balance.available)} available now."


def _decide(request: HttpRequest, asked: AdjustmentRequest, form: DecisionForm) -> str:
    decision = (
        balance_adjustments.approve
        if "approve" in request.POST
        else partial(approvals.reject, AdjustmentRequest)
    )
    decision(
        operator_pages.operator_of(request),
        asked.pk,
        note=form.cleaned_data["note"],
        key=form.act_key,
        now=datetime.now(UTC),
    )
    verb = "approved and posted" if "approve" in request.POST else "rejected"
    return f"{signed_credits(asked.amount)} for {asked.user_id}: {verb}."


def _reverse(request: HttpRequest, pk: UUID, form: WhyForm) -> str:
    posting = balance_adjustments.reverse(
        operator_pages.operator_of(request),
        pk,
        why=form.why,
        key=form.act_key,
        now=datetime.now(UTC),
    )
    if isinstance(posting, ActRequest):
        return operator_pages.WAITS
    return f"Reversed: {signed_credits(posting.transaction.amount)}."
