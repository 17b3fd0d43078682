# Two environments: .venv has what a user installs, .venv-dev everything that the tests need.
PYTHON ?= python3
VENV ?= .venv
DEV ?= .venv-dev
DOCS ?= .venv-docs
# --system-site-packages shows python3-picamera2, which comes from apt
VENV_OPTIONS ?=
MINUTES ?= 10
# tests at a time; 0: one after the other, in this process
WORKERS ?= 2

.PHONY: demo test test-slow test-all lint docs benchmark fuzz clean

demo: $(VENV)/installed
	$(VENV)/bin/fer infer --faces whole examples/astronaut.png

test: $(DEV)/installed
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist loadfile

# what takes long and is still worth it; pytest fails where it finds none
test-slow: $(DEV)/installed
	$(DEV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -m slow

test-all: test test-slow

lint: $(DEV)/installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(VENV)/bin/pip install --quiet --editable .
	touch $@

$(DEV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --editable '.[all,dev]'
	touch $@

# the documentation as a site in site/
docs: $(DOCS)/installed
	$(DOCS)/bin/mkdocs build --strict

$(DOCS)/installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install --quiet --editable '.[docs]'
	touch $@

# the tables of the documents, from what is kept in benchmarks/results
benchmark: $(DEV)/installed
	$(DEV)/bin/python -m benchmarks.lib.result_tables

# damaged and strange inputs by the thousand: for MINUTES, or the same CASES every time
fuzz: $(DEV)/installed
	$(DEV)/bin/python -m benchmarks.fuzz $(if $(CASES),--cases $(CASES),--minutes $(MINUTES))

clean:
	rm -rf $(VENV) $(DEV) $(DOCS) site
