"""Training of networks and their mixture, chunk after chunk of samples."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import copy
import math
import operator
from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import Any

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._mixture import Mixture
from ._one_sample import OneSample
from ._results import REMEDY, DivergenceError
from ._settings import Data, Settings
from ._sparse import SparseRows
from ._standardizing import Standardizing
from ._training import Learner
from ._training_lock import call_all, run_finally

CHUNK = 1024  # samples, about: how often weights and the mixture are brought up to date
MAX_OPERATIONS = 1e7  # of a chunk that is learned in place, during which signals wait: some 10 ms

Calls = list[tuple[Any, ...]]  # functions with their arguments, for `call_all`


class EnsembleTraining:
    """A training of networks and their mixture, whose arrays are up to date after each chunk of samples.

    Sample weights have shape (N,) or (R, N). Settings are those of all networks, but for rates and hidden functions.
    """

    def __init__(
        self,
        networks: Sequence[OneSample],
        mixture: Mixture,
        data: Data,
        settings: Settings,
        n_threads: int,
        standardizing: Standardizing | None = None,
    ) -> None:
        if standardizing is not None:
            data = standardizing.data
        self.standardizing = standardizing
        self.mixture, self.data, self.weight = mixture, data, data.sample_weight
        self.rates = np.array([validate.rounded(network.learning_rate, network.w.dtype) for network in networks])
        self.learners: list[Learner] = []
        shared: dict[str, Any] = {}
        for r, network in enumerate(networks):
            w, v, states = network.w, network.v, {"accumulators": network.accumulators} if network.accumulators else {}
            if self.weight is not None and self.weight.ndim == 2:
                data, shared = data._replace(sample_weight=self.weight[r]), {}
            learner = Learner(data, w, v, states, network.functions, settings, n_threads, shared)
            learner.engine.load(*learner.arrays)
            if learner.engine.in_place:
                learner.engine.defer_signals()
            self.learners.append(learner)
        self.in_place = np.array([learner.engine.in_place for learner in self.learners])
        self.chunk = self._chunk(settings.batch_size)

    def _chunk(self, batch_size: int) -> int:
        """Samples of a chunk: of whole batches and blocks, so that results do not depend on it."""
        x, step, size = self.data.x, batch_size, CHUNK
        if self.in_place.any():
            units = sum(len(learner.arrays[0]) for learner in compress(self.learners, self.in_place))
            values = len(x.data) if isinstance(x, SparseRows) else x.size
            size = min(CHUNK, int(MAX_OPERATIONS / max(1, units * values / len(x))))
        if step == 1:
            copied = (learner.arrays for learner in compress(self.learners, ~self.in_place))
            lengths = (engines.block_length(w, v, 1) for w, v, _states in copied)
            step = math.lcm(1 if isinstance(x, SparseRows) else engines.LANES_BLOCK, *lengths)
        return step * max(1, size // step)

    def epochs(self, first: int, order: np.ndarray, most: int = 1) -> list[np.ndarray]:
        """Run one epoch, which has this number; return the mean E of each network, infinity if it has diverged."""
        sums = np.zeros(len(self.rates))
        for learner in self.learners:
            learner.engine.load(*learner.arrays)
        for start in range(0, len(order), self.chunk):
            sums += self._learn(first, order[start : start + self.chunk])
        total = len(order) if self.weight is None else self.weight.sum(axis=-1, dtype=np.float64)
        return [sums / total]

    def _learn(self, epoch: int, part: np.ndarray) -> np.ndarray:
        """Learn from a chunk of samples: networks and their mixture together, or none of them."""
        R, members = len(self.learners), self.mixture.members
        sums, stores = np.full(R, np.inf), Calls()
        if self.standardizing is not None:
            stores += self.standardizing.commits(self.standardizing.standardized(part))
        losses = np.full((R, len(part)), -1.0) if epoch == 1 else None
        E: Any = [None] * R if losses is None else losses
        for r in (members & ~self.in_place).nonzero()[0].tolist():
            sums[r] = self.learners[r].learn(part, self.rates[r], E[r])
            if sums[r] < np.inf:
                stores.append((self.learners[r].used.store, *self.learners[r].arrays))
        calls, alone = self._calls((members & self.in_place).nonzero()[0].tolist(), part, sums, E)
        learned: list[Any] = []
        stored: list[Any] = []

        # as soon as those in place have learned, an interrupt must wait for the others and the mixture
        def finish(error: BaseException | None) -> None:
            if error is None and not stored:  # called once more if it is interrupted
                sums[alone] = learned[: len(alone)]
                sums[~np.isfinite(sums)] = np.inf
                self._commit(epoch, part, sums, losses, stores, stored)

        run_finally(partial(call_all, calls, learned), finish)
        return sums

    def _calls(
        self, places: list[int], order: np.ndarray, sums: np.ndarray, losses: Sequence[Any]
    ) -> tuple[Calls, list[int]]:
        """The calls in which engines learn in place, and the networks whose sums the first of these return.

        Those in lanes learn together, of each kind of kernels, and write their sums.
        """
        calls, alone = Calls(), []
        together: dict[Any, list[int]] = {}
        for r in places:
            learner = self.learners[r]
            learn_together = getattr(learner.engine, "learn_together", None)
            if learn_together is None:
                calls.append((learner.engine.learn, learner.samples, order, self.rates[r], 1, losses[r]))
                alone.append(r)
            else:
                together.setdefault(learn_together, []).append(r)
        for learn_together, group in together.items():
            group.sort(
                key=lambda r: (len(self.learners[r].arrays[0]), self.learners[r].functions.hidden)
            )  # those alike
            chosen = [self.learners[r].engine for r in group], [self.learners[r].samples for r in group]
            written = [sums[r : r + 1] for r in group], [losses[r] for r in group]
            calls.append((learn_together, *chosen, order, self.rates[group], *written))
        return calls, alone

    def _commit(
        self,
        epoch: int,
        part: np.ndarray,
        sums: np.ndarray,
        losses: np.ndarray | None,
        stores: Calls,
        stored: list[Any],
    ) -> None:
        """Store what networks have learned, and what follows for their mixture, at once; then `stored` is not empty."""
        members = self.mixture.members
        finite = np.isfinite(sums) & members
        if not finite.any():
            raise DivergenceError(f"learning of all networks diverged, of the last in epoch {epoch}: {REMEDY}")
        if losses is None and (finite == members).all():  # the mixture stays as it is
            call_all(stores, stored)
            return
        after = copy.deepcopy(self.mixture)
        if (finite != members).any():
            after.drop(~finite)
        if losses is not None:
            after.see(None if self.data.rows is None else self.data.rows[part])
            losses[~finite] = np.inf
            left = losses < 0
            if left.any():  # in batches without weight: as good as the best
                losses = np.where(left, np.where(left, np.inf, losses).min(axis=0), losses)
            shared = self.weight is not None and self.weight.ndim == 1
            weight = self.weight[part].astype(np.float64) if shared else None  # type: ignore[index]
            after.update(losses.T.copy(), weight)
        pairs = zip(self.mixture.arrays, after.arrays, strict=True)
        call_all([*stores, *((operator.setitem, array, ..., new) for array, new in pairs)], stored)
