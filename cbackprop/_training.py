"""Training of the user's arrays, which are up to date whenever control returns."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._engines import States
from ._sparse import SparseRows
from ._training_lock import TrainingLock, run_finally

if TYPE_CHECKING:
    from .files.checkpoint import Checkpointer


class Settings(NamedTuple):
    """Settings of a training, rounded to the dtype of the weights.

    A new setting needs a field, a check in `validated` and a keyword in the public functions.
    """

    learning_rate: float
    batch_size: int
    method: str
    momentum: float
    l2: float
    adaptive: bool
    shuffle: bool
    hidden: str
    output: str

    @classmethod
    def validated(
        cls,
        dtype: np.dtype,
        N: int,
        *,
        learning_rate: Any,
        batch_size: Any,
        method: Any,
        momentum: Any,
        l2: Any,
        adaptive: Any,
        shuffle: Any,
        functions: validate.Functions,
    ) -> Settings:
        """Validate settings for N samples and weights of `dtype`."""
        settings = cls(
            learning_rate=validate.learning_rate(learning_rate, dtype),
            batch_size=validate.batch_size(batch_size, N),
            method=validate.choice("method", method, validate.METHODS),
            momentum=validate.in_range("momentum", momentum, 1, dtype),
            l2=validate.in_range("l2", l2, float(np.finfo(dtype).max), dtype),
            adaptive=validate.flag("adaptive", adaptive),
            shuffle=validate.flag("shuffle", shuffle),
            **functions._asdict(),
        )
        if settings.adaptive and settings.momentum:
            raise ValueError(f"momentum is {momentum!r} and rates are adaptive; momentum must be 0")
        return settings

    @property
    def functions(self) -> validate.Functions:
        """The functions of the network."""
        return validate.Functions(self.hidden, self.output)

    @property
    def plain(self) -> bool:
        """Whether an update is (17) without momentum, penalty and adaptive rates."""
        return self.momentum == self.l2 == 0 and not self.adaptive

    def check_sparse(self) -> None:
        """Raise ValueError if these settings are not for sparse rows."""
        if self.momentum:
            raise ValueError(
                f"momentum is {self.momentum:g} and x is sparse; it must be 0, because momentum changes all weights at "
                f"every update, not only those of the non-zeros"
            )
        if self.method == "blocked":
            raise ValueError("method is 'blocked' and x is sparse; it must be 'auto' or 'direct', or use x.toarray()")

    def shuffles(self, N: int) -> bool:
        """Whether each epoch draws a new order: not if one batch holds all N samples."""
        return self.shuffle and self.batch_size < N


class Data(NamedTuple):
    """Validated training data. Either `rows` or `labels` holds the targets; the other is None."""

    x: np.ndarray | SparseRows
    rows: np.ndarray | None
    labels: np.ndarray | None
    sample_weight: np.ndarray | None

    @property
    def arrays(self) -> tuple[np.ndarray | None, ...]:
        """All arrays."""
        x: tuple[np.ndarray, ...] = self.x.arrays if isinstance(self.x, SparseRows) else (self.x,)
        return *x, self.rows, self.labels, self.sample_weight

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all samples."""
        return len(self.x) if self.sample_weight is None else float(self.sample_weight.sum(dtype=np.float64))


