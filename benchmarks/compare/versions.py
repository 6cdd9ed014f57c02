"""Two versions, in folders filled by pip, compared: `python -m benchmarks.compare.versions BEFORE AFTER`.

Each side runs in a process of its own on one processor. They run the jobs in turn, in a random order in every round and
with arrays at new addresses, and are restarted several times; the minimum times are compared.

Without an option, a table of all jobs; numba and JAX, if they are installed, run the online ones beside both versions.

With `--check`, is the second slower than the first? The first runs twice: the noise is the largest difference in any job
between its two sides. A job is a regression if the second is slower by more than 10 % and twice the noise, and again so
when only these jobs are repeated in new processes. Noise above 15 % is an error. Jobs that the first does not support
are listed and skipped. With one folder, the check tests itself.
"""

import argparse
import gc
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import factor, table
from benchmarks.work import Row, seconds

F32, F64 = {"dtypes": ("float32",)}, {"dtypes": ("float64",)}
CHECKED = [  # of about a millisecond
    Row("online", "fit", "2-2-3", 10_000, **F64),
    Row("online", "fit", "4-8-2", 8_000, **F64),
    Row("online", "fit", "8-8-3", 8_000, **F32),
    Row("online", "fit", "13-9-3", 6_000, **F64),
    Row("online", "fit", "63-32-10", 3_000, **F64),
    Row("online, times 16", "fit", "64-32-10", 5_000, inputs="times 16", **F32),
    Row("online", "fit", "64-32-10", 5_000, **F32),
    Row("online", "fit", "784-16-10", 2_000, **F32),
    Row("online", "fit", "784-100-10", 300, **F64),
    Row("batches of 8", "fit", "2-2-3", 30_000, 8, **F32),
    Row("batches of 32", "fit", "64-32-10", 6_400, 32, **F64),
    Row("batches of 128", "fit", "784-100-10", 640, 128, **F32),
    Row("learn_one", "learn_one", "2-2-3", 5_000, **F64),
    Row("learn_one", "learn_one", "64-32-10", 2_000, **F32),
    Row("predict_proba_one", "predict_proba_one", "64-32-10", 2_000, **F64),
    Row("predict_proba", "predict_proba", "64-32-10", 10_000, **F64),
    Row("predict_proba", "predict_proba", "784-100-10", 1_000, **F32),
    Row("partial_fit of one row", "partial_fit_one", "64-32-10", 500, **F64),
]
ONLINE = {
    "2-2-3": 20_000, "4-8-2": 20_000, "8-8-3": 20_000, "13-9-3": 15_000, "20-16-5": 10_000, "30-20-2": 8_000,
    "37-53-7": 4_000, "64-32-10": 4_000, "784-16-10": 1_500, "784-100-10": 400, "784-1024-10": 80,
}  # fmt: skip
LEARN_ONE = ("2-2-3", "13-9-3", "30-20-2", "64-32-10", "64-64-10", "784-16-10")
SPARSE = F32 | {"non_zeros": 30}
ALL = [
    *(Row("online", "fit", shape, N) for shape, N in ONLINE.items()),
    *(Row("learn_one", "learn_one", shape, 2_000 if len(shape) < 9 else 500) for shape in LEARN_ONE),
    *(Row("16 networks", "fit_ensemble", shape, 4_000) for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")),
    *(Row("batches of 32", "fit", shape, 16_000, 32) for shape in ("2-2-3", "13-9-3")),
    *(Row("batch of all 1000", "fit", shape, 1_000, 1_000, 20) for shape in ("2-2-3", "13-9-3")),
    *(Row(f"batches of {B}", "fit", "784-100-10", 1_024, B, **F32) for B in (128, 1024)),
    Row("predict", "predict", "64-32-10", 10_000, **F32),
    *(
        Row(f"{kind}, 30 non-zeros", kind, f"{2**18}-16-2", 1_000, **SPARSE)
        for kind in ("learn_one_sparse", "fit_sparse")
    ),
    *(
        Row(f"online, {inputs}", "fit", shape, ONLINE[shape], inputs=inputs)
        for shape in ("13-9-3", "64-32-10")
        for inputs in ("times 1000", "subnormal", "saturated")
    ),
]


def named(rows: Iterable[Row]) -> dict[str, tuple[Row, str]]:
    return {f"{row.work} {row.shape} {dtype}": (row, dtype) for row in rows for dtype in row.dtypes}


JOBS = named(ALL) | named(CHECKED)
RUNS = 3  # per round; only the first run has cold caches

# ----------------------------------------------------------------------------------------------------------- processes


def serve(peer: str, names: list[str]) -> None:
    """The process of a side: writes which jobs are not supported; then reads names and writes the seconds of each."""
    import cbackprop

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(cbackprop.__file__).parents:
        raise SystemExit(f"{cbackprop.__file__} is not in {site}")

    def time(name: str) -> float:
        row, dtype = JOBS[name]
        shift = bytearray(random.randrange(1 << 14))  # moves the arrays that are allocated next
        job = getattr(importlib.import_module(f"benchmarks.peers.{peer}"), row.kind)(row.make(dtype))
        del shift
        return min(seconds(job) for _ in range(RUNS))

    unsupported = {}
    for name in names:
        try:
            time(name)
        except (AttributeError, ImportError, TypeError) as error:
            unsupported[name] = str(error)
    gc.disable()
    print(json.dumps(unsupported), flush=True)
    for line in sys.stdin:
        print(time(line.strip()), flush=True)


class Side:
    """A process that imports cbackprop from a folder, and serves jobs made by a peer; the minimum times of the jobs."""

    def __init__(self, site: Path, names: list[str], peer: str = "library"):
        self.site, self.names, self.peer = site, names, peer
        self.unsupported: dict[str, str] = {}
        self.fastest: dict[str, float] = {}

    def start(self) -> None:
        path = os.pathsep.join(map(str, (self.site.resolve(), Path(__file__).parents[2])))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __spec__.name, "--serve", self.peer, *self.names],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        """Wait until the process has tried all jobs."""
        self.unsupported |= self.read()
        self.names = [name for name in self.names if name not in self.unsupported]

    def read(self):
        if line := self.process.stdout.readline():
            return json.loads(line)
        raise SystemExit("the process of a side ended early")

    def time(self, name: str) -> None:
        if name in self.names:
            print(name, file=self.process.stdin, flush=True)
            self.fastest[name] = min(self.fastest.get(name, float("inf")), self.read())


