"""Arrays of all networks of an ensemble: one array if the networks have one shape, else a tuple of one for each."""

import numpy as np

from . import _layout as layout
from . import _validation as validate

Arrays = np.ndarray | tuple[np.ndarray, ...]


def new_weights(w: Arrays, v: Arrays) -> tuple[Arrays, Arrays]:
    """Copies of the weights of all networks, each in the layout of a network: w by columns, v by rows."""
    return _transposed(_copied(_transposed(w))), _copied(v)


def new_vectors(arrays: Arrays) -> Arrays:
    """Copies of a vector of each network."""
    copies = _copied(tuple(array[np.newaxis] for array in arrays))
    return tuple(copy[0] for copy in copies) if isinstance(copies, tuple) else copies[:, 0]


def _copied(arrays: Arrays) -> Arrays:
    """Copies by rows in one memory, for which one lock and one check for overlap are enough."""
    copies = layout.zeros_of_networks([array.shape for array in arrays], np.dtype(arrays[0].dtype.type))
    for copy, array in zip(copies, arrays, strict=True):
        copy[...] = array
    return copies


def _transposed(w: Arrays) -> Arrays:
    """The columns of w as rows, or the reverse. The only row of one hidden unit stays one, without padding within."""
    if isinstance(w, tuple):
        return tuple(w_r if len(w_r) == 1 else w_r.T for w_r in w)
    return w if w.shape[1] == 1 else w.swapaxes(1, 2)


def memory(arrays: Arrays) -> np.ndarray:
    """The memory of such copies, in one dimension, padding included."""
    base = (arrays if isinstance(arrays, np.ndarray) else arrays[0]).base
    assert base is not None
    return base


def check_weights(w: Arrays, v: Arrays, members: np.ndarray) -> None:
    """Raise ValueError if the weights of networks that are members cannot be trained."""
    finite = all(np.isfinite(memory(arrays)).all() for arrays in (w, v))
    for r in np.flatnonzero(members):
        try:
            validate.weights(w[r], v[r], writeable=True)
            if not finite:
                validate.finite_weights(w[r], v[r])
        except ValueError as error:
            raise ValueError(f"in network {r}, {error}") from None