class Training:
    """A training of the given weights by an engine.

    Parameters
    ----------
    data : Data
    w, v : ndarray
        Weights, updated by each epoch.
    states : dict of pairs of ndarray
        State arrays by name, shaped like the weights and updated by each epoch.
    settings : Settings
    n_threads : int
        Maximum number of threads.
    """

    def __init__(
        self,
        data: Data,
        w: np.ndarray,
        v: np.ndarray,
        states: States,
        settings: Settings,
        n_threads: int,
    ) -> None:
        self.w, self.v, self.states, self.settings = w, v, states, settings
        self.sparse = data.x if isinstance(data.x, SparseRows) else None
        self.engine = self._make_engine(settings.method)
        self.samples = self.engine.samples(*data)
        self.threads = engines.threads_to_learn(self.engine, w, v, settings.batch_size, n_threads)

    def epoch(self, order: np.ndarray) -> float | None:
        """Run an epoch and return its sum of E_n, or None if it diverged, with unchanged weights.

        With sparse rows, the weights are those before the update that diverged.
        """
        total = self._epoch(self.engine, order, self.threads)
        # the Gram matrix of huge inputs may have overflowed
        if total is None and self.sparse is None and self.settings.method != "direct":
            total = self._epoch(self._make_engine("direct"), order, 1)
        return total

    @property
    def supports_epochs(self) -> bool:
        """Whether `epochs` is supported: if each epoch is one batch."""
        return self.engine.supports_epochs and self.settings.batch_size >= len(self.samples)

    def epochs(self, order: np.ndarray, count: int) -> np.ndarray:
        """Run epochs and return their sums of E_n. If one diverges, its sum is NaN, and its update is undone."""
        totals = np.zeros(count)
        self.engine.load(self.w, self.v, self.states)
        try:
            done = self.engine.learn_epochs(self.samples, order, self.settings.learning_rate, totals)
        finally:
            self.engine.store(self.w, self.v, self.states)
        return totals[:done]

    def _make_engine(self, method: str) -> engines.Engine:
        settings = self.settings
        if self.sparse is not None:
            return engines.sparse_engine(
                self.sparse, self.w, self.v, settings.functions, settings.batch_size, l2=settings.l2,
                adaptive=settings.adaptive,
            )  # fmt: skip
        return engines.make_engine(
            self.w,
            self.v,
            settings.functions,
            settings.batch_size,
            method,
            momentum=settings.momentum,
            l2=settings.l2,
            adaptive=settings.adaptive,
        )

    def _epoch(self, engine: engines.Engine, order: np.ndarray, threads: int) -> float | None:
        engine.load(self.w, self.v, self.states)
        try:
            total = engine.learn(self.samples, order, self.settings.learning_rate, threads)
        except BaseException:  # interrupted: keep the updates, unless the only batch, with its velocity, is incomplete
            whole_batches = not self.states or self.settings.batch_size < len(self.samples)
            if whole_batches and engine.finite():
                engine.store(self.w, self.v, self.states)
            raise
        if not (np.isfinite(total) and engine.finite()):
            return None
        engine.store(self.w, self.v, self.states)
        return total


def make_checkpointer(
    path: str | os.PathLike[str] | None,
    resume: bool,
    weights: tuple[np.ndarray, np.ndarray],
    states: States,
    losses: list[float],
    generator: np.random.Generator,
    settings: Settings,
    data: Data,
) -> Checkpointer | None:
    """Create the checkpointer of a call of `fit`; it resumes only with the same settings and data."""
    if path is None:
        if resume:
            raise ValueError("resume is True and checkpoint is None; it must be the file to resume from")
        return None
    from .files.atomic import writable_path
    from .files.checkpoint import Checkpointer, fingerprint
    from .files.model_file import Model

    path = writable_path("checkpoint", path)
    model = Model(*weights, settings.learning_rate, states=states, functions=settings.functions)
    return Checkpointer(path, model, losses, generator, settings._asdict() | {"data": fingerprint(*data.arrays)})


def run_training(
    learn: Callable[[], None],
    checkpointer: Checkpointer | None,
    weights: tuple[np.ndarray, np.ndarray],
    states: States,
) -> None:
    """Call ``learn()`` with weights and states locked, and write the last checkpoint however it ends."""

    def close(error: BaseException | None) -> None:
        if checkpointer is not None:
            checkpointer.close(error)

    run: Callable[..., None] = run_finally
    for layers in (*states.values(), weights):
        run = partial(TrainingLock(*layers).run, run)
    run(learn, close)
