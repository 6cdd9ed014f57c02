"""Workloads: seeded data and weights, the jobs that peers make of them, and interleaved timing."""

import gc
import time
from collections.abc import Callable
from typing import NamedTuple

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

    x: np.ndarray  # (N, D)
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


class Clicks(NamedTuple):
    """Sparse samples of two classes in float32, each with as many ones, and initial weights."""

    indices: np.ndarray  # (N, non-zeros), int32, sorted
    t: np.ndarray  # (N,), 0 or 1
    w: np.ndarray  # (M, D + 1)
    v: np.ndarray  # (2, M + 1)
    learning_rate: float = 0.1

    restore = Work.restore

    def first(self, N: int) -> "Clicks":
        return self._replace(indices=self.indices[:N], t=self.t[:N])

    @property
    def x(self):
        from scipy.sparse import csr_array

        N, non_zeros = self.indices.shape
        ones, rows = np.ones(N * non_zeros, np.float32), np.arange(N + 1, dtype=np.int32) * non_zeros
        return csr_array((ones, self.indices.ravel(), rows), (N, self.w.shape[1] - 1))


class Job(NamedTuple):
    """A workload prepared by one peer: inputs are converted already; the first run may compile."""

    run: Callable[[], object]  # timed
    result: Callable[[], tuple]  # arrays after a run: w and v, or the probabilities
    restore: Callable[[], None] = lambda: None  # resets the weights; not timed


def learning(run: Callable[[], object], work: Work, w: np.ndarray, v: np.ndarray) -> Job:
    """A job that changes w and v in place."""
    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def predicting(predict: Callable[[], list], arrays: Callable[[list], tuple] = tuple) -> Job:
    """A job whose results are those of the last run, as arrays."""
    y: list = []

    def run():
        y[:] = predict()

    return Job(run, lambda: arrays(y))


def together(y: list) -> tuple:
    """The predictions of single samples, as one array."""
    return (y,)


def with_one(x: np.ndarray) -> np.ndarray:
    """x with the dummy x_D = 1 as last column, for peers whose matrix products then include the bias."""
    return np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)


def targets(work: Work) -> np.ndarray:
    """The targets as a matrix (N, K)."""
    return np.eye(work.v.shape[-2], dtype=work.x.dtype)[work.t] if work.t.ndim == 1 else work.t


def each_target(work: Work) -> list:
    """A class index or a vector for each sample."""
    return work.t.tolist() if work.t.ndim == 1 else list(work.t)


def ensemble_of(work: Work, R: int) -> Work:
    """R networks, whose weights are those of the work in other orders: w (R, M, D+1), v (R, K, M+1)."""
    rng = np.random.default_rng(1)
    w, v = (rng.permuted(np.tile(layer.ravel(), (R, 1)), axis=1).reshape(R, *layer.shape) for layer in (work.w, work.v))
    return work._replace(w=w, v=v)


def each_network(work: Work) -> list[Work]:
    return [work._replace(w=w, v=v) for w, v in zip(work.w, work.v, strict=True)]


def batches(work: Work) -> list[slice]:
    return [slice(start, start + work.batch_size) for start in range(0, len(work.x), work.batch_size)]


def sizes(shape: str) -> tuple[int, int, int]:
    D, M, K = map(int, shape.split("-"))
    return D, M, K


def article_work(dtype: str) -> Work:
    """The article's experiment: 50 samples near (39, 6), classes of 16, 22 and 12, all weights 1, α = 0.5."""
    x = np.random.default_rng(0).normal((39, 6), (0.5, 0.2), (50, 2)).astype(dtype)
    return Work(x, np.repeat([0, 1, 2], [16, 22, 12]), np.ones((2, 3), dtype), np.ones((3, 3), dtype), 0.5, 50, 1000)


def random_work(shape: str, dtype: str, N: int, batch_size: int = 1, functions: Functions = DEFAULTS) -> Work:
    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    x, t = rng.random((N, D)).astype(dtype), rng.integers(K, size=N)
    options = {} if functions == DEFAULTS else {"hidden": functions.hidden}  # older commits have no other functions
    w, v = cbackprop.init_weights(D, M, K, dtype=dtype, rng=0, **options)
    # online learning of a thousand hidden units is stable, and results comparable, only with smaller steps, as are
    # errors or activations without bound
    learning_rate = 1 / (D + M) if options else 0.1 if M < 1000 else 0.01
    if functions.output == "linear":
        t = rng.normal(size=(N, K)).astype(dtype)
    return Work(x, t, w, v, learning_rate, batch_size, functions=functions)


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

    def make(self, dtype: str, N: int | None = None) -> Work | Clicks:
        if self.kind.endswith("sparse"):
            return clicks(self.shape, self.N)
        work = random_work(self.shape, dtype, N or self.N, self.batch_size, self.functions)
        work = INPUTS[self.inputs](work)._replace(epochs=self.epochs)
        return ensemble_of(work, NETWORKS) if self.kind == "fit_ensemble" else work


def scaled(work: Work, factor: float) -> Work:
    return work._replace(x=(work.x.astype(np.float64) * factor).astype(work.x.dtype))


INPUTS = {
    "": lambda work: work,
    "times 16": lambda work: scaled(work, 16),  # saturates hidden units, as the pixels of scikit-learn's digits do
    "times 1000": lambda work: scaled(work, 1000),
    "subnormal": lambda work: scaled(work, {"float32": 1e-40, "float64": 1e-310}[work.x.dtype.name]),
    "saturated": lambda work: work._replace(w=50 * work.w, v=50 * work.v),
}


def clicks(shape: str, N: int, non_zeros: int = 30) -> Clicks:
    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(D, size=(N, non_zeros), dtype=np.int32), axis=1)
    return Clicks(indices, rng.integers(K, size=N), *cbackprop.init_weights(D, M, K, dtype="float32", rng=0))


def samples(shape: str, milliseconds: float, at_least: int = 128) -> int:
    """The N of an epoch of about that duration, at 20 operations per nanosecond and 100 ns per sample."""
    D, M, K = sizes(shape)
    return max(at_least, int(milliseconds * 1e6 / (100 + 6 * (D + K) * M / 20)) // 128 * 128)


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
