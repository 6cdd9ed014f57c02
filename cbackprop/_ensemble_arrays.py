"""Arrays of all networks of an ensemble: one array if the networks have one shape, else a tuple of one for each."""

import math
from collections.abc import Sequence

import numpy as np

Arrays = np.ndarray | tuple[np.ndarray, ...]
States = dict[str, tuple[Arrays, Arrays]]


def new_weights(w: Arrays | Sequence[np.ndarray], v: Arrays | Sequence[np.ndarray]) -> tuple[Arrays, Arrays]:
    """Copies of the weights of all networks, as they lie in an ensemble."""
    return copied(w), copied(v)


def copied(arrays: Arrays | Sequence[np.ndarray]) -> Arrays:
    """Copies of the arrays of all networks in one memory, for which one lock and one check for overlap are enough."""
    shapes, dtype = [array.shape for array in arrays], np.dtype(arrays[0].dtype.type)
    sizes = [math.prod(shape) for shape in shapes]
    parts = np.split(np.empty(sum(sizes), dtype), np.cumsum(sizes[:-1]))
    copies = tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    for copy, array in zip(copies, arrays, strict=True):
        copy[...] = array
    return memory(copies).reshape(len(shapes), *shapes[0]) if len(set(shapes)) == 1 else copies


def memory(arrays: Arrays) -> np.ndarray:
    """The memory of a result of `copied`, in one dimension."""
    base = (arrays if isinstance(arrays, np.ndarray) else arrays[0]).base
    assert base is not None
    return base


def of_network(r: int, states: States) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The state arrays of network r."""
    return {name: (first[r], second[r]) for name, (first, second) in states.items()}
