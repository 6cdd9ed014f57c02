"""Epochs of learning on the user's own arrays, which hold what was learned whenever control returns."""

from typing import Any, NamedTuple

import numpy as np

from . import _engines as engines
from ._threads import learn_together


class Samples(NamedTuple):
    """What the gate has let pass, in the order in which engines take it. Targets are rows or labels."""

    x: np.ndarray
    rows: np.ndarray | None
    labels: np.ndarray | None
    weights: np.ndarray | None

    @property
    def weight(self) -> float:
        """What all samples count together."""
        return len(self.x) if self.weights is None else float(self.weights.sum(dtype=np.float64))


class Training:
    """Learning from samples with one engine.

    Parameters
    ----------
    samples : Samples
    w, v : ndarray
        The weights, changed by each epoch.
    velocity : pair of ndarray, or None without momentum
        The same.
    method, batch_size, momentum, l2
        See `cbackprop.fit`.
    learning_rate : float
    n_threads : int
    """

    def __init__(
        self,
        samples: Samples,
        w: np.ndarray,
        v: np.ndarray,
        velocity: tuple[np.ndarray, np.ndarray] | None,
        *,
        learning_rate: float,
        batch_size: int,
        method: str,
        n_threads: int,
        momentum: float,
        l2: float,
    ) -> None:
        self.samples, self.w, self.v, self.velocity = samples, w, v, velocity
        self.learning_rate, self.batch_size, self.method = learning_rate, batch_size, method
        self.extras = {} if momentum == l2 == 0 else {"momentum": momentum, "l2": l2}
        self.engine = engines.learner(w, v, batch_size, method, **self.extras)
        self.threads = engines.threads_to_learn(self.engine, w, v, batch_size, n_threads)

    def epoch(self, order: np.ndarray) -> float | None:
        """The sum of E_n; None, with the weights as they were, if it or a weight is not finite."""
        total = self._epoch(self.engine, self.threads, order)
        if total is None and self.method != "direct":  # products of huge inputs with each other, which only blocks take
            direct = engines.learner(self.w, self.v, self.batch_size, "direct", **self.extras)
            total = self._epoch(direct, 1, order)
        return total

    def _epoch(self, engine: Any, threads: int, order: np.ndarray) -> float | None:
        self._load(engine)
        try:
            total = learn_together(engine, threads, *self.samples, order, self.learning_rate)
        except BaseException:  # interrupted: keep what was learned, unless momentum was amid its only batch
            if engine.finite() and (self.velocity is None or self.batch_size < len(self.samples.x)):
                self._store(engine)
            raise
        if not (np.isfinite(total) and engine.finite()):
            return None
        self._store(engine)
        return total

    @property
    def takes_epochs(self) -> bool:
        """Whether `epochs` is there for this engine, which needs each epoch to be a batch."""
        return self.batch_size == len(self.samples.x) and hasattr(self.engine, "learn_epochs")

    def epochs(self, order: np.ndarray, count: int) -> np.ndarray:
        """The sums of E_n of so many epochs; the last one is NaN, with the weights before it, if learning diverged."""
        totals = np.zeros(count)
        self._load(self.engine)
        try:
            done = self.engine.learn_epochs(*self.samples, order, self.learning_rate, totals)
        finally:
            self._store(self.engine)
        return totals[:done]

    def _load(self, engine: Any) -> None:
        engine.load(self.w, self.v)
        if self.velocity is not None:
            engine.load_velocity(*self.velocity)

    def _store(self, engine: Any) -> None:
        engine.store(self.w, self.v)
        if self.velocity is not None:
            engine.store_velocity(*self.velocity)
