# `make run` and `make test` need nothing but python3 (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Compiled modules are kept, whatever the caller's environment says: the tests start fifty processes.
export PYTHONDONTWRITEBYTECODE :=
# An environment as in production, for checks that start no service.
CHECK_ENV := SECRET_KEY=only-for-checks-8f1c0b7e6d5a49388271605f4e3d2c1b0a99 \
	MANA_SERVICE_KEY=only-for-checks-0a99 DATABASE_URL=postgresql://localhost/unused \
	STRIPE_SECRET_KEY=only-for-checks STRIPE_WEBHOOK_SECRET=only-for-checks \
	BASE_URL=https://credits.example.com ALLOWED_HOSTS=credits.example.com \
	MANA_AUTH_URL=https://auth.example.com CORS_ORIGINS=https://app.example.com \
	MANA_NOTIFY_URL=https://notify.example.com TRUSTED_PROXIES=1

.PHONY: help run test test-browser pictures test-shipping rehearsal check format lint types schema lock bench clean

help:
	@echo "make run     the service on http://localhost:3061, with a database and demo users"
	@echo "make test    the test suite, without test-browser, test-shipping"
	@echo "make check   everything that CI checks"
	@echo "make bench   what a request costs (needs wrk)"
	@echo "make format | lint | types | schema | lock | clean"

run: $(INSTALLED)
	@$(BIN)/python -m mana_credits.dev.sandbox

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto

# Pages in Debian's Chromium, installed where it is missing; SCREENSHOTS=FOLDER keeps what it saw.
test-browser: $(INSTALLED)
	command -v chromium >/dev/null || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends chromium; }
	$(BIN)/python -m pytest -m browser tests/browser

# The documentation's pictures anew, from a sandbox of its own; look at them afterwards.
pictures: $(INSTALLED)
	$(BIN)/python -m tests.browser.pictures

# With Debian's PgBouncer, nginx and Prometheus, installed where they are missing.
SHIPPING := pgbouncer nginx-light prometheus
test-shipping: $(INSTALLED)
	dpkg --status $(SHIPPING) >/dev/null 2>&1 || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends $(SHIPPING); }
	$(BIN)/python -m pytest -m shipping tests/shipping

# Ships the committed state on this machine as docs/operations.md says, and looks at it run, with the
# same servers. It downloads the image's packages.
rehearsal: $(INSTALLED)
	$(BIN)/python -m tests.shipping.rehearsal

AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

check: $(INSTALLED) lint types
	$(CHECK_ENV) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file .schema.tmp
	diff docs/openapi.yaml .schema.tmp && rm .schema.tmp
	$(BIN)/python -m pytest -n auto --cov --cov-report=term --cov-fail-under=95
	$(BIN)/python -m coverage report --fail-under=100 --include='$(call COMMAS,$(MONEY))'

SPACE := $(subst ,, )
COMMA := ,
COMMAS = $(subst $(SPACE),$(COMMA),$(strip $(1)))
# The modules through which credits move; every branch of them is tested.
MONEY := $(patsubst %,credits/%.py,adjusting amounts backfills books bulk buying catalogue \
	cloud_sync erasure granting ledger legacy/* offering operating packages people periods posting \
	purchases receipts refunds report reservations returns routines searching sheets staff stripe_api \
	stripe_facts timeline) \
	$(patsubst %,gifts/%.py,campaigns codes expiry legacy operating pending privacy settling throttle) \
	$(patsubst %,webhooks/%.py,current_state destination envelope events handlers privacy \
	reconciling signature)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(INSTALLED)
	$(CHECK_ENV) $(BIN)/mypy .

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(INSTALLED)
	$(CHECK_ENV) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: $(INSTALLED)
	$(BIN)/python -m bench

COMPILE := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes \
	--no-emit-options --no-header --no-annotate

# Writes the lock anew, with hashes and without an index's address, and the part of it that serves:
# the same versions, without what is for development.
lock: $(INSTALLED)
	$(COMPILE) --upgrade --extra dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml

clean:
	rm -rf .venv .sandbox staticfiles .schema.tmp

# gunicorn's fast parser has no wheel for Linux; where nothing compiles it, gunicorn has a slower one.
SPARE := $(if $(shell command -v cc),-n p,'/^gunicorn-h1c==/,/[^\\]$$/d')
# The lock names every package, so pip resolves nothing (--no-deps): a new release cannot break the
# installation. pip check then refuses a lock with a hole and names the missing package.
$(INSTALLED): requirements.lock
	@echo "Installing into .venv …"
	@$(PYTHON) -m venv .venv
	@sed $(SPARE) requirements.lock > .venv/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement .venv/requirements.lock
	@$(BIN)/python -m pip check
	@touch $@
