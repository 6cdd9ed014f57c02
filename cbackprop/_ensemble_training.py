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
from ._ensemble_engines import Calls, Engines
from ._mixture import Mixture
from ._one_sample import OneSample
from ._results import REMEDY, DivergenceError
from ._settings import Data, Settings
from ._sparse import SparseRows
from ._training_lock import call_all, run_finally

CHUNK = 1024  # samples, about: how often weights and the mixture are brought up to date
MAX_OPERATIONS = 1e7  # of a chunk that is learned in place, during which signals wait: some 10 ms


class EnsembleTraining:
    """A training of networks and their mixture, whose arrays are up to date after each chunk of samples."""

    def __init__(
        self, networks: Sequence[OneSample], mixture: Mixture, data: Data, settings: Settings, n_threads: int
    ) -> None:
        self.mixture, self.data, self.weight = mixture, data, data.sample_weight
        self.rates = np.array([validate.rounded(network.learning_rate, network.w.dtype) for network in networks])
        self.engines = Engines(networks, data, settings, n_threads)
        step, size, in_place = settings.batch_size, CHUNK, self.engines.in_place
        if in_place.any():
            units = sum(len(network.w) for network in compress(networks, in_place))
            values = len(data.x.data) if isinstance(data.x, SparseRows) else data.x.size
            size = min(CHUNK, int(MAX_OPERATIONS / max(1, units * values / len(data.x))))
        if step == 1:
            lengths = (engines.block_length(each.w, each.v, 1) for each in compress(networks, ~in_place))
            step = math.lcm(1 if isinstance(data.x, SparseRows) else engines.LANES_BLOCK, *lengths)
        # of whole batches and blocks, so that results do not depend on it
        self.chunk = step * max(1, size // step)

    def epochs(self, first: int, order: np.ndarray, most: int = 1) -> list[np.ndarray]:
        """Run one epoch, which has this number; return the mean E of each network, infinity if it has diverged."""
        sums = np.zeros(len(self.rates))
        self.engines.load()
        for start in range(0, len(order), self.chunk):
            sums += self._learn(first, order[start : start + self.chunk])
        total = len(order) if self.weight is None else self.weight.sum(axis=-1, dtype=np.float64)
        return [sums / total]

    def _learn(self, epoch: int, part: np.ndarray) -> np.ndarray:
        """Learn from a chunk of samples: networks and their mixture together, or none of them."""
        members = self.mixture.members
        losses = np.full((len(members), len(part)), -1.0) if epoch == 1 else None
        sums, stores, calls, alone = self.engines.learn(members, part, self.rates, losses)
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
            best = np.where(losses < 0, np.inf, losses).min(axis=0)  # so good are those in batches without weight
            shared = self.weight is not None and self.weight.ndim == 1
            weight = self.weight[part].astype(np.float64) if shared else None  # type: ignore[index]
            after.update(np.where(losses < 0, best, losses).T.copy(), weight)
        pairs = zip(self.mixture.arrays, after.arrays, strict=True)
        call_all([*stores, *((operator.setitem, array, ..., new) for array, new in pairs)], stored)
