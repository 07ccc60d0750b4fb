# make reproduce, make test: everything else follows. `make help` lists the targets.
.DEFAULT_GOAL := help
SCALE ?= digits
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.complete
NBVAL := $(PYTHON) -m pytest --nbval --nbval-cell-timeout 600 \
    --nbval-sanitize-with tests/nbval.cfg notebooks

AXE := tests/node_modules/axe-core/axe.min.js

export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help
help: ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

# The environment is made on first use, and anew when the list of versions changes.
$(STAMP): pyproject.toml requirements.txt
	@python=$$(for each in python3 python3.13 python3.12 python3.11; do \
	    $$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	        2>/dev/null && echo $$each && break; done); \
	test -n "$$python" || { echo 'Python 3.11, 3.12 or 3.13 is needed' >&2; exit 1; }; \
	echo "Making $(VENV) with $$($$python --version); this takes a few minutes."; \
	$$python -m venv --clear $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
	    --requirement requirements.txt
	@$(PYTHON) -m compileall -qq -j 0 $(VENV)/lib || true # Templates of some packages are no Python.
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps \
	    --no-build-isolation --editable .
	touch $@

.PHONY: reproduce
reproduce: $(STAMP) ## Execute the book's notebooks and render it (SCALE=paper writes book/).
	$(PYTHON) -m helpers.book.pages execute $(SCALE) $(if $(KEEP_STALE),--keep-stale)
	$(PYTHON) -m helpers.book.pages render $(SCALE)

.PHONY: book
book: $(STAMP) ## Render the pages in book/ as they are, without executing anything.
	$(PYTHON) -m helpers.book.pages render paper

.PHONY: pdf
pdf: book ## Print the pages in book/ as one PDF (needs Chromium).
	$(PYTHON) -m helpers.book.pages pdf paper

.PHONY: check
check: $(STAMP) ## Check style, types and most units, in some minutes; before each commit.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTHON) -m pytest -q -m "not (slow or process or browser or notebook or data or lucid)"

# What looks for faults that keep readers out. Where npm cannot bring it, its test is skipped.
$(AXE): tests/package-lock.json
	@npm ci --prefix tests --ignore-scripts --no-audit --no-fund --silent && touch $@ \
	    || echo 'npm did not bring axe-core: pages are not looked over for accessibility' >&2

.PHONY: test
test: $(STAMP) $(AXE) ## Check everything: also notebooks, processes, browser, and that the book builds.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(MAKE) --jobs 2 --output-sync=target test-units test-pages

# Halves of about the same length, at the same time: most tests keep one core busy. Results depend
# neither on oneDNN, with which outputs were made, nor on doing without it, as one notebook does.
.PHONY: test-units test-pages
test-units:
	$(PYTHON) -m pytest -m "not (browser or notebook or process or lucid)"
test-pages:
	$(NBVAL) --ignore notebooks/06-k-robustness.ipynb
	TF_ENABLE_ONEDNN_OPTS=0 $(NBVAL)/06-k-robustness.ipynb
	$(PYTHON) -m pytest -m "browser or notebook or process or lucid"

.PHONY: notebooks
notebooks: $(STAMP) ## Execute the notebooks in place, after a change, to commit their outputs.
	$(VENV)/bin/jupyter nbconvert --to notebook --inplace --execute \
	    --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

.PHONY: lab
lab: $(STAMP) ## Open JupyterLab on the notebooks.
	$(VENV)/bin/jupyter lab notebooks

.PHONY: lock
lock: ## Pin the newest versions that pyproject.toml allows (needs uv).
	uv pip compile pyproject.toml --extra book --extra dev --universal --fork-strategy fewest \
	    --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
	    --output-file requirements.txt
