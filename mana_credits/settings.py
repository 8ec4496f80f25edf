"""Settings, read from the environment (`.env.example` lists every variable).

Secrets have no default. If one is missing, the service does not start and names the variable.
"""

import re
import sys
from datetime import timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from corsheaders.defaults import default_headers

from mana_credits import database, logs
from mana_credits.api import rest_settings
from mana_credits.back_office import unfold_settings
from mana_credits.environment import (
    ALLOWED_HOST,
    EVENT_HOST,
    MOST_DAYS,
    ORIGIN,
    Environment,
    EnvironmentInvalid,
    database_url,
    listed,
    password,
    reject_debug_in_production,
    require_folder,
    secret,
)

env = Environment()
BASE_DIR = Path(__file__).resolve().parent.parent


DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = secret("SECRET_KEY")
ALLOWED_HOSTS = env.hosts(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"], form=ALLOWED_HOST
)
if not ALLOWED_HOSTS:
    raise EnvironmentInvalid("ALLOWED_HOSTS is empty. Every request would be rejected.")
PORT = env.whole_number("PORT", default=3061, at_most=65535)
BASE_URL = env.url("BASE_URL", default=f"http://localhost:{PORT}", form=ORIGIN)

# A statement that waits for a locked row fails after `lock_timeout`, and the request answers 503.
# The web server sets shorter limits and a limit per statement (gunicorn.conf.py). Commands have no
# statement limit.
DATABASE_SESSION = {
    "search_path": "public,credits,gifts",
    "lock_timeout": env.duration("DATABASE_LOCK_TIMEOUT", default="5s"),
    "statement_timeout": env.duration("DATABASE_STATEMENT_TIMEOUT", default="0"),
    # PostgreSQL ends a session that is idle in a transaction, which releases its locks.
    "idle_in_transaction_session_timeout": env.duration("DATABASE_IDLE_TIMEOUT", default="60s"),
    # Compiling a large statement, such as the checks of all book rules, takes longer than running
    # it.
    "jit": "off",
}
# Prepares the statements of the hot path. Set it to off behind a pooler that does not support
# prepared statements (PgBouncer < 1.21).
DATABASE_PREPARED_STATEMENTS = env.flag("DATABASE_PREPARED_STATEMENTS", default=True)
DATABASE_POOL_SIZE = env.whole_number("DATABASE_POOL_SIZE", default=8, at_least=1)
# How many seconds a thread keeps its connection between requests. gunicorn.conf.py sets it.
DATABASE_KEPT_SECONDS = env.whole_number("DATABASE_KEPT_SECONDS", default=0)
# Behind PgBouncer in transaction mode, the pooler must set DATABASE_SESSION.
DATABASE_BEHIND_POOLER = env.flag("DATABASE_BEHIND_POOLER", default=False)
# Whether the users' tables are distributed over a Citus cluster (`manage.py distribute`).
DATABASE_SHARDED = env.flag("DATABASE_SHARDED", default=False)
# The service's role owns nothing. Commands that need the owner of the tables connect with
# MIGRATIONS_DATABASE_URL; without it there is one role for everything, for development only.
SERVICE_DATABASE = database_url("DATABASE_URL")
OWNER_DATABASE = (
    database_url("MIGRATIONS_DATABASE_URL") if env.text("MIGRATIONS_DATABASE_URL") else None
)
SERVICE_ROLE = database.service_role(
    SERVICE_DATABASE, OWNER_DATABASE, password=password("SERVICE_PASSWORD")
)
DATABASES = {
    "default": database.settings_of(
        database.parts_for(sys.argv, service=SERVICE_DATABASE, owner=OWNER_DATABASE),
        session=DATABASE_SESSION,
        pool_size=DATABASE_POOL_SIZE,
        prepared=DATABASE_PREPARED_STATEMENTS,
        behind_pooler=DATABASE_BEHIND_POOLER,
        answer_seconds=env.whole_number("DATABASE_ANSWER_SECONDS", default=0),
    )
}
# A standby for reads that may be REPLICA_LAG_SECONDS old (credits/postgresql/replica.py).
# Statements become final an hour after their last movement can be written, so the lag must be far
# below an hour.
REPLICA_LAG_SECONDS = env.whole_number("REPLICA_LAG_SECONDS", default=1, at_least=1, at_most=600)
if env.text("REPLICA_DATABASE_URL"):
    DATABASES["replica"] = database.replica_settings(
        DATABASES["default"], database_url("REPLICA_DATABASE_URL")
    )
    DATABASE_ROUTERS = ["credits.postgresql.replica.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MANA_AUTH_URL = env.url("MANA_AUTH_URL", default="http://localhost:3001")
# The URL of mana-auth for browsers, if it differs.
MANA_AUTH_PUBLIC_URL = env.url("MANA_AUTH_PUBLIC_URL") or MANA_AUTH_URL
JWT_ISSUER = env.text("JWT_ISSUER", default=MANA_AUTH_URL)
JWT_AUDIENCE = env.text("JWT_AUDIENCE", default="mana")
MANA_SERVICE_KEYS = listed(secret("MANA_SERVICE_KEY"))
# The URL of mana-notify, which notifies users. Without it, messages stay in the outbox.
MANA_NOTIFY_URL = env.url("MANA_NOTIFY_URL")

# The hosts that may receive events, each with its port if it is not 443. Without any, services
# cannot subscribe.
EVENT_HOSTS = env.hosts("EVENT_HOSTS", form=EVENT_HOST)
# For development: receivers may use plain HTTP and addresses of this machine.
EVENT_HOSTS_MAY_BE_LOCAL = env.flag("EVENT_HOSTS_MAY_BE_LOCAL", default=False)

# With DEBUG on, the key is optional. Without it, purchases answer 503.
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY") if DEBUG else secret("STRIPE_SECRET_KEY")
if DEBUG:  # an error page shows settings and the request, including secrets
    reject_debug_in_production(
        STRIPE_SECRET_KEY, (*ALLOWED_HOSTS, urlsplit(BASE_URL).hostname or "")
    )
# Without a secret, every webhook is rejected: a forged event could create credits.
STRIPE_WEBHOOK_SECRETS = env.texts("STRIPE_WEBHOOK_SECRET")
# The service's own Stripe account (acct_…). Needed if events name an account, as those of an
# organization's event destination do.
STRIPE_ACCOUNT_ID = env.text("STRIPE_ACCOUNT_ID")
if not re.fullmatch(r"(acct_\w+)?", STRIPE_ACCOUNT_ID, re.ASCII):
    raise EnvironmentInvalid("STRIPE_ACCOUNT_ID is not the id of an account: acct_….")
# Makes Checkout create an invoice for every purchase. Stripe charges for invoices.
STRIPE_INVOICES = env.flag("STRIPE_INVOICES", default=False)
STRIPE_API_BASE = env.url("STRIPE_API_BASE")
# How many days the payload of a processed Stripe event is kept. 0 keeps it forever.
STRIPE_PAYLOADS_KEPT_DAYS = env.whole_number(
    "STRIPE_PAYLOADS_KEPT_DAYS", default=400, at_most=MOST_DAYS
)

# The Ed25519 keys of statements, newest first: secrets, or `public:` and the public key of a
# retired secret. Without a secret, statements are not signed.
STATEMENT_KEYS = env.ed25519_keys("STATEMENT_KEYS")

# How many days an idempotency key is remembered. 0 keeps it forever.
IDEMPOTENCY_KEYS_KEPT_DAYS = env.whole_number(
    "IDEMPOTENCY_KEYS_KEPT_DAYS", default=365, at_most=MOST_DAYS
)

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
    "mana_credits.service_events",
    "mana_credits.apps.CompositionRootConfig",
    "mana_credits.back_office.apps.BackOfficePagesConfig",
    "mana_credits.privacy",
    "mana_credits.legacy_import",
    *(["mana_credits.dev"] if find_spec("mana_credits.dev") else []),  # not in the image
]
MIDDLEWARE = [
    "mana_credits.middleware.observe",
    # Answers API requests itself. The following middleware runs for pages only.
    "mana_credits.api.chain.answer_api",
    "mana_credits.api.encoding.require_utf8",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mana_credits.api.cors.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # These run only for the back office. The API has no sessions and no cookies.
    "mana_credits.back_office.middleware.PolicyMiddleware",
    "mana_credits.back_office.middleware.SessionMiddleware",
    "mana_credits.back_office.middleware.CsrfViewMiddleware",
    "mana_credits.back_office.middleware.AuthenticationMiddleware",
    "mana_credits.back_office.middleware.OTPMiddleware",
    "mana_credits.back_office.middleware.MessageMiddleware",
    "mana_credits.back_office.middleware.AxesMiddleware",
    "mana_credits.back_office.error_pages.RefusalMiddleware",
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

# `credits.api.pages` activates the browser's language for pages. The API has no locale.
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

# The proxy terminates TLS and redirects to HTTPS. Internal services call this one over plain HTTP.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.whole_number("SECURE_HSTS_SECONDS", default=31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
# Allows browser vendors to add the domain to their preload lists. Removal takes months.
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # CSRF middleware runs for the back office; nothing else uses cookies
    "axes.W002",  # the axes middleware runs for the back office only
    "security.W008",  # the proxy redirects to HTTPS
    "security.W021",  # SECURE_HSTS_PRELOAD makes preloading optional
]

