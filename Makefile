# What one does with this checkout. It needs make and Python 3.11 or newer. Outside the checkout it
# writes pip's and npm's caches, and `make run` what `sidecar dev` keeps: ~/.local/state/sidecar/dev,
# or below the `state.dir` of config.yaml. `make` alone lists the targets.

VENV ?= .venv
PYTHON ?=
UV ?= uv
ARGS ?=
SEED ?= 1
MINUTES ?= 60
RUNS ?= 5

python := $(VENV)/bin/python
pip := $(python) -m pip --disable-pip-version-check install -qq
# Many tests wait for other processes: two workers more than there are processors.
workers := $(shell n=$$(getconf _NPROCESSORS_ONLN); [ $$n -gt 7 ] && echo 8 || echo $$((n + 2)))
lock := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --quiet --upgrade --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url

.DELETE_ON_ERROR:
.PHONY: help run test soak chaos e2e-runtimes lint types layers audit bench performance check docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed ## set up and try it: a development Hub, the sidecar and a chat
	@$(python) -m sidecar dev $(ARGS)

test: $(VENV)/.installed-dev ## set up and run the tests (ARGS="-k word" for some)
	@$(python) -m pytest -q -n $(workers) --dist worksteal $(ARGS)

e2e-runtimes: $(VENV)/.installed-dev ## the real CLIs, which npm installs, against played model APIs
	@$(python) -m tests.e2e $(ARGS)

soak: $(VENV)/.installed-dev ## 20,000 turns in a row: nothing grows (SEED=1, MINUTES=60)
	@PROOFS_MINUTES=$(MINUTES) PROOFS_SEED=$(SEED) $(python) -m pytest -q -s \
		tests/proofs/test_soak.py $(ARGS)

chaos: $(VENV)/.installed-dev ## deaths, faults, saves, strange bytes (SEED=1, MINUTES=60, ARGS="-k word")
	@PROOFS_MINUTES=$(MINUTES) PROOFS_SEED=$(SEED) $(python) -m pytest -q -s \
		tests/proofs tests/codecs tests/config tests/core tests/prompts \
		--ignore=tests/proofs/test_soak.py $(ARGS)

lint: $(VENV)/.installed-dev ## ruff: rules and format
	@$(python) -m ruff check --quiet . && $(python) -m ruff format --quiet --check . \
		&& echo "ruff: fine"

types: $(VENV)/.installed-dev ## mypy, strict
	@$(python) -m mypy

layers: $(VENV)/.installed-dev ## who may import whom, and each module by itself
	@$(VENV)/bin/lint-imports --no-logo
	@$(python) .ci/import_each.py

audit: $(VENV)/.installed-dev ## whether a locked dependency has a known hole; asks osv.dev
	@$(python) .ci/audit.py

bench: $(VENV)/.installed-dev ## the benchmarks, short (FULL=1 for the real figures)
	@$(python) -m benchmarks $(if $(FULL),,--smoke) $(ARGS)

performance: $(VENV)/.installed-dev ## renew docs/performance.md (RUNS=5, ARGS="turn idle" for some)
	@$(pip) --require-hashes -r requirements/bench.txt
	@$(python) -m benchmarks --runs $(RUNS) --write $(ARGS)

check: lint types layers test ## every gate

docs: $(VENV)/.installed ## renew the tables of docs/ from the schema and the code
	@$(python) .ci/reference.py

lock: ## renew requirements/*.txt from pyproject.toml; needs uv
	@$(UV) --version >/dev/null || { echo "make lock needs uv: name it with UV=/path/to/uv"; exit 1; }
	@$(lock) pyproject.toml -o requirements/run.txt >/dev/null
	@$(lock) --group pyproject.toml:build -c requirements/run.txt -o requirements/build.txt >/dev/null
	@$(lock) --group pyproject.toml:bench -c requirements/run.txt -o requirements/bench.txt >/dev/null
	@$(lock) pyproject.toml --group pyproject.toml:dev -c requirements/run.txt \
		-c requirements/build.txt -o requirements/dev.txt >/dev/null

clean: ## remove the environments, caches and builds
	@rm -rf .venv .venv-* .e2e dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
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
