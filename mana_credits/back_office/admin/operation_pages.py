"""Pages of operations with the history of their prices."""

from datetime import UTC, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.amounts import counted
from credits.catalogue import catalogue
from credits.catalogue.metered_prices import MeteredPrice
from credits.models import ActRequest, Operation
from mana_credits.back_office.acts import price_changes
from mana_credits.back_office.acts.price_changes import price_text
from mana_credits.back_office.admin import catalogue_previews, price_forms
from mana_credits.back_office.admin.price_forms import PriceForm
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import actor, moment

CHANGES_SHOWN = 50


@operator_pages.page("operation/<str:pk>/", name="operation", permission="credits.view_operation")
def operation(request: HttpRequest, pk: str) -> HttpResponse:
    """Show an operation with the history of its price."""
    return row_pages.show(request, _operation(request, pk))


@operator_pages.page(
    "operation/<str:pk>/price/", name="set_price", permission="credits.change_prices"
)
def set_price(request: HttpRequest, pk: str) -> HttpResponse:
    """Change an operation's price."""
    now = Operation.objects.filter(pk=pk).first()
    if now is None:
        raise Http404
    form = PriceForm(request.POST or None, initial=price_forms.initial(now))

    def do() -> str:
        who = operator_pages.operator_of(request)
        done = price_changes.set_price(who, pk, form.price, **form.how)
        if isinstance(done, ActRequest):
            return operator_pages.WAITS
        if isinstance(form.price, MeteredPrice):
            return f"{pk} is priced by units from now on."
        return f"{pk} costs {counted(form.price.cost, 'credit')} from now on."

    def preview() -> row_pages.Facts:
        return catalogue_previews.of_price(now, form.price, at=datetime.now(UTC))

    return row_pages.act_on(
        request, lambda: _operation(request, pk), form, "Change price", do, preview
    )


@operator_pages.page(
    "operation/<str:pk>/off/", name="take_off_offer", permission="credits.change_prices"
)
def take_off_offer(request: HttpRequest, pk: str) -> HttpResponse:
    """Deactivate an operation; a new price reactivates it."""
    form = WhyForm(request.POST or None)

    def do() -> str:
        price_changes.take_off_offer(operator_pages.operator_of(request), pk, **form.how)
        return f"{pk} is no longer offered. Requests for it are refused."

    return row_pages.act_on(request, lambda: _operation(request, pk), form, "Take off offer", do)


def _operation(request: HttpRequest, pk: str) -> ShownRow:
    found = Operation.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    may = request.user.has_perm("credits.change_prices")
    changes = found.prices.order_by("-pk")[:CHANGES_SHOWN]
    history = [
        f"{moment(one.changed_at)}  version {one.version}:"
        f"  {price_text(catalogue.price_before(one))} → {price_text(catalogue.price_after(one))}"
        f"  {actor(one.actor)}"
        for one in changes
    ]
    facts: list[tuple[str, object]] = [("Key", pk), ("App", found.app)]
    if found.metering:
        price = price_text(catalogue.price_of(found))
    else:
        price = counted(found.cost, "credit")
        facts.append(("For each started", found.per_items))
    return ShownRow(
        f"{found.name}: {price}",
        f"operation:{pk}",
        reverse("admin:operation", args=(pk,)),
        facts,
        locked=Operation.objects.filter(pk=pk),
        status="active" if found.active else "off",
        acts=_acts(found) if may else (),
        blocks=(("History", "\n".join(history)),),
    )


def _acts(found: Operation) -> tuple[tuple[str, str], ...]:
    price = reverse("admin:set_price", args=(found.pk,))
    off = reverse("admin:take_off_offer", args=(found.pk,))
    if not found.active:
        return (("Offer again", price),)
    return (("Change price", price), ("Take off offer", off))
