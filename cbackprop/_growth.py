"""Networks that get new inputs and new outputs and keep what they have learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._network import Network


def carry_over(old: Network, new: Network, kept: Any = None) -> Network:
    """Put the weights of a network into a larger one, whose other weights stay: `new`.

    Old inputs come first; new ones that are 0 change no hidden output, and so no input sum of an old output.

    Parameters
    ----------
    old, new : Network
        Of the same number of hidden units.
    kept : array of indices, optional
        Where the old outputs are among the new ones; without it they come first.
    """
    D, K = old.w.shape[1] - 1, len(old.v)
    new.w[:, :D], new.w[:, -1] = old.w[:, :-1], old.w[:, -1]
    new.v[np.arange(K) if kept is None else kept] = old.v
    return new
