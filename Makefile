# Everything a contributor needs, from a bare machine with python3 (3.11 or later) and make.
# The first target that needs it makes .venv; afterwards that costs nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
UV := $(BIN)/uv
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
# Installed means active, and these let nobody in without a token, or nobody in a hurry, or watch what
# happens: here they are on Python's path only, and tests name them where they want them. Their
# dependencies are in the group "test".
ON_PATH := plugins/wsframe-auth plugins/wsframe-monitoring plugins/wsframe-ratelimit
INSTALLED := $(filter-out $(ON_PATH),$(PLUGINS))
PROJECTS := pyproject.toml $(PLUGINS:%=%/pyproject.toml)
INNER := config hooks http logs messages protocol routing server session
INSTALL := $(UV) pip install --quiet --python $(PY) --constraints constraints.txt --build-constraints constraints.txt

# The certificates the machine trusts, and a cache inside the tree: nothing depends on HOME.
export UV_SYSTEM_CERTS := 1
export UV_CACHE_DIR ?= $(CURDIR)/.uv-cache
export UV_NO_PROGRESS := 1
export UV_LINK_MODE ?= copy
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport VIRTUAL_ENV

##@ Use

.PHONY: demo
demo: $(READY)  ## Start the demo chat and print its address
	@$(BIN)/wsframe demo $(ARGS)

.PHONY: help
help:  ## This list
	@awk -F':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "ARGS='…' is handed on: make unit ARGS='tests/session -x'"

##@ Check

.PHONY: unit
unit: $(READY)  ## The fast tests of the inner layers, in less than a minute
	@HYPOTHESIS_PROFILE=quick $(PY) -m pytest -m "not slow and not browser" $(if $(ARGS),$(ARGS),$(INNER:%=tests/%))

.PHONY: test
test: $(READY)  ## All tests; the last lines say what was skipped and why
	@$(PY) -m pytest $(ARGS)

.PHONY: lint
lint: $(READY)  ## Style, format, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy wsframe
	@for plugin in $(PLUGINS); do $(BIN)/mypy "$$plugin"/wsframe_*; done
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(READY)  ## Bring the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# A test file is one process's. There are more of them than cores, because many tests wait for servers.
# The files come in the order of tests/conftest.py, not in that of their sizes.
PARALLEL ?= --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: coverage
coverage: $(READY)  ## All tests with branch coverage: 100 % of the sans-IO layers, 95 % of the whole
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PARALLEL) $(ARGS)
	@$(MAKE) coverage-report

.PHONY: coverage-report
coverage-report:
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=95
	@$(BIN)/coverage report --fail-under=100 --include='wsframe/protocol/*,wsframe/messages/*,wsframe/session/*'

.PHONY: conformance
conformance: $(READY)  ## The RFC 6455 and RFC 7692 cases against the native server
	@$(PY) tools/conformance.py $(ARGS)

.PHONY: fuzz
fuzz: $(READY)  ## 1,000,000 mutated byte streams against the protocol layer
	@$(PY) tools/fuzz_protocol.py $(ARGS)

.PHONY: simulate
simulate: $(READY)  ## Bad networks and servers that die, in virtual time: was the promise kept?
	@$(PY) -m tools.simulate $(ARGS)

.PHONY: bench
bench: $(BENCH_READY)  ## wsframe beside its peers, in one run, as ratios
	@$(PY) -m benchmarks $(ARGS)

##@ Publish

.PHONY: docs
docs: $(READY)  ## Renew the generated pages; check examples, links and completeness
	@$(PY) -m tools.write_reference
	@$(PY) -m pytest tests/docs $(ARGS)

.PHONY: build
build: $(READY)  ## Wheel and source archive of wsframe and of each plugin, into dist/
	@rm -rf dist
	@$(UV) build --quiet --python $(PY) --no-build-isolation --out-dir dist .
	@for plugin in $(PLUGINS); do $(UV) build --quiet --python $(PY) --no-build-isolation --out-dir dist "$$plugin"; done
	@ls -1 dist

##@ Environment

.PHONY: venv
venv: $(READY)  ## Make or refresh .venv

.PHONY: lock
lock: $(UV)  ## Renew the pinned versions in constraints.txt
	@tools/lock $(UV)

.PHONY: clean
clean:  ## Remove everything that make can make again
	@rm -rf $(VENV) .venv-* .uv-cache build dist site htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): tools/find-python tools/make-venv
	@python="$$(tools/find-python)"; tools/make-venv "$$python" $(VENV)
	@$(PY) -m pip install --quiet --constraint constraints.txt uv
	@touch $(UV)

$(READY): $(UV) $(PROJECTS) constraints.txt
	@$(INSTALL) --group dev --editable . $(INSTALLED:%=--editable ./%)
	@packages="$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
	  printf '%s\n' $(ON_PATH:%='$(CURDIR)/%') >"$$packages/wsframe-on-path.pth"
	@touch $(READY)

$(BENCH_READY): $(READY)
	@$(INSTALL) --group bench
	@touch $(BENCH_READY)
