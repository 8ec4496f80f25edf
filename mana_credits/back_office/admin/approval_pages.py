"""Pages about requested acts: a decision by a second person, and withdrawal by the asker."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.amounts import counted, plain
from credits.catalogue.metered_prices import MeteredPrice, from_json
from credits.models import ActRequest, AdjustmentRequest, GrantCampaign, Operation
from mana_credits.back_office.acts import (
    act_requests,
    approvals,
    gift_campaigns,
    new_operations,
)
from mana_credits.back_office.acts.price_changes import price_from, price_text
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.admin.adjustment_pages import DecisionForm
from mana_credits.back_office.admin.subject_pages import address_of_subject
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import moment


@operator_pages.page(
    "approvals/<uuid:pk>/", name="decide_act", permission="credits.approve_adjustment"
)
def decide(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Approve or reject a colleague's request."""
    asked = ActRequest.objects.filter(pk=pk).first()
    if asked is None:
        raise Http404
    form = DecisionForm(request.POST or None)
    if form.is_valid():
        there = reverse("admin:adjustments")
        done = operator_pages.act(request, form, lambda: _decide(request, asked, form), then=there)
        if done:
            return done
        asked.refresh_from_db()  # approved already if Stripe refuses the refund afterwards
    context = {
        "form": form,
        "asked": asked,
        "account": address_of(asked.user_id) if asked.user_id else "",
        "about": _about(request, asked),
        "own": asked.requested_by == request.user.get_username(),
        "details": _details(asked),
        "campaign": GrantCampaign.objects.filter(request=asked).first(),
    }
    return operator_pages.render(request, "decide_act.html", "Approve a request", context)


@operator_pages.page(
    "withdraw/<uuid:pk>/", name="withdraw", permission="credits.view_adjustmentrequest"
)
def withdraw(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Withdraw one's own request. Other requests and decided ones have no form."""
    asked = _asked(pk)
    own = asked.requested_by == request.user.get_username()
    if asked.status != "pending" or (request.method == "GET" and not own):
        return row_pages.show(request, _row(asked))
    form = operator_pages.ActForm(request.POST or None)

    def do() -> str:
        operator = operator_pages.operator_of(request)
        act_requests.withdraw(type(asked), operator, pk, key=form.act_key, now=datetime.now(UTC))
        return "The request is withdrawn."

    return row_pages.act_on(request, lambda: _row(_asked(pk)), form, "Withdraw request", do)


def _decide(request: HttpRequest, asked: ActRequest, form: DecisionForm) -> str:
    decision = (
        approvals.approve if "approve" in request.POST else partial(approvals.reject, ActRequest)
    )
    decision(
        operator_pages.operator_of(request),
        asked.pk,
        note=form.cleaned_data["note"],
        key=form.act_key,
        now=datetime.now(UTC),
    )
    verb = "approved" if "approve" in request.POST else "rejected"
    return f"{asked.summary}: {verb}."


def _about(request: HttpRequest, asked: ActRequest) -> str:
    """Return the URL of the row that the request would change, or an empty text if it is new."""
    new = {ActRequest.Kind.OPERATION, ActRequest.Kind.GIFT_CAMPAIGN, ActRequest.Kind.GRANTS}
    return "" if asked.kind in new else address_of_subject(request, asked.subject)


def _details(asked: ActRequest) -> row_pages.Facts:
    """Return the values of a requested operation, price by units or campaign, else none."""
    if asked.kind == ActRequest.Kind.OPERATION and asked.arguments:
        return _new_operation(asked)
    if metered := (asked.arguments or {}).get("metering"):
        return _prices(from_json(metered))
    if asked.kind != ActRequest.Kind.GIFT_CAMPAIGN or not asked.arguments:
        return []
    wanted = gift_campaigns.asked_for(asked)
    return [
        ("Paid from", wanted.account_id or "granted credits"),
        ("Reason", wanted.reason or "none"),
        ("Message", wanted.message or "none"),
        ("From", wanted.creator_name or "none"),
        ("Expire after", counted(wanted.days, "day")),
    ]


def _new_operation(asked: ActRequest) -> row_pages.Facts:
    new, first = new_operations.described(asked), price_from(asked.arguments)
    facts: row_pages.Facts = [
        ("Key", new.key),
        ("Name", new.name),
        ("German name", new.name_de or "none"),
        ("Description", new.description or "none"),
        ("Category", Operation.Category(new.category).label),
        ("App", new.app),
    ]
    if isinstance(first, MeteredPrice):
        return [*facts, *_prices(first)]
    return [*facts, ("Price", price_text(first))]


def _prices(price: MeteredPrice) -> row_pages.Facts:
    return [
        *((f"1,000 {unit}", plain(cost)) for unit, cost in price.unit_costs.items()),
        ("At least", "nothing" if price.minimum is None else plain(price.minimum)),
        ("May overdraw", "yes" if price.may_overdraw else "no"),
    ]


def _asked(pk: UUID) -> ActRequest | AdjustmentRequest:
    asked = (
        ActRequest.objects.filter(pk=pk).first() or AdjustmentRequest.objects.filter(pk=pk).first()
    )
    if asked is None:
        raise Http404
    return asked


def _row(asked: ActRequest | AdjustmentRequest) -> ShownRow:
    title = asked.summary if isinstance(asked, ActRequest) else f"An adjustment of {asked.user_id}"
    facts = [("Asked by", asked.requested_by), ("Asked", moment(asked.requested_at))]
    return ShownRow(
        title,
        "",
        reverse("admin:adjustments"),
        facts,
        status=asked.status,
        locked=type(asked).objects.filter(pk=asked.pk),
    )
