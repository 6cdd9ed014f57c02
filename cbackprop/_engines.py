"""Choice of the engine, its block length and the number of threads: a cost model.

The constants are measured by benchmarks/compare/engines.py.

- Online, small networks learn in lanes: one pass over w for each sample, in the user's arrays if w is by columns. With
  more than MAX_PASS vectors of w, times the vectors of outputs, blocks of samples are faster.
- The blocked engine, too, puts hidden units into the lanes of vectors. In forward passes, with fewer than
  MIN_UNITS_BLOCKED most lanes are empty, and the direct engine is faster. Empty lanes take memory: a large network is
  trained by the direct engine if they would take more than MAX_COPIES of its weights.
- The samples-in-lanes engine holds a copy of the weights, and of their update, in each lane. Up to
  MAX_WEIGHTS_IN_LANES they fit into the first-level cache.
- For batches, `batch_times` models the time per sample as latency (one chain of dependent operations, amortized over a
  block or a vector), plus throughput (passes over w and v, or gathered inputs and operations on each weight for all
  lanes), plus a cost per batch (above all adding up the lanes and copying the weights into them).
- In a block of B samples, each costs about B·D multiplications for its products with the others (the Gram matrix),
  while w is read and written only once per block (3·M·D numbers). The optimum is near B = BLOCK_PER_SQRT_M·√M.
  Mini-batches need no Gram matrix: the longer their blocks the better, until scratch exceeds the weights plus
  CACHE_BUDGET.
- Copying the weights into panels costs as much as a few samples: with fewer than MIN_SAMPLES_BLOCKED samples, forward
  passes are direct.
- Momentum changes all weights at every update, each by its own amount. With one sample per update, only the direct
  engine supports it efficiently. (The penalty shrinks them all by the same factor, which blocks take into account.)
- Sparse rows have an engine of their own, which works on the user's arrays.
- Training threads meet at two barriers per block, so each needs at least MIN_WORK_PER_THREAD multiplications per block.
  Prediction threads have no barriers, but must be started, which takes twice as many.
"""

from __future__ import annotations  # the stub of the kernels is no module

import math
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ._dispatch import kernels, narrow_kernels, processors
from ._sparse import SparseRows
from ._validation import Functions

if TYPE_CHECKING:
    from .kernels._kernel_api import Engine as Engine

MIN_UNITS_BLOCKED = 4
MAX_VECTORS, MAX_OUTPUT_VECTORS, MAX_PASS = 8, 4, 400  # of networks in lanes
MAX_COPIES, ALLOWANCE = 4, 1 << 20  # memory for training: copies of the weights, and bytes
MAX_WEIGHTS_IN_LANES = 256
MIN_BLOCK, MAX_ONLINE_BLOCK, MAX_BATCH_BLOCK = 8, 64, 128  # samples; online blocks are multiples of MIN_BLOCK
BLOCK_PER_SQRT_M = 1.5
CACHE_BUDGET = 1 << 19  # bytes
LANES_BLOCK = 64  # samples after which the lanes engine has updated all weights
MIN_SAMPLES_BLOCKED = 16
MIN_WORK_PER_THREAD = 1_000_000
LARGER_THAN_ANY_BLOCK = 1 << 62  # a batch size with which gradients are accumulated

# State arrays by name: the velocity, shaped like w and v, or accumulators, with a number for each unit
States = dict[str, tuple[np.ndarray, np.ndarray]]


