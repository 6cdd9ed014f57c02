"""Workloads: seeded data and weights, the jobs that peers make of them, and interleaved timing."""

import gc
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import cbackprop


class Functions(NamedTuple):
    """The functions of a network."""

    hidden: str = "sigmoid"  # or "relu"
    output: str = "softmax"  # or "linear"


DEFAULTS = Functions()
DTYPES = ("float32", "float64")
NETWORKS = 16  # of an ensemble


class Work(NamedTuple):
    """Samples, initial weights, and how to learn. Shapes as in cbackprop: w (M, D+1), v (K, M+1), bias last."""

    x: Any  # (N, D), an array or, in the kinds that end in "sparse", a SciPy CSR array
    t: np.ndarray  # (N,) class indices, or (N, K) numbers for linear outputs
    w: np.ndarray
    v: np.ndarray
    learning_rate: float = 0.01
    batch_size: int = 1
    epochs: int = 1
    functions: Functions = DEFAULTS

    def restore(self, w: np.ndarray, v: np.ndarray) -> None:
        w[:], v[:] = self.w, self.v

    def first(self, N: int) -> "Work":
        return self._replace(x=self.x[:N], t=self.t[:N])


class Job(NamedTuple):
    """A workload prepared by one peer: inputs are converted already; the first run may compile."""

    run: Callable[[], object]  # timed
    # arrays after a run: w and v, or the probabilities; none if the peer learns something else than the reference
    result: Callable[[], tuple] = tuple
    restore: Callable[[], object] = lambda: None  # resets the weights; not timed


def learning(run: Callable[[], object], work: Work, w: np.ndarray, v: np.ndarray) -> Job:
    """A job that changes w and v in place."""
    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def each(step: Callable[[Any, Any], object], samples: list[tuple], epochs: int = 1) -> Callable[[], None]:
    """What runs a step on each of the samples, or batches, in turn."""

    def run() -> None:
        for _ in range(epochs):
            for x_n, t_n in samples:
                step(x_n, t_n)

    return run


def in_place(work: Work, learn: Callable[..., object]) -> Job:
    """A job of `learn(x, t, w, v, learning_rate)`, which learns all samples, in order, into w and v."""
    only(work.batch_size == 1)
    w, v, learning_rate = work.w.copy(), work.v.copy(), work.w.dtype.type(work.learning_rate)

    def run() -> None:
        for _ in range(work.epochs):
            learn(work.x, work.t, w, v, learning_rate)

    return learning(run, work, w, v)


def network_by_network(fit: Callable[[Work], Job]) -> Callable[[Work], Job]:
    """The `fit_ensemble` of a peer that learns the networks one after the other."""

    def fit_ensemble(work: Work) -> Job:
        networks = [fit(work._replace(w=w, v=v)) for w, v in zip(work.w, work.v, strict=True)]

        def all_of(call: str) -> Callable[[], list]:
            return lambda: [getattr(network, call)() for network in networks]

        results = all_of("result")
        return Job(all_of("run"), lambda: tuple(map(np.stack, zip(*results(), strict=True))), all_of("restore"))

    return fit_ensemble


def only(condition: bool) -> None:
    """What a peer says of work that it cannot do, or not as well: its cell stays empty."""
    if not condition:
        raise NotImplementedError


def predicting(predict: Callable[[], Any]) -> Job:
    """A job whose result is the array that its last run returned."""
    y: list = []

    def run() -> None:
        y[:] = (predict(),)

    return Job(run, lambda: (np.asarray(y[0]),))


def predicting_each(predict: Callable[[Any], Any], rows: list) -> Job:
    """The same, with a call for each row."""
    return predicting(lambda: [predict(x_n) for x_n in rows])


def with_one(x: np.ndarray) -> np.ndarray:
    """x with the dummy x_D = 1 as last column, for peers whose matrix products then include the bias."""
    return np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)


