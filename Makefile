# Each target works on a fresh clone with nothing but Python 3.11+ and make, and says what it does.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help run test check format bench clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tenant-router needs Python 3.11 or newer; say which one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing what the router needs"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what its tests need"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(VENV)/.run  ## Start the router with two demo tenants
	@$(BIN)/tenant-router demo

test: $(VENV)/.dev  ## Run every test
	@$(BIN)/python -m pytest -n auto

check: $(VENV)/.dev  ## Lint, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Measure the router against nginx
	@$(BIN)/python bench/run.py

clean:  ## Remove the environment and the demo's data
	@rm -rf $(VENV) demo-data
