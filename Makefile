# Needs Python 3.11+ and make. Every target sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
PAPERMILL := $(BIN)/papermill

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-segmentation test test-all crash test-browser lint lab bench docs constraints clean

help:  ## say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

setup: .venv/ready  ## make .venv with the tested versions

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dmtkit needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## train on real handwriting (2 to 4 minutes on 2 cores) and render the notebook
	$(BIN)/dmtkit run params/digits.yaml

demo-segmentation: setup  ## train two models on digit scenes (under 5 minutes on 2 cores): weight maps and all
	$(BIN)/dmtkit run params/scenes.yaml

test: setup  ## run the tests of every day
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: setup  ## run these and the long ones
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not browser'

crash: setup  ## end runs at every file operation, damage every file, draw hostile settings by the hundred thousand (three hours)
	$(BIN)/python -m tests.crash
	$(BIN)/python -m tests.damage
	$(BIN)/python -m tests.fuzz 100000

test-browser: setup  ## try the notebooks and the explorer in JupyterLab, driven by the system's Chromium
	$(BIN)/python -m pytest -m browser tests/browser -s

lint: setup  ## check format, style, types and what bandit knows to be unsafe
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit -q -c pyproject.toml -r dmtkit
	$(BIN)/nbstripout --verify notebooks/*.ipynb

lab: setup  ## open the tour in JupyterLab
	$(BIN)/dmtkit lab $(LAB_ARGS)

bench: setup  ## run the benchmarks that need nothing but this machine (five hours)
	$(BIN)/python -m benchmarks all

docs: setup  ## run the walkthroughs and build the site in docs/_build/html; a broken link or formula fails
	$(BIN)/sphinx-build -E -W --keep-going -n -q -c docs -d docs/_build/doctrees . docs/_build/html
	@echo docs/_build/html/index.html

constraints: setup  ## write the installed versions to constraints.txt
	@(echo '# The versions that were tested together; `make` installs with them. Renewed by: make constraints'; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v ' @ ') > constraints.txt

clean:  ## remove .venv and caches; outputs/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info docs/_build docs/api
