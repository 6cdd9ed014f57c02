"""Guarantees: each is a test with two numbers of repetitions, a small one for every change and the full one.

    @pytest.mark.guarantee("Ctrl-C", slice=30, full=1000)
    def test_ctrl_c(repetitions, record_property):
        ...  # repeats that often; measurements go to record_property

`pytest tests/guarantees --full` runs the full numbers; `--report docs/guarantees.md` writes the results to that page,
which has the wording of each guarantee and the unit of its repetitions. A guarantee without repetitions covers all of
its cases; one whose slice is 0 is tested in full only. Several tests may share a guarantee, and then share its row.
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
ROWS = pytest.StashKey[dict[str, dict]]()


def pytest_addoption(parser):
    group = parser.getgroup("guarantees")
    group.addoption("--full", action="store_true", help="run guarantees with their full numbers of repetitions")
    group.addoption("--report", type=Path, help="write the results of guarantees to the table of this file")


def pytest_configure(config):
    config.addinivalue_line("markers", "guarantee(name, slice, full): a guarantee, and its numbers of repetitions")
    config.stash[ROWS] = {}


def repetitions_of(item):
    guarantee = item.get_closest_marker("guarantee")
    return guarantee.kwargs.get("full" if item.config.getoption("full") else "slice")


@pytest.fixture
def repetitions(request):
    """How often to repeat the test of a guarantee."""
    if repetitions := repetitions_of(request.node):
        return repetitions
    return pytest.skip("in full only: nox -s soak")


@pytest.fixture
def in_a_fork():
    """A function that runs some work in a forked child and returns its text; fails if the child hangs."""
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


@pytest.fixture
def ctrl_c():
    """The default handler of SIGINT, which the shell that started the tests may ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    guarantee = item.get_closest_marker("guarantee")
    if guarantee and (report.when == "call" or report.outcome != "passed"):
        new = {"tests": [], "repetitions": [], "outcomes": set(), "measured": {}, "seconds": 0.0}
        row = item.config.stash[ROWS].setdefault(guarantee.args[0], new)
        row["tests"].append(test_of(item))
        if (repetitions := repetitions_of(item)) is not None:
            row["repetitions"].append(f"{repetitions:,}")
        row["outcomes"].add(report.outcome if report.outcome != "skipped" else f"skipped: {report.longrepr[2]}")
        row["measured"] |= dict(report.user_properties)
        row["seconds"] += call.duration
    return report


def test_of(item):
    """The test as pytest selects it: with all of its parameters, unless these are guarantees of their own."""
    of_all = any(mark.name == "guarantee" for mark in getattr(item.function, "pytestmark", []))
    return item.nodeid.partition("[")[0] if of_all else item.nodeid


def row_of(page, name):
    """The row of a guarantee: as a whole, its meaning, what is not guaranteed, and the repetitions with their unit."""
    return re.search(rf"^\| \*\*{re.escape(name)}\*\*: (.*?) \| (.*?) \| (.*?) \| .*\|$", page, re.MULTILINE)


def pytest_collection_finish(session):
    if path := session.config.getoption("report"):
        names = {mark.args[0] for item in session.items for mark in item.iter_markers("guarantee")}
        page = path.read_text(encoding="utf-8")
        if missing := [name for name in sorted(names) if not row_of(page, name)]:
            raise pytest.UsageError(
                f"{path} has no rows for {', '.join(missing)}; write their meanings and units there"
            )


def pytest_sessionfinish(session):
    path, rows = session.config.getoption("report"), session.config.stash[ROWS]
    if path is None or not rows:
        return
    page = path.read_text(encoding="utf-8")
    commit = git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", "cbackprop") else "")
    for name, row in rows.items():
        outcome = ", ".join(sorted(row["outcomes"])).replace("Skipped: ", "")
        tests = " ".join(dict.fromkeys(row["tests"]))
        command = f"python -m pytest {'--full ' * session.config.getoption('full')}{tests}"
        measured = "; ".join(f"{name} {value}" for name, value in row["measured"].items()).replace("|", "\\|")
        result = f"{outcome} in {row['seconds']:,.0f} s, commit {commit}" + (f"<br>{measured}" if measured else "")
        old = row_of(page, name)
        unit = old[3].lstrip("0123456789,+ ")
        repetitions = f"{' + '.join(row['repetitions'])} {unit}" if row["repetitions"] else "all cases"
        cells = [
            f"**{name}{BUILD}**: {old[1]}",
            old[2],
            repetitions,
            result,
            f"`{'nox -s soak' if BUILD else command}`",
        ]
        line = f"| {' | '.join(cells)} |"
        if BUILD and not row_of(page, name + BUILD):
            page = page.replace(old[0], f"{old[0]}\n{line}")
            continue
        page = page.replace(row_of(page, name + BUILD)[0], line)
        if not BUILD:  # in the table above, which has one row for all builds
            passed = repetitions if outcome == "passed" else f"{repetitions}; {outcome}"
            above = re.compile(rf"^(\| {re.escape(name)} \| .* \|) .* \|$", re.MULTILINE)
            page = above.sub(lambda match, passed=passed: f"{match[1]} {passed} |", page)
    page = re.sub("^Last run: .*", lambda _: f"Last run: {machine()}", page, flags=re.MULTILINE)
    path.write_text(page, encoding="utf-8")


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
