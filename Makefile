# `make demo` on a bare machine with python3 (3.11 or newer) sets everything up first. ARGS goes to the command.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup setup-dev demo run test chaos lint format types imports check docs bench guards lock clean

help:
	@echo "make demo     show the whole product without any account (ARGS=--once: print and exit)"
	@echo "make run      run with config/distributor.yaml (ARGS=\"--config FILE\")"
	@echo "make test     run the tests (ARGS=\"tests/core -k words\")"
	@echo "make chaos    kill it at every boundary and at random, for an hour; writes docs/reliability.md"
	@echo "make check    tests, lint, types and the import contract, as CI runs them"
	@echo "make docs     write docs/configuration.md anew from the settings' models"
	@echo "make bench    measure speed and size (ARGS=\"--full --write\")"
	@echo "make guards   remove each guard against wrong sending, and see its test fail (ARGS=\"words\")"
	@echo "make setup    only make .venv/ ready"
	@echo "make lock     write the lock files anew from pyproject.toml (needs uv)"
	@echo "make clean    remove what was built, .venv/ too"

setup:
	@$(PYTHON) tools/bootstrap.py

setup-dev:
	@$(PYTHON) tools/bootstrap.py --dev

demo: setup
	@$(BIN)/distributor demo $(ARGS)

run: setup
	@$(BIN)/distributor run $(ARGS)

# Three for two processors: many tests wait for a timer or for another process. What is compiled is kept, whatever the
# environment says: workers and the processes that tests start load it from there.
test: setup-dev
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(ARGS)

# ARGS="--minutes 10 --seed 7 --only ledger"; see tests/chaos.
chaos: setup-dev
	@$(BIN)/python -m tests.chaos $(ARGS)

lint: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup-dev
	@$(BIN)/mypy

imports: setup-dev
	@$(BIN)/lint-imports

# Everything is run, so that one report names every kind of mistake.
check:
	@$(MAKE) --no-print-directory --keep-going test lint types imports

docs: setup-dev
	@$(BIN)/python tools/document_settings.py

guards: setup-dev
	@$(BIN)/python tools/prove_guards.py $(ARGS)

bench: setup-dev
	@$(BIN)/python -m benchmarks $(ARGS)

EXPORT = uv export --quiet --frozen --no-emit-project --no-annotate --no-header

lock:
	uv lock
	$(EXPORT) --no-default-groups --group build --output-file requirements.lock > /dev/null
	$(EXPORT) --all-groups --output-file requirements-dev.lock > /dev/null

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