# The back office: a session ends after one idle hour, and after ADMIN_SESSION_HOURS at the latest.
# Five wrong passwords lock a username for one IP address for 15 minutes (see
# back_office/frame/log_in.py).
ADMIN_REQUIRE_2FA = env.flag("ADMIN_REQUIRE_2FA", default=not DEBUG)
ADMIN_ADJUST_LIMIT = env.amount("ADMIN_ADJUST_LIMIT", default=Decimal(100))
ADMIN_ADJUST_LIMIT_TOTAL = env.amount("ADMIN_ADJUST_LIMIT_TOTAL", default=Decimal(1000))
# Beyond these a second person is needed: prices that change by this factor within 24 hours, and
# packages that sell a credit for fewer cents.
ADMIN_PRICE_FACTOR = env.amount("ADMIN_PRICE_FACTOR", default=Decimal(2))
ADMIN_LEAST_CENTS_PER_CREDIT = env.amount("ADMIN_LEAST_CENTS_PER_CREDIT", default=Decimal("0.5"))
# An operator who managed a colleague's account in the last days cannot be their second person.
ADMIN_NEW_OPERATOR_DAYS = env.whole_number(
    "ADMIN_NEW_OPERATOR_DAYS", default=7, at_least=0, at_most=MOST_DAYS
)
ADMIN_SESSION_HOURS = env.whole_number("ADMIN_SESSION_HOURS", default=10, at_least=1, at_most=720)
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
SHORTEST_PASSWORD = 12
PASSWORD_HASHERS = ["mana_credits.back_office.frame.password_hashes.LowPriorityPBKDF2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": SHORTEST_PASSWORD},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
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
AXES_CLIENT_IP_CALLABLE = "credits.client_ip.client_network"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "back_office/locked_out.html"
OTP_TOTP_ISSUER = "mana-credits"
UNFOLD = unfold_settings.UNFOLD

