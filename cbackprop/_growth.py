"""Growth of trained networks: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._network import Network


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
