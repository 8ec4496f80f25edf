"""Lists of this app's rows."""

from django.contrib import admin

from credits.models import StaffAction
from credits.office.lists import ReadOnlyList


@admin.register(StaffAction)
class StaffActions(ReadOnlyList):
    """The audit trail."""

    list_display = ("at", "operator", "action", "user_id", "subject", "reason", "note", "address")
    list_filter = ("action", "operator")
    search_fields = ("user_id__exact", "operator__exact", "subject__exact")
    ordering = ("-id",)
