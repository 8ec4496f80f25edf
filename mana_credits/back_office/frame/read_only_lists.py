"""Read-only lists of rows: the base of every list in the back office."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, ClassVar

from django.contrib.admin import AdminSite, ShowFacets, display
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.db import DataError, connection
from django.db.models import BooleanField, DateTimeField, DecimalField, Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from mana_credits.back_office import keyset_pages
from mana_credits.back_office.acts import looks
from mana_credits.back_office.frame import operator_pages
from mana_credits.back_office.templatetags.office import (
    NOTHING,
    amount,
    menu_titles,
    moment,
    tone,
    words,
)


def pill(status: str) -> SafeString:
    """Return a status formatted as on all pages."""
    return format_html('<span class="bo-pill {}">{}</span>', tone(status), words(status))


LONGEST_WORD = 18  # characters that are kept on a line
Writer = Callable[[Any], str]


def on_one_line(value: datetime | None) -> SafeString:
    """Return a time on one line."""
    return format_html('<span class="bo-line">{}</span>', moment(value))


def _text(value: Any) -> str:
    """Return a value as text, or a dash. Words break only if they are long."""
    text = NOTHING if value in {None, ""} else str(value)
    is_long = max(map(len, text.split()), default=0) > LONGEST_WORD
    return text if is_long else format_html('<span class="bo-words">{}</span>', text)


def account_link(user_id: str | None) -> str:
    """Return a user id that leads to the account."""
    if not user_id:
        return _text(user_id)
    address = reverse("admin:account", query={"user": user_id})
    return format_html('<a href="{}">{}</a>', address, _text(user_id))


WRITERS: dict[type, Writer] = {DecimalField: amount, DateTimeField: on_one_line}
NAMED: dict[str, Writer] = {"status": pill, "action": words}
ACCOUNTS = ("user_id", "creator_id")


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
        after = request.GET.get(PAGE_VAR, "")
        try:
            page = keyset_pages.page(self.queryset, after=after, size=self.list_per_page)
            # A search by an e-mail address or a name is personal data that the operator looked up.
            # The audit trail records it like a look at an account.
            for text in filter(None, (self.query, request.GET.get("creator"))):
                looks.search(operator_pages.operator_of(request), text, ())
        # For example a search for a number that is too large for its column. Django answers this
        # exception with a redirect to the list without filters.
        except (ValueError, DataError, OverflowError) as error:
            raise IncorrectLookupParameters(str(error)) from error
        self.result_list: list[Any] = page.rows
        self.result_count = self.full_result_count = len(page.rows)
        # Django's paginator would count all rows. These values switch off what depends on it.
        self.can_show_all = self.multi_page = self.show_admin_actions = False
        self.is_first_page = not after
        self.first_page = self.get_query_string()
        self.next_page = self.get_query_string({PAGE_VAR: page.next}) if page.next else ""

    @property
    def no_rows(self) -> str:
        """Return the sentence in place of the rows of an empty page."""
        things = self.model_admin.rows_name or str(self.opts.verbose_name_plural)
        narrowed = [
            name
            for name, applies in (
                ("search", self.query),
                ("filters", self.has_active_filters),
            )
            if applies
        ]
        if narrowed:
            return f"No {things} match the {' and the '.join(narrowed)}."
        return f"No {things} yet." if self.is_first_page else f"No more {things}."

    def get_ordering_field(self, field_name: Any) -> str | None:
        """Return the field of a sortable column. An edited link sorts by no other column."""
        if field_name not in (self.sortable_by or ()):
            return None
        name: str | None = super().get_ordering_field(field_name)
        return name

    @property
    def extent(self) -> str:
        """Return how many rows the page has, and of how many. No row is counted for it."""
        shown = f"{self.result_count:,}"
        if self.is_first_page and not self.next_page:
            return f"{shown} in all"
        estimated = _estimated_rows(self.model)
        is_whole = self.is_first_page and not self.query and not self.has_active_filters
        if is_whole and estimated > self.result_count:
            return f"The first {shown} of about {estimated:,}"
        return f"{shown} on this page{', more follow' if self.next_page else ', the last'}"


def _estimated_rows(model: type[Model]) -> int:
    """Return PostgreSQL's estimate of a table's rows, from its last ANALYZE."""
    with connection.cursor() as cursor:
        table = model._meta.db_table  # noqa: SLF001
        # -1 before the first ANALYZE, therefore the maximum below.
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        (rows,) = cursor.fetchone()
    return max(int(rows), 0)


class ReadOnlyList(ModelAdmin):  # type: ignore[misc]
    """Shows rows without adding, changing or deleting them. Operators act through pages.

    `related` lists the foreign keys to fetch. `page` names the page of a row; without it, a row
    opens a read-only form. Amounts, times and statuses are formatted as on the pages. Rows are not
    counted: at a million rows, counting would take longer than the page. `sorts` has the columns
    that can be sorted, each with a field that an index is sorted by, and `titles` the headings that
    differ from the names of the fields. `rows_name` is the word for the rows of an empty list,
    by default the model's name.
    """

    related: tuple[str, ...] = ()
    page = ""
    rows_name = ""
    sorts: ClassVar[Mapping[str, str]] = {}
    titles: ClassVar[Mapping[str, str]] = {}
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they would count the rows of every choice
    list_fullwidth = True
    actions = None

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        # Once per process: Django asks for the columns several times per request, and sorting
        # compares the functions by identity.
        self._columns = {name: self._column(model, name) for name in self.list_display}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list under its name in the menu."""
        # The menu's words, as operators know them, and not the plural of the model.
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        title = menu_titles().get(address, str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **named: Any) -> type[ChangeList]:
        """Return the class that reads the rows."""
        return DeclaredFilters

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns."""
        return list(self._columns.values())

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        """Return the columns that can be sorted."""
        return [self._columns[name] for name in self.sorts]

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

    def _method(self, name: str) -> Any:
        """Return the column of values that the method `name` returns. Short words do not break."""
        method = getattr(self, name)

        @wraps(method)
        def column(row: Model) -> Any:
            written = method(row)
            return written if isinstance(written, SafeString) else _text(written)

        return column

    def _column(self, model: type[Model], name: str) -> Any:
        """Return a column of the list: a field as its type is written, or a method."""
        field = next((one for one in model._meta.fields if one.name == name), None)  # noqa: SLF001
        if field is None:
            return self._method(name)
        if isinstance(field, BooleanField):
            return name
        write = NAMED.get(name) or WRITERS.get(type(field))
        # The first column leads to the row already.
        if name in ACCOUNTS and name != self.list_display[0]:
            write = account_link
        read = f"get_{name}_display" if field.choices and not write else name

        @display(
            description=self.titles.get(name, field.verbose_name), ordering=self.sorts.get(name)
        )
        def column(row: Model) -> str:
            value = getattr(row, read)
            return (write or _text)(value() if callable(value) else value)

        column.__name__ = name
        return column
