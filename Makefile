# Shortcuts for work on the library; `make` lists them. They use the Python on PATH:
#   python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[dev,bench]"

PYTHON ?= python
COMPILED = $(subst /,.,$(basename $(wildcard cbackprop/*.pyx cbackprop/kernels/*.pyx)))
INSTALL = $(PYTHON) -m pip install --quiet --no-build-isolation --no-deps --upgrade
# -P keeps the source folder, which has other compiled modules or none, off the path
PYTEST_IN = PYTHONPATH=$(CURDIR)/$(1) $(PYTHON) -P -m pytest
# GCC 12 would put frames on a stack of the sanitizer's own, where registers of AVX-512 are not aligned
PYTEST_IN_ADDRESS = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 $(call PYTEST_IN,build/address/site)
FULL = --full --timeout 0 --report docs/promises.md

.DEFAULT_GOAL := help
.PHONY: help build test lint types debug-test address-test promises soak coverage demo
.PHONY: docs linkcheck bench history history-site bench-check bench-quick gate gate-check gate-sites dist clean

help:  ## list these shortcuts
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build:  ## compile in place what has changed
	$(PYTHON) setup.py --quiet build_ext --inplace

test: build  ## run the tests, and the examples in docstrings, on what was built in place
	$(PYTHON) -m pytest

lint:  ## style of Python and Cython
	ruff check .
	ruff format --check .
	cython-lint cbackprop

types:  ## static types, and the stubs against the installed compiled modules
	$(PYTHON) -m mypy
	$(PYTHON) -P -m mypy.stubtest --mypy-config-file pyproject.toml $(COMPILED)

debug-test:  ## the tests on a build with bounds checks, assertions and traps for undefined behavior
	CBACKPROP_DEBUG=1 $(INSTALL) --target build/debug/site .
	$(call PYTEST_IN,build/debug/site)

# tests that tell nothing of compiled code; some measure memory, of which the sanitizer takes its own
PURE_PYTHON = $(patsubst %,--ignore tests/test_%.py,command dask examples onnx plot river sklearn)

address-test:  ## the same, with every access to memory checked by GCC's AddressSanitizer
	CBACKPROP_DEBUG=address $(INSTALL) --target build/address/site .
	$(PYTEST_IN_ADDRESS) $(PURE_PYTHON)
	$(PYTEST_IN_ADDRESS) tests/promises/test_bad_inputs.py

promises: build  ## every promise put to the test a little: minutes
	$(PYTHON) -m pytest tests/promises

soak: build  ## every promise put to the test in full, and a report of it in docs/promises.md: hours
	$(PYTHON) -m pytest tests/promises $(FULL)
	CBACKPROP_DEBUG=address $(INSTALL) --target build/address/site .
	$(PYTEST_IN_ADDRESS) tests/promises/test_bad_inputs.py $(FULL)

coverage:  ## lines and branches of the compiled code that the tests run; fails below 95 %
	CBACKPROP_COVERAGE=1 $(INSTALL) --target build/coverage/site .
	find build/coverage -name '*.gcda' -delete
	$(call PYTEST_IN,build/coverage/site) $(PURE_PYTHON) -k "not float32" # both types are made of the same lines
	$(PYTHON) .ci/compiled_coverage.py build/coverage cbackprop/kernels 95

demo: build  ## the demonstration; its figure goes to build/
	$(PYTHON) -m cbackprop demo --output build/demo.png

docs:  ## the documentation, its gallery executed, in build/docs; a warning is an error
	$(PYTHON) -P -m sphinx -W --keep-going -q docs build/docs

linkcheck:  ## whether the links of the documentation to other sites still lead somewhere
	$(PYTHON) -P -m sphinx -W --keep-going -q -b linkcheck -D plot_gallery=0 docs build/linkcheck

# The machine's name in benchmarks/results. All but threads is measured on its first processor.
MACHINE ?= epyc-2core
ASV = $(PYTHON) -m benchmarks
MEASURE = $(ASV) run --machine $(MACHINE) --skip-existing-successful
PINNED = --cpu-affinity 0 --bench '^(?!threads)'
THREADS = --cpu-affinity 0,1 --bench '^threads'
RESULTS = $(PYTHON) .ci/benchmark_results.py benchmarks/results/$(MACHINE)
HISTORY = $(shell cut -d ' ' -f 1 benchmarks/history.txt)

bench:  ## measure the latest commit; results go to benchmarks/results
	$(PYTHON) -m benchmarks.machine $(MACHINE)
	$(MEASURE) $(PINNED) HEAD^!
	$(MEASURE) $(THREADS) HEAD^!
	$(RESULTS) $$(git rev-parse --short=7 HEAD)

history:  ## measure what benchmarks/history.txt names and has no results yet
	$(PYTHON) -m benchmarks.machine $(MACHINE)
	printf '%s\n' $(HISTORY) | $(MEASURE) $(PINNED) HASHFILE:-
	printf '%s\n' $(HISTORY) | $(MEASURE) $(THREADS) HASHFILE:-
	$(RESULTS) $(HISTORY)
	$(PYTHON) -m benchmarks.history benchmarks/results/$(MACHINE)

history-site:  ## the history as a site, in .asv/site; `make docs` takes it in
	$(ASV) publish --no-pull

bench-check:  ## whether the benchmarks can be imported and match their names
	$(ASV) check --python=same

bench-quick:  ## every benchmark once, in the current environment, nothing kept
	$(ASV) run --python=same --quick --show-stderr --dry-run

# what a commit installs, in a folder of its own
SITE_OF = mkdir -p build/gate/$(1) && $(GIT) archive $(2) | tar -xf - -C build/gate/$(1) && \
	$(INSTALL) --target build/gate/$(1)/site build/gate/$(1)
GIT ?= git
PARENT ?= HEAD^

gate-sites:
	rm -rf build/gate
	$(call SITE_OF,parent,$(PARENT))
	$(call SITE_OF,commit,HEAD)

gate: gate-sites  ## whether the latest commit is slower than the one before, beyond the noise
	$(PYTHON) -m benchmarks.gate build/gate/parent/site build/gate/commit/site

gate-check: gate-sites  ## whether the gate refuses a planted slowdown, and lets the same commit pass ten times
	$(PYTHON) -m benchmarks.gate_check build/gate/commit/site

dist:  ## sdist, and the wheel made from it, in dist/
	$(PYTHON) -m build

clean:  ## remove everything that these commands made
	rm -rf build dist docs/gallery .asv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find cbackprop tests benchmarks -name '__pycache__' -exec rm -rf {} +
	find cbackprop -name '*.so' -delete
