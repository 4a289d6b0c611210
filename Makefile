# make up            start the platform on this machine, run the demo, print the address
# make test          everything that needs neither root nor a cluster
# make test-cluster  as root: build and start a Kubernetes, run the rest
unexport PYTHONDONTWRITEBYTECODE  # hundreds of processes start, all of the same sources
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
PACKAGES := .venv/.packages
LAB := server_extensions/atelier_server/labextension/package.json
LAB_SOURCES := $(shell find labextensions -name node_modules -prune -o -name lib -prune -o -name __pycache__ -prune -o -type f \
  ! -path '*/api/src/schema.ts' ! -name '*.tsbuildinfo' ! -path '*/.yarn/*' -print)
# Large pages: on a virtual machine Python programs take half the time, and the tests start hundreds of them.
LARGE_PAGES := $(shell grep -qsE '\[(always|madvise)\]' /sys/kernel/mm/transparent_hugepage/enabled && \
  echo PYTHONMALLOC=malloc GLIBC_TUNABLES=glibc.malloc.hugetlb=1)
PYTEST := $(LARGE_PAGES) $(BIN)/python -m pytest $(PYTEST_ARGS)
PROCESSES ?= 2
# Beside them, for the quick folders at the end.
SPARE := 1
BY_FOLDER := --dist loadscope --no-loadscope-reorder
# It invents requests while tests are collected, in every process.
NO_INVENTING := -p no:schemathesis

.PHONY: help up down venv wheel test lint test-cluster test-together test-alone cluster-for-tests test-heavy cluster-up cluster-down bench lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# --- using it ---

up: $(READY) ## start the platform, run the demo, print the address
	@$(BIN)/atelier up
	$(BIN)/atelier demo

down: $(READY) ## stop the platform; its data stays
	@$(BIN)/atelier down

# --- the environment ---

venv: $(READY) ## .venv with the locked packages and this tree

# uv comes from the lock like everything else, by pip; then uv installs the rest in seconds.
$(PACKAGES): requirements.lock
	@if [ -z "$(PYTHON)" ]; then
	  echo "Atelier needs Python 3.11, 3.12 or 3.13 and found none; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1
	fi
	if [ ! -x $(BIN)/python ] && ! $(PYTHON) -m venv .venv; then
	  rm -rf .venv
	  echo "This Python cannot make environments. On Debian and Ubuntu: apt-get install -y python3-venv" >&2; exit 1
	fi
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	touch $@

# What JupyterLab loads; a change of a source is seen when the page is loaded again.
$(LAB): $(LAB_SOURCES) docs/openapi.json | $(PACKAGES)
	@$(BIN)/python labextensions/build_hook.py
	touch $@

# The link goes before the installation, which would else write through it into the sources.
$(READY): $(PACKAGES) pyproject.toml hub/sdk/pyproject.toml hub/serve/pyproject.toml | $(LAB)
	@extensions=.venv/share/jupyter/labextensions/@atelier
	rm -rf $$extensions/lab
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e hub/sdk -e hub/serve -e .
	rm -rf $$extensions/lab && mkdir -p $$extensions
	ln -s "$(CURDIR)/$(dir $(LAB))" $$extensions/lab
	touch $@

lock: $(READY) ## choose the newest packages that fit, for every supported Python
	@$(BIN)/uv pip compile pyproject.toml --upgrade --quiet --universal --python-version 3.11 --all-extras --group dev \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package atelier-sdk \
	  --no-emit-package atelier-serve -o requirements.lock

wheel: $(PACKAGES) ## the distributions, as they are published: dist/
	@rm -rf dist $(dir $(LAB)) hub/atelier_cli/platform/node/carried
	$(BIN)/uv build --quiet --out-dir dist .
	$(BIN)/uv build --quiet --out-dir dist hub/sdk
	$(BIN)/uv build --quiet --out-dir dist hub/serve

clean: ## remove what is built; the platform's data stays
	@rm -rf $(dir $(LAB)) labextensions/node_modules labextensions/packages/*/lib labextensions/packages/*/tsconfig.tsbuildinfo
	rm -rf hub/atelier_cli/platform/node/carried .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# --- tests ---

lint: $(READY) ## ruff and mypy (import contracts are in tests/test_architecture.py)
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy --cache-dir $(HOME)/.cache/atelier/mypy

test: lint ## everything that needs neither root nor a cluster
	@$(BIN)/python -m tests.harness.apt
	$(PYTEST) -n $$(($(PROCESSES) + $(SPARE))) --spare $(SPARE) $(BY_FOLDER) -m "not cluster and not root and not heavy"

test-cluster: test-together test-alone ## as root: start a Kubernetes and run what needs it, and what needs root

test-together: cluster-for-tests
	@$(PYTEST) $(NO_INVENTING) -n $(PROCESSES) $(BY_FOLDER) -m "(cluster or root) and not alone and not heavy"

test-alone: cluster-for-tests
	@$(PYTEST) $(NO_INVENTING) -m "alone" $$(grep -rl --include='*.py' 'mark\.alone' tests)

cluster-for-tests: $(READY)
	@if [ "$$(id -u)" != 0 ]; then echo "make test-cluster needs root: it starts containers and other people's processes." >&2; exit 1; fi
	$(BIN)/python -m tests.harness.apt
	if [ -z "$${ATELIER_TEST_KUBECONFIG:-}" ]; then $(BIN)/python -m tests.harness.cluster up --clean; fi

test-heavy: $(READY) ## PyTorch and TensorFlow: gigabytes of downloads
	@$(PYTEST) -m heavy

bench: $(READY) ## speed through the public API, beside other engines; prints a table
	@$(BIN)/python -m tests.benchmarks

cluster-up: $(READY) ## start the test cluster (builds it the first time)
	@$(BIN)/python -m tests.harness.cluster up

cluster-down: $(READY) ## stop the test cluster
	@$(BIN)/python -m tests.harness.cluster down
