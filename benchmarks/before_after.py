"""Two versions beside each other: `python -m benchmarks.before_after BEFORE AFTER`, folders filled by pip.

Each version has a process of its own, as have the numba loops and JAX, if they are installed. They run the jobs in turn
on one processor, in a random order in every round and with arrays at new addresses, and are restarted several times.
The table has the minimum times.
"""

import argparse
import functools
import importlib
import sys
from pathlib import Path
from typing import NamedTuple

from .report import factor, table
from .sites import Worker, interleave, pin, serve

NETWORKS = 16  # of an ensemble
SIDES = {"before": "library", "after": "library", "numba": "numba_loops", "JAX": "jax_scan"}  # modules in peers/
INPUTS = ("times 1000", "subnormal", "saturated")  # the last are ordinary inputs of 50 times the weights
SUBNORMAL = {"float32": 1e-40, "float64": 1e-310}


class Row(NamedTuple):
    what: str
    kind: str  # a function of a module in peers/, or of this one
    shape: str
    N: int  # some milliseconds
    dtypes: tuple[str, ...] = ("float32", "float64")
    batch_size: int = 1
    epochs: int = 1
    inputs: str = ""


ONLINE = {
    "2-2-3": 20_000, "4-8-2": 20_000, "8-8-3": 20_000, "13-9-3": 15_000, "20-16-5": 10_000, "30-20-2": 8_000,
    "37-53-7": 4_000, "64-32-10": 4_000, "784-16-10": 1_500, "784-100-10": 400, "784-1024-10": 80,
}  # fmt: skip
LEARN_ONE = ("2-2-3", "13-9-3", "30-20-2", "64-32-10", "64-64-10", "784-16-10")
FLOAT32 = ("float32",)
ROWS = [
    *(Row("online", "fit", shape, N) for shape, N in ONLINE.items()),
    *(Row("learn_one", "learn_one", shape, 2_000 if len(shape) < 9 else 500) for shape in LEARN_ONE),
    *(Row(f"{NETWORKS} networks", "fit_ensemble", shape, 4_000) for shape in ("2-2-3", "4-8-2", "5-6-4", "13-9-3")),
    *(Row("batches of 32", "fit", shape, 16_000, batch_size=32) for shape in ("2-2-3", "13-9-3")),
    *(Row("batch of all 1000", "fit", shape, 1_000, batch_size=1_000, epochs=20) for shape in ("2-2-3", "13-9-3")),
    *(Row(f"batches of {B}", "fit", "784-100-10", 1_024, FLOAT32, batch_size=B) for B in (128, 1024)),
    Row("predict", "predict", "64-32-10", 10_000, FLOAT32),
    *(
        Row(f"{kind}, 30 non-zeros", kind, f"{2**18}-16-2", 1_000, FLOAT32)
        for kind in ("learn_one_sparse", "fit_sparse")
    ),
    *(Row(f"online, {i}", "fit", shape, ONLINE[shape], inputs=i) for shape in ("13-9-3", "64-32-10") for i in INPUTS),
]
JOBS = {f"{row.what} {row.shape} {dtype}": (row, dtype) for row in ROWS for dtype in row.dtypes}


def online(name: str) -> bool:
    return JOBS[name][0].what == "online"


def make_job(name: str, peer: str):
    row, dtype = JOBS[name]
    if row.kind.endswith("sparse"):
        return sparse(row.kind, row.shape, row.N)
    from .work import ensemble_of, random_work

    work = random_work(row.shape, dtype, row.N, row.batch_size)._replace(epochs=row.epochs)
    if row.kind == "fit_ensemble":
        work = ensemble_of(work, NETWORKS)
    if row.inputs == "saturated":
        work = work._replace(w=50 * work.w, v=50 * work.v)
    elif row.inputs:
        scale = SUBNORMAL[dtype] if row.inputs == "subnormal" else 1000
        work = work._replace(x=(work.x.astype("float64") * scale).astype(dtype))
    module = importlib.import_module(f".peers.{peer}", __package__)
    return predict(module.network_of(work), work.x) if row.kind == "predict" else getattr(module, row.kind)(work)


def predict(network, x):
    from .work import Job

    return Job(lambda: network.predict(x), lambda: ())


@functools.cache  # of millions of weights
def sparse(kind: str, shape: str, N: int, non_zeros: int = 30):
    import numpy as np
    from scipy.sparse import csr_array

    import cbackprop

    from .work import Job, sizes

    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(D, size=(N, non_zeros)), axis=1).astype(np.int32)
    values, t = np.full((N, non_zeros), non_zeros**-0.5, np.float32), rng.integers(K, size=N)
    x = csr_array((values.ravel(), indices.ravel(), np.arange(N + 1, dtype=np.int32) * non_zeros), (N, D))
    samples = list(zip(indices, values, t.tolist(), strict=True))
    network = cbackprop.Network(D, M, K, dtype=np.float32, learning_rate=0.1, rng=0)

    def learn_one_sparse():
        for sample in samples:
            network.learn_one_sparse(*sample)

    run = learn_one_sparse if kind == "learn_one_sparse" else lambda: network.fit(x, t, shuffle=False)
    return Job(run, lambda: ())


def measure(before: Path, after: Path, starts: int, rounds: int) -> dict[str, dict[str, float]]:
    """Minimum nanoseconds of a sample by side and job."""
    fastest: dict[str, dict[str, float]] = {side: {} for side in SIDES}
    for _ in range(starts):
        workers = {}
        for side, peer in SIDES.items():
            names = JOBS if peer == "library" else filter(online, JOBS)
            workers[side] = Worker(before if side == "before" else after, "before_after", ["--worker", peer], names)
            if skipped := workers[side].unsupported():
                print(f"{side} skips {', '.join(skipped)}: {', '.join(set(skipped.values()))}", file=sys.stderr)
        for _ in range(rounds):
            interleave(workers, list(JOBS), fastest)
        for worker in workers.values():
            worker.close()
    samples = {name: row.N * row.epochs for name, (row, _) in JOBS.items()}
    return {side: {name: 1e9 * found[name] / samples[name] for name in found} for side, found in fastest.items()}


def line(name: str, times: dict[str, dict[str, float]]) -> list[str]:
    row, dtype = JOBS[name]
    found = {side: times[side][name] for side in times if name in times[side]}
    cells = [f"{found[side]:.4g}" if side in found else "–" for side in times]
    others = [found[peer] for peer in ("numba", "JAX") if peer in found]
    after = found["after"]
    ratios = [found["before"] / after if "before" in found else None, min(others) / after if others else None]
    ratios.append(after / times["after"][f"online {row.shape} {dtype}"] if row.inputs else None)
    return [row.what, row.shape, dtype, *cells, *(factor(ratio) if ratio else "" for ratio in ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before_after", description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--quick", action="store_true", help="a test run of a round")
    options = parser.parse_args()
    pin()
    times = measure(options.before, options.after, *((1, 1) if options.quick else (3, 9)))
    times = {side: found for side, found in times.items() if found}
    header = ["work", "D-M-K", "dtype", *times, "before / after", "fastest other / after", "after / ordinary"]
    print(f"Nanoseconds of a sample, minima; {NETWORKS} networks: of all.\n")
    print(table(header, [line(name, times) for name in JOBS if name in times["after"]]))


if __name__ == "__main__":
    serve(sys.argv[3:], lambda name: make_job(name, sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
