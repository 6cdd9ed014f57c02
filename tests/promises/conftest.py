"""The promises: each is one test with two figures, a small one for every run of the tests and the full one.

    @pytest.mark.promise("Ctrl-C", slice=30, full=1000)
    def test_ctrl_c(figure, record_property):
        ...  # so many times; what was measured goes to record_property

`pytest tests/promises --full` takes the full figures; `--report FILE` writes what came out to the table of FILE, where
it replaces the lines of the promises that were run. A promise without figures is kept for all of its cases; one whose
slice is 0 is only looked at in full. A promise may consist of several tests: its line then tells of them together.
What each promises, and what its figure counts, stands in PROMISES.
"""

import os
import platform
import re
import select
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import cbackprop

SITE = Path(cbackprop.__file__).parents[1]
BUILD = next((f", {kind} build" for kind in ("address", "debug") if SITE.parent.name == kind), "")
LINES = pytest.StashKey[dict[str, dict]]()


def pytest_addoption(parser):
    group = parser.getgroup("promises")
    group.addoption("--full", action="store_true", help="full figures of the promises, not slices")
    group.addoption("--report", type=Path, help="write what came of the promises to the table of this file")


def pytest_configure(config):
    config.addinivalue_line("markers", "promise(name, slice, full): a promise, and how often it is put to the test")
    config.stash[LINES] = {}


def figure_of(item):
    promise = item.get_closest_marker("promise")
    return promise.kwargs.get("full" if item.config.getoption("full") else "slice")


@pytest.fixture
def figure(request):
    """How often this promise is put to the test."""
    if figure := figure_of(request.node):
        return figure
    return pytest.skip("in full only: make soak")


