"""Guarantees: each is a test with two numbers of repetitions, a small one for every change and the full one.

    @pytest.mark.guarantee("Ctrl-C", slice=30, full=1000)
    def test_ctrl_c(repetitions, record_property):
        ...  # repeats that often; measurements go to record_property

`pytest tests/guarantees --full` runs the full numbers; `--report FILE` writes the results to the table of FILE, where
they replace the rows of the guarantees that were run. A guarantee without repetitions covers all of its cases; one
whose slice is 0 is tested in full only. Several tests may share a guarantee, and then share its row. GUARANTEES has the
wording of each guarantee and the unit of its repetitions.
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
        name = guarantee.args[0]
        unit, meaning, limits = GUARANTEES[name]
        row = item.config.stash[ROWS].setdefault(
            name + BUILD,
            {
                "meaning": meaning,
                "limits": limits,
                "tests": [],
                "repetitions": [],
                "outcomes": set(),
                "measured": {},
                "seconds": 0.0,
            },
        )
        row["tests"].append(test_of(item))
        if (repetitions := repetitions_of(item)) is not None:
            row["repetitions"].append(f"{repetitions:,}")
            row["unit"] = f" {unit}"
        row["outcomes"].add(report.outcome if report.outcome != "skipped" else f"skipped: {report.longrepr[2]}")
        row["measured"] |= dict(report.user_properties)
        row["seconds"] += call.duration
    return report


def test_of(item):
    """The test as pytest selects it: with all of its parameters, unless these are guarantees of their own."""
    of_all = any(mark.name == "guarantee" for mark in getattr(item.function, "pytestmark", []))
    return item.nodeid.partition("[")[0] if of_all else item.nodeid


def pytest_sessionfinish(session):
    path, rows = session.config.getoption("report"), session.config.stash[ROWS]
    if path is None or not rows:
        return
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    table = {name: row for row, name in re.findall(r"^(\| \*\*(.+?)\*\*.*\|)$", written, re.MULTILINE)}
    commit = git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", "cbackprop") else "")
    for name, row in rows.items():
        outcome = ", ".join(sorted(row["outcomes"])).replace("Skipped: ", "")
        tests = " ".join(dict.fromkeys(row["tests"]))
        command = f"python -m pytest {'--full ' * session.config.getoption('full')}{tests}"
        measured = "; ".join(f"{name} {value}" for name, value in row["measured"].items()).replace("|", "\\|")
        cells = [
            f"**{name}**: {row['meaning']}",
            row["limits"],
            " + ".join(row["repetitions"]) + row["unit"] if row["repetitions"] else "all cases",
            f"{outcome} in {row['seconds']:,.0f} s, commit {commit}" + (f"<br>{measured}" if measured else ""),
            f"`{'nox -s soak' if BUILD else command}`",
        ]
        table[name] = f"| {' | '.join(cells)} |"
    path.write_text(page(table, machine()), encoding="utf-8")


def page(table, last):
    """The page: a line for each guarantee, then the rows, folded; those that test the tests are apart."""
    lines, guarantees, tests = [], [], []
    for name, row in table.items():
        if name.startswith("mutation testing"):
            tests.append(row)
            continue
        guarantees.append(row)
        if not name.endswith(" build"):  # the same guarantee
            meaning, _limits, repetitions, result, _command = row.removeprefix("| ").removesuffix(" |").split(" | ")
            passed = "" if result.startswith("passed") else f"; {result.partition(' in ')[0]}"
            lines.append(f"| {name} | {meaning.partition('**: ')[2]} | {repetitions}{passed} |")
    return ABOUT.format(last=last, lines="\n".join(lines), rows="\n".join(guarantees), tests="\n".join(tests))


GUARANTEES = {  # the unit of the repetitions, the guarantee, and what is not guaranteed
    "bad inputs": (
        "calls",
        "No call crashes, whatever its arguments; a call that raises leaves every array unchanged.",
        "Subclasses of NumPy's classes that misreport their shape or memory, other processes or threads that change "
        "arrays during a call, and memory that cannot be read, such as a mapped file that was truncated.",
    ),
    "hostile sparse rows": (
        "structures",
        "Sparse rows of any content have the result of the same dense rows, or yield an error that changes nothing.",
        "Subclasses of SciPy's classes with attributes of their own.",
    ),
    "sparse rows that change": (
        "trainings",
        "If another thread changes sparse rows in training, no memory but the weights is written to, and they stay "
        "finite.",
        "That the change is noticed, or that the weights have learned from rows before or after it.",
    ),
    "sparse rows: no copy of the weights": (
        "",
        "Training with sparse rows takes the memory of the rows and of the errors of a batch, not of the weights.",
        "The memory of a shuffled order, and of dense rows.",
    ),
    "any sequence of calls": (
        "calls",
        "Whatever was called before, with settings at the edges of their ranges and signals amid calls: results agree "
        "with the reference, weights are finite, and no other array changes.",
        "Agreement where rounding alone changes more than half of the digits, or where sums may overflow, which "
        "depends on their order.",
    ),
    "any sequence of calls: estimators": (
        "steps for each of nine",
        "The estimators of River, scikit-learn and Dask, and ensembles: a call that is refused changes nothing, a "
        "parameter takes effect as a whole or is refused, and a model restored in any way learns on as the original, "
        "with memory of its own.",
        "Parameters of scikit-learn's and Dask's estimators that are assigned as attributes, without `set_params`.",
    ),
    "checkpoints: SIGKILL": (
        "kills",
        "A training killed at any moment leaves a complete checkpoint and can be resumed from it.",
        "That the file survives a crash of the operating system on file systems that ignore `fsync`, or two trainings "
        "that write the same file.",
    ),
    "checkpoints: truncation at every byte": (
        "",
        "A truncated checkpoint is refused, and nothing changes.",
        "That a changed byte within a weight is noticed: files have no checksum of their own.",
    ),
    "checkpoints: ENOSPC and EIO at every write": (
        "",
        "If the disk is full or fails, the error names the file, which holds either the old or the new state.",
        "Atomic writes to anything but a regular file with one name.",
    ),
    "resume is exact": (
        "trainings",
        "A resumed training ends with the same bits as an uninterrupted one.",
        "Equality across releases, processors with other kernels, and data that changed in rows other than those the "
        "checksum samples.",
    ),
    "hostile model files": (
        "files",
        "Any file yields a model or an error, without a crash or excessive memory.",
        "That the model of a stranger predicts what its names say.",
    ),
    "old files load": (
        "",
        "Model files of every release load and give the same predictions.",
        "That older releases read newer files.",
    ),
    "Ctrl-C": (
        "interrupts",
        "Training ends within 0.1 s, with the weights after a complete sample or batch; those of an ensemble after the "
        "same samples.",
        "0.1 s while NumPy shuffles millions of samples in one call; while more than 10^7 weights are copied or learn "
        "a block of samples (a few seconds for 10^8); while a batch with momentum ends; while a checkpoint is "
        "written.",
    ),
    "Ctrl-C: estimators": (
        "steps for each of nine",
        "An estimator or an ensemble is as before the interrupted call or as after it, or has learned its first "
        "samples, in all of its attributes; what follows is not affected.",
        "A second interrupt while the first is handled. `fit` of scikit-learn's estimators ends with a warning, as "
        "theirs do.",
    ),
    "two threads, the same weights": (
        "attempts",
        "While one thread trains, calls of other threads that would change its weights raise an error and change "
        "nothing.",
        "Anything if code other than this library, or another process, writes to the weights during a call.",
    ),
    "two threads, different weights": (
        "rounds",
        "They train concurrently, and other threads can run Python.",
        "A speedup: that depends on the processor. Other Python threads run during training, not during the calls for "
        "one sample.",
    ),
    "fork": (
        "forks",
        "After training with threads, the child of a fork can train, with the same bits as a result.",
        "That weights which another thread was training at the moment of the fork are complete in the child.",
    ),
    "mutation testing: kernels": (
        "mutants",
        "The tests detect small errors introduced into the kernels.",
        "That every mutant is killed: the others change no result, or none that is wrong.",
    ),
    "mutation testing: validation": (
        "mutants",
        "The tests detect small errors introduced into the validation of arguments.",
        "The same.",
    ),
    "gradients": (
        "networks",
        "Every derivative is accurate to 1e-13 of the largest in its layer, in float32 to 1e-5; the reference has 50 "
        "digits.",
        "Relative accuracy of derivatives that are tiny beside the largest of their layer.",
    ),
    "accurate loss": (
        "",
        "The loss of a sample is accurate to 4 ULP, for logits of any size.",
        "4 ULP of a mean over many samples, whose sum rounds, too. Losses below the smallest normal number may be 0.",
    ),
    "same bits": (
        "trainings",
        "Threads, processes, memory addresses and the other networks of an ensemble do not change a bit of the result.",
        "The same bits for other kernels (AVX2, AVX-512), compilers, releases, engines (`method`) or batch sizes.",
    ),
    "variants agree": (
        "",
        "The kernels of all instruction sets agree up to rounding.",
        "Agreement after many epochs: rounding grows as training goes on.",
    ),
    "divergence": (
        "",
        "An epoch ends with finite weights and a finite loss, or with an error and the weights from before it.",
        "That training converges, or that a loss that stays finite is a good one. With sparse rows, the weights are "
        "those before the update that diverged; of an ensemble, those before some of the last samples.",
    ),
    "more than 2^31 numbers": (
        "cases",
        "Inputs and weights may hold more numbers than 32 bits can count.",
        "Speed: nothing is tuned for such sizes.",
    ),
    "floating-point state": (
        "",
        "The rounding mode and subnormal numbers stay as they were, in every thread, callback and signal handler.",
        "Results under a rounding mode other than to the nearest.",
    ),
    "old CPUs": (
        "",
        "The kernels selected on an older processor run on it.",
        "Processors without SSE2, or emulators that report instructions they do not have.",
    ),
    "no leaks": (
        "calls of each entry",
        "No public function leaks memory, whether it succeeds or raises.",
        "That memory is returned to the operating system at once: the allocator decides.",
    ),
    "no leaks: files": ("calls of each entry", "Neither do saving, loading and checkpoints.", "The same."),
    "no leaks: valgrind": (
        "rounds of all calls",
        "Valgrind finds no invalid access and no lost block in any call.",
        "Freedom from leaks in NumPy and Python themselves.",
    ),
    "streaming": (
        "samples",
        "Memory, and time per sample, do not grow with the number of samples.",
        "The time of a single call on a busy machine.",
    ),
    "no threads and no OpenMP unless asked for": (
        "",
        "Threads exist only within calls that request them.",
        "That NumPy, scikit-learn or Dask start none.",
    ),
    "training takes at most 4 copies of the weights and 1 MiB": (
        "",
        "For every batch size and number of threads; with momentum, of the weights and the velocity. A checkpoint "
        "takes 3 more.",
        "The inputs, which are copied once if their dtype is not that of the weights or they are not contiguous; "
        '`method="blocked"`, which pads hidden units to whole vectors.',
    ),
    "training from 2 GiB mapped into memory takes less than 200 MiB": (
        "",
        "Data may be larger than memory.",
        "The same for files of another dtype than the weights. A file truncated during training ends the process "
        "(SIGBUS).",
    ),
}

ABOUT = """# Guarantees

What the library guarantees as a whole, and how often each guarantee was tested in full by `nox -s soak`, which takes
hours and writes this page; `nox -s guarantees` tests every change with fewer repetitions. Where the output and the
hidden function could matter, a test covers all nine combinations.

Last run: {last}

| guarantee | meaning | passed |
|---|---|---|
{lines}

:::{{dropdown}} What is not guaranteed, what was measured, and the commands
Repetitions joined by a + belong to separate parts of a test, such as float32 and float64. The commands test one
guarantee in full, or with fewer repetitions without `--full`, in a clone set up as described in `CONTRIBUTING.md`. Each
test documents its measurements, and its tolerances with their reasons.

| guarantee | not guaranteed | repetitions | result | command |
|---|---|---|---|---|
{rows}
:::

:::{{dropdown}} Tests of the tests: mutants of the source
Mutants that survive are listed with their reasons in `tests/guarantees/equivalent_mutants.toml`.

| mutants | not guaranteed | repetitions | result | command |
|---|---|---|---|---|
{tests}
:::
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
