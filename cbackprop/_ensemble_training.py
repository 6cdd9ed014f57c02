"""Training of an ensemble's arrays, chunk after chunk of samples."""

from __future__ import annotations  # annotations that name numpy.random must not import it

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._ensemble_engines import EnsembleEngine, make_engine
from ._results import REMEDY, DivergenceError
from ._sparse import SparseRows
from ._training import Data, Settings

if TYPE_CHECKING:
    from ._ensemble import Ensemble

CHUNK = 1024  # samples, about: how often weights and the mixture are brought up to date


class EnsembleTraining:
    """A training of an ensemble's arrays, which are up to date after each chunk of samples."""

    def __init__(self, ensemble: Ensemble, data: Data, settings: Settings, n_threads: int) -> None:
        self.w, self.v, self.states, self.mixture = ensemble.w, ensemble.v, ensemble._states, ensemble._mixture
        self.functions = [network.functions for network in ensemble]
        self.rates = np.array([validate.rounded(rate, ensemble.dtype) for rate in ensemble.learning_rates])
        self.data, self.settings, self.weight, self.n_threads = data, settings, data.sample_weight, n_threads
        self.engine = self._make_engine(slice(None), "auto")
        self.samples = self.engine.samples(*data)
        w, v, batch_size = self.w[0], self.v[0], settings.batch_size
        # all that it asks of an engine is whether it supports threads
        self.threads = engines.threads_to_learn(self.engine, w, v, batch_size, n_threads)  # type: ignore[arg-type]
        # of whole batches and blocks, so that results do not depend on it
        step = batch_size if batch_size > 1 else engines.block_length(w, v, 1)
        self.chunk = step * max(1, CHUNK // step)

    def _make_engine(self, members: slice, method: str) -> EnsembleEngine:
        settings = self.settings
        return make_engine(
            self.w[members], self.v[members], self.functions[members], settings.batch_size, l2=settings.l2,
            adaptive=settings.adaptive, x=self.data.x, method=method, n_threads=self.n_threads,
        )  # fmt: skip

    def epoch(self, epoch: int, order: np.ndarray) -> np.ndarray:
        """Run an epoch, counted from 1; return the mean E of each network, infinity if it has diverged."""
        sums = np.zeros(len(self.w))
        shared = self.weight if self.weight is not None and self.weight.ndim == 1 else None
        for start in range(0, len(order), self.chunk):
            part = order[start : start + self.chunk]
            losses = np.full((len(part), len(self.w)), np.inf) if epoch == 1 else None
            sums += self._learn(epoch, part, losses)
            if losses is not None:
                self.mixture.see(None if self.data.rows is None else self.data.rows[part])
                skipped = losses < 0  # in batches without weight: as good as the best
                if skipped.any():
                    losses = np.where(skipped, np.where(skipped, np.inf, losses).min(axis=1, keepdims=True), losses)
                self.mixture.update(losses, None if shared is None else shared[part].astype(np.float64))
        total = len(order) if self.weight is None else self.weight.sum(axis=-1, dtype=np.float64)
        return sums / total

    def _learn(self, epoch: int, part: np.ndarray, losses: np.ndarray | None) -> np.ndarray:
        members = self.mixture.members
        sums, finite = self._learn_members(self.engine, slice(None), members, self.samples, part, losses)
        if not isinstance(self.data.x, SparseRows):
            for r in np.flatnonzero(members & ~finite):  # the Gram matrix of huge inputs may have overflowed
                one, weight = slice(r, r + 1), self.weight
                weight = weight[one] if weight is not None and weight.ndim == 2 else weight
                engine = self._make_engine(one, "direct")
                samples = engine.samples(*self.data._replace(sample_weight=weight))
                each = None if losses is None else losses[:, one]
                sums[one], finite[one] = self._learn_members(engine, one, members[one], samples, part, each)
        finite &= self.mixture.members  # a signal handler may have dropped some meanwhile
        if not finite.any():
            raise DivergenceError(f"learning of all networks diverged, of the last in epoch {epoch}: {REMEDY}")
        if (members & ~finite).any():
            self.mixture.drop(~finite)
        return np.where(finite, sums, np.inf)

    def _learn_members(
        self,
        engine: EnsembleEngine,
        which: slice,
        members: np.ndarray,
        samples: Any,
        part: np.ndarray,
        losses: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        w, v, rates = self.w[which], self.v[which], np.where(members, self.rates[which], 0)
        states = {name: (first[which], second[which]) for name, (first, second) in self.states.items()}
        engine.load(w, v, states)
        sums = engine.learn(samples, part, rates, losses, self.threads if which == slice(None) else 1)
        finite = members & np.isfinite(sums) & engine.finite()
        engine.store(w, v, states, finite)
        return sums, finite
