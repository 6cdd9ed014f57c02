"""The gate: is a commit slower than its parent? `python -m benchmarks.gate PARENT COMMIT`: folders that pip filled.

The parent, the parent once more, and the commit run in processes of their own on one processor, each benchmark in turn
and in an order that is shuffled every round; the least time of many rounds, each with arrays at other addresses, in
processes started anew several times, stands for each. The noise is the largest difference, in any benchmark, between
the two that are the same. A benchmark has lost if the commit takes more than 10 % and twice the noise longer than the
parent, and does so again when the losers alone are measured anew. Noise that would hide a loss of 40 % is an error.
What the parent can't run is named and left out.
"""

import argparse
import gc
import json
import os
import random
import subprocess
import sys
from pathlib import Path

FLOOR = 0.10  # code that moves in memory is that much faster or slower, though it is the same code
QUIET = 0.03  # noise that is low enough to stop
LOUD = 0.15  # and so high that nothing can be told
STARTS = 4, 12  # of the processes: at least, and at most where it is noisy
ROUNDS = 12  # of each start
WARM = 3  # runs in a turn, of which the first ones find their data in no cache

JOBS = {  # name: function of peers/library.py, D-M-K, dtype, samples (about a millisecond), batch size
    "online 2-2-3 float64": ("fit", "2-2-3", "float64", 10_000, 1),
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


def work(names: list[str]) -> None:
    """A process of one side: says what it can't run; then, for each name that comes in, how long that took."""
    from .peers import library
    from .work import random_work, seconds

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(library.cbackprop.__file__).parents:
        raise SystemExit(f"{library.cbackprop.__file__} is not in {site}")

    def time(name: str) -> float:
        elsewhere = bytearray(random.randrange(1 << 14))  # arrays made while it lives lie at other addresses
        function, *sizes = JOBS[name]
        job = getattr(library, function)(random_work(*sizes))
        del elsewhere
        return min(seconds(job) for _ in range(WARM))

    lacking = {}
    for name in names:
        try:
            time(name)
        except (AttributeError, ImportError, TypeError) as error:
            lacking[name] = str(error)
    gc.disable()
    print(json.dumps(lacking), flush=True)
    for line in sys.stdin:
        print(time(line.strip()), flush=True)


class Side:
    """A process with the cbackprop of one folder."""

    def __init__(self, site: Path, names: list[str]):
        path = os.pathsep.join(map(str, (site.resolve(), Path(__file__).parents[1])))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.gate", "--work", *names],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process ended before its time")
        return json.loads(line)

    def time(self, name: str) -> float:
        print(name, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        self.process.communicate()


def measure(sites: dict[str, Path], names: list[str]) -> tuple[dict, dict, float]:
    """Least seconds of each side and benchmark, what each side lacks, and the noise."""
    least = {side: dict.fromkeys(names, float("inf")) for side in sites}
    for start in range(STARTS[1]):
        sides = {side: Side(site, names) for side, site in sites.items()}
        lacking = {side: process.answer() for side, process in sides.items()}
        able = [name for name in names if not any(name in lacks for lacks in lacking.values())]
        if not able:
            raise SystemExit(f"there is nothing that both can run: {lacking}")
        for _ in range(ROUNDS):
            for name in random.sample(able, len(able)):
                for side in random.sample(list(sides), len(sides)):
                    least[side][name] = min(least[side][name], sides[side].time(name))
        for process in sides.values():
            process.end()
        once, again = ([least[side][name] for name in able] for side in ("parent", "parent again"))
        noise = max(max(a, b) / min(a, b) for a, b in zip(once, again, strict=True)) - 1
        if start + 1 >= STARTS[0] and noise <= QUIET:
            break
    if noise > LOUD:
        raise SystemExit(f"noise of {noise:.0%}: nothing can be told on a machine that is so busy")
    return {side: {name: times[name] for name in able} for side, times in least.items()}, lacking, noise


def losers(times: dict[str, dict[str, float]], noise: float) -> list[str]:
    """Prints a table, too."""
    limit = FLOOR + 2 * noise
    print(f"{'least time':40} {'parent':>10} {'again':>8} {'commit':>8}   noise {noise:.1%}, limit {limit:+.1%}")
    slower = {name: times["commit"][name] / parent - 1 for name, parent in times["parent"].items()}
    for name, parent in times["parent"].items():
        again = times["parent again"][name] / parent - 1
        mark = "   slower" if slower[name] > limit else ""
        print(f"{name:40} {parent * 1e6:7.0f} µs {again:+8.1%} {slower[name]:+8.1%}{mark}", flush=True)
    return [name for name in slower if slower[name] > limit]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__.split("\n")[0])
    parser.add_argument("parent", type=Path)
    parser.add_argument("commit", type=Path)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sites = {"parent": options.parent, "parent again": options.parent, "commit": options.commit}
    times, lacking, noise = measure(sites, list(JOBS))
    if lacking["commit"]:
        raise SystemExit(f"the commit can't run {lacking['commit']}")
    for name, why in lacking["parent"].items():
        print(f"left out: {name}: the parent can't run it: {why}")
    lost = losers(times, noise)
    if lost:
        times, _, noise = measure(sites, lost)
        lost = losers(times, noise)
    sys.exit(f"slower than the parent: {'; '.join(lost)}" if lost else 0)


if __name__ == "__main__":
    work(sys.argv[2:]) if sys.argv[1:2] == ["--work"] else main()
