# Everything here needs Python 3.11 or newer and nothing else. PYTHON=… chooses one.

PYTHON ?=
# Where to look for a Python that is new enough.
PYTHONS := $(or $(PYTHON),python3 python3.11 python3.12 python3.13 python3.14 python)
# More arguments for pytest: make test ARGS="tests/wallets -k transfer"
ARGS ?=
# On two cores: many tests wait for a database or a server most of the time.
TEST_PROCESSES ?= 3

VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --quiet --disable-pip-version-check

# What the checks see: a machine as it should be. They need no database, and none answers
# at this address.
PRODUCTION := env -u DEBUG \
	SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	FIELD_ENCRYPTION_KEY="$$($(PY) -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')" \
	LEDGER_SEAL_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(32))')" \
	METRICS_TOKEN="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(32))')" \
	DEBUG=off ALLOWED_HOSTS=credits.example.com SITE_URL=https://credits.example.com \
	TRUSTED_PROXY_COUNT=1 DATABASE_URL=postgres://credits@127.0.0.1:1/credits \
	PAYCHANGU_BASE_URL=https://api.paychangu.com PAYCHANGU_MODE=live \
	PAYCHANGU_SECRET_KEY=sec-live-example PAYCHANGU_WEBHOOK_SECRET=whsec-example \
	EMAIL_URL=smtp+tls://mailer:password@mail.example.com:587

.PHONY: help run test lint ruff types migrations deployment format constraints

help:
	@echo "make run     the whole system on this machine, until Ctrl-C (PORT=8000)"
	@echo "make test    all tests (ARGS=… for pytest)"
	@echo "make crash   kill -9 of web workers and PostgreSQL (CRASHES=300)"
	@echo "make campaign  withdrawals while everything fails (WITHDRAWALS=500)"
	@echo "make proof   the proof of the ledger, with 200,000 steps against a model of it"
	@echo "make mutation  small changes of the ledger's code, and whether a test notices"
	@echo "make bank    random transfers against snapshots (BANK_OPERATIONS=2000)"
	@echo "make money-in  payments under chaos, and spoiled deliveries (CHAOS_PURCHASES=1000)"
	@echo "make marketplace  the marketplace against a model of it (MARKETPLACE_STEPS=200000)"
	@echo "make bench   speed, as ratios to bare PostgreSQL"
	@echo "make fuzz    made-up requests against the document (CASES=20000)"
	@echo "make client  a TypeScript client made from the document, and its journey"
	@echo "make guards  write down the guards after a migration that changes one"
	@echo "make lint    style, types, migrations, settings for production"
	@echo "make format  put the code in order"

run: $(VENV)/.installed
	@$(PY) -m credits_project.run

test: $(VENV)/.installed-dev
	@$(PY) -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(ARGS)

# Every check runs, whatever the ones before found.
lint: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory --keep-going ruff types migrations deployment

ruff:
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types:
	@$(PY) -m mypy .

migrations:
	@# Without a database the history of applied migrations cannot be looked at; so be it.
	@$(PRODUCTION) $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

deployment:
	@$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING

format: $(VENV)/.installed-dev
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

# The versions of everything that is installed, in a fresh environment.
constraints:
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	grep -v '^-c ' requirements.txt > "$$folder/requirements.txt"; \
	cp requirements-dev.txt "$$folder"; \
	$(PY) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/pip" install --quiet -r "$$folder/requirements-dev.txt"; \
	{ sed -n '/^#/p' constraints.txt; "$$folder/venv/bin/pip" freeze; } \
		> "$$folder/constraints.txt"; \
	mv "$$folder/constraints.txt" constraints.txt

$(VENV)/.installed: requirements.txt constraints.txt | $(VENV)/.made
	@echo "Installing …"
	@$(INSTALL) -r requirements.txt
	@touch $@

# Has the product's packages too, so that `make run` need not install again.
$(VENV)/.installed-dev: requirements.txt requirements-dev.txt constraints.txt | $(VENV)/.made
	@echo "Installing …"
	@$(INSTALL) -r requirements-dev.txt
	@touch $(VENV)/.installed $@

