"""asv imports every file of benchmarks/asv in an environment with few packages."""

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


@pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="a wheel has no benchmarks")
def test_benchmarks_are_imported_without_optional_packages():
    command = [sys.executable, "-P", "-c", IMPORT_ALL, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 10
