"""Routes under `/api/v1/credits`."""

from django.urls import path

from credits.api.catalogue_views import CatalogueViewSet
from credits.api.purchase_views import PackageViewSet, PurchaseViewSet
from credits.api.settings_views import SettingsViewSet
from credits.api.statement_views import StatementViewSet
from credits.api.top_up_views import TopUpViewSet
from credits.api.views import CreditsViewSet

urlpatterns = [
    path("balance", CreditsViewSet.as_view({"get": "balance"})),
    path("use", CreditsViewSet.as_view({"post": "use"})),
    path("transactions", CreditsViewSet.as_view({"get": "transactions"})),
    path(
        "transactions.csv",
        CreditsViewSet.as_view({"get": "transactions_csv"}, pagination_class=None),
    ),
    path(
        "reservations",
        CreditsViewSet.as_view({"get": "reservations"}, pagination_class=None),
    ),
    path("operations", CatalogueViewSet.as_view({"get": "operations"})),
    path("pricing", CatalogueViewSet.as_view({"get": "pricing"})),
    path("usage", CreditsViewSet.as_view({"get": "usage"}, pagination_class=None)),
    path("statements/<str:month>", StatementViewSet.as_view({"get": "statement"})),
    path("packages", PackageViewSet.as_view({"get": "offered"})),
    path("purchases", PurchaseViewSet.as_view({"get": "purchases"})),
    path("purchase", PurchaseViewSet.as_view({"post": "start"})),
    path(
        "auto-top-up",
        TopUpViewSet.as_view({"get": "read", "put": "save", "delete": "switch_off"}),
    ),
    path("auto-top-up/setup", TopUpViewSet.as_view({"post": "set_up"})),
    path("settings", SettingsViewSet.as_view({"get": "read", "put": "save"})),
    path("purchase/<str:purchase_id>", PurchaseViewSet.as_view({"get": "purchase"})),
    path("purchase/<str:purchase_id>/cancel", PurchaseViewSet.as_view({"post": "cancel"})),
]
