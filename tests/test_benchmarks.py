"""asv imports every file of benchmarks/asv in an environment with few packages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in ("dask", "jax", "matplotlib", "mlxtend", "numba", "onnxruntime", "pandas", "river", "sklearn", "torch"):
    sys.modules[name] = None
sys.path.append(sys.argv[1])
import benchmarks.asv
for module in pkgutil.iter_modules(benchmarks.asv.__path__):
    importlib.import_module(f"benchmarks.asv.{module.name}")
    print(module.name)
"""


pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="a wheel has no benchmarks")


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_benchmarks_are_imported_without_optional_packages():
    done = run("-P", "-c", IMPORT_ALL, str(ROOT))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 10


def test_the_table_of_all_machines_is_that_of_their_comparisons():
    done = run("-c", "from benchmarks.compare import machines; print(end=machines.markdown())")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "benchmarks/results/machines.md").read_text(encoding="utf-8")


@pytest.mark.slow  # the documentation draws them, too
def test_plots_are_drawn_of_the_tables(tmp_path):
    pytest.importorskip("matplotlib")
    done = run("-m", "benchmarks.compare.plots", str(tmp_path))
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"plots/([\w.-]+)", (ROOT / "docs/measurements.md").read_text(encoding="utf-8"))
    assert set(shown) <= {path.name for path in tmp_path.iterdir()}
    assert len(shown) == 5
