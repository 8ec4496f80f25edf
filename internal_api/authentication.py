"""Services authenticate with a shared key in `X-Service-Key`."""

import hmac

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from credits.principals import Service
from internal_api.serializers import APP_ID


class ServiceKeyAuthentication(BaseAuthentication):
    """Accepts any of `MANA_SERVICE_KEY`, compared in constant time."""

    def authenticate(self, request: Request) -> tuple[Service, None]:
        """Return the service; raise AuthenticationFailed."""
        given = request.META.get("HTTP_X_SERVICE_KEY", "").encode()
        matches = [hmac.compare_digest(given, key.encode()) for key in settings.MANA_SERVICE_KEYS]
        if not any(matches):
            raise AuthenticationFailed("Invalid or missing service key")
        name = request.META.get("HTTP_X_APP_ID")
        return Service(APP_ID.parse({"appId": name})["name"] if name else None), None

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme in `WWW-Authenticate`."""
        return "X-Service-Key"
