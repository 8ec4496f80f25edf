# `make run` and `make test` need only python3 (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Keep compiled modules, whatever the caller's environment says: the tests start fifty processes.
export PYTHONDONTWRITEBYTECODE :=
# A production environment for checks that start no service.
CHECK_ENV := SECRET_KEY=only-for-checks-8f1c0b7e6d5a49388271605f4e3d2c1b0a99 \
	MANA_SERVICE_KEY=only-for-checks-8f1c0b7e6d5a DATABASE_URL=postgresql://localhost/unused \
	STRIPE_SECRET_KEY=only-for-checks STRIPE_WEBHOOK_SECRET=only-for-checks-8f1c0b7e6d5a \
	BASE_URL=https://credits.example.com ALLOWED_HOSTS=credits.example.com \
	MANA_AUTH_URL=https://auth.example.com CORS_ORIGINS=https://app.example.com \
	MANA_NOTIFY_URL=https://notify.example.com TRUSTED_PROXIES=1 \
	STATEMENT_KEYS=only-for-checks-8f1c0b7e6d5aZ49388271605f4w

CHECK_ENV_OF_CITUS = $(filter-out DATABASE_URL=%,$(CHECK_ENV))

.PHONY: help run test test-browser test-clients test-install pictures test-shipping rehearsal rehearsal-standby rehearsal-failover test-citus check audit format lint types examples schema lock upgrade bench chaos clean

help:
	@echo "make run     the service on http://localhost:3061, with a database and demo users"
	@echo "make test    the test suite without slow tests, test-browser, test-clients, test-install, test-shipping"
	@echo "make check   all checks of CI, slow tests included"
	@echo "make bench   measure the cost of requests (needs wrk)"
	@echo "make chaos   experiments with slow, hanging and crashing dependencies (minutes)"
	@echo "make format | lint | types | schema | lock | upgrade | clean"

run: $(INSTALLED)
	@$(BIN)/python -m mana_credits.dev.sandbox

# Without the tests marked `slow`, which `make check` and .ci/run run, and with fewer random examples.
# (schemathesis takes seconds to import in each process, and all of its tests are slow.)
test: $(INSTALLED)
	$(BIN)/python -m pytest --quick -p no:schemathesis -n auto --dist worksteal

# Tests the pages in Debian's Chromium, and installs it if it is missing. SCREENSHOTS=FOLDER saves
# screenshots.
test-browser: $(INSTALLED)
	command -v chromium >/dev/null || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends chromium; }
	$(BIN)/python -m pytest -m browser tests/browser

# Tests the installation with several releases of pip and every Python on this machine.
test-install: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -m install tests/mana_credits

# Takes the documentation's screenshots from a new sandbox. Look at them afterwards.
pictures: $(INSTALLED)
	$(BIN)/python -m tests.browser.pictures

# Tests with Debian's PgBouncer, nginx and Prometheus, and installs missing packages.
SHIPPING := pgbouncer nginx-light prometheus
test-shipping: $(INSTALLED)
	dpkg --status $(SHIPPING) >/dev/null 2>&1 || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends $(SHIPPING); }
	$(BIN)/python -m pytest -m shipping tests/shipping

# Tests generators and linters on docs/openapi.yaml. They are installed into .clients/. Without npm,
# its tests are skipped.
test-clients: $(INSTALLED)
	test -x .clients/python/bin/python || $(PYTHON) -m venv .clients/python
	.clients/python/bin/python -m pip install --quiet --disable-pip-version-check \
		--requirement tests/clients/requirements.txt
	command -v npm >/dev/null || echo "npm is not installed: its tests are skipped"
	command -v npm >/dev/null && mkdir -p .clients/npm && cp tests/clients/package.json .clients/npm/ && \
		cd .clients/npm && npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts; true
	$(BIN)/python -m pytest -m clients tests/clients

# Deploys the committed state on this machine as docs/operations.md describes, and checks it with the
# same servers. It downloads the image's packages.
rehearsal: $(INSTALLED)
	$(BIN)/python -m tests.shipping.rehearsal

# Kills the primary of three PostgreSQL servers under load, and restores a backup to a point in time.
rehearsal-standby: $(INSTALLED)
	$(BIN)/python -m bench.failover

# The same ten times under Debian's Patroni and etcd, also over HAProxy, and once a network is cut.
# What is missing is installed.
AVAILABILITY := postgresql patroni python3-etcd etcd-server haproxy
rehearsal-failover: $(INSTALLED)
	dpkg --status $(AVAILABILITY) >/dev/null 2>&1 || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends $(AVAILABILITY); }
	$(BIN)/python -m bench.failover --patroni --failovers 10

