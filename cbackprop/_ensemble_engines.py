"""Engines for ensembles: one for each network."""

from __future__ import annotations  # annotations that name numpy.random must not import it

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _engines as engines
from ._one_sample import OneSample
from ._settings import Data, Settings
from ._training import make_engine

Calls = list[tuple[Any, ...]]  # functions with their arguments, for `call_all`


class Engines:
    """Engines that learn the same samples: in lanes several at once, the others one after the other.

    Parameters
    ----------
    networks : sequence of Network
    data : Data
        The samples, with weights of shape (N,) or (R, N).
    settings : Settings
        Those of all networks, but for the hidden function.
    n_threads : int
        Maximum number of threads.

    Attributes
    ----------
    in_place : ndarray of bool, shape (R,)
        Whether each engine learns in the arrays of its network. Within these no signal handler runs.
    """

    def __init__(self, networks: Sequence[OneSample], data: Data, settings: Settings, n_threads: int = 1) -> None:
        self.networks, self.data, self.settings = networks, data, settings
        self.engines = [self._make_engine(network, "auto") for network in networks]
        if data.sample_weight is None or data.sample_weight.ndim == 1:  # the same for all engines of a kind of kernels
            kinds = {type(engine).__module__: engine for engine in self.engines}
            shared = {module: engine.samples(*data) for module, engine in kinds.items()}
            self.samples = [shared[type(engine).__module__] for engine in self.engines]
        else:
            self.samples = [self._samples(r, engine) for r, engine in enumerate(self.engines)]
        self.threads = [
            engines.threads_to_learn(engine, network.w, network.v, settings.batch_size, n_threads)
            for engine, network in zip(self.engines, networks, strict=True)
        ]
        self.load()
        self.in_place = np.array([engine.in_place for engine in self.engines])
        for r in np.flatnonzero(self.in_place).tolist():
            self.engines[r].defer_signals()

    def load(self) -> None:
        """Take the arrays of the networks: of those that learn in place, for all that follows."""
        for engine, network in zip(self.engines, self.networks, strict=True):
            engine.load(*arrays_of(network))

    def learn(
        self, members: np.ndarray, order: np.ndarray, rates: np.ndarray, losses: np.ndarray | None = None
    ) -> tuple[np.ndarray, Calls, Calls, list[int]]:
        """Learn from samples in the given order, with those networks that are members.

        Each E_n, without sample weights, is written to `losses` of shape (R, samples), if given. Return the sum of E_n
        of each network, infinity if it diverges; calls that store what they have learned; calls in which those engines
        learn that do so in place; and the networks whose sums the first of these return. The others write theirs.
        """
        sums = np.full(len(self.engines), np.inf)
        stores: Calls = []
        for r in np.flatnonzero(members & ~self.in_place).tolist():
            engine, network, E = self.engines[r], self.networks[r], None if losses is None else losses[r]
            arrays = arrays_of(network)
            sums[r] = learn_copy(engine, arrays, self.samples[r], order, rates[r], self.threads[r], E)
            if sums[r] == np.inf:  # the Gram matrix of huge inputs may have overflowed
                engine = self._make_engine(network, "direct")
                sums[r] = learn_copy(engine, arrays, self._samples(r, engine), order, rates[r], 1, E)
            if sums[r] < np.inf:
                stores.append((engine.store, *arrays))
        calls, alone = self._calls(np.flatnonzero(members & self.in_place).tolist(), order, rates, sums, losses)
        return sums, stores, calls, alone

    def _calls(
        self, places: list[int], order: np.ndarray, rates: np.ndarray, sums: np.ndarray, losses: np.ndarray | None
    ) -> tuple[Calls, list[int]]:
        """The calls in which engines learn in place, alone and then together, and which networks are alone.

        Those in lanes are together, of each kind of kernels.
        """
        calls: Calls = []
        alone: list[int] = []
        together: dict[Any, list[int]] = {}
        for r in places:
            learn_together = getattr(self.engines[r], "learn_together", None)
            if learn_together is None:
                E = None if losses is None else losses[r]
                calls.append((self.engines[r].learn, self.samples[r], order, rates[r], 1, E))
                alone.append(r)
            else:
                together.setdefault(learn_together, []).append(r)
        for learn_together, group in together.items():
            group.sort(key=lambda r: (len(self.networks[r].w), self.networks[r].hidden))  # alike, one after the other
            each = [None if losses is None else losses[r] for r in group]
            chosen = [self.engines[r] for r in group], [self.samples[r] for r in group]
            calls.append((learn_together, *chosen, order, rates[group], [sums[r : r + 1] for r in group], each))
        return calls, alone

    def _make_engine(self, network: OneSample, method: str) -> engines.Engine:
        return make_engine(self.data.x, network.w, network.v, network.functions, self.settings, method)

    def _samples(self, r: int, engine: engines.Engine) -> Any:
        x, rows, labels, weight = self.data
        return engine.samples(x, rows, labels, weight if weight is None or weight.ndim == 1 else weight[r])


def learn_copy(engine: engines.Engine, arrays: tuple[Any, ...], *given: Any) -> float:
    """Learn with a copy of the arrays; return the sum of E_n, infinity if it diverges."""
    engine.load(*arrays)
    total = engine.learn(*given)
    return total if np.isfinite(total) and engine.finite() else np.inf


def arrays_of(network: OneSample) -> tuple[np.ndarray, np.ndarray, engines.States]:
    """The weights of a network, and its state arrays."""
    return network.w, network.v, {} if network.accumulators is None else {"accumulators": network.accumulators}
