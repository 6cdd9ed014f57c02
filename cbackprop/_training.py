"""Training of the user's arrays, which are up to date whenever control returns."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import copy
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._engines import States
from ._results import REMEDY, DivergenceError
from ._settings import Data, Settings
from ._sparse import SparseRows
from ._standardizing import Standardizing
from ._training_lock import TrainingLock, call_all, run_finally

if TYPE_CHECKING:
    from .files.checkpoint import Checkpointer
    from .files.model_file import Model

EPOCHS_PER_CALL = 1 << 16  # of kernels that run several epochs: limits the memory that their losses take in advance


class Learner:
    """The engine that trains one network, whose arrays are updated in place, with its samples.

    Samples may be `shared` with other engines: they are found there by the kernels that they are for.
    """

    def __init__(
        self,
        data: Data,
        w: np.ndarray,
        v: np.ndarray,
        states: States,
        functions: validate.Functions,
        settings: Settings,
        n_threads: int,
        shared: dict[str, Any] | None = None,
    ) -> None:
        self.data, self.arrays, self.functions, self.settings = data, (w, v, states), functions, settings
        self.engine = self._make_engine(settings.method)
        kernels, shared = type(self.engine).__module__, {} if shared is None else shared
        if kernels not in shared:
            shared[kernels] = self.engine.samples(*data)
        self.used = self.engine
        self.samples = shared[kernels]
        self.threads = engines.threads_to_learn(self.engine, w, v, settings.batch_size, n_threads)

    def learn(self, order: np.ndarray, rate: float, losses: np.ndarray | None = None) -> float:
        """Learn from samples; return the sum of E_n, infinity if it diverges.

        What has been learned is in the engine `used`, whose `store` stores it, unless it was learned in the arrays.
        """
        total = self._learn(self.engine, self.samples, order, rate, self.threads, losses)
        # the Gram matrix of huge inputs may have overflowed
        if total == np.inf and not isinstance(self.data.x, SparseRows) and self.settings.method != "direct":
            direct = self._make_engine("direct")
            total = self._learn(direct, direct.samples(*self.data), order, rate, 1, losses)
        return total

    def _learn(self, engine: engines.Engine, *given: Any) -> float:
        engine.load(*self.arrays)
        self.used = engine
        try:
            total = engine.learn(*given)
        except BaseException:
            self._interrupted()
            raise
        return total if np.isfinite(total) and engine.finite() else np.inf

    def _interrupted(self) -> None:
        """Called if the engine is interrupted."""

    def _make_engine(self, method: str) -> engines.Engine:
        (w, v, _states), settings = self.arrays, self.settings
        return engines.make_engine(
            w, v, self.functions, settings.batch_size, method, x=self.data.x, momentum=settings.momentum,
            l2=settings.l2, adaptive=settings.adaptive,
        )  # fmt: skip


class Training(Learner):
    """A training of one network, whose weights are up to date after each epoch.

    If it diverges, ``explain()`` is called first, to raise the ValueError that explains why.
    """

    def __init__(self, explain: Callable[[], Any], standardizing: Standardizing | None, data: Data, *rest: Any) -> None:
        super().__init__(data if standardizing is None else standardizing.data, *rest)
        self.explain, self.standardizing = explain, standardizing
        self.stored = False
        self.losses: np.ndarray | None = None  # of each sample of an epoch; below 0 before they are learned

    def epochs(self, first: int, order: np.ndarray, most: int) -> list[float]:
        """Run one epoch, or up to `most` if each is one batch, and return the mean E of each; `first` is its number.

        If one diverges, the weights are those before it or, with sparse rows, those before the update that diverged.
        Statistics of standardized samples are those of the samples that the weights have learned.
        """
        if self.standardizing is None:
            return self._epochs(first, order, most)
        self.losses, self.stored = np.full(len(order), -1.0), False
        after = self.standardizing.standardized(order)
        return run_finally(partial(self._epochs, first, order, 1), partial(self._commit, order, after))

    def _commit(self, order: np.ndarray, after: Sequence[np.ndarray], error: BaseException | None) -> None:
        """Keep the statistics of what has been learned."""
        assert self.standardizing is not None
        learned = len(order)
        if error is not None:
            kept = (self.stored or self.used.in_place) and not isinstance(error, DivergenceError)
            done = np.flatnonzero(self.losses >= 0)  # type: ignore[operator]
            learned = int(done[-1]) + 1 if kept and len(done) else 0
        if 0 < learned < len(order):
            learned -= learned % self.settings.batch_size  # of a batch that ended, but was discarded, they are kept
            after = self.standardizing.standardized(order[:learned])
        if learned:
            call_all(self.standardizing.commits(after), [])

    def store(self) -> None:
        """Store what has been learned, and that it is."""
        call_all([(self.used.store, *self.arrays), (setattr, self, "stored", True)], [])

    def _epochs(self, first: int, order: np.ndarray, most: int) -> list[float]:
        rate = self.settings.learning_rate
        if "epochs" in self.engine.supports and self.settings.batch_size >= len(order) and self.losses is None:
            totals = np.zeros(most)
            self.engine.load(*self.arrays)
            try:
                totals = totals[: self.engine.learn_epochs(self.samples, order, rate, totals)]
            finally:
                self.engine.store(*self.arrays)
        else:
            totals = np.array([self.learn(order, rate, self.losses)])
            if totals[0] < np.inf:
                self.store()
        losses = (totals / self.data.total_weight).tolist()
        if not np.isfinite(totals[-1]):
            self.explain()
            raise DivergenceError(f"learning diverged in epoch {first + len(losses) - 1}: {REMEDY}")
        return losses

    def _interrupted(self) -> None:
        """Keep the updates, unless the only batch, with its velocity, is incomplete."""
        whole_batches = not self.arrays[2] or self.settings.batch_size < len(self.samples)
        if whole_batches and self.used.finite():
            self.store()


class Epochs:
    """The loop over the epochs of a training, of one network or several, with its callback and its checkpoints.

    Checkpoints hold the model. When a training is resumed, data and settings must be the same.
    """

    def __init__(
        self,
        model: Model,
        data: Data,
        settings: Settings,
        resume: Any,
        epochs: Any,
        rng: Any,
        callback: Any,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_every: Any,
    ) -> None:
        self.N = len(data.x)
        self.shuffle = settings.shuffle and settings.batch_size < self.N  # one batch has no order
        self.losses: list[Any] = []
        self.count = validate.count("epochs", epochs)
        self.generator = validate.generator(rng)
        self.should_stop: Callable[[int, Any], bool] | None = None if callback is None else validate.callback(callback)
        self.every = validate.count("checkpoint_every", checkpoint_every)
        self.resume = validate.flag("resume", resume)
        self.checkpointer: Checkpointer | None = None
        if checkpoint is not None:
            from .files.atomic import writable_path
            from .files.checkpoint import Checkpointer, fingerprint

            path = writable_path("checkpoint", checkpoint)
            described = settings._asdict() | (model.standardize or {})
            if model.hidden:  # the file has those of each network
                del described["learning_rate"], described["hidden"]
                described |= {"eta": str(model.eta), "share": str(model.share)}
            described["data"] = fingerprint(*data.arrays)
            self.checkpointer = Checkpointer(path, model, self.losses, self.generator, described)
        elif self.resume:
            raise ValueError("resume is True and checkpoint is None; it must be the file to resume from")

    def run(self, training: Any, weights: tuple[np.ndarray, np.ndarray], states: States) -> None:
        """Run the epochs that are left of a `Training`, or of an `EnsembleTraining`, with weights and states locked.

        The last checkpoint is written however it ends.
        """
        run: Callable[[], None] = partial(self._run, training)
        if self.checkpointer is not None:
            run = partial(run_finally, run, self.checkpointer.close)
        for layers in (*states.values(), weights):
            run = partial(TrainingLock(*layers).run, run)
        run()

    def _run(self, training: Any) -> None:
        order, done, stop = np.arange(self.N), 0, False
        watched = self.should_stop is not None or self.checkpointer is not None
        if self.checkpointer is not None and self.resume:
            self.checkpointer.restore(self.count)
            done = len(self.losses)
        while done < self.count and not stop:
            if self.shuffle:
                # as NumPy draws it: a subclass could return anything
                order = np.random.Generator(self.generator.bit_generator).permutation(self.N)
            self.losses += training.epochs(done + 1, order, 1 if watched else min(self.count - done, EPOCHS_PER_CALL))
            done = len(self.losses)
            if self.should_stop is not None:
                stop = self.should_stop(done, copy.copy(self.losses[-1]))
            if self.checkpointer is not None:
                self.checkpointer.update()
                if done % self.every == 0:
                    self.checkpointer.write()
