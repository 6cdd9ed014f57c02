# Shortcuts for work on the library; `make` lists them. They use the Python on PATH:
#   python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[dev,bench]"

PYTHON ?= python
# All instruction sets, from the widest vectors to the narrowest
VARIANTS = $(shell $(PYTHON) -c "import runpy; print(*runpy.run_path('cbackprop/_variants.py')['VARIANTS'])")
# Modules that can be imported here: kernels of other processors may end the process
RUNS = $(shell $(PYTHON) -P -c "from cbackprop._dispatch import available_variants; print(*available_variants())")
COMPILED = $(subst /,.,$(basename $(wildcard cbackprop/*.pyx $(RUNS:%=cbackprop/kernels/%_*.pyx))))
INSTALL = $(PYTHON) -m pip install --quiet --no-build-isolation --no-deps --upgrade
# -P keeps the source folder, which has other compiled modules or none, off the path
PYTEST_IN = PYTHONPATH=$(CURDIR)/$(1) $(PYTHON) -P -m pytest
# GCC 12 would put frames on a stack of the sanitizer's own, where registers of AVX-512 are not aligned
PYTEST_IN_ADDRESS = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 $(call PYTEST_IN,build/address/site)
FULL = --full --timeout 0 --report docs/guarantees.md

.DEFAULT_GOAL := help
.PHONY: help build quick test lint types debug-test address-test guarantees soak coverage demo
.PHONY: docs linkcheck bench history history-site bench-check bench-quick gate gate-check gate-sites dist clean

export PATH := /usr/lib/ccache:$(PATH) # what was compiled before is not compiled again, where ccache is installed

help:  ## list these shortcuts
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build:  ## compile changed files in place
	$(PYTHON) setup.py --quiet build_ext --inplace

# The variant that is used here
ACTIVE = $(shell $(PYTHON) -c "from cbackprop._dispatch import ACTIVE; print(ACTIVE)" 2> /dev/null)
KERNEL_SOURCES = setup.py cbackprop/_variants.py \
	$(wildcard cbackprop/*.pyx cbackprop/*.pxd cbackprop/kernels/*.p?[xi] cbackprop/kernels/*.h)
tests = $(patsubst %,tests/test_%.py,$(1))
OTHERS = $(foreach variant,$(filter-out $(ACTIVE),$(VARIANTS)),and not $(variant))
QUICK = $(PYTHON) -m pytest -q -p no:cacheprovider
# of all variants that run here, in two processes
QUICK_KERNELS = $(call tests,engines lanes)
QUICK_EQUATIONS = $(call tests,elementary equations gradients)
QUICK_PYTHON = $(call tests,validation files network reference growth extras)
CHANGED = $(subst /_,/,$(shell find cbackprop -name "*.py" -newer build/quick 2> /dev/null)) # since quick last passed
MIRROR = $(wildcard $(patsubst cbackprop/%.py,tests/test_%.py,$(CHANGED)) \
	$(patsubst cbackprop/command/%.py,tests/command/test_%.py,$(CHANGED)))

quick:  ## rebuild the variants that run here if their sources changed and test kernels; else test changed Python files
	@if $(MAKE) --question build/quick > /dev/null 2>&1; \
		then $(QUICK) $(sort $(QUICK_PYTHON) $(MIRROR)) -k "not float32 $(OTHERS)" && touch build/quick; \
		else $(MAKE) --no-print-directory build/quick; fi

build/quick: $(KERNEL_SOURCES)
	CBACKPROP_VARIANTS="$(RUNS)" $(PYTHON) setup.py --quiet build_ext --inplace
	$(QUICK) $(QUICK_EQUATIONS) & equations=$$!; $(QUICK) $(QUICK_KERNELS) && wait $$equations
	@mkdir -p build && touch $@

test: build  ## run the tests, and the examples in docstrings, on what was built in place
	$(PYTHON) -m pytest -m "slow or not slow"

lint:  ## check the style of Python and Cython
	ruff check .
	ruff format --check .
	cython-lint cbackprop

types:  ## check static types, and the stubs against the compiled modules
	$(PYTHON) -m mypy
	$(PYTHON) -P -m mypy.stubtest --mypy-config-file pyproject.toml $(COMPILED)

debug-test:  ## run the tests on a build with bounds checks, assertions and traps for undefined behavior
	CBACKPROP_DEBUG=1 $(INSTALL) --target build/debug/site .
	$(call PYTEST_IN,build/debug/site)

# tests of compiled code; the others call it, too, but no other lines of it
COMPILED_TESTS = $(call tests,adaptive checkpoint elementary engines ensemble equations gradients mixture \
	network reentrancy reference sparse subnormal threads training training_lock validation variants)

FUZZERS = $(patsubst %,tests/guarantees/test_%.py,bad_inputs estimators stateful sparse)

address-test:  ## the same, with every memory access checked by GCC's AddressSanitizer
	CBACKPROP_DEBUG=address CBACKPROP_VARIANTS="$(firstword $(VARIANTS)) $(lastword $(VARIANTS))" \
		$(INSTALL) --target build/address/site .
	$(PYTEST_IN_ADDRESS) $(COMPILED_TESTS) -k "not float64" # float32 has more lanes, and so longer tails
	$(PYTEST_IN_ADDRESS) $(FUZZERS)

guarantees: build  ## test every guarantee with few repetitions: minutes
	$(PYTHON) -m pytest tests/guarantees

soak: build  ## test every guarantee in full and write docs/guarantees.md: hours
	$(PYTHON) -m pytest tests/guarantees $(FULL)
	CBACKPROP_DEBUG=address $(INSTALL) --target build/address/site .
	$(PYTEST_IN_ADDRESS) $(FUZZERS) $(FULL)

coverage:  ## measure line and branch coverage of the compiled code; fails below 95 %
	CBACKPROP_COVERAGE=1 CBACKPROP_VARIANTS=baseline $(INSTALL) --target build/coverage/site . # the others have the same lines
	find build/coverage -name '*.gcda' -delete
	$(call PYTEST_IN,build/coverage/site) $(COMPILED_TESTS) -k "not float32" # both types are made of the same lines
	$(PYTHON) .ci/compiled_coverage.py build/coverage cbackprop/kernels 95

demo: build  ## run the demonstration; its figure goes to build/
	$(PYTHON) -m cbackprop demo --output build/demo.png

docs:  ## build the documentation in build/docs, with its gallery executed; a warning is an error
	$(PYTHON) -P -m sphinx -W --keep-going -q docs build/docs

linkcheck:  ## test the links of the documentation to other sites
	$(PYTHON) -P -m sphinx -W --keep-going -q -b linkcheck -D plot_gallery=0 docs build/linkcheck

# The machine's name in benchmarks/results. All but threads is measured on its first processor.
MACHINE ?= epyc-2core
ASV = $(PYTHON) -m benchmarks
MEASURE = $(ASV) run --machine $(MACHINE) --skip-existing-successful
PINNED = --cpu-affinity 0 --bench '^(?!threads)'
THREADS = --cpu-affinity 0,1 --bench '^threads'
RESULTS = $(PYTHON) .ci/benchmark_results.py benchmarks/results/$(MACHINE)
HISTORY = $(shell awk '$$2 == "$(MACHINE)" { print $$1 }' benchmarks/asv/history.txt)

bench:  ## measure the latest commit; results go to benchmarks/results
	$(PYTHON) -m benchmarks.asv.machine $(MACHINE)
	$(MEASURE) $(PINNED) HEAD^!
	$(MEASURE) $(THREADS) HEAD^!
	$(RESULTS) $$(git rev-parse --short=7 HEAD)

history:  ## measure the commits of this machine in benchmarks/asv/history.txt that have no results yet
	$(PYTHON) -m benchmarks.asv.machine $(MACHINE)
	printf '%s\n' $(HISTORY) | $(MEASURE) $(PINNED) HASHFILE:-
	printf '%s\n' $(HISTORY) | $(MEASURE) $(THREADS) HASHFILE:-
	$(RESULTS) $(HISTORY)

history-site:  ## build the history as a site in .asv/site, which `make docs` includes
	$(ASV) publish --no-pull

bench-check:  ## test that the benchmarks can be imported and match their names
	$(ASV) check --python=same

bench-quick:  ## run every benchmark once, in the current environment, without saving results
	$(ASV) run --python=same --quick --show-stderr --dry-run

# installs a commit in a folder of its own
SITE_OF = mkdir -p build/gate/$(1) && $(GIT) archive $(2) | tar -xf - -C build/gate/$(1) && \
	$(INSTALL) --target build/gate/$(1)/site build/gate/$(1)
GIT ?= git
PARENT ?= HEAD^

gate-sites:
	rm -rf build/gate
	$(call SITE_OF,parent,$(PARENT))
	$(call SITE_OF,commit,HEAD)

gate: gate-sites  ## test whether the latest commit is slower than its parent, beyond the noise
	$(PYTHON) -m benchmarks.compare.regression_check build/gate/parent/site build/gate/commit/site

gate-check: gate-sites  ## test that this check rejects a planted slowdown, and accepts an unchanged commit ten times
	$(PYTHON) -m benchmarks.compare.regression_check build/gate/commit/site

dist:  ## build an sdist, and a wheel from it, in dist/
	$(PYTHON) -m build

clean:  ## remove everything that these commands created
	rm -rf build dist docs/gallery docs/plots .asv *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find cbackprop tests benchmarks -name '__pycache__' -exec rm -rf {} +
	find cbackprop -name '*.so' -delete
