"""What is on offer: packages and the prices of operations, each with its history."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import display

from credits import operating
from credits.admin.adjusting import WhyForm
from credits.amounts import DIGITS, PLACES
from credits.catalogue import Price
from credits.models import Operation, OperationPrice, Package, PackageChange
from credits.office import pages
from credits.office.lists import ReadOnlyList
from credits.office.pages import Fact, Link, Table
from credits.packages import Offer
from credits.templatetags.office import amount, euros, moment


@admin.register(Package)
class Packages(ReadOnlyList):
    """Packages."""

    page = "package"
    list_display = ("name", "worth", "price", "active", "sort_order")
    list_filter = ("active",)
    ordering = ("-active", "sort_order")
    change_list_template = "back_office/packages.html"

    @display(description="Credits")
    def worth(self, row: Package) -> str:
        """Return its credits."""
        return amount(row.credits)

    @display(description="Price")
    def price(self, row: Package) -> str:
        """Return its price."""
        return euros(row.price_euro_cents)


@admin.register(Operation)
class Operations(ReadOnlyList):
    """The catalogue."""

    page = "operation"
    list_display = ("key", "name", "app", "category", "costs", "active")
    list_filter = ("category", "app", "active")
    search_fields = ("key", "name")
    ordering = ("app", "key")
    list_per_page = 100

    @display(description="Costs")
    def costs(self, row: Operation) -> str:
        """Return its price."""
        return _price(row.cost, row.per_items)


class PackageForm(pages.ActForm):
    """A package as buyers see it."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(max_length=500, required=False)
    credits = forms.DecimalField(max_digits=DIGITS, decimal_places=PLACES, min_value=0)
    price = forms.DecimalField(label="Price in euros", max_digits=9, decimal_places=2, min_value=0)
    stripe_price_id = forms.CharField(
        label="Price at Stripe", max_length=255, required=False, help_text="For reports; optional."
    )
    sort_order = forms.IntegerField(label="Place in the list", initial=0)

    def offer(self, known: Package | None = None) -> Offer:
        """Return what a valid form offers; what it does not ask for stays as it is known."""
        data = self.cleaned_data
        return Offer(
            data["name"],
            data["credits"],
            int(data["price"] * 100),
            data["description"] or None,
            data["stripe_price_id"] or None,
            data["sort_order"],
            known.metadata if known else None,
        )


class PriceForm(WhyForm):
    """What an operation costs from now on."""

    cost = forms.DecimalField(
        label="Credits", max_digits=DIGITS, decimal_places=PLACES, min_value=0
    )
    per_items = forms.IntegerField(
        label="For each started … items",
        required=False,
        min_value=1,
        help_text="Empty: for each one.",
    )
    off = forms.BooleanField(label="Take it off offer instead", required=False)
    field_order = ("cost", "per_items", "off", "note", "ticket")


@pages.page("package/new/", name="new_package", permission="credits.change_packages")
def new_package(request: HttpRequest) -> HttpResponse:
    """Offer a new package."""
    form = PackageForm(request.POST or None)

    def do() -> str:
        package = operating.offer_package(
            pages.operator_of(request), form.offer(), key=form.act_key, now=datetime.now(UTC)
        )
        return f"{package.name} is on offer."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:credits_package_changelist"),
        title="A new package",
        button="Offer it",
    )


