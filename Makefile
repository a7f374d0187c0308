# What one does with this checkout. It needs make and Python 3.11 or newer, and writes nothing
# outside the checkout but pip's cache. `make` alone lists the targets.

VENV ?= .venv
PYTHON ?=
UV ?= uv
ARGS ?=

python := $(VENV)/bin/python
pip := $(python) -m pip --disable-pip-version-check install -qq
lock := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --upgrade --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url

.DELETE_ON_ERROR:
.PHONY: help run test lint types layers bench check docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed ## set up and try it: a development Hub, the sidecar and a chat
	@$(python) -m sidecar dev $(ARGS)

test: $(VENV)/.installed-dev ## set up and run the tests (ARGS="-k word" for some)
	@$(python) -m pytest -q -n auto --maxprocesses 8 --dist worksteal $(ARGS)

lint: $(VENV)/.installed-dev ## ruff: rules and format
	@$(python) -m ruff check --quiet . && $(python) -m ruff format --quiet --check . \
		&& echo "ruff: fine"

types: $(VENV)/.installed-dev ## mypy, strict
	@$(python) -m mypy

layers: $(VENV)/.installed-dev ## import-linter: who may import whom
	@$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.installed-dev ## the benchmarks, short (FULL=1 for the real figures)
	@$(python) -m benchmarks $(if $(FULL),,--smoke) $(ARGS)

check: lint types layers test ## every gate

docs: $(VENV)/.installed ## renew the tables of docs/ from the schema and the code
	@$(python) .ci/reference.py

lock: ## renew requirements/*.txt from pyproject.toml; needs uv
	@$(UV) --version >/dev/null || { echo "make lock needs uv: name it with UV=/path/to/uv"; exit 1; }
	@$(lock) pyproject.toml -o requirements/run.txt >/dev/null
	@$(lock) --group pyproject.toml:build -c requirements/run.txt -o requirements/build.txt >/dev/null
	@$(lock) pyproject.toml --group pyproject.toml:dev -c requirements/run.txt \
		-c requirements/build.txt -o requirements/dev.txt >/dev/null

clean: ## remove the environments, caches and builds
	@rm -rf .venv .venv-* dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(python):
	@found=$$(sh .ci/python "$(PYTHON)") \
		&& echo "Making $(VENV) with $$("$$found" --version) ($$found)" \
		&& "$$found" -m venv --clear $(VENV)

$(VENV)/.installed: requirements/run.txt requirements/build.txt pyproject.toml | $(python)
	@echo "Installing what sidecar needs into $(VENV)"
	@$(pip) --require-hashes -r requirements/run.txt -r requirements/build.txt
	@$(pip) --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	@echo "Installing the tests' and checks' tools into $(VENV)"
	@$(pip) --require-hashes -r requirements/dev.txt
	@touch $@
