"""Worker processes that import cbackprop from folders filled by pip, and time jobs in turn with each other."""

import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

RUNS = 3  # per round; only the first run has cold caches


def pin() -> None:
    """Keep this process and its workers on one processor."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def serve(names: list[str], make_job: Callable) -> None:
    """The worker process: writes which jobs are not supported; then reads names and writes the seconds of each job."""
    import cbackprop

    from .work import seconds

    site = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    if site not in Path(cbackprop.__file__).parents:
        raise SystemExit(f"{cbackprop.__file__} is not in {site}")

    def time(name: str) -> float:
        shift = bytearray(random.randrange(1 << 14))  # moves the arrays that are allocated next
        job = make_job(name)
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
    """A process of a module of this package, started with the arguments and then names, that calls `serve`."""

    def __init__(self, site: Path, module: str, arguments: list[str], names: Iterable[str]):
        path = os.pathsep.join(map(str, (site.resolve(), Path(__file__).parents[1])))
        self.names = list(names)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", f"benchmarks.{module}", *arguments, *self.names],
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


def interleave(workers: dict[str, Worker], names: list[str], fastest: dict[str, dict[str, float]]) -> None:
    """A round: every job once by each worker that supports it, in a random order; fastest keeps the minima."""
    for name in random.sample(names, len(names)):
        for side, worker in random.sample(list(workers.items()), len(workers)):
            if name in worker.names:
                fastest[side][name] = min(fastest[side].get(name, float("inf")), worker.time(name))
