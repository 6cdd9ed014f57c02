"""Worker processes that import cbackprop from folders filled by pip, and time jobs in turn with each other."""

import gc
import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.work import Job, Row, seconds

RUNS = 3  # per round; only the first run has cold caches

Rows = dict[str, tuple[Row, str]]  # by name: row and dtype


def named(rows: Iterable[Row]) -> Rows:
    return {f"{row.work} {row.shape} {dtype}": (row, dtype) for row in rows for dtype in row.dtypes}


def make_job(peer: str, row: Row, dtype: str) -> Job:
    return getattr(importlib.import_module(f"benchmarks.peers.{peer}"), row.kind)(row.make(dtype))


def serve(module: str, peer: str, names: list[str]) -> None:
    """The worker process: writes which jobs are not supported; then reads names and writes the seconds of each job."""
    import cbackprop

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(cbackprop.__file__).parents:
        raise SystemExit(f"{cbackprop.__file__} is not in {site}")
    jobs: Rows = importlib.import_module(module).JOBS

    def time(name: str) -> float:
        shift = bytearray(random.randrange(1 << 14))  # moves the arrays that are allocated next
        job = make_job(peer, *jobs[name])
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
    """A process that imports cbackprop from a site and serves jobs of JOBS in a module, made by a peer."""

    def __init__(self, site: Path, module: str, names: list[str], peer: str):
        path = os.pathsep.join(map(str, (site.resolve(), Path(__file__).parents[2])))
        self.names = names
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.compare.sites", f"benchmarks.compare.{module}", peer, *self.names],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def unsupported(self) -> dict[str, str]:
        """Wait until the worker has tried all jobs; what it does not support, and why."""
        found = self.read()
        self.names = [name for name in self.names if name not in found]
        return found

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


def pin() -> None:
    """Keep this process and its workers on one processor."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measure(
    module: str, sides: dict[str, tuple[Path, str, list[str]]], rounds: int, fastest: dict[str, dict[str, float]]
) -> dict[str, dict[str, str]]:
    """Start a worker for each side, with a site, a peer and names of jobs; `fastest` keeps the minima of all rounds.

    In a round, every job runs once on each side that supports it, in a random order. Returns what a side does not.
    """
    workers = {side: Worker(site, module, names, peer) for side, (site, peer, names) in sides.items()}
    unsupported = {side: worker.unsupported() for side, worker in workers.items()}
    names = list(dict.fromkeys(name for worker in workers.values() for name in worker.names))
    for _ in range(rounds):
        for name in random.sample(names, len(names)):
            for side, worker in random.sample(list(workers.items()), len(workers)):
                if name in worker.names:
                    fastest[side][name] = min(fastest[side].get(name, float("inf")), worker.time(name))
    for worker in workers.values():
        worker.close()
    return unsupported


if __name__ == "__main__":
    serve(*sys.argv[1:3], sys.argv[3:])
