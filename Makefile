# Shortcuts for work on the library; `make` lists them. They use the Python on PATH:
#   python3 -m venv .venv && . .venv/bin/activate && pip install -e ".[dev,bench]"
# What must pass before a merge is in noxfile.py.

PYTHON ?= python
# All instruction sets, from the widest vectors to the narrowest
VARIANTS = $(shell $(PYTHON) -c "import runpy; print(*runpy.run_path('cbackprop/_variants.py')['VARIANTS'])")
# Modules that can be imported here: kernels of other processors may end the process
RUNS = $(shell $(PYTHON) -P -c "from cbackprop._dispatch import available_variants; print(*available_variants())")

.DEFAULT_GOAL := help
.PHONY: help build quick test demo bench history history-site bench-check bench-quick dist clean

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

demo: build  ## run the demonstration; its figure goes to build/
	$(PYTHON) -m cbackprop demo --output build/demo.png

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

history-site:  ## build the history as a site in .asv/site, which `nox -s docs` includes
	$(ASV) publish --no-pull

bench-check:  ## test that the benchmarks can be imported and match their names
	$(ASV) check --python=same

bench-quick:  ## run every benchmark once, in the current environment, without saving results
	$(ASV) run --python=same --quick --show-stderr --dry-run

dist:  ## build an sdist, and a wheel from it, in dist/
	$(PYTHON) -m build

clean:  ## remove everything that these commands created
	rm -rf build dist docs/gallery docs/plots .asv .nox *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find cbackprop tests benchmarks -name '__pycache__' -exec rm -rf {} +
	find cbackprop -name '*.so' -delete
