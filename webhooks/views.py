"""The endpoint for Stripe's webhooks (`/api/v1/webhooks/stripe`)."""

from datetime import UTC, datetime

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from credits.api.openapi import operation
from credits.api.wire_fields import ConstantField
from credits.api.wire_responses import WireResponse
from credits.api.wire_serializers import WireSerializer
from webhooks import events, signature
from webhooks.signature import InvalidSignature, MissingSignature, WebhooksDisabled


class EventReceivedSerializer(WireSerializer):
    """The answer to a stored event."""

    received = ConstantField(True, help_text="Always true.")


RECEIVED = EventReceivedSerializer()
EVENT = {"type": "object", "description": "A Stripe event."}
SIGNATURE = OpenApiParameter(
    "Stripe-Signature",
    {"type": "string"},
    OpenApiParameter.HEADER,
    required=True,
    description="Stripe's signature over the body.",
)


class EventTooLarge(APIException):
    """The body has more than MAX_EVENT_BYTES bytes."""

    status_code = 413
    default_detail = "The body is too large"
    default_code = "body_too_large"


class StripeView(APIView):
    """Accepts events signed by Stripe."""

    authentication_classes = ()
    permission_classes = ()

    @operation(
        "stripe_webhook",
        request={"application/json": EVENT},
        response=EventReceivedSerializer,
        parameters=[SIGNATURE],
        refuses=(MissingSignature, InvalidSignature, WebhooksDisabled),
    )
    def post(self, request: Request) -> WireResponse:
        """Store an event and apply it once. 5xx if Stripe must deliver it again."""
        # The web server does not read a body that is too large.
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_EVENT_BYTES:
            raise EventTooLarge
        payload = request.read()  # the bytes as they came, because the signature covers them
        header = request.META.get("HTTP_STRIPE_SIGNATURE")
        signature.verify(payload, header, secrets=settings.STRIPE_WEBHOOK_SECRETS)
        event = events.receive(payload, now=datetime.now(UTC))
        return WireResponse(RECEIVED.represent(event))
