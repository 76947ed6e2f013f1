# make demo       set up and run the whole study on the embedded demo
# make dashboard  open the page on its results
# make test       set up and run all tests
# make lint       formatting, style, types, and which room may import which
# make audit      licences of all dependencies, and their known faults (exit code 3 where the service is not reached)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DB ?= atlas.db

.PHONY: demo dashboard test lint audit clean

demo: $(VENV)/demo.stamp
	$(BIN)/python run_analysis.py --tasks all --db $(DB)
	@echo "open the page with: make dashboard"

dashboard: $(VENV)/demo.stamp
	$(BIN)/streamlit run dashboard/app.py -- --db $(DB)

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(VENV)/test.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit]'
	$(BIN)/python -m benchmarks.audit

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# tinysoundfont goes without its dependencies: pyaudio needs system headers to build and is not used.
$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps tinysoundfont
	touch $@

$(VENV)/test.stamp: $(VENV)/demo.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,hf,segments,test]'
	touch $@
