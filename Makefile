# make search: a first search and its genotype, from nothing. make test: everything the CI runs but the wheel.
# make docs: the documentation as a site, to be read from site/index.html without a network.
PYTHON ?= python3
VENV ?= .venv
TORCH ?=  # such as torch==2.6.*, to choose among the versions that pyproject.toml allows
BIN := $(VENV)/bin

.PHONY: search test lint docs clean

search: $(VENV)/installed
	$(BIN)/python -m nas_reid.search experiment=auto_reid_synthetic_search

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 WANDB_MODE=disabled $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet $(TORCH) --editable ".[dev]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet $(TORCH) --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist site
