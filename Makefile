# Mailhub's front door for developers. Each target works from a fresh clone; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
COMPILE := $(VENV)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.PHONY: help run test check bench lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Mailhub needs Python 3.11 or newer ($(PYTHON) is older). Set PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(PY)
	$(PIP) install --quiet --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(PY)
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## everything on this machine, in the foreground; Ctrl-C stops it
	@exec $(PY) -m mailhub.run

test: $(VENV)/.dev ## the whole suite, with what it needs installed first
	@PY=$(PY) tests/run

check: $(VENV)/.dev ## format, lint, types, imports, deployment checks, migrations, advisories
	@PY=$(PY) .ci/check

bench: $(VENV)/.dev ## side-by-side measurements as ratios
	@$(PY) -m bench

lock: | $(PY) ## pin the newest versions that the .in files allow, with hashes
	$(PIP) install --quiet pip-tools
	$(COMPILE) --upgrade -o requirements.txt requirements.in
	$(COMPILE) --upgrade -o requirements-dev.txt requirements-dev.in
