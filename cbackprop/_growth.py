"""Growth of trained networks: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._functions import initial_ranges
from ._network import Network
from ._sparse import aligned_zeros


def _additional_inputs(known_D: int, D: int, M: int, K: int, hidden: str, generator: np.random.Generator) -> np.ndarray:
    """Initial weights of the inputs from `known_D` to D, as `init_weights` would draw them."""
    r_w, _ = initial_ranges(D, M, K, hidden)
    weights = np.empty((M, D - known_D))
    for row in weights:
        _skip(generator, known_D)
        row[:] = generator.uniform(-r_w, r_w, D - known_D)
    return weights


def _skip(generator: np.random.Generator, count: int) -> None:
    """Pass over `count` numbers of PCG64, one step of which is one number."""
    generator.bit_generator.advance(count)  # type: ignore[attr-defined]


class GrowingNetwork:
    """A network to which samples add inputs and outputs, each at an amortized cost that does not depend on the others.

    The weights of an input lie side by side, and there is room for more inputs behind them.

    Parameters
    ----------
    network : Network
        The network, whose weights are trained in place.
    scale : float
        Factor of the initial weights of added inputs.
    """

    def __init__(self, network: Network, scale: float) -> None:
        self.network, self._scale = network, scale
        self._room = network.w  # memory that begins with w
        self.lent = False  # to others: its memory must stay as it is

    def grown(self, D: int, K: int, seed: Any) -> GrowingNetwork:
        """Create a network of D inputs and K outputs that begins with the weights of this one.

        The additional weights have the bits of `init_weights` with this seed, those of hidden units times the scale.
        No others are drawn: the number of random numbers depends on what is added, not on the size of the network.
        Unless this network is lent, both share memory, and additional inputs may lie where its bias was: if the new
        network is not used, `restore_bias`.
        """
        old, room = self.network, self._room
        M, known_D, known_K = len(old.w), old.w.shape[1] - 1, len(old.v)
        generator = np.random.default_rng(seed)
        added = _additional_inputs(known_D, D, M, K, old.hidden, generator) * self._scale
        _skip(generator, known_K * M)
        _, r_v = initial_ranges(D, M, K, old.hidden)
        v = np.zeros((K, M + 1), old.dtype)
        v[:known_K] = old.v
        v[known_K:, :M] = generator.uniform(-r_v, r_v, (K - known_K, M))
        bias = old.w[:, -1].copy()
        if self.lent or room.shape[1] <= D:
            room = aligned_zeros(M, D + 1 if known_D == D else 2 * (D + 1), old.dtype)
            room[:, :known_D] = old.w[:, :-1]
        new = GrowingNetwork(Network.from_weights(room[:, : D + 1], v, **old.functions._asdict()), self._scale)
        new._room = room
        room[:, known_D:D], room[:, D] = added, bias
        return new

    def restore_bias(self, larger: GrowingNetwork) -> None:
        """Take the bias back from a network that has grown from this one, but has not learned."""
        self.network.w[:, -1] = larger.network.w[:, -1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.network, self._scale)


def copy_weights(old: Network, new: Network, kept: Any = None) -> Network:
    """Copy the weights of a network into a larger one.

    The inputs of `old` come first in `new`. Additional inputs that are 0 leave all hidden activations unchanged, and so
    the logits of the old outputs.

    Parameters
    ----------
    old, new : Network
        Networks with the same number of hidden units. The additional weights of `new` are not changed.
    kept : array of int, optional
        Indices of the old outputs among the new ones. By default, they come first.

    Returns
    -------
    Network
        `new`.
    """
    D, K = old.w.shape[1] - 1, len(old.v)
    new.w[:, :D], new.w[:, -1] = old.w[:, :-1], old.w[:, -1]
    kept = np.arange(K) if kept is None else kept
    new.v[kept] = old.v
    if old.accumulators is not None and new.accumulators is not None:
        new.accumulators[0][:], new.accumulators[1][kept] = old.accumulators
    return new
