"""asv imports every file of benchmarks/asv in an environment with few packages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cbackprop

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
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
OWN_LOOP = """
from cbackprop import reference

def learn(x, t, w, v, learning_rate):
    reference.fit(x, t, w, v, learning_rate=learning_rate {0}, shuffle=False)
"""


pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="a wheel has no benchmarks")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def run_python(*arguments):
    """Run Python with the package that is tested, which may be another than that of the tree, and these benchmarks."""
    path = os.pathsep.join([str(Path(cbackprop.__file__).parents[1]), str(ROOT)])
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": path})


def test_benchmarks_are_imported_without_optional_packages():
    done = run_python("-c", IMPORT_ALL, str(ROOT))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 10


def test_pages_show_the_figures_of_the_records():
    code = (
        "import json\nfrom benchmarks.compare import figures\n"
        "print(json.dumps({str(path): text for path, text in figures.files().items()}))"
    )
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    wanted = json.loads(done.stdout)
    assert len(wanted) == 8
    assert [path for path in wanted if Path(path).read_text(encoding="utf-8") != wanted[path]] == []
    readme = wanted[str(ROOT / "README.md")]
    assert len(re.findall(r"^\| .+ \| float\d\d \| .+$", readme, re.MULTILINE)) > 7
    assert "Microseconds for one update: cbackprop 0." in readme


def test_rows_with_a_worst_and_a_best_were_measured_on_several_machines():
    lines = (RESULTS / "machines.md").read_text(encoding="utf-8").splitlines()
    machines = [re.findall(r"\(((?:AMD|Intel) [\w ]+)\)", line) for line in lines]
    of_two = [both for both in machines if len(both) == 2]
    assert of_two
    assert all(worst != best for worst, best in of_two)


ASSEMBLY = """\
x_tile:
.L1:
	call	exp
	jmp	.L2
.L3:
	vmovaps	%ymm0, %ymm2
.L2:
	vfmadd231ps	(%rdx), %ymm3, %ymm0
	jne	.L3
.L4:
	addq	$1, %rax
	jne	.L4
	vfmadd231ps	(%rdx), %ymm3, %ymm0
	jne	.L1
	.size	x_tile
"""


def test_estimates_are_of_innermost_loops():
    code = (
        "import sys\nfrom benchmarks.compare.mca import inner_loops, multiply_adds\n"
        "print([(len(loop), multiply_adds(loop)) for loop in inner_loops(sys.argv[1], 'tile')])"
    )
    done = run_python("-c", code, ASSEMBLY)
    assert done.stdout == "[(3, 1), (2, 0)]\n", done.stderr


@pytest.mark.parametrize(("change", "timed"), [("", True), ("* 2", False)])
def test_the_comparison_times_a_loop_of_ones_own_if_its_result_is_right(tmp_path, change, timed):
    (tmp_path / "my_loop.py").write_text(OWN_LOOP.format(change), encoding="utf-8")
    options = (
        "--quick",
        "--output",
        tmp_path,
        "--peer",
        tmp_path / "my_loop.py",
        "--only",
        "--rows",
        "online 2-2-3, float64",
    )
    done = run_python("-m", "benchmarks.compare", *options)
    assert done.returncode == 0, done.stderr
    _, row = re.findall(r"^\| (?:work|online).*$", (tmp_path / "compare.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert ("| my_loop |" in row) == timed
    assert ("my_loop, fit, float64, differs from the reference" in done.stderr) != timed


def test_commits_of_results_are_in_the_history():
    if run("git", "rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("a history in full is needed")
    named = {path.name.partition("-")[0]: True for path in RESULTS.glob("*/*-virtualenv-*.json")}
    for path in RESULTS.glob("*/*.md"):
        for commit, rest in re.findall(r"^\| commit \| ([0-9a-f]{40})(.*) \|$", path.read_text("utf-8"), re.MULTILINE):
            named[commit] = "not in the history" not in rest
    assert len(named) > 20
    there = {commit: not run("git", "cat-file", "-e", f"{commit}^{{commit}}").returncode for commit in named}
    assert there == named


@pytest.mark.slow  # the documentation draws them, too
def test_plots_are_drawn_of_the_tables(tmp_path):
    pytest.importorskip("matplotlib")
    done = run_python("-m", "benchmarks.compare.plots", str(tmp_path))
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"plots/([\w.-]+)", (ROOT / "docs/measurements.md").read_text(encoding="utf-8"))
    assert set(shown) <= {path.name for path in tmp_path.iterdir()}
    assert len(shown) == 5
