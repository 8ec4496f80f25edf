"""The environment for Django's settings in tests: database, keys, identity provider.

Loaded by `-p tests.environment`. The first process starts the server. The processes of xdist
inherit its URL.
"""

import atexit
import os
from contextlib import ExitStack

from mana_credits.dev.embedded_postgres import FOR_TESTS, temporary_server
from mana_credits.dev.sandbox import identity

SERVICE_KEY = "test-service-key-of-4f9c"
IDENTITY_KEY = identity.read_key(identity.new_key())

# Generic plans are cached. The books are checked after every test, and planning takes ten times as
# long as running. Autovacuum would change the plans while tests compare them.
SERVER = {**FOR_TESTS, "plan_cache_mode": "force_generic_plan", "autovacuum": "off"}

_resources = ExitStack()
# pytest does not unconfigure its plugins after an error in the import of a conftest.py.
atexit.register(_resources.close)
if "DATABASE_URL" not in os.environ:
    os.environ["DATABASE_URL"] = _resources.enter_context(temporary_server(**SERVER))
PROVIDER = _resources.enter_context(identity.serving(IDENTITY_KEY))
os.environ.update(
    DEBUG="0",
    SECRET_KEY="only for tests, and long enough that the checks do not mind it: 0123456789",
    MANA_SERVICE_KEY=f"{SERVICE_KEY},the-next-service-key-81bd",
    STATEMENT_KEYS="Kq2xV9tB7mZr4LcW8sYpJf1GhD6nEuXa3oTiQw5vR0M",
    STRIPE_SECRET_KEY="sk_test_0123456789",
    STRIPE_WEBHOOK_SECRET="whsec_the_tests_7Qm2xK9vTz4L, whsec_the_next_one_c8Rw5Hn3",
    STRIPE_API_BASE="http://127.0.0.1:9",  # nothing listens there by default
    MANA_AUTH_URL=PROVIDER.issuer,
    JWT_ISSUER=PROVIDER.issuer,
    JWT_AUDIENCE="mana",
    BASE_URL="http://localhost:3061",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    CORS_ORIGINS="http://localhost:5173,http://localhost:5180",
    DATABASE_POOL_SIZE="64",
    DATABASE_LOCK_TIMEOUT="2s",
    LOG_LEVEL="INFO",
    BULKHEADS="auth=64,account=64,locked=64,batches=64,writes=64,stripe=64,log_in=64",
)
