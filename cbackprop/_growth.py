"""Growth of trained networks: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._functions import initial_ranges
from ._network import Network


def grown(old: Network, D: int, K: int, seed: Any, *, scale: float) -> Network:
    """Create a network of D inputs and K outputs that begins with the weights of `old`.

    The additional weights have the bits of `init_weights` with this seed, those of hidden units times `scale`. No
    others are drawn: the number of random numbers depends on what is added, not on the size of the network. Without
    additional inputs, both networks share w.
    """
    M, known_D, known_K = len(old.w), old.w.shape[1] - 1, len(old.v)
    generator = np.random.default_rng(seed)
    _, r_v = initial_ranges(D, M, K, old.hidden)
    w = old.w if known_D == D else np.empty((M, D + 1), old.dtype)
    v = np.empty((K, M + 1), old.dtype)
    added = _additional_inputs(known_D, D, M, K, old.hidden, generator) * scale
    if w is not old.w:
        w[:, :known_D], w[:, known_D:D], w[:, -1] = old.w[:, :-1], added, old.w[:, -1]
    _skip(generator, known_K * M)
    v[:known_K] = old.v
    v[known_K:, :M] = generator.uniform(-r_v, r_v, (K - known_K, M))
    v[known_K:, M] = 0
    return Network.from_weights(w, v, **old.functions._asdict())


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


class GrowingInputs:
    """A network to which samples add inputs, at an amortized cost that does not depend on how many there are.

    Inputs that are 0 have no part in a sample: neither in b nor, by (18), in the update. So the other inputs, with
    their weights, are a network that learns the same. Added inputs have their weights in rows beside the network, with
    room for as many again, until the whole network is needed.

    Parameters
    ----------
    network : Network
        The network, whose weights are trained in place.
    scale : float
        Factor of the initial weights of added inputs.
    """

    def __init__(self, network: Network, scale: float) -> None:
        self._network, self._scale = network, scale
        self._rows = np.empty((0, len(network.w)), network.dtype)
        self._added = 0

    @property
    def whole(self) -> Network:
        """The network with all its inputs, live until others are added."""
        if self._added:
            old, held = self._network, self._network.w.shape[1] - 1
            w = np.empty((len(old.w), held + self._added + 1), old.dtype)
            w[:, held:-1] = self._rows[: self._added].T
            new = Network.from_weights(w, np.empty_like(old.v), **old.functions._asdict())
            self._network, self._rows, self._added = copy_weights(old, new), self._rows[:0].copy(), 0
        return self._network

    def part(self, inputs: np.ndarray, D: int, seed: Any) -> Network:
        """The network of some inputs only; its output weights are those of the whole, live.

        Parameters
        ----------
        inputs : ndarray of int
            Sorted indices of its inputs, which include all that are to be added.
        D : int
            Number of inputs of the whole with those to be added.
        seed : seed
            Seed of the initial weights of these.
        """
        old, held, n = self._network, self._network.w.shape[1] - 1, self._added
        if held + n < D:
            if D - held > len(self._rows):
                spare = np.empty((2 * (D - held) - n, len(old.w)), old.dtype)
                self._rows = np.concatenate([self._rows[:n], spare])
            sizes = held + n, D, len(old.w), len(old.v)
            drawn = _additional_inputs(*sizes, old.hidden, np.random.default_rng(seed)) * self._scale
            self._rows[n : D - held] = drawn.T
        w = np.empty((len(old.w), len(inputs) + 1), old.dtype)
        first = inputs.searchsorted(held)  # of those beside the network
        w[:, :first] = old.w[:, inputs[:first]]
        w[:, first:-1] = self._rows[inputs[first:] - held].T
        w[:, -1] = old.w[:, -1]
        return Network.from_weights(w, old.v, **old.functions._asdict())

    def update(self, inputs: np.ndarray, D: int, part: Network) -> None:
        """Take over what the part of these inputs has learned."""
        held = self._network.w.shape[1] - 1
        first = inputs.searchsorted(held)
        self._network.w[:, inputs[:first]] = part.w[:, :first]
        self._rows[inputs[first:] - held] = part.w[:, first:-1].T
        self._network.w[:, -1] = part.w[:, -1]
        self._added = D - held


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
    new.v[np.arange(K) if kept is None else kept] = old.v
    return new
