"""What is measured: seeded data and weights, what a peer is given and gives back, and how jobs are timed in turn."""

import gc
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import cbackprop


class Work(NamedTuple):
    """Samples, starting weights, and how to learn. Shapes as in cbackprop: w (M, D+1), v (K, M+1), bias last."""

    x: np.ndarray  # (N, D)
    t: np.ndarray  # (N,) class indices
    w: np.ndarray
    v: np.ndarray
    learning_rate: float = 0.01
    batch_size: int = 1
    epochs: int = 1

    def restore(self, w: np.ndarray, v: np.ndarray) -> None:
        w[:], v[:] = self.w, self.v

    def first(self, N: int) -> "Work":
        return self._replace(x=self.x[:N], t=self.t[:N])


class Job(NamedTuple):
    """One kind of work made ready by one peer; all conversions are done, everything that compiles can be compiled."""

    run: Callable[[], object]  # this is timed
    result: Callable[[], tuple]  # arrays after a run: w and v, or the probabilities
    restore: Callable[[], None] = lambda: None  # to the starting weights; not timed


def with_one(x: np.ndarray) -> np.ndarray:
    """The dummy x_D = 1 as a last column: for peers to which it saves adding the bias."""
    return np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)


def one_hot(work: Work) -> np.ndarray:
    return np.eye(len(work.v), dtype=work.x.dtype)[work.t]


def batches(work: Work) -> list[slice]:
    return [slice(start, start + work.batch_size) for start in range(0, len(work.x), work.batch_size)]


def sizes(shape: str) -> tuple[int, int, int]:
    D, M, K = map(int, shape.split("-"))
    return D, M, K


def article_work(dtype: str) -> Work:
    """The article's experiment: 50 samples near (39, 6), classes of 16, 22 and 12, all weights 1, α = 0.5."""
    x = np.random.default_rng(0).normal((39, 6), (0.5, 0.2), (50, 2)).astype(dtype)
    return Work(x, np.repeat([0, 1, 2], [16, 22, 12]), np.ones((2, 3), dtype), np.ones((3, 3), dtype), 0.5, 50, 1000)


def random_work(shape: str, dtype: str, N: int, batch_size: int = 1) -> Work:
    D, M, K = sizes(shape)
    rng = np.random.default_rng(0)
    x, t = rng.random((N, D)).astype(dtype), rng.integers(K, size=N)
    w, v = cbackprop.init_weights(D, M, K, dtype=dtype, rng=0)
    # a thousand hidden units learned online need smaller steps to stay stable, and only then can results be compared
    return Work(x, t, w, v, 0.1 if M < 1000 else 0.01, batch_size)


def seconds(job: Job) -> float:
    job.restore()
    start = time.perf_counter()
    job.run()
    return time.perf_counter() - start


def interleaved(jobs: dict[str, Job], repeats: int, rounds: dict[str, int] | None = None) -> dict[str, list[float]]:
    """Seconds of each repeat of each job, A B C A B C ...; each ends in the same result every time.

    A repeat may be several rounds of the same, so that who is done sooner isn't timed while caches are still cold.
    """
    times: dict[str, list[float]] = {name: [] for name in jobs}
    results = {}
    for name, job in jobs.items():
        seconds(job)  # compiles, and warms up
        results[name] = [np.array(array) for array in job.result()]
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        for name, job in jobs.items():
            many = rounds[name] if rounds else 1
            times[name].append(sum(seconds(job) for _ in range(many)) / many)
    gc.enable()
    for name, job in jobs.items():
        if not all(map(np.array_equal, job.result(), results[name])):
            raise SystemExit(f"{name}: the last repeat ended in another result than the first")
    return times


def samples(shape: str, milliseconds: float, at_least: int = 128) -> int:
    """So many that an epoch takes about so long, at 20 operations a nanosecond and 100 ns a sample."""
    D, M, K = sizes(shape)
    return max(at_least, int(milliseconds * 1e6 / (100 + 6 * (D + K) * M / 20)) // 128 * 128)
