# `make run` and `make test` need nothing but python3 (3.11 or newer) and make.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Any values will do for checks that start no service.
CHECK_ENV := SECRET_KEY=only-for-checks-8f1c0b7e6d5a49388271605f4e3d2c1b0a99 \
	MANA_SERVICE_KEY=only-for-checks DATABASE_URL=postgresql://localhost/unused \
	STRIPE_SECRET_KEY=only-for-checks

.PHONY: help run test test-browser check format lint types schema lock bench clean

help:
	@echo "make run     the service on http://localhost:3061, with a database and demo users"
	@echo "make test    the test suite, without the browser: make test-browser"
	@echo "make check   everything that CI checks"
	@echo "make bench   what a request costs (needs wrk)"
	@echo "make format | lint | types | schema | lock | clean"

run: $(INSTALLED)
	@$(BIN)/python -m mana_credits.sandbox

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto

# Pages in Debian's Chromium, installed where it is missing; SCREENSHOTS=FOLDER keeps what it saw.
test-browser: $(INSTALLED)
	command -v chromium >/dev/null || { $(AS_ROOT) apt-get update --quiet --quiet && \
		$(AS_ROOT) apt-get install --yes --quiet --quiet --no-install-recommends chromium; }
	$(BIN)/python -m pytest -m browser tests/browser

AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

check: $(INSTALLED) lint types
	$(CHECK_ENV) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(CHECK_ENV) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file .schema.tmp
	diff docs/openapi.yaml .schema.tmp && rm .schema.tmp
	$(BIN)/python -m pytest -n auto --cov --cov-report=term --cov-fail-under=95
	$(BIN)/python -m coverage report --fail-under=100 --include='$(MONEY)'

# The modules through which credits move; every branch of them is tested.
MONEY := credits/ledger.py,credits/reservations.py,credits/amounts.py,credits/routines.py,credits/erasure.py,credits/books.py,credits/catalogue.py,credits/packages.py,credits/cloud_sync.py,credits/periods.py,gifts/codes.py,gifts/settling.py,gifts/expiry.py,gifts/pending.py,gifts/campaigns.py,gifts/throttle.py,credits/buying.py,credits/purchases.py,credits/returns.py,credits/stripe_facts.py,credits/stripe_api.py,webhooks/signature.py,webhooks/events.py,webhooks/reconciling.py

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

# Writes the one lock file anew, with hashes and without an index's address.
lock: $(INSTALLED)
	$(BIN)/pip-compile --quiet --upgrade --extra dev --strip-extras --allow-unsafe \
		--generate-hashes --no-emit-options --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .sandbox staticfiles .schema.tmp

$(INSTALLED): requirements.lock
	@echo "Installing into .venv …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@