def measure(sides: list[Side], rounds: int) -> None:
    """Start the sides; in a round, every job runs once on each that supports it, in a random order."""
    for side in sides:
        side.start()
    for side in sides:
        side.ready()
    names = list(dict.fromkeys(name for side in sides for name in side.names))
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            for side in random.sample(sides, len(sides)):
                side.time(name)
    for side in sides:
        side.process.communicate()


# --------------------------------------------------------------------------------------------------------------- table


def compare(before: Path, after: Path, starts: int, rounds: int) -> str:
    """Minimum nanoseconds of a sample by job."""
    names = list(named(ALL))
    online = [name for name in names if JOBS[name][0].work == "online"]
    sides = {
        "before": Side(before, names),
        "after": Side(after, names),
        "numba": Side(after, online, "numba_loops"),
        "JAX": Side(after, online, "jax_scan"),
    }
    for _ in range(starts):
        measure(list(sides.values()), rounds)
    for title, side in sides.items():
        if side.unsupported:
            print(f"{title} skips {', '.join(side.unsupported)}: {set(side.unsupported.values())}", file=sys.stderr)
    header = ["work", "D-M-K", "dtype", *sides, "before / after", "fastest other / after", "after / ordinary"]
    return table(header, [line(name, sides) for name in sides["after"].names])


def line(name: str, sides: dict[str, Side]) -> list[str]:
    row, dtype = JOBS[name]
    samples = row.N * row.epochs
    found = {title: 1e9 * side.fastest[name] / samples for title, side in sides.items() if name in side.fastest}
    others = [found[peer] for peer in ("numba", "JAX") if peer in found]
    after = found["after"]
    ratios = [found["before"] / after if "before" in found else None, min(others) / after if others else None]
    ordinary = sides["after"].fastest[f"online {row.shape} {dtype}"] * 1e9 / samples if row.inputs else None
    ratios.append(after / ordinary if ordinary else None)
    cells = (f"{found[title]:.4g}" if title in found else "–" for title in sides)
    return [row.work, row.shape, dtype, *cells, *(factor(ratio) if ratio else "" for ratio in ratios)]


