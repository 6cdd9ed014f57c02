"""genann, one file of C (github.com/codeplea/genann), by gcc -O3 -march=native: sigmoid units and linear outputs.

It has neither softmax outputs nor float32. GENANN is the folder of genann.c and genann.h, which the sdist of cynn on
PyPI contains. Its default, a sigmoid read from a table, would learn other weights.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np

from ..work import Functions, Job, Work, only
from .c_loops import compiled

FOLDER = Path(os.environ.get("GENANN", "genann"))
if not (FOLDER / "genann.c").exists():
    raise ImportError(f"no genann.c in {FOLDER}; GENANN is its folder")


@cache
def library() -> ctypes.CDLL:
    loaded = compiled(__file__, f"-I{FOLDER}")
    loaded.create.restype = loaded.weights.restype = ctypes.c_void_p
    return loaded


def fit(work: Work) -> Job:
    only(work.batch_size == 1 and work.functions == Functions("sigmoid", "linear") and work.x.dtype == np.float64)
    network = ctypes.c_void_p(library().create(work.x.shape[1], len(work.w), len(work.v)))
    pointer = ctypes.cast(library().weights(network), ctypes.POINTER(ctypes.c_double))
    weights = np.ctypeslib.as_array(pointer, (work.w.size + work.v.size,))
    layers = [
        part.reshape(layer.shape)
        for part, layer in zip(np.split(weights, [work.w.size]), (work.w, work.v), strict=True)
    ]

    def run() -> None:
        arguments = ctypes.c_long(len(work.x)), work.x.ctypes, work.t.ctypes, ctypes.c_double(work.learning_rate)
        library().learn(network, *arguments)

    def result() -> tuple:  # its bias, with the input -1, comes first
        return tuple(np.concatenate([layer[:, 1:], -layer[:, :1]], axis=1) for layer in layers)

    def restore() -> None:
        for layer, start in zip(layers, (work.w, work.v), strict=True):
            layer[:, 1:], layer[:, 0] = start[:, :-1], -start[:, -1]

    restore()
    return Job(run, result, restore)
