"""What the files of the asv suite share: how long they measure, and what to do where a commit lacks what is called."""

import importlib
import inspect

import numpy as np

import cbackprop

DTYPES = ["float32", "float64"]
VARIANTS = ["baseline", "avx2", "avx512"]


class Short:
    """Many short benchmarks, so that a commit takes a minute: data and weights anew (setup) before each repeat."""

    number = 1
    rounds = 1
    repeat = (5, 30, 0.1)  # at least, at most, within so many seconds
    warmup_time = 0.01


def landed(module):
    """A module, or "not available": a commit from before there was one, or a package that isn't installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotImplementedError(str(error)) from None


def takes(function, *names):
    """Not available at a commit where the function has no such parameters."""
    if missing := set(names) - set(inspect.signature(function).parameters):
        raise NotImplementedError(f"{function.__name__} takes no {', '.join(missing)} at this commit")


def has_engine(name):
    if not hasattr(landed("cbackprop.kernels.baseline_float64"), name):
        raise NotImplementedError(f"no {name} at this commit")


def kernels(variant, dtype):
    """The kernels of one variant, if they run here."""
    if variant not in cbackprop.kernel_info()["available"]:
        raise NotImplementedError(f"{variant} kernels can't run on this machine")
    return landed(f"cbackprop.kernels.{variant}_{dtype}")


def use_variant(variant, dtype):
    """From now on, in this process, fit and forward passes run on the kernels of this variant."""
    modules = landed("cbackprop._dispatch")._MODULES
    modules[np.dtype(dtype)] = kernels(variant, dtype)


def fit(work, **options):
    """As a user calls it, on the arrays of the work itself."""
    return cbackprop.fit(
        work.x, work.t, work.w, work.v, learning_rate=work.learning_rate, batch_size=work.batch_size,
        epochs=work.epochs, shuffle=False, **options,
    )  # fmt: skip
