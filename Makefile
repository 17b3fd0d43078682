# Two environments: .venv has what a user installs, .venv-dev everything that the tests need.
PYTHON ?= python3
VENV ?= .venv
DEV ?= .venv-dev
DOCS ?= .venv-docs
LOWEST ?= .venv-lowest
# --system-site-packages shows python3-picamera2, which comes from apt
VENV_OPTIONS ?=
MINUTES ?= 10
# tests at a time; 0: one after the other, in this process
WORKERS ?= 2
# A worker that dies ends the run, and its test is named: the rest of a dead worker's file is
# otherwise run again at the end, where it can hang
PYTEST = -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0

.PHONY: demo test test-slow test-all test-lowest lint docs benchmark fuzz clean

demo: $(VENV)/installed
	$(VENV)/bin/fer infer examples/astronaut.jpg --save demo

test: $(DEV)/installed
	$(DEV)/bin/python $(PYTEST)

# what takes long and is still worth it; pytest fails where it finds none
test-slow: $(DEV)/installed
	$(DEV)/bin/python $(PYTEST) -m slow

test-all: test test-slow

# under the lowest version of each library that users install: the tests that call the libraries.
# Old libraries warn of their newer neighbours, so warnings aren't errors here
LOWEST_TESTS = tests/runtime tests/serve tests/commands/test_infer.py \
  tests/commands/test_infer_video.py tests/commands/test_serve.py \
  tests/commands/test_train.py tests/export/test_to_onnx.py tests/export/test_to_openvino.py \
  tests/export/test_to_ncnn.py tests/export/test_promise.py tests/test_telemetry.py
test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python $(PYTEST) -W default $(LOWEST_TESTS)

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
	$(DEV)/bin/pip install --quiet --editable '.[all,ray,dev]'
	touch $@

$(LOWEST)/installed: pyproject.toml tests/lowest.py
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/lowest.py >$(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt --editable '.[all]' \
	  hypothesis httpx jsonschema pytest pytest-timeout pytest-xdist
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
	rm -rf $(VENV) $(DEV) $(DOCS) $(LOWEST) site demo
