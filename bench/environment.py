"""The service's production environment, with keys created for the run."""

import os
import secrets

SERVICE_KEY = secrets.token_hex(32)
ENVIRONMENT = {
    **os.environ,
    "DEBUG": "0",
    "SECRET_KEY": secrets.token_hex(32),
    "MANA_SERVICE_KEY": SERVICE_KEY,
    "STRIPE_SECRET_KEY": "sk_test_nothing-is-bought-here",
    "LOG_LEVEL": "INFO",
    "ALLOWED_HOSTS": "127.0.0.1,localhost",
}