@pages.page("package/<uuid:pk>/", name="package", permission="credits.view_package")
def package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a package and its history."""
    row = _package(pk)
    links = [
        Link("Change", reverse("admin:change_package", args=(pk,))),
        Link(
            "Take off offer" if row.active else "Offer again",
            reverse("admin:switch_package", args=(pk,)),
        ),
    ]
    changes = PackageChange.objects.filter(package=row).order_by("-changed_at", "-pk")
    return pages.row_page(
        request,
        "Package",
        row.name,
        status="active" if row.active else "off offer",
        facts=[
            Fact("Credits", amount(row.credits)),
            Fact("Price", euros(row.price_euro_cents)),
            Fact("Description", row.description),
            Fact("Price at Stripe", row.stripe_price_id),
            Fact("Place", row.sort_order),
            Fact("Id", row.pk),
        ],
        links=links if request.user.has_perm("credits.change_packages") else [],
        tables=[
            Table(
                "History",
                ("When", "Who", "From", "To"),
                [
                    (moment(one.changed_at), one.actor, _changed(one.before), _changed(one.after))
                    for one in changes[:100]
                ],
            )
        ],
    )


@pages.page(
    "package/<uuid:pk>/change/", name="change_package", permission="credits.change_packages"
)
def change_package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a package for purchases to come."""
    row = _package(pk)
    form = PackageForm(
        request.POST or None,
        initial={
            "name": row.name,
            "description": row.description,
            "credits": row.credits.normalize(),
            "price": Decimal(row.price_euro_cents) / 100,
            "stripe_price_id": row.stripe_price_id,
            "sort_order": row.sort_order,
        },
    )

    def do() -> str:
        operating.change_package(
            pages.operator_of(request),
            pk,
            form.offer(row),
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "Changed. Purchases that have begun keep their price."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:package", args=(pk,)),
        title=f"Change {row.name}",
        button="Change",
    )


@pages.page(
    "package/<uuid:pk>/switch/", name="switch_package", permission="credits.change_packages"
)
def switch_package(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take a package off offer, or bring it back."""
    row = _package(pk)
    form = pages.ActForm(request.POST or None)

    def do() -> str:
        operating.switch_package(
            pages.operator_of(request),
            pk,
            active=not row.active,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "It is off offer." if row.active else "It is on offer again."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:package", args=(pk,)),
        title=f"Take {row.name} off offer" if row.active else f"Offer {row.name} again",
        button="Take off offer" if row.active else "Offer again",
        facts=[Fact("Credits", amount(row.credits)), Fact("Price", euros(row.price_euro_cents))],
    )


@pages.page("operation/<slug:pk>/", name="operation", permission="credits.view_operation")
def operation(request: HttpRequest, pk: str) -> HttpResponse:
    """Show an operation and the history of its price."""
    row = _operation(pk)
    history = OperationPrice.objects.filter(operation=row).order_by("-changed_at", "-pk")
    return pages.row_page(
        request,
        "Operation",
        row.name,
        status="active" if row.active else "off offer",
        facts=[
            Fact("Key", row.key),
            Fact("Costs", _price(row.cost, row.per_items)),
            Fact("App", row.app),
            Fact("Category", row.category),
            Fact("Description", row.description),
        ],
        links=[Link("Change the price", reverse("admin:price", args=(pk,)))]
        if request.user.has_perm("credits.change_prices")
        else [],
        tables=[
            Table(
                "History of the price",
                ("When", "Who", "From", "To"),
                [
                    (
                        moment(one.changed_at),
                        one.actor,
                        _price(one.cost_before, one.per_items_before),
                        _price(one.cost_after, one.per_items_after),
                    )
                    for one in history[:100]
                ],
            )
        ],
    )


@pages.page("operation/<slug:pk>/price/", name="price", permission="credits.change_prices")
def price(request: HttpRequest, pk: str) -> HttpResponse:
    """Change what an operation costs, from the next use on."""
    row = _operation(pk)
    form = PriceForm(
        request.POST or None,
        initial={"cost": row.cost.normalize(), "per_items": row.per_items},
    )

    def do() -> str:
        data = form.cleaned_data
        operating.change_price(
            pages.operator_of(request),
            pk,
            None if data["off"] else Price(data["cost"], data["per_items"]),
            why=form.why,
            key=form.act_key,
            now=datetime.now(UTC),
        )
        return "It is off offer." if data["off"] else "The new price counts from the next use on."

    return pages.act_page(
        request,
        form,
        do,
        then=reverse("admin:operation", args=(pk,)),
        title=f"Change the price of {row.name}",
        button="Change",
        facts=[Fact("Costs now", _price(row.cost, row.per_items))],
        warnings=[] if row.active else ["It is off offer; a price brings it back."],
    )


def _package(pk: UUID) -> Package:
    found = Package.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _operation(pk: str) -> Operation:
    found = Operation.objects.filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _price(cost: Decimal | None, per_items: int | None) -> str:
    if cost is None:
        return "not on offer"
    return f"{amount(cost)} per {per_items} items" if per_items else amount(cost)


def _changed(state: dict[str, object] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (state or {}).items()) or "nothing"
