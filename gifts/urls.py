"""Routes under `/api/v1/gifts`."""

from django.urls import path

from gifts import code_paths  # noqa: F401  # registers the converter
from gifts.views import GiftsViewSet

urlpatterns = [
    path("gifts", GiftsViewSet.as_view({"post": "create"})),
    path("gifts/me/created", GiftsViewSet.as_view({"get": "created"})),
    path("gifts/me/received", GiftsViewSet.as_view({"get": "received"})),
    path("gifts/<gift_code:code>/redeem", GiftsViewSet.as_view({"post": "redeem"})),
    path("gifts/<gift_code:code_or_id>", GiftsViewSet.as_view({"get": "show", "delete": "cancel"})),
]
