"""Engines for ensembles, and the choice among them."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import operator
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Protocol

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._dispatch import kernels
from ._engines import States
from ._sparse import SparseRows


class EnsembleEngine(Protocol):
    """An engine for ensembles learns with its own copy of the weights of all networks, shaped as in `Ensemble`."""

    @property
    def supports_threads(self) -> bool:
        """Whether `learn` can use several threads."""

    def samples(
        self,
        x: np.ndarray | SparseRows,
        t: np.ndarray | None,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
    ) -> Any:
        """Return samples in the form that `learn` takes; sample_weight has shape (N,) or (R, N)."""

    def load(self, w: np.ndarray, v: np.ndarray, states: States) -> None:
        """Copy the weights and state arrays of all networks into the engine."""

    def stores(self, w: np.ndarray, v: np.ndarray, states: States, members: np.ndarray) -> list[tuple[Any, ...]]:
        """Return calls, for `call_all`, that copy those of some networks back, given whether of each."""

    def learn(
        self,
        samples: Any,
        order: np.ndarray,
        learning_rates: np.ndarray,
        losses: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        """Learn from samples in the given order; return the sum of E_n of each network, and write E_n to `losses`.

        Networks with a learning rate of 0 learn nothing, and their sums and losses are infinite. The losses, of shape
        (samples, R), are without sample weights; they may be -1 where the weights of a whole batch are 0.
        """

    def finite(self) -> np.ndarray:
        """Return whether all weights of each network are finite."""


def make_engine(
    w: np.ndarray,
    v: np.ndarray,
    functions: Sequence[validate.Functions],
    batch_size: int,
    *,
    l2: float,
    adaptive: bool,
    x: np.ndarray | SparseRows,
    method: str = "auto",
    n_threads: int = 1,
) -> EnsembleEngine:
    """Create the engine for an ensemble: networks with the same functions learn in lanes, or side by side.

    The choice does not depend on how many there are, so that what one of them learns does not, either.
    """
    dense = not isinstance(x, SparseRows) and method == "auto"
    in_lanes = dense and engines.networks_in_lanes(w[0], v[0])
    online = batch_size == 1 and l2 == 0 and n_threads == 1
    if not (in_lanes or (dense and online and engines.networks_side_by_side(w[0], v[0]))):
        return SeparateEngines(w, v, functions, batch_size, l2=l2, adaptive=adaptive, x=x, method=method)
    # side by side, those of a network by itself, which threads use, too
    module = kernels(w.dtype) if in_lanes else engines.kernels_for(w[0], v[0], 1)
    block = engines.block_length(w[0], v[0], batch_size)
    kind = module.NetworksInLanesEngine if in_lanes else module.NetworksSideBySideEngine
    parts: list[tuple[np.ndarray, Any]] = []
    for names in dict.fromkeys(functions):
        members = np.flatnonzero([each == names for each in functions])
        sizes = len(members), w.shape[2] - 1, w.shape[1], v.shape[1], batch_size
        parts.append((members, kind(*sizes, block=block, l2=l2, adaptive=adaptive, **names._asdict())))
    return parts[0][1] if len(parts) == 1 else Parts(parts)


class Parts:
    """Engines for the parts of an ensemble.

    Parameters
    ----------
    parts : list of pairs
        The indices of the networks of each part, and their engine.
    """

    supports_threads = False

    def __init__(self, parts: list[tuple[np.ndarray, Any]]) -> None:
        self.parts = parts
        self.count = sum(len(members) for members, _engine in parts)

    def samples(
        self,
        x: np.ndarray | SparseRows,
        t: np.ndarray | None,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
    ) -> Any:
        """Samples of each part."""
        of_each = sample_weight is not None and sample_weight.ndim == 2
        return [
            engine.samples(x, t, labels, sample_weight[members] if of_each else sample_weight)  # type: ignore[index]
            for members, engine in self.parts
        ]

    def load(self, w: np.ndarray, v: np.ndarray, states: States) -> None:
        """Copy all weights."""
        for members, engine in self.parts:
            engine.load(w[members], v[members], of_network(members, states))

    def stores(self, w: np.ndarray, v: np.ndarray, states: States, members: np.ndarray) -> list[tuple[Any, ...]]:
        """Return calls that copy those of some networks back."""
        arrays: list[Any] = [w, v, *(array for pair in states.values() for array in pair)]
        calls: list[tuple[Any, ...]] = []
        for part, engine in self.parts:
            ours = w[part], v[part], of_network(part, states)
            engine.store(*ours, members[part])
            copies = [*ours[:2], *(array for pair in ours[2].values() for array in pair)]
            calls += zip(repeat(operator.setitem), arrays, repeat(part), copies)
        return calls

    def learn(
        self,
        samples: Any,
        order: np.ndarray,
        learning_rates: np.ndarray,
        losses: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        """Learn one part after the other."""
        sums = np.empty(self.count)
        for (members, engine), each in zip(self.parts, samples, strict=True):
            part = None if losses is None else np.empty((len(order), len(members)))
            sums[members] = engine.learn(each, order, learning_rates[members], part, threads)
            if losses is not None:
                losses[:, members] = part
        return sums

    def finite(self) -> np.ndarray:
        """Whether all weights of each network are finite."""
        finite = np.empty(self.count, bool)
        for members, engine in self.parts:
            finite[members] = engine.finite()
        return finite


class SeparateEngines:
    """R engines that learn one after the other.

    Parameters
    ----------
    w, v : ndarray of shapes (R, M, D+1) and (R, K, M+1)
        Arrays of the shapes to be learned.
    functions : sequence of R Functions
        Functions of each network.
    batch_size : int
        Samples per update.
    l2 : float
        Strength of the penalty.
    adaptive : bool
        Whether learning rates adapt to each unit.
    x : ndarray or SparseRows
        The inputs.
    method : {"auto", "direct"}
        The order of the arithmetic.
    """

    def __init__(
        self,
        w: np.ndarray,
        v: np.ndarray,
        functions: Sequence[validate.Functions],
        batch_size: int,
        *,
        l2: float,
        adaptive: bool,
        x: np.ndarray | SparseRows,
        method: str = "auto",
    ) -> None:
        self.sparse = isinstance(x, SparseRows)
        self.engines: list[engines.Engine] = [
            engines.sparse_engine(x, w_r, v_r, names, batch_size, l2=l2, adaptive=adaptive)
            if isinstance(x, SparseRows)
            else engines.make_engine(w_r, v_r, names, batch_size, method, l2=l2, adaptive=adaptive)
            for w_r, v_r, names in zip(w, v, functions, strict=True)
        ]

    @property
    def supports_threads(self) -> bool:
        """Whether `learn` can use several threads."""
        return self.engines[0].supports_threads

    def samples(
        self,
        x: np.ndarray | SparseRows,
        t: np.ndarray | None,
        labels: np.ndarray | None,
        sample_weight: np.ndarray | None,
    ) -> Any:
        """Samples for each network."""
        of_each = sample_weight is not None and sample_weight.ndim == 2
        weights: Any = sample_weight if of_each else [sample_weight] * len(self.engines)
        return [engine.samples(x, t, labels, s) for engine, s in zip(self.engines, weights, strict=True)]

    def load(self, w: np.ndarray, v: np.ndarray, states: States) -> None:
        """Copy all weights into the engines."""
        for r, engine in enumerate(self.engines):
            engine.load(w[r], v[r], of_network(r, states))

    def stores(self, w: np.ndarray, v: np.ndarray, states: States, members: np.ndarray) -> list[tuple[Any, ...]]:
        """Return calls that copy those of some networks back."""
        chosen = np.flatnonzero(members).tolist()
        return [(self.engines[r].store, w[r], v[r], of_network(r, states)) for r in chosen]

    def learn(
        self,
        samples: Any,
        order: np.ndarray,
        learning_rates: np.ndarray,
        losses: np.ndarray | None = None,
        threads: int = 1,
    ) -> np.ndarray:
        """Learn with one network after the other."""
        sums = np.full(len(self.engines), np.inf)
        if losses is not None:
            losses[:] = np.inf
        for r in np.flatnonzero(learning_rates):
            each = None if losses is None else np.full(len(order), -1.0)
            sums[r] = self.engines[r].learn(samples[r], order, learning_rates[r], threads, each)
            if losses is not None:
                losses[:, r] = each
        return sums

    def finite(self) -> np.ndarray:
        """Whether all weights of each network are finite; sparse rows leave no others, and a sum of NaN instead."""
        return np.array([self.sparse or engine.finite() for engine in self.engines])


def of_network(r: int | np.ndarray, states: States) -> States:
    """The state arrays of network r, or of several."""
    return {name: (first[r], second[r]) for name, (first, second) in states.items()}
