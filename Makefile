# Needs make and Python 3.11 or later with venv; everything else it sets up in .venv by itself.
# PYTHON=python3.12 chooses the interpreter, WORKERS=4 the number of test processes.

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif
WORKERS ?= 2
BIN := .venv/bin

# What must be covered to the last branch: the parts that are pure.
COVERED := compiler/* plan.py steps.py targets.py metrics.py names.py suggest.py source*.py

# As in a shell in which .venv is active: `python` of a spec is the first on PATH.
ACTIVE := PATH="$(CURDIR)/$(BIN):$$PATH"
DOIT := $(ACTIVE) $(BIN)/doit
LAST := .orchestra/market/runs/last
START := $(shell date +%s)
TOOK = $$(($$(date +%s) - $(START))) s

comma := ,
space := $() $()

.DEFAULT_GOAL := help
.PHONY: help demo demo-faults test check bench clean format lock env browser

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: env browser ## compile the specs and run the browser suite by both methods: the whole way, in one command
	@echo 'demo: 1 of 3: compiling specs/*.yaml'
	@$(BIN)/orchestra compile
	@echo 'demo: 2 of 3: this repository checks itself: doit self:cli (specs/self.yaml)'
	@$(DOIT) self:cli
	@echo 'demo: 3 of 3: the browser suite by both methods: doit (specs/market.yaml)'
	@code=0; $(DOIT) || code=$$?; \
	  echo "demo: exit code $$code, $(TOOK) in all"; \
	  echo 'demo: report: $(LAST)/summary.md, for CI: $(LAST)/junit.xml'; exit $$code

demo-faults: env ## break the API server of the sample: all tests pass; then once more, slow, until a gate stops the run
	$(BIN)/orchestra compile
	$(ACTIVE) $(BIN)/orchestra run --suite faults
	@echo 'demo-faults: once more, slow, and with no outage allowed: a gate is to warn, and one to stop the run, exit 1'
	@code=0; $(ACTIVE) $(BIN)/orchestra run --suite faults --profile budget || code=$$?; \
	  test $$code -eq 1 || { echo "demo-faults: that run ended with $$code, and 1 was expected"; exit 1; }
	@echo 'demo-faults: what the gates did, from the ledger:'
	@$(BIN)/orchestra events --suite faults --type gate | grep 'outage_budget.*failed'
	@$(BIN)/orchestra events --suite faults --type gate | grep 'quick.*warned'

test: env browser ## the tests, with full branch coverage of the pure parts
	@echo 'test: 1 of 3: side by side, $(WORKERS) processes'
	@$(BIN)/coverage erase
	@$(BIN)/python -m pytest -n $(WORKERS) -m 'not serial' --cov --cov-report= || { \
	  echo 'test: what failed beside others is tried once more, alone'; \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --cov --cov-append --cov-report=; }
	@echo 'test: 2 of 3: what measures or fills the machine, alone'
	@$(BIN)/python -m pytest -m serial --cov --cov-append --cov-report= || test $$? -eq 5 # 5: there is none
	@echo 'test: 3 of 3: branch coverage of the pure parts'
	@$(BIN)/coverage report --include='$(subst $(space),$(comma),$(addprefix orchestra/,$(COVERED)))' --fail-under=100
	@echo "test: all good, $(TOOK) in all"

check: env ## lint, format, types, layers, and that nothing generated has drifted
	@echo 'check: 1 of 5: lint (ruff check)'
	@$(BIN)/ruff check --quiet
	@echo 'check: 2 of 5: format (ruff format --check)'
	@$(BIN)/ruff format --check || { echo 'check: make format mends it'; exit 1; }
	@echo 'check: 3 of 5: types (mypy --strict)'
	@$(BIN)/mypy --strict --no-error-summary orchestra
	@echo 'check: 4 of 5: layers (lint-imports)'
	@$(BIN)/lint-imports --no-logo >.venv/layers.log || { cat .venv/layers.log; exit 1; }
	@echo 'check: 5 of 5: what is generated (orchestra compile --check)'
	@$(BIN)/orchestra compile --check
	@echo "check: all good, $(TOOK) in all"

bench: env browser ## the figures of docs/benchmarks.md, measured on this machine
	$(ACTIVE) $(BIN)/python -m bench

clean: ## remove the environment, the caches and the records of runs
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* .doit.db*
	@rm -rf build dist tests/npm/node_modules tests/npm/.stamp* .orchestra/*/runs
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'clean: .venv, caches and records of runs are gone'

format: env ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# uv resolves for all platforms at once; the result names no index, so that everybody's own is used.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

lock: ## resolve the requirements anew (needs uv)
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) --group dev pyproject.toml --constraints requirements.txt --output-file requirements-dev.txt

env: ## make or refresh .venv from the locks
	@test -n '$(PYTHON)' || { echo 'set-up: no Python 3.11 or later on PATH; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py env

browser: env ## find a browser that starts, else install one
	@$(BIN)/python scripts/bootstrap.py browser --optional
