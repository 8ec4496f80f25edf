"""Read-only lists of rows: the base of every list in the back office."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite, display
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.db import DataError
from django.db.models import DateTimeField, DecimalField, Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from mana_credits.back_office.acts import looks
from mana_credits.back_office.frame import operator_pages
from mana_credits.back_office.templatetags.office import amount, moment, tone, words


def pill(status: str) -> SafeString:
    """Return a status formatted as on all pages."""
    return format_html('<span class="bo-pill {}">{}</span>', tone(status), words(status))


Writer = Callable[[Any], str]


def _time(value: datetime | None) -> SafeString:
    """Return a time on one line."""
    return format_html('<span class="bo-line">{}</span>', moment(value))


WRITERS: dict[type, Writer] = {DecimalField: amount, DateTimeField: _time}
NAMED: dict[str, Writer] = {"status": pill, "action": words}


class DeclaredFilters(ChangeList):  # type: ignore[misc]
    """The rows of a list, filtered only by its declared filters and the search.

    Django applies any other lookup of the query too: `?code__regex=` would reveal a hidden column
    letter by letter.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        """Return the filters. Raises DisallowedModelAdminLookup if one is not declared."""
        found = super().get_filters(request)
        if undeclared := found[2]:
            names = ", ".join(sorted(undeclared))
            raise DisallowedModelAdminLookup(f"Filtering by {names} not allowed")
        return found

    def get_results(self, request: HttpRequest) -> None:
        """Read the page. Raises IncorrectLookupParameters for values that SQL rejects."""
        try:
            super().get_results(request)
            self.result_list: list[Any] = list(self.result_list)
            for text in filter(None, (self.query, request.GET.get("creator"))):
                looks.search(operator_pages.operator_of(request), text, ())
        except (DataError, OverflowError) as error:
            raise IncorrectLookupParameters(str(error)) from error


class ReadOnlyList(ModelAdmin):  # type: ignore[misc]
    """Shows rows without adding, changing or deleting them. Operators act through pages.

    `related` lists the foreign keys to fetch. `page` names the page of a row; without it, a row
    opens a read-only form. Amounts, times and statuses are formatted as on the pages. Rows are not
    counted: at a million rows, counting would take longer than the page.
    """

    related: tuple[str, ...] = ()
    page = ""
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    list_fullwidth = True
    actions = None

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        self._columns = [_column(model, name) for name in self.list_display]

    def get_changelist(self, request: HttpRequest, **named: Any) -> type[ChangeList]:
        """Return the class that reads the rows."""
        return DeclaredFilters

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns."""
        return self._columns

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows and their related rows in one query."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def change_view(self, request: HttpRequest, object_id: str, *more: Any, **named: Any) -> Any:
        """Redirect to the row's own page, if there is one."""
        if self.page:
            return redirect(f"admin:{self.page}", unquote(object_id))
        return super().change_view(request, object_id, *more, **named)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return False: nobody deletes rows by hand."""
        return False


def _column(model: type[Model], name: str) -> Any:
    field = next((one for one in model._meta.fields if one.name == name), None)  # noqa: SLF001
    write = NAMED.get(name) or WRITERS.get(type(field))
    if field is None or write is None:
        return name

    @display(description=field.verbose_name, ordering=name)
    def column(row: Model) -> str:
        return write(getattr(row, name))

    return column
