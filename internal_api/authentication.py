"""Authentication of services by a key in `X-Service-Key`, and authorization by its scopes."""

import hmac
from typing import Any, cast

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from credits.api.wire_serializers import header_text
from credits.errors import DomainError
from credits.principals import Service
from internal_api.known_keys import KNOWN
from internal_api.serializers import APP_ID
from internal_api.service_counters import requests
from internal_api.service_keys import MARK


class ScopeMissing(DomainError):
    """The service key lacks the scope that this operation needs. Details: `scope`."""

    code = "scope_missing"
    status = 403
    message = "The service key lacks the required scope"


class ServiceKeyAuthentication(BaseAuthentication):
    """Accepts a key of the database with its scopes, or a `MANA_SERVICE_KEY` with every scope."""

    def authenticate(self, request: Request) -> tuple[Service, None]:
        """Return the service of the key. Raises AuthenticationFailed."""
        given = request.META.get("HTTP_X_SERVICE_KEY", "")
        # The shared keys need no look-up in the database.
        service = _shared(request, given) or _keyed(given)
        if service is None:
            raise AuthenticationFailed("Invalid or missing service key")
        return service, None

    def authenticate_header(self, request: Request) -> str:
        """Return the scheme for `WWW-Authenticate`."""
        return "X-Service-Key"


class HasScope(BasePermission):
    """Allows a service whose key has the scope of the view's `operation`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True if the key has the scope, else raise ScopeMissing."""
        described = getattr(getattr(view, view.action or "", None), "described", None)
        if described is None:
            return True  # a method that is not allowed, to which the view answers 405
        scope = described.scope
        service = cast("Service", request.user)
        if service.scopes is not None and scope not in service.scopes:
            raise ScopeMissing(scope=scope)
        return True


def _keyed(secret: str) -> Service | None:
    key = KNOWN.find(secret) if secret.startswith(MARK) else None
    if key is None:
        return None
    requests(key.name).inc()
    return Service(key.name, scopes=frozenset(key.scopes), caps=key.caps)


def _shared(request: Request, given: str) -> Service | None:
    # Every key is compared in constant time, so that the duration reveals nothing about the keys.
    encoded = given.encode()
    matches = [hmac.compare_digest(encoded, key.encode()) for key in settings.MANA_SERVICE_KEYS]
    if not any(matches):
        return None
    name = header_text(request, "HTTP_X_APP_ID", field="appId")
    # An empty name, so that the metric shows whether the shared key is still used.
    requests("").inc()
    return Service(APP_ID.parse({"appId": name})["name"] if name else None)
