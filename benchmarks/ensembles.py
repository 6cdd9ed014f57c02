"""Ensembles beside one network, and beside other libraries: `python -m benchmarks.ensembles`.

The time of a sample for all networks of an ensemble, learned online by `Ensemble.fit`'s engines, divided by that of one
such network by `fit`'s; and the time that others take for the same networks, divided by ours. Interleaved repeats, one
thread, minima. The dearest rows come first.
"""

import importlib.util
import sys
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from . import restart_pinned
from .report import argument_parser, factor, machine, machine_table, readable, result_path, table
from .work import Job, Work, interleaved, random_work, samples, targets

with suppress(ImportError):  # asv imports this file, too, at commits without ensembles
    from cbackprop import Network, _engines
    from cbackprop._ensemble_engines import Engines
    from cbackprop._training import Data, Settings
    from cbackprop._training_lock import call_all
    from cbackprop._validation import Functions

ROWS = [  # networks, shape, the most that they should take of one
    (16, "2-2-3", 2),
    (16, "4-8-2", 2),
    (16, "13-9-3", 3),
    (16, "10-16-2", 3),
    (8, "64-32-10", 4),
    (8, "784-100-10", 6),
]
WITH_PEERS = "13-9-3"


class Result(NamedTuple):
    work: str
    dtype: str
    one: float  # seconds of a sample
    all: float
    reach: float
    peers: dict[str, float]

    @property
    def ratio(self) -> float:
        return self.all / self.one


def networks(work: Work, R: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return tuple(np.stack([rng.permutation(layer.ravel()).reshape(layer.shape) for _ in range(R)])
                 for layer in (work.w, work.v))  # fmt: skip


def one_network(work: Work) -> Job:
    engine = _engines.make_engine(work.w, work.v, Functions(), 1, "auto")
    given, order = engine.samples(work.x, None, work.t), np.arange(len(work.x))
    restore = lambda: engine.load(work.w, work.v)  # noqa: E731
    restore()
    return Job(lambda: engine.learn(given, order, work.learning_rate), lambda: (), restore)


def ensemble(work: Work, R: int) -> Job:
    start = networks(work, R)
    w, v = (layer.copy() for layer in start)
    settings = Settings(work.learning_rate, 1, "auto", 0, 0, False, False, *Functions())
    members = [Network.from_weights(w[r], v[r]) for r in range(R)]
    engines = Engines(members, Data(work.x, None, work.t, None), settings)
    which, order, rates = np.ones(R, bool), np.arange(len(work.x)), np.full(R, work.learning_rate)

    def run():
        _sums, stores, calls = engines.learn(which, order, rates)
        call_all([*calls, *stores], [])

    def restore():
        w[:], v[:] = start

    return Job(run, lambda: (), restore)


def jax_vmap(work: Work, R: int) -> Job:
    import jax
    import jax.numpy as jnp

    from .peers.jax_scan import Settings, epochs

    w, v = networks(work, R)
    start = tuple(jnp.array(part) for layer in (w, v) for part in (layer[..., :-1], layer[..., -1]))
    x, t, settings = jnp.array(work.x), jnp.array(targets(work)), Settings(work.functions, work.learning_rate)
    learn = jax.jit(jax.vmap(lambda weights: epochs(weights, x, t, settings, 1)))
    return Job(lambda: jax.block_until_ready(learn(start)), lambda: (), lambda: None)


def torch_vmap(work: Work, R: int) -> Job:
    import torch

    torch.set_num_threads(1)
    weights = [torch.from_numpy(layer) for layer in networks(work, R)]
    x, t = torch.from_numpy(work.x), torch.from_numpy(targets(work))

    def loss(w, v, x_n, t_n):
        z = torch.sigmoid(w[:, :-1] @ x_n + w[:, -1])
        return -(t_n * torch.log_softmax(v[:, :-1] @ z + v[:, -1], 0)).sum()

    gradients = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1)), in_dims=(0, 0, None, None))

    def run():
        for x_n, t_n in zip(x, t, strict=True):
            for layer, derivative in zip(weights, gradients(*weights, x_n, t_n), strict=True):
                layer -= work.learning_rate * derivative

    return Job(run, lambda: (), lambda: None)


def numba_each(work: Work, R: int) -> Job:
    from .peers import numba_loops

    jobs = [numba_loops.fit(work) for _ in range(R)]

    def run():
        for job in jobs:
            job.run()

    def restore():
        for job in jobs:
            job.restore()

    return Job(run, lambda: (), restore)


PEERS = {"jax": jax_vmap, "torch": torch_vmap, "numba": numba_each}


def measure(R: int, shape: str, reach: float, dtype: str, repeats: int, milliseconds: float) -> Result:
    if shape == WITH_PEERS:  # PyTorch takes a second for what takes ours a millisecond
        repeats, milliseconds = min(repeats, 7), 0.1
    N = samples(shape, milliseconds)
    work = random_work(shape, dtype, N, 1)
    jobs = {
        "one": one_network(work),
        "all": ensemble(work, R),
    }
    if shape == WITH_PEERS:
        jobs |= {name: make(work, R) for name, make in PEERS.items() if importlib.util.find_spec(name)}
    times = {name: min(found) / N for name, found in interleaved(jobs, repeats).items()}
    peers = {name: seconds / times["all"] for name, seconds in times.items() if name in PEERS}
    return Result(f"{R} × {shape}", dtype, times["one"], times["all"], reach, peers)


def line(row: Result) -> list[str]:
    times = [readable(seconds, "s") for seconds in (row.one, row.all)]
    peers = ", ".join(f"{name} {factor(ratio)}" for name, ratio in row.peers.items())
    return [row.work, row.dtype, *times, factor(row.ratio), str(row.reach), peers]


def main() -> None:
    options = argument_parser("ensembles", __doc__).parse_args()
    description = machine(restart_pinned())
    repeats, milliseconds = (2, 0.5) if options.quick else (31, 4)
    rows = []
    for R, shape, reach in ROWS:
        for dtype in ("float32", "float64"):
            rows.append(measure(R, shape, reach, dtype, repeats, milliseconds))
            print(" ".join(line(rows[-1])), file=sys.stderr)
    header = ["ensemble", "dtype", "one network", "all", "ratio", "goal", "others ÷ ours"]
    parts = [
        "# What an ensemble costs",
        "",
        f"Written by `python -m benchmarks.ensembles`: the time of a sample, the minimum of {repeats} interleaved",
        "repeats on one thread. *ratio*: the time for all networks divided by that for one of them alone; *others ÷",
        "ours*: the time of other libraries for the same networks (`vmap` of a compiled scan of JAX, `vmap` of",
        "PyTorch, loops compiled by Numba for one network after the other), divided by ours.",
        "",
        table(header, [line(row) for row in sorted(rows, key=lambda row: row.reach / row.ratio)]),
        machine_table(description),
    ]
    path = result_path(options.output, "ensembles", description)
    path.write_text("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()
