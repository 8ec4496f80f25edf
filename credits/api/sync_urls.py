"""Routes under `/api/v1/sync` and `/api/v1/admin/sync`. A user id may contain a slash."""

from django.urls import path

from credits.api.sync_views import AdminSyncViewSet, SyncViewSet

user_patterns = [
    path("status", SyncViewSet.as_view({"get": "status"})),
    path("activate", SyncViewSet.as_view({"post": "activate"})),
    path("deactivate", SyncViewSet.as_view({"post": "deactivate"})),
    path("change-interval", SyncViewSet.as_view({"post": "change_interval"})),
]
admin_patterns = [
    path(
        # First, because the route below would read `/gift` as part of the user id.
        "<path:user_id>/gift",
        AdminSyncViewSet.as_view({"post": "give", "delete": "revoke"}),
    ),
    path("<path:user_id>", AdminSyncViewSet.as_view({"get": "status"})),
]