# How many proxies in front append to X-Forwarded-For. With 0, the header is ignored, because any
# client can send it, and the client's IP address is that of the connection.
TRUSTED_PROXIES = env.whole_number("TRUSTED_PROXIES", default=0)

# How many invalid gift codes may be tried in 10 minutes: with one user's token, from one IP address
# (or IPv6 /56 network), and by all callers together for short, imported codes.
GIFT_MISS_LIMITS = {
    "user": env.whole_number("GIFT_MISSES_PER_USER", default=10, at_least=1),
    "address": env.whole_number("GIFT_MISSES_PER_ADDRESS", default=30, at_least=1),
    "short codes": env.whole_number("GIFT_MISSES_OF_SHORT_CODES", default=500, at_least=1),
}

# How many threads of a process may use one dependency at once (credits/bulkheads.py): the fetch of
# the auth server's keys, Stripe, one user's rows, the rows of all locked users, batches of spends,
# all writes, password hashing, exports. Each must be smaller than WEB_THREADS.
BULKHEADS = env.numbers(
    "BULKHEADS",
    default={
        "auth": 1,
        "stripe": 2,
        "account": 2,
        "locked": 1,
        "batches": 2,
        "writes": 3,
        "log_in": 1,
        "exports": 1,
    },
)

MAX_BODY_BYTES = 256 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
# Stripe documents no maximum size of an event. Some have more than 1 MB.
MAX_EVENT_BYTES = 8 * 1024 * 1024
STRIPE_WEBHOOK_PATH = "/api/v1/webhooks/stripe"

CORS_ALLOWED_ORIGINS = env.hosts(
    "CORS_ORIGINS", default=["http://localhost:5173", "http://localhost:5180"], form=ORIGIN
)
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = (
    *default_headers,
    "idempotency-key",
    "traceparent",
    "tracestate",
    "x-app-id",
    "x-request-id",
)
CORS_EXPOSE_HEADERS = ("link", "retry-after", "x-request-id")
CORS_URLS_REGEX = re.compile(r"^/(api/|health$)")

REST_FRAMEWORK = rest_settings.REST_FRAMEWORK
SPECTACULAR_SETTINGS = rest_settings.SPECTACULAR

# The endpoint that receives traces (OTLP over HTTP). If empty, OpenTelemetry is not loaded.
TRACES_ENDPOINT = env.url("OTEL_EXPORTER_OTLP_ENDPOINT")
TRACES_SERVICE_NAME = env.text("OTEL_SERVICE_NAME", default="mana-credits")

require_folder("PROMETHEUS_MULTIPROC_DIR")
LOG_LEVEL = env.text("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in logs.LEVELS:
    raise EnvironmentInvalid(f"LOG_LEVEL is {LOG_LEVEL}, not one of {', '.join(logs.LEVELS)}.")
# Django must not configure logging again: `logs.configure` does it.
LOGGING_CONFIG = None
# The output of a command, such as an export, must not contain lines of the log.
logs.configure(LOG_LEVEL, to=sys.stderr if logs.is_command(sys.argv) else sys.stdout)
