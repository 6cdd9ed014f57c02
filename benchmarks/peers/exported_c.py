"""The network exported to C (`cbackprop.export_c`), by gcc -O3 -march=native: a call of it for each sample, in C."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import cbackprop

from ..work import Functions, Job, Work, learning, only, targets
from .c_loops import REAL, compiled

MAX_WEIGHTS = 20_000  # which the header lists


@cache
def exported(sizes: tuple[int, int, int], dtype: str, functions: Functions) -> ctypes.CDLL:
    """A network of these sizes, of which there is one at a time."""
    with tempfile.TemporaryDirectory() as folder:
        network = cbackprop.Network(*sizes, dtype=dtype, rng=0, **functions._asdict())
        cbackprop.export_c(network, Path(folder) / "network.h")
        return compiled(__file__, f"-I{folder}", REAL=REAL[dtype][0])


def fit(work: Work) -> Job:
    only(work.batch_size == 1 and work.epochs == 1 and work.w.size + work.v.size <= MAX_WEIGHTS)
    dtype, N, rows = work.x.dtype.name, ctypes.c_long(len(work.x)), targets(work)
    library, real = exported((work.x.shape[1], len(work.w), len(work.v)), dtype, work.functions), REAL[dtype][1]
    w, v = (
        np.ctypeslib.as_array((real * array.size).in_dll(library, name)).reshape(array.shape)
        for name, array in (("network_w", work.w), ("network_v", work.v))
    )
    work.restore(w, v)
    return learning(lambda: library.learn(N, work.x.ctypes, rows.ctypes, real(work.learning_rate)), work, w, v)


learn_from_c = fit