@pytest.fixture
def in_a_fork():
    """A function for what text some work returns in a child that shares all memory, or an error if it hangs."""
    if not hasattr(os, "fork"):
        pytest.skip("processes cannot fork here")

    def run(work):
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.write(writer, work().encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as file:
            try:
                assert select.select([reader], [], [], 60)[0], "the child hangs"
                return file.read()
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    promise = item.get_closest_marker("promise")
    if promise and (report.when == "call" or report.outcome != "passed"):
        unit, meaning = PROMISES[promise.args[0]]
        line = item.config.stash[LINES].setdefault(
            promise.args[0] + BUILD,
            {"meaning": meaning, "tests": [], "figures": [], "outcomes": set(), "measured": {}, "seconds": 0.0},
        )
        line["tests"].append(test_of(item))
        if (figure := figure_of(item)) is not None:
            line["figures"].append(f"{figure:,}")
            line["unit"] = f" {unit}"
        line["outcomes"].add(report.outcome if report.outcome != "skipped" else f"skipped: {report.longrepr[2]}")
        line["measured"] |= dict(report.user_properties)
        line["seconds"] += call.duration
    return report


def test_of(item):
    """What pytest calls the test: with all of its parameters, unless these are promises of their own."""
    of_all = any(mark.name == "promise" for mark in getattr(item.function, "pytestmark", []))
    return item.nodeid.partition("[")[0] if of_all else item.nodeid


def pytest_sessionfinish(session):
    path, lines = session.config.getoption("report"), session.config.stash[LINES]
    if path is None or not lines:
        return
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    table = {name: row for row, name in re.findall(r"^(\| \*\*(.+?)\*\*.*\|)$", written, re.MULTILINE)}
    commit = git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", "cbackprop") else "")
    for name, line in lines.items():
        outcome = ", ".join(sorted(line["outcomes"])).replace("Skipped: ", "")
        tests = " ".join(dict.fromkeys(line["tests"]))
        command = f"python -m pytest {'--full ' * session.config.getoption('full')}{tests}"
        measured = "; ".join(f"{name} {value}" for name, value in line["measured"].items()).replace("|", "\\|")
        cells = [
            f"**{name}**: {line['meaning']}",
            " + ".join(line["figures"]) + line["unit"] if line["figures"] else "all cases",
            f"{outcome} in {line['seconds']:,.0f} s, commit {commit}" + (f"<br>{measured}" if measured else ""),
            f"`{'make soak' if BUILD else command}`",
        ]
        table[name] = f"| {' | '.join(cells)} |"
    path.write_text(ABOUT.format(last=machine()) + "".join(f"{row}\n" for row in table.values()), encoding="utf-8")


PROMISES = {  # what is counted, and what it says
    "bad inputs": ("calls", "Whatever the arguments, no call crashes; one that raises leaves every array as it was."),
    "checkpoints: SIGKILL": ("kills", "A training killed at any moment leaves a whole checkpoint and goes on from it."),
    "checkpoints: truncation at every byte": ("", "A checkpoint that was cut short is refused; nothing changes."),
    "checkpoints: ENOSPC and EIO at every write": (
        "",
        "If the disk is full or fails, an error names the file, which holds the old state or the new one.",
    ),
    "resume is exact": ("trainings", "A training that was cut and resumed ends with the bits of one that never was."),
    "hostile model files": ("files", "Of a file from anywhere comes a model or an error: no crash, no more memory."),
    "old files load": ("", "Model files of every release load, and predict what they did."),
    "Ctrl-C": (
        "interrupts",
        "It ends a training within 0.1 s; the weights are those after some whole sample. NumPy draws orders of "
        "millions of samples in one go, which may take longer.",
    ),
    "two threads, the same weights": ("attempts", "While one thread trains, others get an error and change nothing."),
    "two threads, different weights": ("rounds", "They train at the same time, and other threads can run Python."),
    "fork": ("forks", "After training with threads, the child of a fork can train, too, to the same bits."),
    "the tests bite: kernels": ("mutants", "Small errors put into the kernels are noticed by the tests."),
    "the tests bite: gate": ("mutants", "Small errors put into the checks of arguments are noticed by the tests."),
    "gradients": (
        "networks",
        "Every derivative is right to 1e-13 of a layer's largest, in float32 to 1e-5, as 50 digits tell.",
    ),
    "accurate loss": ("", "The error of a sample is right to 4 ULP, for sums of any size."),
    "same bits": ("trainings", "Threads, processes and places in memory change no bit of the result."),
    "variants agree": ("", "The kernels for all instruction sets agree, rounding aside."),
    "divergence": ("", "An epoch ends with finite weights and loss, or an error and the weights from before it."),
    "more than 2^31 numbers": ("ways of use", "Inputs and weights may have more numbers than 32 bits can count."),
    "floating-point state": ("", "Rounding and tiny numbers are, in every thread, what they were before the import."),
    "old CPUs": ("", "The kernels chosen on an older processor run on it."),
    "no leaks": ("calls of each entry", "No memory is kept by any public function, whether it succeeds or raises."),
    "no leaks: files": ("calls of each entry", "Nor by saving, loading and checkpoints."),
    "no leaks: valgrind": ("rounds of all calls", "Valgrind finds no invalid access, and no block lost by any call."),
    "streaming": ("samples", "One sample after the other takes no more memory, and no more time, than at first."),
    "no threads and no OpenMP unless asked for": ("", "Threads exist only within calls that ask for them."),
    "training takes at most 4 copies of the weights and 1 MiB": ("", "Whatever the method, batch size and threads."),
    "training from 2 GiB mapped into memory takes less than 200 MiB": ("", "Data may be larger than memory."),
}

ABOUT = """# Promises

What the library promises as a whole, and what came of putting it to the test: full figures, by `make soak`, which takes
hours and writes this page. A small part of each is tested with every change, by `make promises`. The commands
below test one promise in full, or in small without `--full`, in a clone set up as `CONTRIBUTING.md` says. How something
is measured, and which tolerance it has and why, stands in the test. A figure with a + has one part for each kind of a
thing, such as float32 and float64. Mutants that no test noticed are listed with the reason.

Last run: {last}

| promise | figure | result | command |
|---|---|---|---|
"""


def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip()


def machine():
    info = cbackprop.kernel_info()
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, "
        f"{info['variant']} kernels by {info['compiler']}, Python {platform.python_version()}, NumPy {np.__version__}."
    )
