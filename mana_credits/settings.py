"""Settings, read from the environment (`.env.example` names every variable).

Secrets have no default: a missing one stops the start with a sentence that names it.
"""

import re
from datetime import timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured

from mana_credits import database, logs
from mana_credits.back_office import unfold_settings

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent


def secret(name: str) -> str:
    """Return the secret `name`; raise ImproperlyConfigured when it is unset or holds nothing."""
    value: str = env.str(name, default="")
    if not value.strip(" ,"):
        raise ImproperlyConfigured(f"{name} is not set. The service does not start without it.")
    return value


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PORT = env.int("PORT", default=3061)
BASE_URL = env.str("BASE_URL", default=f"http://localhost:{PORT}").rstrip("/")

# Nobody waits for ever for a row that somebody else holds: 503 after LOCK_TIMEOUT. The web server
# sets a limit for whole statements too (gunicorn.conf.py); commands may take their time.
DATABASE_SESSION = {
    "search_path": "public,credits,gifts",
    "lock_timeout": env.str("DATABASE_LOCK_TIMEOUT", default="5s"),
    "statement_timeout": env.str("DATABASE_STATEMENT_TIMEOUT", default="0"),
}
# The statements of the hot path; off behind a pooler that cannot carry them (PgBouncer < 1.21).
DATABASE_PREPARED_STATEMENTS = env.bool("DATABASE_PREPARED_STATEMENTS", default=True)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=8)
# Behind PgBouncer in transaction mode: then DATABASE_SESSION is the pooler's to set.
DATABASE_BEHIND_POOLER = env.bool("DATABASE_BEHIND_POOLER", default=False)
DATABASES = {
    "default": database.settings_of(
        secret("DATABASE_URL"),
        session=DATABASE_SESSION,
        pool_size=DATABASE_POOL_SIZE,
        prepared=DATABASE_PREPARED_STATEMENTS,
        behind_pooler=DATABASE_BEHIND_POOLER,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MANA_AUTH_URL = env.str("MANA_AUTH_URL", default="http://localhost:3001").rstrip("/")
# Where people's browsers find it, if that is another address.
MANA_AUTH_PUBLIC_URL = env.str("MANA_AUTH_PUBLIC_URL", default="").rstrip("/") or MANA_AUTH_URL
JWT_ISSUER = env.str("JWT_ISSUER", default=MANA_AUTH_URL)
JWT_AUDIENCE = env.str("JWT_AUDIENCE", default="mana")
MANA_SERVICE_KEYS = [key.strip() for key in secret("MANA_SERVICE_KEY").split(",") if key.strip()]
# Where users are told things (mana-notify); without it messages wait in the outbox.
MANA_NOTIFY_URL = env.str("MANA_NOTIFY_URL", default="").rstrip("/")

# Without a key a developer's service runs, and buying answers 503.
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "") if DEBUG else secret("STRIPE_SECRET_KEY")
# Without one, webhooks are refused: a forged one would be as good as money.
STRIPE_WEBHOOK_SECRETS = [
    one.strip() for one in env.str("STRIPE_WEBHOOK_SECRET", default="").split(",") if one.strip()
]
# Our own account at Stripe (acct_…), where its events name one: a destination of an organization.
STRIPE_ACCOUNT_ID = env.str("STRIPE_ACCOUNT_ID", default="")
# Have Checkout make an invoice of every purchase; Stripe charges for them.
STRIPE_INVOICES = env.bool("STRIPE_INVOICES", default=False)
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="").rstrip("/")
# For how long what Stripe's events said is kept after they were processed; 0: for ever.
STRIPE_PAYLOADS_KEPT_DAYS = env.int("STRIPE_PAYLOADS_KEPT_DAYS", default=400)

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "mana_credits.back_office.apps.BackOfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "credits",
    "gifts",
    "webhooks",
    "internal_api",
    "mana_credits.apps.CompositionRoot",
    "mana_credits.back_office.apps.BackOfficePages",
    "mana_credits.privacy",
    "mana_credits.legacy_import",
    *(["mana_credits.dev"] if find_spec("mana_credits.dev") else []),  # not in the image
]
MIDDLEWARE = [
    "mana_credits.middleware.observe",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mana_credits.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Each of these works for the back office alone; the API has no sessions and no cookies.
    "mana_credits.back_office.middleware.SessionMiddleware",
    "mana_credits.back_office.middleware.CsrfViewMiddleware",
    "mana_credits.back_office.middleware.AuthenticationMiddleware",
    "mana_credits.back_office.middleware.OTPMiddleware",
    "mana_credits.back_office.middleware.MessageMiddleware",
    "mana_credits.back_office.middleware.AxesMiddleware",
]
ROOT_URLCONF = "mana_credits.urls"
WSGI_APPLICATION = "mana_credits.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Pages speak the browser's language, activated by `credits.api.pages`; the API has no locale.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

