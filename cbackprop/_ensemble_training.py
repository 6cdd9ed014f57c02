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
from ._training import make_engine
from ._training_lock import call_all, run_finally

CHUNK = 1024  # samples, about: how often weights and the mixture are brought up to date
MAX_OPERATIONS = 1e7  # of a chunk that is learned in place, during which signals wait: some 10 ms

Calls = list[tuple[Any, ...]]  # functions with their arguments, for `call_all`


class Learner:
    """The engine that trains one network. If it learns in the arrays of the network, no signal handler runs meanwhile.

    Its samples are shared with engines of the same kernels that learn the same data.
    """

    def __init__(
        self, network: OneSample, data: Data, settings: Settings, n_threads: int, shared: dict[str, Any]
    ) -> None:
        self.network, self.data, self.settings = network, data, settings
        self.arrays = network.w, network.v, {"accumulators": network.accumulators} if network.accumulators else {}
        self.engine = self._make_engine("auto")
        kernels = type(self.engine).__module__
        if kernels not in shared:
            shared[kernels] = self.engine.samples(*data)
        self.samples = shared[kernels]
        self.threads = engines.threads_to_learn(self.engine, network.w, network.v, settings.batch_size, n_threads)
        self.engine.load(*self.arrays)
        if self.engine.in_place:
            self.engine.defer_signals()

    def learn_copy(self, order: np.ndarray, rate: float, losses: np.ndarray | None) -> tuple[float, tuple[Any, ...]]:
        """Learn with a copy of the arrays; return the sum of E_n, infinity if it diverges, and the call to store it."""
        engine = self.engine
        total = self._learn_copy(engine, self.samples, order, rate, self.threads, losses)
        if total == np.inf:  # the Gram matrix of huge inputs may have overflowed
            engine = self._make_engine("direct")
            total = self._learn_copy(engine, engine.samples(*self.data), order, rate, 1, losses)
        return total, (engine.store, *self.arrays)

    def _learn_copy(self, engine: engines.Engine, *given: Any) -> float:
        engine.load(*self.arrays)
        total = engine.learn(*given)
        return total if np.isfinite(total) and engine.finite() else np.inf

    def _make_engine(self, method: str) -> engines.Engine:
        network = self.network
        return make_engine(self.data.x, network.w, network.v, network.functions, self.settings, method)


class EnsembleTraining:
    """A training of networks and their mixture, whose arrays are up to date after each chunk of samples.

    Parameters
    ----------
    networks : sequence of Network
    mixture : Mixture
    data : Data
        The samples, with weights of shape (N,) or (R, N).
    settings : Settings
        Those of all networks, but for the learning rate and the hidden function.
    n_threads : int
        Maximum number of threads.
    """

    def __init__(
        self, networks: Sequence[OneSample], mixture: Mixture, data: Data, settings: Settings, n_threads: int
    ) -> None:
        self.mixture, self.data, self.weight = mixture, data, data.sample_weight
        self.rates = np.array([validate.rounded(network.learning_rate, network.w.dtype) for network in networks])
        if self.weight is None or self.weight.ndim == 1:
            shared: dict[str, Any] = {}
            self.learners = [Learner(network, data, settings, n_threads, shared) for network in networks]
        else:
            of_each = [data._replace(sample_weight=weight) for weight in self.weight]
            pairs = zip(networks, of_each, strict=True)
            self.learners = [Learner(network, its, settings, n_threads, {}) for network, its in pairs]
        self.in_place = np.array([learner.engine.in_place for learner in self.learners])
        self.chunk = self._chunk(settings.batch_size)

    def _chunk(self, batch_size: int) -> int:
        """Samples of a chunk: of whole batches and blocks, so that results do not depend on it."""
        x, step, size = self.data.x, batch_size, CHUNK
        if self.in_place.any():
            units = sum(len(learner.network.w) for learner in compress(self.learners, self.in_place))
            values = len(x.data) if isinstance(x, SparseRows) else x.size
            size = min(CHUNK, int(MAX_OPERATIONS / max(1, units * values / len(x))))
        if step == 1:
            copied = (learner.network for learner in compress(self.learners, ~self.in_place))
            lengths = (engines.block_length(network.w, network.v, 1) for network in copied)
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
        losses = np.full((R, len(part)), -1.0) if epoch == 1 else None
        E: Any = [None] * R if losses is None else losses
        for r in np.flatnonzero(members & ~self.in_place).tolist():
            sums[r], store = self.learners[r].learn_copy(part, self.rates[r], E[r])
            if sums[r] < np.inf:
                stores.append(store)
        calls, alone = self._calls(np.flatnonzero(members & self.in_place).tolist(), part, sums, E)
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
            networks = [learner.network for learner in self.learners]
            group.sort(key=lambda r: (len(networks[r].w), networks[r].hidden))  # alike, one after the other
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
            best = np.where(losses < 0, np.inf, losses).min(axis=0)  # so good are those in batches without weight
            shared = self.weight is not None and self.weight.ndim == 1
            weight = self.weight[part].astype(np.float64) if shared else None  # type: ignore[index]
            after.update(np.where(losses < 0, best, losses).T.copy(), weight)
        pairs = zip(self.mixture.arrays, after.arrays, strict=True)
        call_all([*stores, *((operator.setitem, array, ..., new) for array, new in pairs)], stored)
