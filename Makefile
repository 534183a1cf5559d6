# Everything a person or CI runs. Works from an empty clone with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OPENMMLAB := $(VENV)/.openmmlab
# One torch thread: on shared cores two threads wait for each other.
export OMP_NUM_THREADS ?= 1

.PHONY: install openmmlab demo test test-quick check docs pictures mutants figures bench bench-real dist clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is %s" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

openmmlab: $(OPENMMLAB)

# mmpose asks for packages that do not build (chumpy) or do not load (xtcocotools) and that it does not need.
$(OPENMMLAB): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[openmmlab]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps mmpose
	touch $@

demo: install
	$(BIN)/gepc-pipeline demo --out demo

# A process on each core, four at most; a file's tests stay together, since they share what takes long to make.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: install openmmlab
	$(PYTEST)

test-quick: install openmmlab
	$(PYTEST) -m 'not slow'

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell .
	$(BIN)/mypy

# The pages that are made from the code, and the documentation site, in build/site: open build/site/index.html. A
# warning is an error.
docs: install
	$(BIN)/python -m documentation.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# The pictures of README and docs, from the demo. Needs Chromium; look at them.
pictures: demo
	$(BIN)/python -m documentation.pictures

# Do the quick tests see small changes of what differs from main? MODULES="a.py b.py", or OPTIONS="--all --sample 60".
mutants: install
	$(BIN)/python -m benchmarks.mutants $(OPTIONS) $(MODULES)

# Makes figures of README and docs anew and puts them there: NAME="pedestrians overhead"; without a name, lists them with their time.
figures: install
	$(BIN)/python -m benchmarks.figures $(NAME)
	$(if $(NAME),$(BIN)/python -m benchmarks.figures --show)

# Needs GEPC_SAMPLE_DATA; ends with hr_avenue_micro_auc and hr_avenue_macro_auc.
bench-real: install
	$(BIN)/python -W ignore -m benchmarks.real --out bench-real

# Wheel and source archive, in dist/.
dist: install
	$(BIN)/python -m build --outdir dist

bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf build demo dist .pytest_cache .mypy_cache .ruff_cache
