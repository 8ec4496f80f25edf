"""Routes under `/api/v1/webhooks`."""

from django.urls import path

from webhooks.views import StripeView

urlpatterns = [path("stripe", StripeView.as_view())]
