"""Training of an ensemble's arrays, chunk after chunk of samples."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import copy
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._ensemble_engines import EnsembleEngine, make_engine
from ._results import REMEDY, DivergenceError
from ._sparse import SparseRows
from ._training import Data, Settings
from ._training_lock import call_all, run_finally

if TYPE_CHECKING:
    from ._ensemble import Ensemble

CHUNK = 1024  # samples, about: how often weights and the mixture are brought up to date
MAX_OPERATIONS = 1e7  # of a chunk of sparse rows, during which signals wait: some 10 ms


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
        size = CHUNK
        self.sparse = isinstance(data.x, SparseRows)
        if isinstance(data.x, SparseRows):
            for engine in self.engine.engines:  # type: ignore[attr-defined]
                engine.defer_signals()
            operations = len(self.w) * len(w) * len(data.x.data) / len(data.x)  # for each sample
            size = min(CHUNK, int(MAX_OPERATIONS / max(1, operations)))
        self.chunk = step * max(1, size // step)

    def _make_engine(self, members: slice, method: str) -> EnsembleEngine:
        settings = self.settings
        return make_engine(
            self.w[members], self.v[members], self.functions[members], settings.batch_size, l2=settings.l2,
            adaptive=settings.adaptive, x=self.data.x, method=method, n_threads=self.n_threads,
        )  # fmt: skip

    def epoch(self, epoch: int, order: np.ndarray) -> np.ndarray:
        """Run an epoch, counted from 1; return the mean E of each network, infinity if it has diverged."""
        sums = np.zeros(len(self.w))
        for start in range(0, len(order), self.chunk):
            sums += self._learn(epoch, order[start : start + self.chunk])
        total = len(order) if self.weight is None else self.weight.sum(axis=-1, dtype=np.float64)
        return sums / total

    def _learn(self, epoch: int, part: np.ndarray) -> np.ndarray:
        """Learn from a chunk of samples: networks and their mixture together, or none of them."""
        members, R = self.mixture.members, len(self.w)
        sums, losses = np.full(R, np.inf), np.full((len(part), R), np.inf) if epoch == 1 else None
        if self.sparse:  # in place: as soon as the networks have learned, an interrupt must wait for the mixture
            self.engine.load(self.w, self.v, self.states)
            each = {r: np.full(len(part), -1.0) for r in np.flatnonzero(members).tolist()}
            calls = [
                (self.engine.engines[r].learn, self.samples[r], part, self.rates[r], 1, E_r)  # type: ignore[attr-defined]
                for r, E_r in each.items()
            ]
            totals: list[float] = []
            stored: list[Any] = []

            def finish(error: BaseException | None) -> None:
                if error is None and not stored:  # called once more if it is interrupted
                    sums[list(each)] = totals
                    if losses is not None:
                        losses[:, list(each)] = np.stack(list(each.values()), axis=1)
                    self._commit(epoch, part, sums, losses, [], stored)

            run_finally(partial(call_all, calls, totals), finish)
            return np.where(np.isfinite(sums), sums, np.inf)
        sums, stores = self._learn_members(self.engine, slice(None), members, self.samples, part, losses)
        for r in np.flatnonzero(members & np.isinf(sums)):  # the Gram matrix of huge inputs may have overflowed
            one, weight = slice(r, r + 1), self.weight
            weight = weight[one] if weight is not None and weight.ndim == 2 else weight
            engine = self._make_engine(one, "direct")
            samples = engine.samples(*self.data._replace(sample_weight=weight))
            of_one = None if losses is None else losses[:, one]
            sums[one], more = self._learn_members(engine, one, members[one], samples, part, of_one)
            stores += more
        self._commit(epoch, part, sums, losses, stores, [])
        return sums

    def _learn_members(
        self,
        engine: EnsembleEngine,
        which: slice,
        members: np.ndarray,
        samples: Any,
        part: np.ndarray,
        losses: np.ndarray | None,
    ) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
        """Sums of E_n, infinite for networks that diverge, and calls that store what the others have learned."""
        w, v, rates = self.w[which], self.v[which], np.where(members, self.rates[which], 0)
        states = {name: (first[which], second[which]) for name, (first, second) in self.states.items()}
        engine.load(w, v, states)
        sums = engine.learn(samples, part, rates, losses, self.threads if which == slice(None) else 1)
        finite = members & np.isfinite(sums) & engine.finite()
        return np.where(finite, sums, np.inf), engine.stores(w, v, states, finite)

    def _commit(
        self,
        epoch: int,
        part: np.ndarray,
        sums: np.ndarray,
        losses: np.ndarray | None,
        stores: list[tuple[Any, ...]],
        stored: list[Any],
    ) -> None:
        """Store what networks have learned, and what follows for their mixture, at once; then `stored` is not empty."""
        after = copy.deepcopy(self.mixture)
        finite = np.isfinite(sums) & after.members
        if not finite.any():
            raise DivergenceError(f"learning of all networks diverged, of the last in epoch {epoch}: {REMEDY}")
        if (after.members & ~finite).any():
            after.drop(~finite)
        if losses is not None:
            after.see(None if self.data.rows is None else self.data.rows[part])
            skipped = losses < 0  # in batches without weight: as good as the best
            if skipped.any():
                losses = np.where(skipped, np.where(skipped, np.inf, losses).min(axis=1, keepdims=True), losses)
            shared = self.weight is not None and self.weight.ndim == 1
            after.update(losses, self.weight[part].astype(np.float64) if shared else None)  # type: ignore[index]
        pairs = zip(self.mixture.arrays, after.arrays, strict=True)
        call_all([*stores, *((operator.setitem, array, ..., new) for array, new in pairs)], stored)