# TLS ends at the proxy, which also redirects: services inside call this one over plain HTTP.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # the back office has its CSRF middleware; elsewhere there are no cookies
    "axes.W002",  # its middleware is there, for the back office alone
    "security.W008",  # the redirect to HTTPS is the proxy's
]

# The back office: sessions end after an idle hour and with the working day; five wrong passwords
# lock a name at an address for a quarter of an hour.
ADMIN_REQUIRE_2FA = env.bool("ADMIN_REQUIRE_2FA", default=not DEBUG)
ADMIN_ADJUST_LIMIT = Decimal(env.str("ADMIN_ADJUST_LIMIT", default="100"))
ADMIN_SESSION_HOURS = env.int("ADMIN_SESSION_HOURS", default=10)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
SESSION_COOKIE_AGE = 3600
SESSION_SAVE_EVERY_REQUEST = True
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_NAME = "back_office"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/admin/"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "mana_credits.back_office.error_pages.form_too_old"
CSRF_TRUSTED_ORIGINS = [BASE_URL]
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "credits.client_ip.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "back_office/locked_out.html"
OTP_TOTP_ISSUER = "mana-credits"
UNFOLD = unfold_settings.UNFOLD

# How many proxies in front add to X-Forwarded-For. With 0 the header, which anybody may send,
# counts for nothing, and a client's address is that of the connection.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# How often somebody may try a gift code that is none, in 10 minutes: with one user's token, from
# one address (or one IPv6 network of 64 bits), and all together the short, imported codes.
GIFT_MISS_LIMITS = {
    "user": env.int("GIFT_MISSES_PER_USER", default=10),
    "address": env.int("GIFT_MISSES_PER_ADDRESS", default=30),
    "short codes": env.int("GIFT_MISSES_OF_SHORT_CODES", default=500),
}

MAX_BODY_BYTES = 256 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# Stripe's events have no documented limit; some have more than 1 MB.
MAX_EVENT_BYTES = 8 * 1024 * 1024
STRIPE_WEBHOOK_PATH = "/api/v1/webhooks/stripe"

CORS_ALLOWED_ORIGINS = env.list(
    "CORS_ORIGINS", default=["http://localhost:5173", "http://localhost:5180"]
)
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = (*default_headers, "idempotency-key", "x-app-id", "x-request-id")
CORS_EXPOSE_HEADERS = ("link", "retry-after", "x-request-id")
CORS_URLS_REGEX = re.compile(r"^/api/")

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["mana_credits.api.tokens.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mana_credits.api.body.JSONBodyParser"],
    "DEFAULT_RENDERER_CLASSES": ["mana_credits.api.body.CompactJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mana_credits.api.body.OnlyJSON",
    "DEFAULT_PAGINATION_CLASS": "mana_credits.api.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "mana_credits.api.errors.answer",
    "NON_FIELD_ERRORS_KEY": "body",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "mana-credits",
    "DESCRIPTION": "Credits of the Mana ecosystem: balances, an immutable ledger, reservations.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["mana_credits.api.schema.describe_errors"],
    "ENUM_NAME_OVERRIDES": {
        "TransactionType": "credits.models.Transaction.Type",
        "PurchaseStatus": "credits.models.Purchase.Status",
    },
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logs.LEVELS:
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL}, not one of {', '.join(logs.LEVELS)}.")
LOGGING_CONFIG = None
logs.configure(LOG_LEVEL)
