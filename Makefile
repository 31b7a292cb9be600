# make train, make test: each sets up what it needs in .venv, and runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: train docs test test-processors test-versions lint types clean

# SimpleNet with batch norm learns from the first step. ARGS may name another network, or files that say which it is.
FIRST := $(if $(filter --model% --resume% --weights% -h --help,$(ARGS)),,--model simplenet-bn)

train: $(VENV)/.engine  ## train a network on the embedded images, with our own engine (no torch needed)
	$(BIN)/python train_minigrad.py $(FIRST) $(ARGS)

test: $(VENV)/.tests  ## prove the gradients against PyTorch, and everything else
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow" $(ARGS)

test-processors: $(VENV)/.tests  ## by hand: the tests as other processors would run them (docs/processors.md)
	$(BIN)/python tools/processors.py $(ARGS)

test-versions: $(VENV)/.tests  ## by hand: the tests under every Python here (docs/versions.md)
	$(BIN)/python tools/versions.py $(ARGS)

docs: $(VENV)/.docs  ## the documentation as a site, in build/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)

lint: $(VENV)/.tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.tests
	$(BIN)/mypy

$(VENV)/.engine: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.tests: pyproject.toml $(VENV)/.engine
	$(BIN)/pip install --quiet --editable ".[reference,dev]"
	touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.tests
	$(BIN)/pip install --quiet --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
