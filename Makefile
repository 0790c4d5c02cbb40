# Dangol: `make help` lists what there is. Everything runs from .venv, which `make install` makes.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install kernels demo test services check bench benchmarks mutants soak lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/installed kernels ## the environment in .venv, with the command .venv/bin/dangol

kernels: .venv/compiled

.venv/installed: pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the locked dependencies (a few minutes the first time)"
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/compiled: .venv/installed $(wildcard recommender/kernels/*.py)
	@$(BIN)/python -m recommender.kernels
	@touch $@

demo: install ## the example shop, trained and served: prints the pages to open (PORT=8000)
	@$(BIN)/dangol demo --port $(PORT)

test: install ## all the tests
	@tests/support/system-packages
	$(BIN)/pytest

services: .venv/installed ## what the tests need beyond Python, fetched ahead of them
	@tests/support/system-packages
	@$(BIN)/python -m tests.support.kafka

check: .venv/installed ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install ## speed and size, as a table with the machine and the seed
	$(BIN)/python -m tests.bench

benchmarks: install ## accuracy on the data in the folder DANGOL_BENCH_DATA names: docs/benchmarks.md; rows to look at
	$(BIN)/python -m tests.bench.accuracy
	$(BIN)/python -m tests.bench.accuracy.example_rows

mutants: install ## mutation run over the pure core
	$(BIN)/python -m tests.support.mutants

soak: install ## what takes minutes: hundreds of kills, a million products, thousands of A/A runs
	$(BIN)/pytest -m soak -n 0 --timeout 3600

lock: ## the lock file, anew from pyproject.toml
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["development"], sep="\n")' > build-group.in
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml build-group.in
	@rm build-group.in

clean: ## remove the environment and what tools left
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants
