"""C: plain loops (c_loops.c) with the sizes as constants, by gcc -O3 -march=native -ffast-math: online learning.

Slower: exponentials within the loop over hidden units instead of a loop of their own, which GCC vectorizes; Clang, for
most sizes; vectors of 512 bits; for few hidden units, the weights by columns; for many, by rows.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from ..work import Functions, Job, Work, in_place, network_by_network

MIN_UNITS_COLUMNS = 32  # hidden units from which weights by columns are faster
COMPILER = os.environ.get("CC", "gcc")
REAL = {"float32": ("float", ctypes.c_float), "float64": ("double", ctypes.c_double)}
if not shutil.which(COMPILER):
    raise ImportError(f"no C compiler {COMPILER}")


def compiled(module: str, *flags: str, **constants: object) -> ctypes.CDLL:
    """The C file beside that of a module, compiled for this processor."""
    defined = [f"-D{name}={value}" for name, value in constants.items()]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "compiled.so"
        options = ["-O3", "-march=native", "-shared", "-fPIC", *flags, *defined]
        subprocess.run([COMPILER, *options, "-o", library, Path(module).with_suffix(".c"), "-lm"], check=True)
        return ctypes.CDLL(str(library))


@cache
def loops(sizes: tuple[int, int, int], dtype: str, functions: Functions) -> ctypes.CDLL:
    D, M, K = sizes
    choices = {"SIGMOID": functions.hidden == "sigmoid", "SOFTMAX": functions.output == "softmax"}
    choices["COLUMNS"] = M >= MIN_UNITS_COLUMNS
    constants = {name: int(value) for name, value in choices.items()} | {"D": D, "M": M, "K": K}
    return compiled(__file__, "-ffast-math", REAL=REAL[dtype][0], **constants)


def fit(work: Work) -> Job:
    (M, D), dtype = (len(work.w), work.x.shape[1]), work.x.dtype.name
    learn, real = loops((D, M, len(work.v)), dtype, work.functions).learn, REAL[dtype][1]

    def learn_all(x, t, w, v, learning_rate):
        learn(ctypes.c_long(len(x)), x.ctypes, t.ctypes, w.ctypes, v.ctypes, real(learning_rate))

    if M < MIN_UNITS_COLUMNS:
        return in_place(work, learn_all)
    job = in_place(work._replace(w=np.ascontiguousarray(work.w.T)), learn_all)
    return job._replace(result=lambda: (job.result()[0].T, job.result()[1]))


fit_ensemble = network_by_network(fit)
learn_from_c = fit
