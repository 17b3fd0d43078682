# Two environments: .venv has what a user installs, .venv-dev everything that the tests need.
PYTHON ?= python3
VENV ?= .venv
DEV ?= .venv-dev

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(VENV)/bin/fer infer --device cpu examples/astronaut.png

test: $(DEV)/installed
	$(DEV)/bin/python -m pytest

lint: $(DEV)/installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable .
	touch $@

$(DEV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --editable '.[all,dev]'
	touch $@

clean:
	rm -rf $(VENV) $(DEV)
