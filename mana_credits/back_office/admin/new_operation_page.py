"""The page that adds an operation to the catalogue."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from credits.models import Operation
from mana_credits.back_office.acts import new_operations
from mana_credits.back_office.acts.price_changes import price_text
from mana_credits.back_office.admin.price_forms import OperationForm
from mana_credits.back_office.frame import operator_pages, row_pages
from mana_credits.back_office.frame.row_pages import ShownRow


@operator_pages.page("new-operation/", name="new_operation", permission="credits.change_prices")
def new_operation(request: HttpRequest) -> HttpResponse:
    """Request a new operation."""
    row = ShownRow("A new operation", "", reverse("admin:credits_operation_changelist"), [])
    form = OperationForm(request.POST or None)

    def do() -> str:
        who = operator_pages.operator_of(request)
        new_operations.request_operation(who, form.operation, form.price, **form.how)
        return operator_pages.WAITS

    def preview() -> row_pages.Facts:
        new = form.operation
        return [
            ("Key", new.key),
            ("Name", new.name),
            ("German name", new.name_de or "none"),
            ("Description", new.description or "none"),
            ("Category", Operation.Category(new.category).label),
            ("App", new.app),
            ("Price", price_text(form.price)),
            ("Approval", operator_pages.WAITS),
        ]

    return row_pages.act_on(request, lambda: row, form, "Create operation", do, preview)
