"""All routes of the service."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from credits.api import pages as credits_pages
from credits.api import sync_urls
from credits.api.anchor_views import AnchorViewSet
from credits.api.statement_views import StatementKeyViewSet
from gifts import code_paths  # noqa: F401  # registers the converter
from gifts import pages as gifts_pages
from mana_credits import probes
from mana_credits.api import errors, schema
from mana_credits.back_office import error_pages
from mana_credits.privacy.views import PersonViewSet

urlpatterns = [
    path(
        "api/v1/internal/credits/balance/<path:user_id>",
        PersonViewSet.as_view({"get": "balance", "delete": "erase"}),
    ),
    path("api/v1/internal/", include("internal_api.urls")),
    path("api/v1/anchors", AnchorViewSet.as_view({"get": "anchors"})),
    path("api/v1/statements/keys", StatementKeyViewSet.as_view({"get": "keys"})),
    path("api/v1/credits/", include("credits.api.urls")),
    path("api/v1/sync/", include(sync_urls.user_patterns)),
    path("api/v1/admin/sync/", include(sync_urls.admin_patterns)),
    path("api/v1/", include("gifts.urls")),
    path("api/v1/webhooks/", include("webhooks.urls")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    path("credits", credits_pages.dashboard),
    path("credits/settings", credits_pages.own_settings),
    path("credits/sync", credits_pages.cloud_sync),
    path("credits/statements", credits_pages.statement),
    path("credits/statements/<str:month>", credits_pages.statement),
    path("gifts", gifts_pages.gifts_page),
    path("gifts/redeem", gifts_pages.redeem_page),
    path("gifts/redeem/<gift_code:code>", gifts_pages.redeem_page),
    # Before the page's route, which would read `.svg` as part of the code.
    path("g/<gift_code:code>.svg", gifts_pages.qr_code),
    path("g/<gift_code:code>", gifts_pages.gift_page),
    path("health", probes.health),
    path("ready", probes.ready),
    path("metrics", probes.prometheus),
    path("api/schema", schema.SchemaView.as_view(), name="schema"),
    path("api/docs", schema.DocsView.as_view(url_name="schema")),
    # Last: the API's 404 for every other path.
    re_path(r"", errors.not_found),
]
handler400 = error_pages.bad_request
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = error_pages.server_error
