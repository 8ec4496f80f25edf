"""The WSGI application that gunicorn serves."""

import os

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import reset_queries
from django.urls import get_resolver

from mana_credits.environment import EnvironmentInvalid

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mana_credits.settings")

try:
    application = get_wsgi_application()
except EnvironmentInvalid as error:
    raise SystemExit(str(error)) from None
# Django calls these for each request. Without DEBUG, no queries are recorded. No cache is used, and
# no request sets its own URL configuration.
if not settings.DEBUG:
    request_started.disconnect(reset_queries)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)
# Load the views before gunicorn forks, so that workers share their memory and the first request
# does not wait for imports.
get_resolver().url_patterns  # noqa: B018
