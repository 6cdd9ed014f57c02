"""The promises: each is one test with two figures, a small one for every run of the tests and the full one.

    @pytest.mark.promise("Ctrl-C", slice=30, full=1000)
    def test_ctrl_c(figure, record_property):
        ...  # so many times; what was measured goes to record_property

`pytest tests/promises --full` takes the full figures; `--report FILE` writes what came out to the table of FILE, where
it replaces the lines of the promises that were run. A promise without figures is kept for all of its cases; one whose
slice is 0 is only looked at in full. A promise may consist of several tests: its line then tells of them together.
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
HEADER = "| promise | figure | result | measured | seconds | commit |\n|---|---|---|---|---|---|\n"
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
        name = promise.args[0] + BUILD
        line = item.config.stash[LINES].setdefault(
            name, {"figures": [], "outcomes": set(), "measured": {}, "seconds": 0.0}
        )
        if (figure := figure_of(item)) is not None:
            line["figures"].append(f"{figure:,}")
        line["outcomes"].add(report.outcome if report.outcome != "skipped" else f"skipped: {report.longrepr[2]}")
        line["measured"] |= dict(report.user_properties)
        line["seconds"] += call.duration
    return report


def pytest_sessionfinish(session):
    path, lines = session.config.getoption("report"), session.config.stash[LINES]
    if path is None or not lines:
        return
    table = dict(re.findall(r"^\| (.+?) (\|.*\|)$", path.read_text(), re.MULTILINE)[1:]) if path.exists() else {}
    commit = git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", "cbackprop") else "")
    for name, line in lines.items():
        cells = [
            " + ".join(line["figures"]) or "all",
            ", ".join(sorted(line["outcomes"])).replace("Skipped: ", ""),
            "; ".join(f"{name} {value}" for name, value in line["measured"].items()).replace("|", "\\|"),
            f"{line['seconds']:.0f}",
            commit,
        ]
        table[name] = f"| {' | '.join(cells)} |"
    rows = "".join(f"| {name} {cells}\n" for name, cells in table.items())
    path.write_text(f"{ABOUT}\nLast run: {machine()}\n\n{HEADER}{rows}", encoding="utf-8")


ABOUT = """# Promises, and what came of putting them to the test

Written by `make soak`: what each promise means, and how it is tested, stands in the tests of that name in
`tests/promises/`. Every run of the tests puts a small part of each to the test; these are the full figures.
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
