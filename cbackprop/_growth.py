"""Growth of trained networks: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._functions import initial_ranges
from ._network import Network


def grown(old: Network, D: int, K: int, seed: Any, *, scale: float) -> Network:
    """Create a network of D inputs and K outputs that begins with the weights of `old`.

    The additional weights have the bits of `init_weights` with this seed, those of hidden units times `scale`. No
    others are drawn: the number of random numbers depends on what is added, not on the size of the network.
    """
    M, known_D, known_K = len(old.w), old.w.shape[1] - 1, len(old.v)
    generator = np.random.default_rng(seed)
    skip = generator.bit_generator.advance  # type: ignore[attr-defined] # of PCG64, one step of which is one number
    r_w, r_v = initial_ranges(D, M, K, old.hidden)
    w, v = np.empty((M, D + 1), old.dtype), np.empty((K, M + 1), old.dtype)
    additional = w[:, known_D:D]
    for row in additional:
        skip(known_D)
        row[:] = generator.uniform(-r_w, r_w, D - known_D)
    additional *= scale
    skip(known_K * M)
    v[known_K:, :M] = generator.uniform(-r_v, r_v, (K - known_K, M))
    v[known_K:, M] = 0
    return copy_weights(old, Network.from_weights(w, v, **old.functions._asdict()))


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
