"""Two versions, in folders filled by pip, compared: `python -m benchmarks.compare.versions BEFORE AFTER`.

Each side runs in a process of its own on one processor. They run the jobs in turn, in a random order in every round and
with arrays at new addresses, and are restarted several times; the minimum times are compared.

Without an option, a table of all jobs.

With `--check`, is the second slower than the first? The first runs twice: the noise is the largest difference in any
job between its two sides. A job is a regression if the second is slower by more than 10 % and twice the noise, and
again so when only these jobs are repeated in new processes. Noise above 15 % is an error. Jobs that the first does
not support are listed and skipped. With one folder, the check tests itself.
"""

import argparse
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import factor, table
from benchmarks.work import Row, seconds

ONLINE = {  # samples: a millisecond or two
    "2-2-3": 10_000, "4-8-2": 8_000, "8-8-3": 8_000, "13-9-3": 6_000, "20-16-5": 6_000, "30-20-2": 5_000,
    "37-53-7": 3_000, "63-32-10": 3_000, "64-32-10": 4_000, "784-16-10": 1_500, "784-100-10": 300, "784-1024-10": 80,
}  # fmt: skip
LEARN_ONE = ("2-2-3", "13-9-3", "30-20-2", "64-32-10", "64-64-10", "784-16-10")
BATCHES = (
    ("2-2-3", 8, 16_000), ("2-2-3", 32, 16_000), ("13-9-3", 32, 16_000), ("64-32-10", 32, 6_400),
    ("784-100-10", 128, 640), ("784-100-10", 1024, 1_024),
)  # fmt: skip
UNUSUAL = {"13-9-3": ("times 1000", "subnormal", "saturated"),
           "64-32-10": ("times 16", "times 1000", "subnormal", "saturated")}  # fmt: skip
ROWS = [
    *(Row("online", "fit", shape, N) for shape, N in ONLINE.items()),
    *(Row("learn_one", "learn_one", shape, 2_000 if len(shape) < 9 else 500) for shape in LEARN_ONE),
    *(Row("16 networks", "fit_ensemble", shape, 4_000) for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")),
    *(Row(f"batches of {B}", "fit", shape, N, B) for shape, B, N in BATCHES),
    *(Row("batch of all 1000", "fit", shape, 1_000, 1_000, 20) for shape in ("2-2-3", "13-9-3")),
    *(Row(kind, kind, "64-32-10", 10_000) for kind in ("predict", "predict_proba")),
    Row("predict_proba", "predict_proba", "784-100-10", 1_000),
    Row("predict_proba_one", "predict_proba_one", "64-32-10", 2_000),
    Row("partial_fit of one row", "partial_fit_one", "64-32-10", 500),
    *(
        Row(f"{kind}, 30 non-zeros", kind, f"{2**18}-16-2", 1_000, dtypes=("float32",), non_zeros=30)
        for kind in ("learn_one_sparse", "fit_sparse")
    ),
    *(
        Row(f"online, {inputs}", "fit", shape, ONLINE[shape], inputs=inputs)
        for shape, all_inputs in UNUSUAL.items()
        for inputs in all_inputs
    ),
]
JOBS = {f"{row.work} {row.shape} {dtype}": (row, dtype) for row in ROWS for dtype in row.dtypes}
CHECKED = [
    "online 2-2-3 float64", "online 4-8-2 float64", "online 8-8-3 float32", "online 13-9-3 float64",
    "online 63-32-10 float64", "online, times 16 64-32-10 float32", "online 64-32-10 float32",
    "online 784-16-10 float32", "online 784-100-10 float64", "batches of 8 2-2-3 float32",
    "batches of 32 64-32-10 float64", "batches of 128 784-100-10 float32", "learn_one 2-2-3 float64",
    "learn_one 64-32-10 float32", "predict_proba_one 64-32-10 float64", "predict_proba 64-32-10 float64",
    "predict_proba 784-100-10 float32", "partial_fit of one row 64-32-10 float64",
]  # fmt: skip
RUNS = 3  # per round; only the first run has cold caches

# ----------------------------------------------------------------------------------------------------------- processes


def serve(names: list[str]) -> None:
    """The process of a side: writes which jobs are not supported; then reads names and writes the seconds of each."""
    import cbackprop
    from benchmarks.peers import library

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(cbackprop.__file__).parents:
        raise SystemExit(f"{cbackprop.__file__} is not in {site}")

    def time(name: str) -> float:
        row, dtype = JOBS[name]
        shift = bytearray(random.randrange(1 << 14))  # moves the arrays that are allocated next
        job = getattr(library, row.kind)(row.make(dtype))
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
    """A process that imports cbackprop from a folder, and serves jobs; the minimum times of the jobs."""

    def __init__(self, site: Path, names: list[str]):
        self.site, self.names = site, names
        self.unsupported: dict[str, str] = {}
        self.fastest: dict[str, float] = {}

    def start(self) -> None:
        path = os.pathsep.join(map(str, (self.site.resolve(), Path(__file__).parents[2])))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __spec__.name, "--serve", *self.names],
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
    sides = [Side(site, list(JOBS)) for site in (before, after)]
    for _ in range(starts):
        measure(sides, rounds)
    for side in sides:
        for name, error in side.unsupported.items():
            print(f"{side.site} does not support {name}: {error}", file=sys.stderr)
    header = ["work", "D-M-K", "dtype", "before", "after", "before / after", "after / ordinary"]
    return table(header, [line(name, *sides) for name in sides[1].names])


def line(name: str, before: Side, after: Side) -> list[str]:
    row, dtype = JOBS[name]
    cells = [f"{1e9 * side.fastest[name] / (row.N * row.epochs):.4g}" if name in side.fastest else "–"
             for side in (before, after)]  # fmt: skip
    own, ordinary = after.fastest[name], f"online {row.shape} {dtype}"
    ratio = factor(before.fastest[name] / own) if name in before.fastest else ""
    return [row.work, row.shape, dtype, *cells, ratio, factor(own / after.fastest[ordinary]) if row.inputs else ""]


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
    slower = regressions(before, after, CHECKED, quick)
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
        serve(sys.argv[2:])
    else:
        main()
