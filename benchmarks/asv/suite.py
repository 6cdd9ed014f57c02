"""What the asv benchmarks share: how long they run, and how they skip what a commit does not have.

asv identifies a benchmark by its name and the source of its methods, `setup` included: changing either, even by
renaming a helper that they call, discards its history.
"""

import importlib
import inspect

import numpy as np

import cbackprop

DTYPES = ["float32", "float64"]
VARIANTS = ["baseline", "avx2", "avx512"]


class ShortBenchmark:
    """Settings with which a commit takes a minute; `setup` creates data and weights anew before each repeat."""

    number = 1
    rounds = 1
    repeat = (5, 30, 0.1)  # at least, at most, within so many seconds
    warmup_time = 0.01


def landed(module):
    """Import a module; the benchmark is not available where the commit or the environment lacks it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotImplementedError(str(error)) from None


def takes(function, *names):
    """Skip the benchmark if the function has no such parameters at this commit."""
    if missing := set(names) - set(inspect.signature(function).parameters):
        raise NotImplementedError(f"{function.__name__} has no parameter {', '.join(missing)} at this commit")


def has_engine(name):
    """Skip the benchmark if this commit has no such engine."""
    if not hasattr(landed("cbackprop.kernels.baseline_float64"), name):
        raise NotImplementedError(f"no {name} at this commit")


def kernels(variant, dtype):
    """The kernel module of a variant; not available if the processor does not support it."""
    if variant not in cbackprop.kernel_info()["available"]:
        raise NotImplementedError(f"this machine does not support the {variant} kernels")
    return landed(f"cbackprop.kernels.{variant}_{dtype}")


def use_variant(variant, dtype):
    """Make `fit` and forward passes of this process use the kernels of a variant, small networks included."""
    dispatch = landed("cbackprop._dispatch")
    dispatch._MODULES[np.dtype(dtype)], dispatch.FORCED = kernels(variant, dtype), True


def fit(work, **options):
    """`cbackprop.fit` on the arrays of `work` themselves."""
    return cbackprop.fit(
        work.x, work.t, work.w, work.v, learning_rate=work.learning_rate, batch_size=work.batch_size,
        epochs=work.epochs, shuffle=False, **options,
    )  # fmt: skip