def without_bias(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases apart, both contiguous."""
    return np.ascontiguousarray(weights[..., :-1]), weights[..., -1].copy()


def with_bias(weights: Any, bias: Any) -> np.ndarray:
    return np.concatenate([weights, np.expand_dims(bias, -1)], axis=-1)


def targets(work: Work) -> np.ndarray:
    """The targets as a matrix (N, K)."""
    return np.eye(work.v.shape[-2], dtype=work.x.dtype)[work.t] if work.t.ndim == 1 else work.t


def each_target(work: Work) -> list:
    """A class index or a vector for each sample."""
    return work.t.tolist() if work.t.ndim == 1 else list(work.t)


def one_row_each(work: Work) -> list[tuple]:
    """Matrices of one row, and their targets."""
    return [(work.x[n : n + 1], work.t[n : n + 1]) for n in range(len(work.x))]


def ensemble_of(work: Work, R: int) -> Work:
    """R networks, whose weights are those of the work in other orders: w (R, M, D+1), v (R, K, M+1)."""
    rng = np.random.default_rng(1)
    w, v = (rng.permuted(np.tile(layer.ravel(), (R, 1)), axis=1).reshape(R, *layer.shape) for layer in (work.w, work.v))
    return work._replace(w=w, v=v)


def batches(work: Work) -> list[slice]:
    return [slice(start, start + work.batch_size) for start in range(0, len(work.x), work.batch_size)]


def sizes(shape: str) -> tuple[int, int, int]:
    D, M, K = map(int, shape.split("-"))
    return D, M, K


def random_work(shape: str, dtype: str, N: int, batch_size: int = 1, functions: Functions = DEFAULTS) -> Work:
    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    x, t = rng.random((N, D)).astype(dtype), rng.integers(K, size=N)
    options = {} if functions == DEFAULTS else {"hidden": functions.hidden}  # older commits have no other functions
    w, v = cbackprop.init_weights(D, M, K, dtype=dtype, rng=0, **options)
    # online learning of a thousand hidden units is stable, and results comparable, only with smaller steps, as are
    # errors or activations without bound; a C library takes the rate as a float
    learning_rate = float(np.float32(1 / (D + M))) if options else 0.1 if M < 1000 else 0.01
    if functions.output == "linear":
        t = rng.normal(size=(N, K)).astype(dtype)
    return Work(x, t, w, v, learning_rate, batch_size, functions=functions)


def sparse_work(shape: str, dtype: str, N: int, batch_size: int, non_zeros: int) -> Work:
    """Clicks made at random: each sample has as many ones."""
    from scipy.sparse import csr_array

    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(D, size=(N, non_zeros), dtype=np.int32), axis=1)
    rows = np.arange(N + 1, dtype=np.int32) * non_zeros
    x = csr_array((np.ones(indices.size, dtype), indices.ravel(), rows), (N, D))
    return Work(x, rng.integers(K, size=N), *cbackprop.init_weights(D, M, K, dtype=dtype, rng=0), 0.1, batch_size)


def article_work(dtype: str) -> Work:
    """The article's experiment: 50 samples near (39, 6), classes of 16, 22 and 12, all weights 1, α = 0.5."""
    x = np.random.default_rng(0).normal((39, 6), (0.5, 0.2), (50, 2)).astype(dtype)
    return Work(x, np.repeat([0, 1, 2], [16, 22, 12]), np.ones((2, 3), dtype), np.ones((3, 3), dtype), 0.5, 50, 1000)


def scaled(work: Work, factor: float) -> Work:
    return work._replace(x=(work.x.astype(np.float64) * factor).astype(work.x.dtype))


INPUTS: dict[str, Callable[[Work], Work]] = {
    "": lambda work: work,
    "article": lambda work: article_work(work.x.dtype.name),
    "times 16": lambda work: scaled(work, 16),  # saturates hidden units, as the pixels of scikit-learn's digits do
    "times 1000": lambda work: scaled(work, 1000),
    "subnormal": lambda work: scaled(work, {"float32": 1e-40, "float64": 1e-310}[work.x.dtype.name]),
    "saturated": lambda work: work._replace(w=50 * work.w, v=50 * work.v),
}


class Row(NamedTuple):
    """What is measured: the work, and the function of a peer's module that makes a job of it."""

    work: str
    kind: str
    shape: str  # D-M-K
    N: int  # samples
    batch_size: int = 1
    epochs: int = 1
    dtypes: tuple[str, ...] = DTYPES
    functions: Functions = DEFAULTS
    inputs: str = ""  # a key of INPUTS
    non_zeros: int = 0  # of each sample, if the rows are sparse

    def make(self, dtype: str, N: int | None = None) -> Work:
        if self.non_zeros:
            return sparse_work(self.shape, dtype, N or self.N, self.batch_size, self.non_zeros)
        work = random_work(self.shape, dtype, N or self.N, self.batch_size, self.functions)
        work = INPUTS[self.inputs](work)._replace(epochs=self.epochs)
        return ensemble_of(work, NETWORKS) if self.kind == "fit_ensemble" else work


def samples(shape: str, milliseconds: float, batch_size: int = 128) -> int:
    """The N of an epoch of about that duration, at 20 operations per nanosecond and 100 ns per sample; whole batches"""
    D, M, K = sizes(shape)
    N = int(milliseconds * 1e6 / (100 + 6 * (D + K) * M / 20)) // 128 * 128
    return max(batch_size, 128, N) // batch_size * batch_size


def seconds(job: Job) -> float:
    job.restore()
    start = time.perf_counter()
    job.run()
    return time.perf_counter() - start


def interleaved(jobs: dict[str, Job], repeats: int, rounds: dict[str, int] | None = None) -> dict[str, list[float]]:
    """Seconds of each repeat of each job, A B C A B C ...; the results of the first and last repeat must be equal.

    A repeat consists of one or more rounds of the same job, so that fast jobs are not measured with cold caches only.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    results = {}
    for name, job in jobs.items():
        seconds(job)  # compiles, and warms up the caches
        results[name] = [np.array(array) for array in job.result()]
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        for name, job in jobs.items():
            count = rounds[name] if rounds else 1
            times[name].append(sum(seconds(job) for _ in range(count)) / count)
    gc.enable()
    for name, job in jobs.items():
        if not all(map(np.array_equal, job.result(), results[name])):
            raise SystemExit(f"{name}: the last repeat has a different result from the first")
    return times


def fastest(jobs: dict[str, Job], repeats: int, N: int = 1) -> dict[str, float]:
    """Seconds of each job, the minimum of interleaved repeats, divided by the number of samples."""
    return {name: min(found) / N for name, found in interleaved(jobs, repeats).items()}
