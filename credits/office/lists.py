"""Lists of rows that nobody edits: the base of every list in the back office."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator


class ReadOnlyList(ModelAdmin):  # type: ignore[misc]
    """Shows rows and lets nobody add, change or delete one; operators act through pages.

    `related` are the foreign keys that the list shows, `page` names the page of a row, if not the
    form without fields to fill in. Nothing is counted: at a million rows that
    alone would take longer than the page.
    """

    related: tuple[str, ...] = ()
    page = ""
    list_per_page = 50
    paginator = InfinitePaginator
    show_full_result_count = False
    list_fullwidth = True
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with what the list shows of others, in one query."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def change_view(self, request: HttpRequest, object_id: str, *more: Any, **named: Any) -> Any:
        """Lead to the row's own page where it has one."""
        if self.page:
            return redirect(f"admin:{self.page}", unquote(object_id))
        return super().change_view(request, object_id, *more, **named)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes rows by hand."""
        return False
