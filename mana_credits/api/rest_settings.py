"""Settings of Django REST framework and of the OpenAPI document."""

from typing import Any

from mana_credits import __version__

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["mana_credits.api.tokens.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mana_credits.api.body.JSONBodyParser"],
    # Names the media type. Views answer with WireResponse, which needs no renderer.
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mana_credits.api.body.OnlyJSON",
    "DEFAULT_PAGINATION_CLASS": "mana_credits.api.pagination.KeysetPagination",
    "DEFAULT_METADATA_CLASS": None,  # `chain` answers OPTIONS
    "DEFAULT_SCHEMA_CLASS": "mana_credits.api.schema_operations.OperationSchema",
    "EXCEPTION_HANDLER": "mana_credits.api.errors.answer",
    "NON_FIELD_ERRORS_KEY": "body",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR: dict[str, Any] = {
    "TITLE": "mana-credits",
    "DESCRIPTION": "Credits of the Mana ecosystem: balances, an immutable ledger, reservations,"
    " purchases, gifts. The guide is docs/api.md.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "CONTACT": {"name": "The maintainers of mana-credits"},
    "LICENSE": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "SERVERS": [{"url": "/", "description": "The service that serves this document."}],
    "TAGS": [
        {"name": "credits", "description": "A user's own credits: balance, spending, buying."},
        {"name": "gifts", "description": "Credits that users give to each other."},
        {"name": "sync", "description": "A user's own Cloud Sync, which is paid with credits."},
        {"name": "admin", "description": "Anybody's Cloud Sync, for users who are admins."},
        {"name": "internal", "description": "Any user's credits, for other services."},
        {"name": "webhooks", "description": "What Stripe calls."},
        {"name": "anchors", "description": "Proofs that history was not rewritten."},
        {"name": "statements", "description": "The keys that sign users' statements."},
        {"name": "monitoring", "description": "Whether the service is alive and ready."},
    ],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["mana_credits.api.schema.complete"],
}
