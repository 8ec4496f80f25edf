"""Pages of packages with their history."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from credits.amounts import DIGITS, PLACES, counted, plain
from credits.ledger.credit_lots import LONGEST_VALIDITY
from credits.models import ActRequest, Package
from credits.payments.packages import CHEAPEST_CENTS, DEAREST_CENTS, LARGEST_ORDER, Offer
from mana_credits.back_office.acts import package_changes
from mana_credits.back_office.admin import catalogue_previews, package_history
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.act_forms import WhyForm
from mana_credits.back_office.frame.row_pages import ShownRow
from mana_credits.back_office.templatetags.office import actor, euros, moment

CHANGES_SHOWN = 50
SMALLEST = Decimal(1).scaleb(-PLACES)


class PackageForm(WhyForm):
    """A package as buyers see it."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(max_length=500, required=False)
    name_de = forms.CharField(label="German name", max_length=100, required=False)
    description_de = forms.CharField(label="German description", max_length=500, required=False)
    credits = forms.DecimalField(max_digits=DIGITS, decimal_places=PLACES, min_value=SMALLEST)
    price_euro_cents = forms.IntegerField(
        label="Price in cents (EUR)", min_value=CHEAPEST_CENTS, max_value=DEAREST_CENTS
    )
    expires_after_days = forms.IntegerField(
        label="Days until the credits expire",
        required=False,
        min_value=1,
        max_value=LONGEST_VALIDITY.days,
        help_text="Counted from the payment. If empty, the credits never expire.",
    )
    sort_order = forms.IntegerField(
        label="Place", initial=0, min_value=-LARGEST_ORDER, max_value=LARGEST_ORDER
    )
    field_order = (
        "name",
        "description",
        "name_de",
        "description_de",
        "credits",
        "price_euro_cents",
        "expires_after_days",
        "sort_order",
        "note",
        "ticket",
    )


@operator_pages.page("package/new/", name="new_package", permission="credits.change_packages")
def new_package(request: HttpRequest) -> HttpResponse:
    """Create a package."""
    row = ShownRow("A new package", "", reverse("admin:credits_package_changelist"), [])
    return _package_form(request, lambda: row, None, PackageForm(request.POST or None))


@operator_pages.page("package/<uuid:pk>/", name="package", permission="credits.view_package")
def package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a package with its history."""
    return row_pages.show(request, _package(request, _found(pk)))


@operator_pages.page(
    "package/<uuid:pk>/change/", name="change_package", permission="credits.change_packages"
)
def change_package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a package for later purchases."""
    found = _found(pk)
    initial = {name: getattr(found, name) for name in Offer._fields}
    initial["credits"] = plain(found.credits)
    form = PackageForm(request.POST or None, initial=initial)
    return _package_form(request, lambda: _package(request, _found(pk)), found, form)


@operator_pages.page(
    "package/<uuid:pk>/offer/", name="offer_package", permission="credits.change_packages"
)
def offer_package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Retire or reactivate a package."""
    found = _found(pk)
    form = WhyForm(request.POST or None)
    # The button decides, not the package's state, which may have changed since the page was shown.
    active = request.GET.get("to", "retired") == "offered"

    def do() -> str:
        done = package_changes.put_on_offer(
            operator_pages.operator_of(request), pk, active, **form.how
        )
        if isinstance(done, ActRequest):
            return operator_pages.WAITS
        return f"{found.name} is {'on offer' if active else 'retired'}."

    verb = "Offer package again" if active else "Retire package"
    return row_pages.act_on(request, lambda: _package(request, _found(pk)), form, verb, do)


def _package_form(
    request: HttpRequest, read: Callable[[], ShownRow], found: Package | None, form: PackageForm
) -> HttpResponse:
    def offer() -> Offer:
        data = form.cleaned_data
        return Offer(
            data["name"],
            data["credits"],
            data["price_euro_cents"],
            description=data["description"] or None,
            stripe_price_id=found.stripe_price_id if found else None,
            sort_order=data["sort_order"],
            metadata=found.metadata if found else None,
            name_de=data["name_de"] or None,
            description_de=data["description_de"] or None,
            expires_after_days=data["expires_after_days"],
        )

    def do() -> str:
        saved = package_changes.save_package(
            operator_pages.operator_of(request), found.pk if found else None, offer(), **form.how
        )
        if isinstance(saved, ActRequest):
            return operator_pages.WAITS
        return f"{saved.name} is saved."

    def preview() -> row_pages.Facts:
        return catalogue_previews.of_package(found, offer())

    return row_pages.act_on(request, read, form, "Save package", do, preview)


def _found(pk: UUID) -> Package:
    found = Package.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _package(request: HttpRequest, found: Package) -> ShownRow:
    offer = reverse("admin:offer_package", args=(found.pk,))
    toggle = ("Retire", offer) if found.active else ("Offer again", f"{offer}?to=offered")
    change = ("Change", reverse("admin:change_package", args=(found.pk,)))
    may = request.user.has_perm("credits.change_packages")
    changes = found.changes.order_by("-pk")[:CHANGES_SHOWN]
    history = [
        f"{moment(one.changed_at)}  {'; '.join(package_history.differences(one))}"
        f"  {actor(one.actor)}"
        for one in changes
    ]
    return ShownRow(
        f"{found.name}: {counted(found.credits, 'credit')} for {euros(found.price_euro_cents)}",
        f"package:{found.pk}",
        reverse("admin:package", args=(found.pk,)),
        [
            ("Description", found.description),
            ("Days until the credits expire", found.expires_after_days or "never"),
            ("Place", found.sort_order),
            ("Id", found.pk),
        ],
        locked=Package.objects.filter(pk=found.pk),
        status="active" if found.active else "off",
        acts=(change, toggle) if may else (),
        blocks=(("History", "\n".join(history)),),
    )
