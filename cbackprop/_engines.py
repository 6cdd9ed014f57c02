"""The cost rule: which engine, how long a block, how many threads. Measured by benchmarks/engines.py.

- Hidden units stand side by side in lanes in the blocked engine. Fewer than FEW_UNITS leave most lanes empty: then the
  direct engine is faster, or, for batches that fill the lanes with samples, the side-by-side engine.
- A block of B samples costs each of them about B·D operations, for the products of samples with each other, and saves
  passes over w, 3·M·D numbers for the whole block: best at B ~ PER_ROOT·√M. A mini-batch has no such products: the
  longer its blocks the better, as long as what they hold of each sample is not more than the weights or MODEST.
- Loading the weights into panels costs as much as a few samples: below MANY samples forward passes are direct.
- Momentum and l2 change every weight at every update: sample by sample that is the direct engine's way.
- Threads that learn meet twice a block, so each must have WORTH_A_THREAD multiplications to do between; those that
  predict never meet, but each has to be started: twice as many.
"""

import math
from typing import Any

import numpy as np

from ._dispatch import kernels, processors

FEW_UNITS = 4
SHORT, LONG, BATCH = 8, 64, 128  # blocks: the shortest, whose multiples they are; the longest online, in a batch
PER_ROOT = 1.5
MODEST = 1 << 19  # bytes
MANY = 16
WORTH_A_THREAD = 1_000_000
GATHERED = 1 << 62  # a batch longer than any block


def blocked(w: np.ndarray, method: str) -> bool:
    return method == "blocked" or (method == "auto" and w.shape[0] >= FEW_UNITS)


def block_length(w: np.ndarray, v: np.ndarray, batch_size: int) -> int:
    M, K = w.shape[0], v.shape[0]
    if batch_size == 1:
        return min(LONG, max(SHORT, SHORT * round(PER_ROOT * math.sqrt(M) / SHORT)))
    held = 2 * (M + K) * w.itemsize
    return min(batch_size, BATCH, max(SHORT, (w.nbytes + v.nbytes + MODEST) // held))


def learner(w: np.ndarray, v: np.ndarray, batch_size: int, method: str, *, momentum: float = 0, l2: float = 0) -> Any:
    """The engine that `fit` works with: it loads weights, learns, and stores them."""
    D, M, K = w.shape[1] - 1, w.shape[0], v.shape[0]
    module = kernels(w.dtype)
    plain = momentum == l2 == 0
    if blocked(w, method) and (plain or batch_size > 1 or method == "blocked"):
        return module.BlockedEngine(D, M, K, batch_size, block_length(w, v, batch_size), momentum, l2)
    if method == "auto" and plain and batch_size >= module.LANES_IN_REGISTER:
        return module.SideBySideEngine(D, M, K, batch_size)
    return module.DirectEngine(D, M, K, batch_size, momentum, l2)


def whole_pass(w: np.ndarray, v: np.ndarray, N: int, *, gradient: bool = False) -> Any:
    """The blocked engine, loaded, if N samples are enough to make it worth while; else None."""
    D, M, K = w.shape[1] - 1, w.shape[0], v.shape[0]
    if not blocked(w, "auto") or N < MANY:
        return None
    block = block_length(w, v, N)
    engine = kernels(w.dtype).BlockedEngine(D, M, K, GATHERED if gradient else block, block)
    engine.load(w, v)
    return engine


def threads_to_learn(engine: Any, w: np.ndarray, v: np.ndarray, batch_size: int, n_threads: int) -> int:
    """How many of n_threads should learn together."""
    if n_threads == 1 or not hasattr(engine, "set_threads"):
        return 1
    return max(1, min(n_threads, processors(), block_length(w, v, batch_size) * w.size // WORTH_A_THREAD))


def threads_to_predict(w: np.ndarray, N: int, n_threads: int) -> int:
    """How many of n_threads should share N samples."""
    return max(1, min(n_threads, processors(), N * w.size // (2 * WORTH_A_THREAD)))
