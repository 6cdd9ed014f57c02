"""Is a commit slower than its parent? `python -m benchmarks.regression_check PARENT COMMIT`, folders filled by pip.

The parent, the parent again and the commit run in separate processes on one processor. They run the jobs in turn, in a
random order in every round and with arrays at new addresses, and are restarted several times; the minimum times are
compared. The noise is the largest difference in any job between the two runs of the parent. A job is a regression if
the commit is slower than the parent by more than 10 % and twice the noise, and again so when only these jobs are
repeated in new processes. Noise above 15 % is an error. Jobs that the parent does not support are listed and skipped.
"""

import argparse
import gc
import json
import os
import random
import subprocess
import sys
from pathlib import Path

MIN_REGRESSION = 0.10  # the same code at other addresses varies by that much
LOW_NOISE = 0.03  # enough to stop
MAX_NOISE = 0.15  # above, no conclusion is possible
MIN_STARTS, MAX_STARTS = 4, 12  # of the processes; more than the minimum if it is noisy
ROUNDS = 12  # per start
RUNS = 3  # per round; only the first run has cold caches

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


def run_worker(names: list[str]) -> None:
    """The worker process: writes which jobs are not supported; then reads names and writes the seconds of each job."""
    from .peers import library
    from .work import random_work, seconds

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(library.cbackprop.__file__).parents:
        raise SystemExit(f"{library.cbackprop.__file__} is not in {site}")

    def time(name: str) -> float:
        shift = bytearray(random.randrange(1 << 14))  # moves the arrays that are allocated next
        function, *sizes = JOBS[name]
        job = getattr(library, function)(random_work(*sizes))
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


class Worker:
    """A process that imports cbackprop from the given folder."""

    def __init__(self, site: Path, names: list[str]):
        path = os.pathsep.join(map(str, (site.resolve(), Path(__file__).parents[1])))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.regression_check", "--worker", *names],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a worker process ended early")
        return json.loads(line)

    def time(self, name: str) -> float:
        print(name, file=self.process.stdin, flush=True)
        return self.read()

    def close(self) -> None:
        self.process.communicate()


def measure(sites: dict[str, Path], names: list[str]) -> tuple[dict, dict, float]:
    """Minimum seconds by side and job, jobs that a side does not support, and the noise."""
    fastest = {side: dict.fromkeys(names, float("inf")) for side in sites}
    for start in range(1, MAX_STARTS + 1):
        workers = {side: Worker(site, names) for side, site in sites.items()}
        unsupported = {side: worker.read() for side, worker in workers.items()}
        shared = [name for name in names if not any(name in jobs for jobs in unsupported.values())]
        if not shared:
            raise SystemExit(f"no job is supported by both: {unsupported}")
        for _ in range(ROUNDS):
            for name in random.sample(shared, len(shared)):
                for side in random.sample(list(workers), len(workers)):
                    fastest[side][name] = min(fastest[side][name], workers[side].time(name))
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
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
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
    run_worker(sys.argv[2:]) if sys.argv[1:2] == ["--worker"] else main()
