"""Worker processes that import cbackprop from folders filled by pip, and time jobs in turn with each other."""

import functools
import gc
import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.work import Job, Row, seconds, sizes

RUNS = 3  # per round; only the first run has cold caches
NON_ZEROS = 30  # of a sparse row

Rows = dict[str, tuple[Row, str]]  # by name: row and dtype


def named(rows: Iterable[Row]) -> Rows:
    return {f"{row.work} {row.shape} {dtype}": (row, dtype) for row in rows for dtype in row.dtypes}


def make_job(peer: str, row: Row, dtype: str) -> Job:
    if row.kind.endswith("sparse"):
        return sparse(row.kind, row.shape, row.N)
    return getattr(importlib.import_module(f"benchmarks.peers.{peer}"), row.kind)(row.make(dtype))


@functools.cache  # of millions of weights
def sparse(kind: str, shape: str, N: int) -> Job:
    import numpy as np
    from scipy.sparse import csr_array

    import cbackprop

    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(D, size=(N, NON_ZEROS)), axis=1).astype(np.int32)
    values, t = np.full((N, NON_ZEROS), NON_ZEROS**-0.5, np.float32), rng.integers(K, size=N)
    x = csr_array((values.ravel(), indices.ravel(), np.arange(N + 1, dtype=np.int32) * NON_ZEROS), (N, D))
    samples = list(zip(indices, values, t.tolist(), strict=True))
    network = cbackprop.Network(D, M, K, dtype=np.float32, learning_rate=0.1, rng=0)

    def learn_one_sparse():
        for sample in samples:
            network.learn_one_sparse(*sample)

    run = learn_one_sparse if kind == "learn_one_sparse" else lambda: network.fit(x, t, shuffle=False)
    return Job(run, tuple)


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

    def __init__(self, site: Path, module: str, names: Iterable[str], peer: str = "library"):
        path = os.pathsep.join(map(str, (site.resolve(), Path(__file__).parents[2])))
        self.names = list(names)
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


def interleave(workers: dict[str, Worker], names: list[str], fastest: dict[str, dict[str, float]]) -> None:
    """A round: every job once by each worker that supports it, in a random order; fastest keeps the minima."""
    for name in random.sample(names, len(names)):
        for side, worker in random.sample(list(workers.items()), len(workers)):
            if name in worker.names:
                fastest[side][name] = min(fastest[side].get(name, float("inf")), worker.time(name))


if __name__ == "__main__":
    serve(*sys.argv[1:3], sys.argv[3:])