# On an empty database of a Citus cluster (docs/scaling.md).
CITUS_SUITES := tests/credits tests/gifts tests/webhooks tests/internal_api tests/legacy_import tests/concurrency
# There are no events on a cluster.
CITUS_SUITES += --ignore=tests/concurrency/test_events_at_once.py
test-citus: $(INSTALLED)
	@test -n "$(CITUS_DATABASE_URL)" || echo "test-citus is skipped: CITUS_DATABASE_URL is not set"
	test -z "$(CITUS_DATABASE_URL)" || { export DATABASE_URL="$(CITUS_DATABASE_URL)" TEST_IN_PLACE=1 DATABASE_SHARDED=1; \
		$(CHECK_ENV_OF_CITUS) $(BIN)/python manage.py migrate -v0 && \
		$(CHECK_ENV_OF_CITUS) $(BIN)/python manage.py distribute && \
		$(BIN)/python -m pytest -n 0 --reuse-db $(CITUS_SUITES); }

AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

check: $(INSTALLED) lint types
	$(CHECK_ENV) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file .schema.tmp
	diff docs/openapi.yaml .schema.tmp && rm .schema.tmp
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term --cov-fail-under=95
	$(BIN)/python -m coverage report --fail-under=100 --include='$(call COMMAS,$(MONEY))'

SPACE := $(subst ,, )
COMMA := ,
COMMAS = $(subst $(SPACE),$(COMMA),$(strip $(1)))
# The modules that move credits. Tests must cover every branch of them.
MONEY := $(patsubst %,credits/%.py,amounts postgresql/atomicity catalogue/* controls/* due_rows ledger/* payments/* \
	reporting/ledger_report reporting/statement* sync/billing_periods sync/cloud_sync sync/renewals) \
	$(patsubst %,gifts/%.py,campaigns codes expiry gift_functions pending throttle transitions) \
	$(patsubst %,internal_api/%.py,known_keys service_caps service_keys) \
	$(patsubst %,webhooks/%.py,destination envelope events handlers signature) \
	$(patsubst %,mana_credits/%.py,back_office/account/account_search back_office/account/timeline \
	back_office/account/*entries back_office/account/entry back_office/acts/* legacy_import/* \
	privacy/erasure privacy/erasure_locks privacy/erasure_rows privacy/erasure_requests privacy/event_erasure privacy/gift_erasure privacy/staff_erasure)

# Needs pip-audit and the network. Fails with a message if it could not compare.
audit: $(INSTALLED)
	$(BIN)/python -m mana_credits.dev.known_vulnerabilities

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python $(BIN)/lint-imports

types: $(INSTALLED)
	$(CHECK_ENV) $(BIN)/python $(BIN)/mypy .

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(INSTALLED)
	$(CHECK_ENV) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

# Records the examples of the API's description in a test, then writes the description.
examples: $(INSTALLED)
	RECORD_EXAMPLES=1 $(BIN)/python -m pytest -q -n 0 tests/mana_credits/test_api_examples.py; true
	$(MAKE) schema

bench: $(INSTALLED)
	$(BIN)/python -m bench

# ONLY="1 8" runs only these experiments.
chaos: $(INSTALLED)
	$(BIN)/python -m bench.chaos $(if $(ONLY),--only $(ONLY)) \
		$(if $(TREE),--tree $(TREE) --column before)

# requirements.lock serves every supported Python and platform. It has hashes and no index URL. The
# other two lock files contain the packages of production, without and with OpenTelemetry, in the
# same versions.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --extra build

# After a change in pyproject.toml, keeps every version that still fits. `make upgrade` takes new ones.
lock: $(INSTALLED)
	$(COMPILE) $(UPGRADE) --extra dev --extra tracing --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra tracing --output-file requirements-tracing.lock pyproject.toml

upgrade: UPGRADE := --upgrade
upgrade: lock

clean:
	rm -rf .venv .sandbox .clients staticfiles .schema.tmp

OLD_PYTHON := mana-credits needs Python 3.11 or newer. Set PYTHON=… to its path. This Python is

# The lock file lists every package, so pip resolves nothing. New releases cannot break the installation.
# Without its Python, which an upgrade of the machine may have removed, .venv is made anew.
$(INSTALLED): requirements.lock ops/install.sh $(BIN)/python
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(OLD_PYTHON) " + sys.version)'
	@echo "Installing into .venv …"
	@test -x $(BIN)/python || rm -rf .venv
	@"$(PYTHON)" -m venv .venv
	@sh ops/install.sh $(BIN)/python requirements.lock
	@touch $@

$(BIN)/python:
