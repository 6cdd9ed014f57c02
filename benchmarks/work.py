"""What every peer is given and gives back, so that compare.py can run them all alike."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


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
