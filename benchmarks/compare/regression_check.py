"""Is a commit slower than its parent? `python -m benchmarks.compare.regression_check PARENT COMMIT`.

Both are folders filled by pip; with one alone, the check tests itself.

The parent, the parent again and the commit run in separate processes on one processor. They run the jobs in turn, in a
random order in every round and with arrays at new addresses, and are restarted several times; the minimum times are
compared. The noise is the largest difference in any job between the two runs of the parent. A job is a regression if
the commit is slower than the parent by more than 10 % and twice the noise, and again so when only these jobs are
repeated in new processes. Noise above 15 % is an error. Jobs that the parent does not support are listed and skipped.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.work import Row

from .sites import measure, named, pin

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

F32, F64 = {"dtypes": ("float32",)}, {"dtypes": ("float64",)}
JOBS = named([  # of about a millisecond
    Row("online", "fit", "2-2-3", 10_000, **F64),
    Row("online", "fit", "4-8-2", 8_000, **F64),
    Row("online", "fit", "8-8-3", 8_000, **F32),
    Row("online", "fit", "13-9-3", 6_000, **F64),
    Row("online", "fit", "63-32-10", 3_000, **F64),
    Row("online, inputs to 16", "fit", "64-32-10", 5_000, inputs="times 16", **F32),
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
])  # fmt: skip


def minima(sites: dict[str, Path], names: list[str]) -> tuple[dict, dict, float]:
    """Minimum seconds by side and job, jobs that a side does not support, and the noise."""
    sides = {side: (site, "library", names) for side, site in sites.items()}
    fastest: dict[str, dict[str, float]] = {side: {} for side in sites}
    for start in range(1, MAX_STARTS + 1):
        unsupported = measure("regression_check", sides, ROUNDS, fastest)
        shared = [name for name in names if not any(name in jobs for jobs in unsupported.values())]
        if not shared:
            raise SystemExit(f"no job is supported by both: {unsupported}")
        pairs = [(fastest["parent"][name], fastest["parent again"][name]) for name in shared]
        noise = max(max(pair) / min(pair) for pair in pairs) - 1
        if start >= MIN_STARTS and noise <= LOW_NOISE:
            break
    if noise > MAX_NOISE:
        raise SystemExit(f"noise of {noise:.0%}: the machine is too busy for a conclusion")
    return {side: {name: times[name] for name in shared} for side, times in fastest.items()}, unsupported, noise


def regressions(times: dict[str, dict[str, float]], noise: float) -> list[str]:
    """Print the table; the jobs in which the commit is slower by more than the limit."""
    limit = MIN_REGRESSION + 2 * noise
    print(f"{'minimum time':40} {'parent':>10} {'again':>8} {'commit':>8}   noise {noise:.1%}, limit {limit:+.1%}")
    found = []
    for name, parent in times["parent"].items():
        again, commit = (times[side][name] / parent - 1 for side in ("parent again", "commit"))
        mark = "   slower" if commit > limit else ""
        print(f"{name:40} {parent * 1e6:7.0f} µs {again:+8.1%} {commit:+8.1%}{mark}", flush=True)
        if mark:
            found.append(name)
    return found


def check(parent: Path, commit: Path) -> list[str]:
    """The jobs in which the commit is slower than its parent, and again so."""
    sites = {"parent": parent, "parent again": parent, "commit": commit}
    times, unsupported, noise = minima(sites, list(JOBS))
    if unsupported["commit"]:
        raise SystemExit(f"the commit does not support {unsupported['commit']}")
    for name, error in unsupported["parent"].items():
        print(f"skipped: {name}: the parent does not support it: {error}")
    slower = regressions(times, noise)
    if slower:
        times, _, noise = minima(sites, slower)
        slower = regressions(times, noise)
    return slower


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
            sys.exit("the check rejects an unchanged commit")
    print(f"the check rejects the slowdown, and accepts the unchanged commit {REPEATS} times in a row")


def main() -> None:
    program = "python -m benchmarks.compare.regression_check"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.split("\n")[0])
    parser.add_argument("parent", type=Path)
    parser.add_argument("commit", type=Path, nargs="?", help="without it, the check itself is tested")
    options = parser.parse_args()
    pin()
    if options.commit is None:
        self_test(options.parent)
    elif slower := check(options.parent, options.commit):
        sys.exit(f"slower than the parent: {'; '.join(slower)}")


if __name__ == "__main__":
    main()
