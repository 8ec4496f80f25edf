"""Lists of rows that nobody edits: the base of every list in the back office."""

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from credits.templatetags.office import TONES

# Unfold's colours of a status.
LABELS = {
    **dict.fromkeys(TONES["good"], "success"),
    **dict.fromkeys(TONES["bad"], "danger"),
    **dict.fromkeys(TONES["warn"], "warning"),
    **dict.fromkeys(TONES["info"], "info"),
}


class ReadOnlyList(ModelAdmin):  # type: ignore[misc]
    """Shows rows and lets nobody add, change or delete one; operators act through pages.

    `related` are the foreign keys that the list shows. Nothing is counted: at a million rows that
    alone would take longer than the page. `page` is the name of the page that shows a row, with the
    row's id; without one the row's fields are shown.
    """

    page = ""

    related: tuple[str, ...] = ()
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    list_fullwidth = True
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with what the list shows of others, in one query."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def change_view(
        self, request: HttpRequest, object_id: str, *arguments: Any, **named: Any
    ) -> HttpResponse:
        """Lead to the row's page."""
        if self.page:
            return redirect(f"admin:{self.page}", pk=object_id)
        response: HttpResponse = super().change_view(request, object_id, *arguments, **named)
        return response

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes rows by hand."""
        return False
