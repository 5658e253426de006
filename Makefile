.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test test-fast check fuzz generate pictures bench growth lock fmt clean

BIN := .venv/bin
INSTALLED := .venv/installed
TESTABLE := .venv/testable
# Modules are compiled once, not by every process that a test starts.
unexport PYTHONDONTWRITEBYTECODE
# What pytest is told besides: `make test ARGS="-k webhook"`.
ARGS ?=

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## Install what is missing: system packages, .venv, locked dependencies
	@scripts/install-system $(FOR)

$(INSTALLED): requirements.lock setup.cfg setup.py pyproject.toml scripts/install-system scripts/install-python
	scripts/install-system $(FOR)
	scripts/install-python
	touch $@

# The browser and the programs that tests use. On a bare machine FOR has them installed together with all the rest.
test test-fast: FOR := test
$(TESTABLE): scripts/install-system | install
	scripts/install-system test
	touch $@

run: install ## Start everything on this machine: private MariaDB and Redis, core, gateway
	$(BIN)/skillforge up $(ARGS)

test: install $(TESTABLE) ## Every test
	$(BIN)/pytest -n 2 --reruns 1 $(ARGS)

test-fast: install $(TESTABLE) ## The tests that take no more than a second or two
	$(BIN)/pytest -n 2 -m "not slow" $(ARGS)

check: install ## Format, lint, types, import rules, contract rules, stubs up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/check-contract

fuzz: install $(TESTABLE) ## Send requests made of the OpenAPI document: `make fuzz ARGS="--examples 200 --seed 7"`
	$(BIN)/python -m tests.fuzz $(ARGS)

generate: install ## Write generated/ anew from protos/
	$(BIN)/python scripts/generate.py

pictures: FOR := test
pictures: install $(TESTABLE) ## Take the pictures of the README anew from a running demo school
	$(BIN)/python scripts/pictures.py

bench: FOR := bench
bench: install ## Measure, and print the ratios
	$(BIN)/python -m benchmarks $(ARGS)

growth: install ## Measure the hot calls on 10 thousand and on 10 million rows of progress; minutes and gigabytes
	$(BIN)/python -m benchmarks.growth $(ARGS)

lock: install ## Take the newest dependencies setup.cfg allows into requirements.lock
	$(BIN)/uv pip compile setup.cfg --extra dev --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file requirements.lock

fmt: install ## Format, and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove all that the other targets made, .venv too
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