# Marked when it is done: an environment whose making was cut short is made again.
$(VENV)/.made:
	@if $(PY) -m pip --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			if "$$python" -m venv $(VENV) >/dev/null 2>&1; then touch $@; exit 0; fi; \
			echo "$$python cannot make a virtual environment: install its venv module (Debian: apt-get install python3-venv)." >&2; exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed and was not found: install it, or name it with PYTHON=…" >&2; exit 1

# Longer than in the tests. CRASHES=300 make crash, CRASH_SEED=… for the same again.
crash: export CRASHES := $(or $(CRASHES),60)
crash: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/crash -s $(ARGS)

# Longer than in the tests, too. WITHDRAWALS=5000 make campaign, CAMPAIGN_SEED=… for the
# same troubles again.
campaign: export WITHDRAWALS := $(or $(WITHDRAWALS),500)
campaign: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/campaign -s $(ARGS)
.PHONY: campaign

# BANK_OPERATIONS=… of each client, BANK_SEED=… for the same again.
bank: export BANK_OPERATIONS := $(or $(BANK_OPERATIONS),2000)
bank: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/bank -s $(ARGS)
.PHONY: crash bank

# As many and as often as somebody has the time for. CHAOS_SEED=… and MUTATED_SEED=… for
# the same again.
money-in: export CHAOS_PURCHASES := $(or $(CHAOS_PURCHASES),1000)
money-in: export MUTATED_DELIVERIES := $(or $(MUTATED_DELIVERIES),200000)
money-in: export ONE_PAYMENT_DELIVERIES := $(or $(ONE_PAYMENT_DELIVERIES),10000)
money-in: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/money_in -s $(ARGS)
.PHONY: money-in

# As many steps as somebody has the time for, other ones each time. MARKETPLACE_SEED=… for
# the same stories again.
marketplace: export MARKETPLACE_STEPS := $(or $(MARKETPLACE_STEPS),200000)
marketplace: export MARKETPLACE_SEED := $(or $(MARKETPLACE_SEED),$(shell date +%s))
marketplace: $(VENV)/.installed-dev
	@echo "MARKETPLACE_SEED=$(MARKETPLACE_SEED)"
	@$(PY) -m pytest tests/marketplace -s $(ARGS)
.PHONY: marketplace

# Some minutes, on a server of its own. Quiet machines give quiet figures.
bench: $(VENV)/.installed-dev
	@$(PY) -m tests.benchmarks $(ARGS)
.PHONY: bench

# The model's 200,000 steps and everything else of the proof. MODEL_STEPS=…, MODEL_SEED=…
# for the same stories again.
proof: export MODEL_STEPS := $(or $(MODEL_STEPS),200000)
proof: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/proof -s $(ARGS)
.PHONY: proof

# One small change of the ledger's code at a time, and whether a test notices. What none
# notices has its reason in tests/proof/survivors.toml, or this fails.
mutation: $(VENV)/.installed-dev
	@rm -rf mutants
	@$(PY) tests/proof/mutation.py run --max-children 2
	@$(PY) tests/proof/mutation.py judge
.PHONY: mutation

# A stranger's tool against the running site. FUZZ_SEED=… for the same requests again.
CASES ?= 20000
fuzz: export FUZZ_CASES := $(CASES)
fuzz: export FUZZ_SEED := $(or $(FUZZ_SEED),$(shell date +%s))
fuzz: $(VENV)/.installed-dev
	@echo "FUZZ_SEED=$(FUZZ_SEED)"
	@$(PY) -m pytest tests/api/test_schemathesis.py -s $(ARGS)
.PHONY: fuzz

# Needs Node.js 18 or newer, and npm.
client: export REQUIRE_NODE := 1
client: $(VENV)/.installed-dev
	@$(PY) -m pytest tests/api/test_client.py $(ARGS)
.PHONY: client

# After a migration that adds or changes one on purpose; the diff shows what it does.
guards: $(VENV)/.installed-dev
	@$(PY) -m tests.proof.write_guards
.PHONY: guards
