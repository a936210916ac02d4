# Three words to learn: make serve, make test, make check.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 6543
VAR ?= var
VENV := .venv
BIN := $(VENV)/bin
# UV=1 installs with uv, which must be on PATH; the result is the same.
PIP := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)
SOURCES := setup.py constraints.txt

# Another port or folder gets an ini file of its own; the plain case runs the one in the tree.
ifeq ($(PORT)$(VAR),6543var)
INI := development.ini
else
INI := $(VAR)/development.ini
endif

.PHONY: serve test test-stack check lint types services stack stack-stop bench clean help

serve: $(VENV)/.installed ## the server on this laptop, http://127.0.0.1:6543; PORT= and VAR= choose port and data folder
	@mkdir -p "$(VAR)"
ifneq ($(INI),development.ini)
	@sed -e 's#^http_port = .*#http_port = $(PORT)#' -e 's#^var = .*#var = $(abspath $(VAR))#' -e 's#%(here)s#$(CURDIR)#' \
		development.ini > "$(INI)"
endif
	@$(BIN)/photoapp -c "$(INI)" init
	@$(BIN)/photoapp -c "$(INI)" demo --minimal --output "$(VAR)/demo.json"
	@echo "photoapp is at http://127.0.0.1:$(PORT); Ctrl-C stops it"
	@exec $(BIN)/pserve "$(INI)"

test: $(VENV)/.tested-with ## the whole suite; needs nothing but Python, real PostgreSQL comes as a wheel
	$(BIN)/python -m pytest -n 2 --dist loadgroup --max-worker-restart 0 -m "not stack" $(PYTEST)

test-stack: $(VENV)/.tested-with services ## end to end, under faults and kill -9 on the production shape; one at a time, so nothing is late for a reason of ours
	$(BIN)/python -m pytest -m stack $(PYTEST)

check: lint types test ## what CI runs: lint, types, tests

lint: $(VENV)/.tested-with ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.tested-with ## strict types
	$(BIN)/mypy

services: ## the engines that no wheel brings and the tests start themselves: Debian packages, and an S3 built by Go
	@etc/services

# 6543 is the laptop's; both may run at a time.
stack: $(VENV)/.tested-with services ## the production shape on this machine, http://127.0.0.1:6600; PORT= and VAR= as above
	@$(BIN)/python etc/stack start --var "$(VAR)" --port $(if $(filter-out file,$(origin PORT)),$(PORT),6600)

stack-stop: $(VENV)/.tested-with ## stop all of it; data and secrets stay under var/stack/
	@$(BIN)/python etc/stack stop --var "$(VAR)"

bench: $(VENV)/.tested-with ## measure against baselines; report in var/bench/, figures in var/bench.json
	$(BIN)/python -m bench $(BENCH)

clean: ## remove the virtual environment and caches, never var/
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "photoapp needs Python 3.11 or newer; make PYTHON=/path/to/python3.11 ...")'
	@echo "making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python $(SOURCES)
	@echo "installing photoapp"
	@$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.tested-with: $(VENV)/.installed
	@echo "installing what the tests need"
	@$(PIP) -c constraints.txt -e '.[test]'
	@touch $@