# --------------------------------------------------------------------------------------------------------------- check


MIN_REGRESSION = 0.10  # the same code at other addresses varies by that much
LOW_NOISE = 0.03  # enough to stop
MAX_NOISE = 0.15  # above, no conclusion is possible
MIN_STARTS, MAX_STARTS = 4, 12  # of the processes; more than the minimum if it is noisy
ROUNDS = 12  # per start

REPEATS = 10  # of the self-test
SLOWDOWN = """
def _slower(function):
    from time import perf_counter

    def slow(*args, **kwargs):
        start = perf_counter()
        result = function(*args, **kwargs)
        end = start + 1.5 * (perf_counter() - start)
        while perf_counter() < end:
            pass
        return result

    return slow


Network.fit = _slower(Network.fit)
"""


def regressions(before: Path, after: Path, names: list[str], quick: bool) -> list[str]:
    """Print the table; the jobs in which the second version is slower by more than the limit."""
    sides = first, again, second = [Side(site, names) for site in (before, before, after)]
    for start in range(1, 2 if quick else MAX_STARTS + 1):
        measure(sides, 1 if quick else ROUNDS)
        pairs = [(first.fastest[name], again.fastest[name]) for name in first.names]
        noise = max((max(pair) / min(pair) for pair in pairs), default=1) - 1
        if start >= MIN_STARTS and noise <= LOW_NOISE:
            break
    if second.unsupported or not first.names:
        raise SystemExit(f"not supported: {second.unsupported or first.unsupported}")
    for name, error in first.unsupported.items():
        print(f"skipped: {name}: the first version does not support it: {error}")
    limit = MIN_REGRESSION + 2 * noise
    print(f"{'minimum time':40} {'first':>10} {'again':>8} {'second':>8}   noise {noise:.1%}, limit {limit:+.1%}")
    found = []
    for name in first.names:
        time = first.fastest[name]
        repeated, changed = (side.fastest[name] / time - 1 for side in (again, second))
        mark = "   slower" if changed > limit else ""
        print(f"{name:40} {time * 1e6:7.0f} µs {repeated:+8.1%} {changed:+8.1%}{mark}", flush=True)
        if mark:
            found.append(name)
    if noise > MAX_NOISE:
        raise SystemExit(f"noise of {noise:.0%}: the machine is too busy for a conclusion")
    return found


def check(before: Path, after: Path, quick: bool = False) -> list[str]:
    """The jobs in which the second version is slower, and again so."""
    slower = regressions(before, after, list(named(CHECKED)), quick)
    return slower and regressions(before, after, slower, quick)


def self_test(site: Path) -> None:
    """The check must reject a copy in which `fit` takes 1.5 times as long, and accept the site in every repeat."""
    with tempfile.TemporaryDirectory() as folder:
        slower = Path(folder) / "site"
        shutil.copytree(site, slower)
        with open(slower / "cbackprop" / "__init__.py", "a", encoding="utf-8") as file:
            file.write(SLOWDOWN)
        print("== fit takes 1.5 times as long", flush=True)
        if not check(site, slower):
            sys.exit("the check accepts a slowdown")
    for number in range(1, REPEATS + 1):
        print(f"== unchanged, {number} of {REPEATS}", flush=True)
        if check(site, site):
            sys.exit("the check rejects an unchanged version")
    print(f"the check rejects the slowdown, and accepts the unchanged version {REPEATS} times in a row")


def main() -> None:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?")
    parser.add_argument("--check", action="store_true", help="is the second slower? with one folder, a test of that")
    parser.add_argument("--quick", action="store_true", help="a test run of a round")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # this process and those of the sides
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if options.check and options.after is None:
        self_test(options.before)
    elif options.after is None:
        parser.error("two folders are needed")
    elif not options.check:
        print("Nanoseconds of a sample, minima; 16 networks: of all.\n")
        print(compare(options.before, options.after, *((1, 1) if options.quick else (3, 9))))
    elif slower := check(options.before, options.after, options.quick):
        sys.exit(f"slower: {'; '.join(slower)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3:])
    else:
        main()
