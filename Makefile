# `make demo` and `make test` need nothing but this checkout, Python 3.11 or newer, and a network. `make help` lists the rest.

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench crash-table format environment servers constraints clean

PYTHON ?=
# Test processes side by side: most of the time goes by in waiting for servers.
WORKERS ?= 2
VENV_PYTHON := .venv/bin/python

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: environment ## Start real servers here, send messages everywhere, show what arrived; ONCE=1 ends by itself
	@exec $(VENV_PYTHON) -m router demo $(if $(filter-out 0,$(ONCE)),--once)

test: environment servers ## Run the tests; ARGS='tests/routing -x' for some of them
	@exec $(VENV_PYTHON) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: environment ## Check style, format and types
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

check: lint test ## Everything that CI checks

bench: environment ## Measure the router against its floors (about 35 minutes); ARGS='--quick' for a look
	@exec $(VENV_PYTHON) -m benchmarks $(ARGS)

crash-table: environment servers ## Kill everything under way, count what arrived (about 25 minutes); ARGS='--quick' for a look
	@exec $(VENV_PYTHON) -m benchmarks.crash $(ARGS)

format: environment ## Put the format right
	$(VENV_PYTHON) -m ruff format .

environment: ## Make .venv, if it is not there as it should be
	@PYTHON='$(PYTHON)' sh scripts/environment.sh

servers: environment ## Install the servers that demo and tests run, PouchDB Server and Synapse, into .local
	@$(VENV_PYTHON) -m router.demo.install

constraints: ## Pin the newest packages that pyproject.toml allows (needs uv)
	@sh scripts/constraints.sh

clean: ## Remove the environment, the installed servers and everything made along the way
	rm -rf .venv .local dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find router tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
