# Needs make and Python 3.11 or later with venv; sets up everything else in .venv.
# PYTHON=python3.12 chooses the interpreter, WORKERS=4 the number of test processes.

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
endif
# Two for each core: a test waits for half of its time, for servers, pages and limits. More gain nothing and make limits tight.
WORKERS ?= $(shell n=$$(($$(getconf _NPROCESSORS_ONLN) * 2)); echo $$((n < 8 ? n : 8)))
# A unit test waits for nothing, and each process first imports and collects them all.
CORES := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))
BIN := .venv/bin
# Without it each of the processes of the tests compiles all that it imports: a sixth of the time of a run.
unexport PYTHONDONTWRITEBYTECODE

# The pure parts, whose branches must all be covered.
COVERED := compiler/* plan.py plan_file.py steps/vocabulary.py steps/verbs/* steps/verb.py steps/step.py steps/tool_call.py steps/schemas.py \
	steps/conditions.py steps/texts.py steps/target.py gates/catalogue.py gates/expression.py names.py suggest.py \
	yamltext/decoding.py yamltext/digest.py yamltext/document.py yamltext/event.py yamltext/fault.py yamltext/parse.py \
	yamltext/scalar.py yamltext/walk.py

# As in a shell with .venv active: `python` of a spec is the first on PATH.
ACTIVE := PATH="$(CURDIR)/$(BIN):$$PATH"
DOIT := $(ACTIVE) $(BIN)/doit
LAST := .orchestra/market/runs/last
START := $(shell date +%s)
TOOK = $$(($$(date +%s) - $(START))) s

# Each process takes one part of the tests, and then from those of the others: a module and what it shares stay in one.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
COVERAGE = echo "test: the tests that were measured cover $$($(BIN)/coverage report --format=total) % of all, then the pure parts:"; \
	$(BIN)/coverage report --include='$(subst $(space),$(comma),$(addprefix orchestra/,$(COVERED)))' --fail-under=100

comma := ,
space := $() $()

.DEFAULT_GOAL := help
.PHONY: help demo demo-faults demo-scale quick test test-all check check-playwright generate bench clean format lock env browser

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: env browser ## compile the specs and run the browser suite by both methods
	@echo 'demo: 1 of 3: compiling specs/*.yaml'
	@$(BIN)/orchestra compile
	@echo 'demo: 2 of 3: this repository checks itself: doit self:cli (specs/self.yaml)'
	@$(DOIT) self:cli
	@echo 'demo: 3 of 3: the browser suite by both methods: doit (specs/market.yaml)'
	@code=0; $(DOIT) || code=$$?; \
	  echo "demo: exit code $$code, $(TOOK) in all"; \
	  echo 'demo: report: $(LAST)/report.html, as text: $(LAST)/summary.md, for CI: $(LAST)/junit.xml'; exit $$code

demo-faults: env ## break the API server of the sample: all tests pass; then slow it down until a gate stops the run
	$(BIN)/orchestra compile
	$(ACTIVE) $(BIN)/orchestra run --suite faults
	@echo 'demo-faults: again, slower, with no outage allowed: one gate warns, one stops the run with exit code 1'
	@code=0; $(ACTIVE) $(BIN)/orchestra run --suite faults --profile budget || code=$$?; \
	  test $$code -eq 1 || { echo "demo-faults: that run ended with exit code $$code instead of 1"; exit 1; }
	@echo 'demo-faults: events of the gates:'
	@$(BIN)/orchestra events --suite faults --type gate | grep 'outage_budget.*failed'
	@$(BIN)/orchestra events --suite faults --type gate | grep 'quick.*warned'

demo-scale: env browser ## run the browser suite in three shards, merge them, then run it on two nodes, of which one is killed
	$(BIN)/orchestra compile
	@folders=; for shard in 1 2 3; do \
	  echo "demo-scale: shard $$shard of 3"; \
	  $(ACTIVE) $(BIN)/orchestra run --suite market --shard $$shard/3 || exit $$?; \
	  folders="$$folders .orchestra/market/runs/$$(readlink $(LAST))"; done; \
	  echo 'demo-scale: the merge'; $(BIN)/orchestra merge $$folders
	@echo 'demo-scale: a Dask cluster of two nodes, of which one is killed'
	@$(ACTIVE) $(BIN)/python -m scripts.demo_cluster

quick: WORKERS := $(CORES)
quick: env ## the tests without processes, servers and browsers, in under a minute
	@$(PYTEST) -q tests/unit

# Measures tests/unit alone, which must cover the pure parts; `test-all` measures everything.
test: env browser ## all tests, with full branch coverage of the pure parts; T=PATH or T=EXPRESSION selects some
ifdef T
	@$(BIN)/python -m pytest $(if $(wildcard $(firstword $(subst ::, ,$(T)))),$(T),-k '$(T)')
else
	@echo 'test: 1 of 2: tests, $(WORKERS) processes'
	@$(BIN)/coverage erase
	@$(PYTEST) --dearest 20 --cov --cov-report=
	@echo 'test: 2 of 2: branch coverage'
	@$(COVERAGE)
	@echo "test: all good, $(TOOK) in all"
endif

# Measures every process of the tests, not only those of pytest: a fifth more time, and a file for each.
test-all: env browser ## all tests, the nightly ones included, with the coverage of every process
	@echo 'test-all: 1 of 2: tests, $(WORKERS) processes'
	@$(BIN)/coverage erase
	@COVERAGE_PROCESS_START='$(CURDIR)/pyproject.toml' COVERAGE_FILE='$(CURDIR)/.coverage' $(PYTEST) --dearest 20 --nightly
	@echo 'test-all: 2 of 2: branch coverage'
	@$(BIN)/coverage combine --quiet
	@$(COVERAGE)
	@echo "test-all: all good, $(TOOK) in all"

check: env ## lint, format, types, layers, generated files, wording
	@echo 'check: 1 of 6: lint (ruff check)'
	@$(BIN)/ruff check --quiet
	@echo 'check: 2 of 6: format (ruff format --check)'
	@$(BIN)/ruff format --check || { echo 'check: make format fixes it'; exit 1; }
	@echo 'check: 3 of 6: types (mypy --strict)'
	@$(BIN)/mypy --strict --no-error-summary orchestra
	@echo 'check: 4 of 6: layers (lint-imports)'
	@$(BIN)/lint-imports --no-logo >.venv/layers.log || { cat .venv/layers.log; exit 1; }
	@echo 'check: 5 of 6: generated files (scripts.generate --check, orchestra compile --check --full)'
	@$(BIN)/python -m scripts.generate --check
	@$(BIN)/orchestra compile --check --full || { echo 'check: make generate fixes it'; exit 1; }
	@echo 'check: 6 of 6: wording (scripts/words.py)'
	@$(BIN)/python scripts/words.py
	@echo "check: all good, $(TOOK) in all"

check-playwright: env browser ## the conformance tests of both drivers with the lowest, the locked and the newest Playwright
	@$(BIN)/python scripts/check_playwright.py

generate: env ## write all generated files: schemas, pages, compiled specs, golden files
	@$(BIN)/python -m scripts.generate
	@$(BIN)/orchestra compile
	@UPDATE_GOLDEN=1 $(PYTEST) -q --nightly -m golden

bench: env browser ## measure the figures of docs/benchmarks.md on this machine
	$(ACTIVE) $(BIN)/python -m bench

clean: ## remove the environment, the caches and the records of runs
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* .doit.db*
	@rm -rf build dist tests/npm/node_modules tests/npm/.stamp* tests/npm/hosts/node_modules tests/npm/hosts/.stamp* .orchestra/*/runs
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo 'clean: .venv, caches and records of runs are gone'

format: env ## format, and apply the fixes of ruff
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# uv resolves for all platforms at once; the result names no index, so that pip uses the configured one.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

lock: ## update the locks (needs uv)
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) --group dev pyproject.toml --constraints requirements.txt --output-file requirements-dev.txt

env: ## create or update .venv from the locks
	@test -n '$(PYTHON)' || { echo 'set-up: no Python 3.11 or later on PATH; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py env

browser: env ## find a browser that starts, or install one
	@$(BIN)/python scripts/bootstrap.py browser --optional
