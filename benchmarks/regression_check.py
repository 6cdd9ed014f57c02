"""Is a commit slower than its parent? `python -m benchmarks.regression_check PARENT COMMIT`, folders filled by pip.

The parent, the parent again and the commit run in separate processes on one processor. They run the jobs in turn, in a
random order in every round and with arrays at new addresses, and are restarted several times; the minimum times are
compared. The noise is the largest difference in any job between the two runs of the parent. A job is a regression if
the commit is slower than the parent by more than 10 % and twice the noise, and again so when only these jobs are
repeated in new processes. Noise above 15 % is an error. Jobs that the parent does not support are listed and skipped.
"""

import argparse
import sys
from pathlib import Path

from .sites import Worker, interleave, pin, serve

MIN_REGRESSION = 0.10  # the same code at other addresses varies by that much
LOW_NOISE = 0.03  # enough to stop
MAX_NOISE = 0.15  # above, no conclusion is possible
MIN_STARTS, MAX_STARTS = 4, 12  # of the processes; more than the minimum if it is noisy
ROUNDS = 12  # per start

JOBS = {  # name: function of peers/library.py, D-M-K, dtype, samples (about a millisecond), batch size
    "online 2-2-3 float64": ("fit", "2-2-3", "float64", 10_000, 1),
    "online 4-8-2 float64": ("fit", "4-8-2", "float64", 8_000, 1),
    "online 8-8-3 float32": ("fit", "8-8-3", "float32", 8_000, 1),
    "online 13-9-3 float64": ("fit", "13-9-3", "float64", 6_000, 1),
    "online 63-32-10 float64": ("fit", "63-32-10", "float64", 3_000, 1),
    "online 64-32-10 float32, inputs to 16": ("fit_unscaled", "64-32-10", "float32", 5_000, 1),
    "online 64-32-10 float32": ("fit", "64-32-10", "float32", 5_000, 1),
    "online 784-16-10 float32": ("fit", "784-16-10", "float32", 2_000, 1),
    "online 784-100-10 float64": ("fit", "784-100-10", "float64", 300, 1),
    "batches of 8, 2-2-3 float32": ("fit", "2-2-3", "float32", 30_000, 8),
    "batches of 32, 64-32-10 float64": ("fit", "64-32-10", "float64", 6_400, 32),
    "batches of 128, 784-100-10 float32": ("fit", "784-100-10", "float32", 640, 128),
    "learn_one 2-2-3 float64": ("learn_one", "2-2-3", "float64", 5_000, 1),
    "learn_one 64-32-10 float32": ("learn_one", "64-32-10", "float32", 2_000, 1),
    "predict_proba_one 64-32-10 float64": ("predict_proba_one", "64-32-10", "float64", 2_000, 1),
    "predict 64-32-10 float64": ("predict_proba", "64-32-10", "float64", 10_000, 1),
    "predict 784-100-10 float32": ("predict_proba", "784-100-10", "float32", 1_000, 1),
    "partial_fit of one row 64-32-10 float64": ("partial_fit_one", "64-32-10", "float64", 500, 1),
}


def make_job(name: str):
    from .peers import library
    from .work import random_work

    function, *sizes = JOBS[name]
    return getattr(library, function)(random_work(*sizes))


def measure(sites: dict[str, Path], names: list[str]) -> tuple[dict, dict, float]:
    """Minimum seconds by side and job, jobs that a side does not support, and the noise."""
    fastest = {side: {} for side in sites}
    for start in range(1, MAX_STARTS + 1):
        workers = {side: Worker(site, "regression_check", ["--worker"], names) for side, site in sites.items()}
        unsupported = {side: worker.unsupported() for side, worker in workers.items()}
        shared = [name for name in names if not any(name in jobs for jobs in unsupported.values())]
        if not shared:
            raise SystemExit(f"no job is supported by both: {unsupported}")
        for _ in range(ROUNDS):
            interleave(workers, shared, fastest)
        for worker in workers.values():
            worker.close()
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regression_check", description=__doc__.split("\n")[0])
    parser.add_argument("parent", type=Path)
    parser.add_argument("commit", type=Path)
    options = parser.parse_args()
    pin()
    sites = {"parent": options.parent, "parent again": options.parent, "commit": options.commit}
    times, unsupported, noise = measure(sites, list(JOBS))
    if unsupported["commit"]:
        raise SystemExit(f"the commit does not support {unsupported['commit']}")
    for name, error in unsupported["parent"].items():
        print(f"skipped: {name}: the parent does not support it: {error}")
    slower = regressions(times, noise)
    if slower:
        times, _, noise = measure(sites, slower)
        slower = regressions(times, noise)
    sys.exit(f"slower than the parent: {'; '.join(slower)}" if slower else 0)


if __name__ == "__main__":
    serve(sys.argv[2:], make_job) if sys.argv[1:2] == ["--worker"] else main()
