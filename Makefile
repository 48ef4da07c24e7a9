# `make help` lists what can be done here. Everything sets itself up: Python 3.11 or newer is all that is needed.
PYTHON ?= python3
VENV ?= .venv
# For example PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu" where no GPU build of torch is wanted.
PIP_FLAGS ?=
WORKERS ?= 2
DEMO_DIR ?= .mixtera-demo
BENCH_FLAGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo fix check test laws golden soak docs bench bench-scale bench-training wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv with everything that development needs, in the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Mixtera needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V); try make PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e ".[dev,torch,jax,s3,trainers]"
	@touch $@

demo: setup ## The whole way on a real corpus made from this machine's Python: index, explain, PyTorch, JAX, resume
	$(BIN)/mixtera demo --dir $(DEMO_DIR)

fix: setup ## Format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup ## Lint, format, types, import fences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## The tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

laws: setup ## Only the laws of the order, the resume and the plugins
	$(BIN)/python -m pytest tests/laws

golden: setup ## Write the golden files anew; look at the difference before you commit it
	$(BIN)/python -m pytest tests/golden --write-golden

soak: setup ## The property tests with thousands of examples each, and 200 kills of a service under load
	$(BIN)/python -m pytest -n $(WORKERS) --hypothesis-profile=soak --timeout=0 -o faulthandler_timeout=0

docs: setup ## Write the generated pages of docs/reference, and run every example of README and docs
	$(BIN)/python docs/generate.py
	$(BIN)/python -m pytest tests/docs

bench: setup ## Measure against physical references, and write benchmarks/RESULTS.md (BENCH_FLAGS=--full for 1 M records)
	$(BIN)/python -m benchmarks.run $(BENCH_FLAGS)

bench-scale: setup ## Measure the compiler against size, and write benchmarks/SCALE.md (BENCH_FLAGS="--rows 100M" for more)
	$(BIN)/python -m benchmarks.scale $(BENCH_FLAGS)

bench-training: setup ## Measure whether a GPT waits for its data, on the GPU if there is one (BENCH_FLAGS="--workers 0 8" …)
	$(BIN)/python -m benchmarks.training $(BENCH_FLAGS)

wheel: setup ## Build the wheel, install it into a bare environment, and use it there
	.ci/wheel "$(BIN)/python"

clean: ## Remove what was built; .venv stays
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
