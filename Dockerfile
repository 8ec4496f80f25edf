# The service and its worker, without development packages and without the sandbox.

FROM python:3.11-slim-bookworm AS build
ENV VIRTUAL_ENV=/opt/venv PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/mana-credits
# gunicorn's HTTP parser in C is compiled from source. All other packages must be wheels.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
# With OpenTelemetry: --build-arg LOCK=requirements-tracing.lock
ARG LOCK=requirements-runtime.lock
COPY requirements-runtime.lock requirements-tracing.lock ./
COPY ops/install.sh ops/
# Remove the tools that are only needed to install and compile packages.
RUN python -m venv "$VIRTUAL_ENV" \
    && REQUIRE_COMPILER=1 sh ops/install.sh python "$LOCK" \
    && pip uninstall --quiet --yes setuptools pip
COPY . .
# collectstatic needs settings. These values are unused: an image must not contain secrets.
RUN SECRET_KEY=unused MANA_SERVICE_KEY=unused STRIPE_SECRET_KEY=unused \
    DATABASE_URL=postgresql://unused/unused python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mana
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/mana-credits /srv/mana-credits
WORKDIR /srv/mana-credits
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=3061
USER 10001
EXPOSE 3061
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-m", "mana_credits.healthcheck"]
STOPSIGNAL SIGTERM
CMD ["python", "-m", "mana_credits.web_server"]