def fits(w: np.ndarray, v: np.ndarray, lanes: int, block: int, accumulates: bool) -> bool:
    """Whether the blocked engine needs no more memory than training may take."""
    panels = lanes * (-(-w.shape[0] // lanes) * w.shape[1] + -(-v.shape[0] // lanes) * v.shape[1])
    needed = (panels * (1 + accumulates) + block * scratch(w, v)) * w.itemsize
    return needed <= MAX_COPIES * (w.nbytes + v.nbytes) + ALLOWANCE


def batch_times(w: np.ndarray, v: np.ndarray, lanes: int, batch_size: int) -> dict[str, float]:
    """Time of each engine for a sample of a batch; only their ratios count."""
    (M, D), K, size, vectors = w.shape, len(v), w.size + v.size, -(-w.shape[0] // lanes)
    return {
        "direct": 80 + 100 / lanes + 2.8 * M * (D + K) / lanes + 60 / batch_size,
        "blocked": 40 + 120 / lanes + 0.7 * (D + K) * vectors + (60 + 1.5 * D * vectors) / batch_size,
        "samples in lanes": D / 5 + (110 + 2.3 * size) / min(batch_size, lanes) + 5.5 * size / batch_size,
    }


def kernels_for(w: np.ndarray, v: np.ndarray, batch_size: int) -> ModuleType:
    """The kernels whose vectors suit the layers and the number of samples per update."""
    narrow = narrow_kernels(w.dtype)
    return narrow if batch_size == 1 and in_lanes(w, v, narrow.LANES_IN_REGISTER) else kernels(w.dtype)


def in_lanes(w: np.ndarray, v: np.ndarray, lanes: int) -> bool:
    """Whether a network learns sample by sample faster in lanes than in blocks."""
    width, output_width = -(-len(w) // lanes), -(-len(v) // lanes)
    few = width <= MAX_VECTORS and output_width <= MAX_OUTPUT_VECTORS
    return few and width * output_width * w.shape[1] <= MAX_PASS


def block_length(w: np.ndarray, v: np.ndarray, batch_size: int) -> int:
    """Number of samples per block."""
    if batch_size == 1:
        optimum = BLOCK_PER_SQRT_M * math.sqrt(w.shape[0])
        return min(MAX_ONLINE_BLOCK, max(MIN_BLOCK, MIN_BLOCK * round(optimum / MIN_BLOCK)))
    longest = (w.nbytes + v.nbytes + CACHE_BUDGET) // (scratch(w, v) * w.itemsize)
    return min(batch_size, MAX_BATCH_BLOCK, max(MIN_BLOCK, longest))


def scratch(w: np.ndarray, v: np.ndarray) -> int:
    """Numbers that the blocked engine holds for each sample of a block."""
    return 2 * (w.shape[0] + v.shape[0])


def make_engine(
    w: np.ndarray,
    v: np.ndarray,
    functions: Functions,
    batch_size: int,
    method: str,
    *,
    x: np.ndarray | SparseRows | None = None,
    momentum: float = 0,
    l2: float = 0,
    adaptive: bool = False,
) -> Engine:
    """Create the engine for training: with samples like x, which may be sparse."""
    D, M, K = w.shape[1] - 1, w.shape[0], v.shape[0]
    settings = functions._asdict() | {"momentum": momentum, "l2": l2, "adaptive": adaptive}
    if isinstance(x, SparseRows):
        longest_row = int(np.diff(x.indptr).max())
        return kernels(w.dtype).SparseEngine(D, M, K, batch_size, block=max(1, longest_row), **settings)
    module = kernels_for(w, v, batch_size)
    lanes = module.LANES_IN_REGISTER
    plain, block = momentum == l2 == 0, block_length(w, v, batch_size)
    accumulates = batch_size > 1 and (batch_size > block or not plain or adaptive)
    if method == "auto" and batch_size > 1:
        times = batch_times(w, v, lanes, batch_size)
        if not (plain and w.size + v.size <= MAX_WEIGHTS_IN_LANES):
            del times["samples in lanes"]
        if not fits(w, v, lanes, block, accumulates):
            del times["blocked"]
        method = min(times, key=times.__getitem__)
    elif method == "auto" and momentum == 0 and in_lanes(w, v, lanes):
        return module.LanesEngine(D, M, K, **settings)
    elif method == "auto" and momentum == 0 and M >= MIN_UNITS_BLOCKED and fits(w, v, lanes, block, accumulates):
        method = "blocked"
    if method == "blocked":
        return module.BlockedEngine(D, M, K, batch_size, block=block, **settings)
    if method == "samples in lanes":
        return module.SamplesInLanesEngine(D, M, K, batch_size, **settings)
    return module.DirectEngine(D, M, K, batch_size, **settings)


def bulk_engine(
    w: np.ndarray, v: np.ndarray, functions: Functions, x: np.ndarray | SparseRows, *, gradient: bool = False
) -> Engine:
    """Create an engine that holds these weights, for one pass over samples without updates."""
    D, M, K, N = w.shape[1] - 1, w.shape[0], v.shape[0], len(x)
    engine: Engine
    module, block = kernels(w.dtype), block_length(w, v, N) if N >= MIN_SAMPLES_BLOCKED else 0
    if isinstance(x, SparseRows):
        engine = make_engine(w, v, functions, 1, "direct", x=x)
    elif block and M >= MIN_UNITS_BLOCKED and fits(w, v, module.LANES_IN_REGISTER, block, gradient):
        batch_size = LARGER_THAN_ANY_BLOCK if gradient else block
        engine = module.BlockedEngine(D, M, K, batch_size, block=block, **functions._asdict())
    else:
        engine = module.DirectEngine(D, M, K, **functions._asdict())
    engine.load(w, v)
    return engine


def threads_to_learn(engine: Engine, w: np.ndarray, v: np.ndarray, batch_size: int, n_threads: int) -> int:
    """Number of threads for training, at most n_threads."""
    if n_threads == 1 or "threads" not in engine.supports:
        return 1
    return max(1, min(n_threads, processors(), block_length(w, v, batch_size) * w.size // MIN_WORK_PER_THREAD))


def threads_to_predict(w: np.ndarray, x: np.ndarray | SparseRows, n_threads: int) -> int:
    """Number of threads among which to divide samples for prediction, at most n_threads."""
    if n_threads == 1:
        return 1
    work = len(w) * len(x.data) if isinstance(x, SparseRows) else len(x) * w.size
    return max(1, min(n_threads, processors(), len(x), work // (2 * MIN_WORK_PER_THREAD)))
