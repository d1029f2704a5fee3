# `make help` lists what there is. Everything is installed into .venv, and only again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin
# Bytecode is written when a module is first loaded: of what is installed, most never is.
INSTALL := $(BIN)/pip install --quiet --no-compile
DEMO := --store out/demo --config examples/sample/triage.yml
STUDY := --methods naive-bayes,tfidf,embedding,neighbours,adapted --slices 8,32 --seeds 2 --min-examples 10

.DEFAULT_GOAL := help
.PHONY: help demo demo-github docs test types tests lock image

# Whatever the machine is set to: the tests start hundreds of processes, and each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' Makefile

demo: .venv/demo.stamp ## learn from the sample issues, label new ones, and compare methods on them
	$(BIN)/triage retrain --from examples/sample/issues.jsonl $(DEMO)
	$(BIN)/triage label --from examples/sample/new.jsonl $(DEMO)
	$(BIN)/triage evaluate --from examples/sample/issues.jsonl --config examples/sample/triage.yml $(STUDY) \
		--out out/demo/evaluation
	$(BIN)/triage backfill --from examples/sample/new.jsonl $(DEMO) --out out/demo/backfill
	@echo "Look at both pages in a browser:"
	@echo "  what the labels of a backfill would be   file://$(CURDIR)/out/demo/backfill/plan.html"
	@echo "  how good labels are, method by method    file://$(CURDIR)/out/demo/evaluation/report.html"

demo-github: .venv/demo.stamp ## follow one issue through a repository on a fake GitHub, in a minute (needs npm)
	@$(BIN)/python -m tests.fake_github.demo

docs: .venv/docs.stamp ## build the site of docs/ into build/site; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Without network: OFFLINE=1. Without Chromium: NO_BROWSER=1. The last line then says how many tests that skips.
FLAGS := $(if $(OFFLINE),--offline) $(if $(NO_BROWSER),--no-browser) $(if $(NO_STRACE),--no-strace)
test: .venv/test.stamp ## lint, types and every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(if $(OFFLINE),,$(BIN)/python tests/fetch_specs.py)
	@$(MAKE) --no-print-directory --jobs=2 types tests

# At the same time, since neither keeps every core busy to its end. The tests end last.
types:
	$(BIN)/mypy

tests:
	$(BIN)/pytest --numprocesses auto --dist worksteal $(FLAGS)

lock: .cache/uv/bin/uv ## resolve requirements/*.lock again, with hashes
	requirements/compile

image: ## build the two images of the action
	docker build --target label --tag triage .
	docker build --target learn --tag triage-learn .

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | $(BIN)/python
	$(INSTALL) --editable ".[demo]"
	touch $@

.venv/docs.stamp: pyproject.toml | $(BIN)/python
	$(INSTALL) --editable ".[docs]"
	touch $@

# LOCKED=1 takes the very versions that are released (Linux x86-64, Python 3.11). Without it pip chooses, and
# takes PyTorch with CUDA; PIP_FIND_LINKS=https://download.pytorch.org/whl/cpu/torch/ offers the small build.
.venv/test.stamp: pyproject.toml requirements/dev.lock | $(BIN)/python
	$(if $(LOCKED),$(INSTALL) --require-hashes -r requirements/dev.lock -r requirements/build.lock)
	$(INSTALL) --editable $(if $(LOCKED),. --no-deps --no-build-isolation,".[dev]")
	touch $@

.cache/uv/bin/uv:
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/pip install --quiet uv==0.13.9
