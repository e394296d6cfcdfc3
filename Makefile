# Everything is set up in .venv from the locked constraints; nothing else on the machine changes.
# Works with GNU make 3.81, which macOS ships.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test check matrix chaos bench format lock clean

demo: .venv/.ready
	@$(BIN)/mesh demo

# quick leaves out what is marked thorough; CI runs everything with PROFILE=thorough.
# One worker more than there are cores: many tests wait for a daemon that starts or dies.
PROFILE ?= quick
SELECT_quick := -m "not thorough"
SELECT_thorough :=
test: .venv/.ready-dev
	@case "$(PROFILE)" in quick|thorough) ;; *) echo "make: PROFILE is quick or thorough" >&2; exit 2;; esac
	@$(BIN)/python -m compileall -q agentd cli common hubd imsgd tui
	@$(PYTEST) -n $${MESH_TEST_WORKERS:-$$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))} --dist loadgroup $(SELECT_$(PROFILE))

check: .venv/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The daemons' clean stop on every other Python that is on this machine.
matrix: .venv/.ready-dev
	@sh .ci/matrix

chaos: .venv/.ready-dev
	@$(BIN)/python -m tests.chaos

bench: .venv/.ready-dev
	@$(BIN)/python -m benchmarks

format: .venv/.ready-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Needs uv on the PATH. Writes names, versions and hashes only.
lock:
	uv pip compile pyproject.toml --group build $(LOCK) --output-file constraints.txt
	uv pip compile pyproject.toml --group build --group dev $(LOCK) --constraint constraints.txt \
		--output-file constraints-dev.txt
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "make: $(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)" >&2; \
		exit 1; }

.venv/.ready: .venv/bin/python constraints.txt pyproject.toml
	@echo "Setting up .venv …" >&2
	@$(PIP) install --require-hashes --requirement constraints.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.ready-dev: .venv/.ready constraints-dev.txt
	@echo "Setting up the tests …" >&2
	@$(PIP) install --require-hashes --requirement constraints-dev.txt
	@touch $@
