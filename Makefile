# `make demo` and `make test` install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench clean

# What times photos on the virtual phone is built first, where its sources can be had.
demo: $(STAMP)
	@$(BIN)/python device/stage_bench/build.py --target host || echo "going on without stage_bench"
	$(BIN)/fer-opt demo --out runs/demo

# Two at a time, as most tests wait or use one core; then those that compare times.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not alone"
	$(BIN)/python -m pytest -m alone

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/check_wheel.py

bench: $(STAMP)
	$(BIN)/python benchmarks/overhead.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "fer-opt needs Python 3.11 to 3.13 (TensorFlow has no other); name one with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
