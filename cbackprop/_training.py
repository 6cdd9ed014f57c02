"""Training of the user's arrays, which are up to date whenever control returns."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import copy
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
    from .files.model_file import Model


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


class Epochs:
    """The loop over the epochs of a training, of one network or several, with its callback and its checkpoints.

    Parameters
    ----------
    N : int
        Number of samples.
    settings : Settings
    epochs, rng, callback, checkpoint, checkpoint_every, resume
        As for `fit`.

    Attributes
    ----------
    losses : list
        What `learn` of `run` has returned for each finished epoch.
    """

    def __init__(
        self,
        N: int,
        settings: Settings,
        *,
        epochs: Any,
        rng: Any,
        callback: Any,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_every: Any,
        resume: Any,
    ) -> None:
        self.N, self.settings, self.path = N, settings, checkpoint
        self.count = validate.count("epochs", epochs)
        self.generator = validate.generator(rng)
        self.should_stop: Callable[[int, Any], bool] = validate.callback(callback)
        self.every = validate.count("checkpoint_every", checkpoint_every)
        self.resume = validate.flag("resume", resume)
        if checkpoint is None and self.resume:
            raise ValueError("resume is True and checkpoint is None; it must be the file to resume from")
        self.losses: list[Any] = []
        self.checkpointer: Checkpointer | None = None

    def keep(self, model: Model, data: Data, settings: dict[str, Any]) -> None:
        """Write checkpoints of a model, with settings and data that must be the same when the training is resumed."""
        if self.path is not None:
            from .files.atomic import writable_path
            from .files.checkpoint import Checkpointer, fingerprint

            path, settings = writable_path("checkpoint", self.path), settings | {"data": fingerprint(*data.arrays)}
            self.checkpointer = Checkpointer(path, model, self.losses, self.generator, settings)

    def run(
        self,
        learn: Callable[[int, np.ndarray], Any],
        weights: tuple[np.ndarray, np.ndarray],
        states: States,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Call ``begin()``, then ``learn(epoch, order)`` for each epoch that is left, with weights and states locked.

        The last checkpoint is written however it ends.
        """

        def learn_all() -> None:
            order = np.arange(self.N)
            if self.checkpointer is not None and self.resume:
                self.checkpointer.restore(self.count)
            begin()
            while len(self.losses) < self.count:
                if self.settings.shuffles(self.N):
                    order = validate.order(self.generator, self.N)
                self.losses.append(learn(len(self.losses) + 1, order))
                stop = self.should_stop(len(self.losses), copy.copy(self.losses[-1]))
                if self.checkpointer is not None:
                    self.checkpointer.update()
                    if len(self.losses) % self.every == 0:
                        self.checkpointer.write()
                if stop:
                    break

        def close(error: BaseException | None) -> None:
            if self.checkpointer is not None:
                self.checkpointer.close(error)

        run: Callable[..., None] = run_finally
        for layers in (*states.values(), weights):
            run = partial(TrainingLock(*layers).run, run)
        run(learn_all, close)
