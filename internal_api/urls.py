"""Routes under `/api/v1/internal`. A user id may contain a slash, so it is the end of its route.

The route of a balance, which also erases its user, is in `mana_credits.urls`.
"""

from django.urls import path

from internal_api.batch_views import BatchViewSet
from internal_api.sync_views import ServiceSyncViewSet
from internal_api.views import BalanceViewSet, GiftViewSet, ReservationViewSet

urlpatterns = [
    path("credits/init", BalanceViewSet.as_view({"post": "init"})),
    path("credits/use", BalanceViewSet.as_view({"post": "use"})),
    path("credits/use/batch", BatchViewSet.as_view({"post": "use"})),
    path("credits/refund", BalanceViewSet.as_view({"post": "refund"})),
    path("credits/grant", BalanceViewSet.as_view({"post": "grant"})),
    path("credits/reserve", ReservationViewSet.as_view({"post": "reserve"})),
    path("credits/commit", ReservationViewSet.as_view({"post": "commit"})),
    path("credits/refund-reservation", ReservationViewSet.as_view({"post": "release"})),
    path("sync/status/<path:user_id>", ServiceSyncViewSet.as_view({"get": "status"})),
    path("sync/charge-recurring", ServiceSyncViewSet.as_view({"post": "charge_recurring"})),
    path("gifts/redeem-pending", GiftViewSet.as_view({"post": "redeem_pending"})),
]
