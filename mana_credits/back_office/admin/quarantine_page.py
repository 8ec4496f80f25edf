"""The page on which a quarantined purchase is credited or left."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.amounts import counted
from credits.models import Purchase
from mana_credits.back_office.acts import quarantine_decisions
from mana_credits.back_office.admin.account_pages import address_of
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import euros, moment


@operator_pages.page(
    "purchase/<uuid:pk>/quarantine/", name="quarantine", permission="credits.resolve_quarantine"
)
def quarantine(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Decide about a quarantined purchase: credit it or leave it."""
    found = _quarantined(pk)
    form = WhyForm(request.POST or None)
    credit = request.GET.get("to") == "credited"

    def do() -> str:
        quarantine_decisions.resolve_quarantine(
            operator_pages.operator_of(request), pk, credit, **form.how
        )
        return f"{counted(found.credits, 'credit')} posted." if credit else "Left uncredited."

    verb = "Credit purchase" if credit else "Leave uncredited"
    return row_pages.act_on(request, lambda: _purchase(_quarantined(pk)), form, verb, do)


def _quarantined(pk: UUID) -> Purchase:
    found = Purchase.objects.select_related("package").filter(pk=pk).first()
    if found is None or found.quarantined_at is None:
        raise Http404
    return found


def _purchase(found: Purchase) -> ShownRow:
    return ShownRow(
        f"{found.package.name}: {counted(found.credits, 'credit')} for "
        f"{euros(found.price_euro_cents)}",
        f"purchase:{found.pk}",
        reverse("admin:purchase", args=(found.pk,)),
        [("Quarantined", moment(found.quarantined_at)), ("Because", found.quarantine_reason)],
        locked=Purchase.objects.filter(pk=found.pk),
        status=found.status,
        links=(("Account", found.user_id, address_of(found.user_id)),),
    )
