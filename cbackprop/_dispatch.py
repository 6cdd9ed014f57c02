"""Dispatch to the kernels compiled for the best instruction set of the processor, chosen at import.

Each instruction set has two modules, for float32 and float64, with the same functions. The environment variable
`CBACKPROP_KERNEL` forces one.
"""

import functools
import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any

import numpy as np

from ._variants import VARIANTS

try:  # features that both CPU and operating system support; NumPy has no public name for this table
    from numpy._core._multiarray_umath import __cpu_features__ as _CPU
except ImportError:
    _CPU = {}


def _built(variant: str) -> bool:
    return importlib.util.find_spec(f"cbackprop.kernels.{variant}_float64") is not None


def _offered(variant: str) -> bool:
    return all(_CPU.get(feature, False) for feature in VARIANTS[variant].features)


def available_variants() -> list[str]:
    """Variants that are built and that this processor can run, best first."""
    return [variant for variant in VARIANTS if _built(variant) and _offered(variant)]


def _choose() -> str:
    if not any(map(_built, VARIANTS)):
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        raise ImportError(
            f"cbackprop was not built in this folder, {folder}: "
            f"run `pip install -e .` or `make build`, or start Python in another folder"
        )
    forced = os.environ.get("CBACKPROP_KERNEL")
    if not forced:
        return available_variants()[0]
    if forced not in VARIANTS:
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}; it must be one of {', '.join(sorted(VARIANTS))}")
    if not _built(forced):
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}, which this build of cbackprop does not contain")
    if missing := [feature for feature in VARIANTS[forced].features if not _CPU.get(feature, False)]:
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}, which needs {', '.join(missing)}: not supported here")
    return forced


ACTIVE = _choose()
_MODULES = {
    np.dtype(name): importlib.import_module(f"cbackprop.kernels.{ACTIVE}_{name}") for name in ("float32", "float64")
}
FORCED = bool(os.environ.get("CBACKPROP_KERNEL"))


def kernels(dtype: np.dtype) -> ModuleType:
    """The module of compiled kernels for weights of `dtype`."""
    return _MODULES[dtype]


@functools.cache
def narrow_kernels(dtype: np.dtype) -> ModuleType:
    """The same with vectors half as wide, unless there are none or `CBACKPROP_KERNEL` forces a variant."""
    narrow = VARIANTS[ACTIVE].narrow
    if narrow in available_variants() and not FORCED:
        return importlib.import_module(f"cbackprop.kernels.{narrow}_{dtype}")
    return _MODULES[dtype]


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kernel_info() -> dict[str, Any]:
    """Information about the active kernels and the processor.

    Returns
    -------
    dict
        ``variant``: the active variant of the kernels, but for small networks, which may learn with a narrower one.
        ``available``: all variants that can run here, best first.
        ``cpu``: the relevant features that CPU and operating system support. ``compiler``: the compiler of the kernels.
        ``lanes``: numbers per SIMD register, for each dtype. ``threads``: processors that this process may use.

    Examples
    --------
    >>> import cbackprop
    >>> cbackprop.kernel_info()["variant"] in ("baseline", "avx2", "avx512")
    True
    """
    features = sorted({"NEON"}.union(*(variant.features for variant in VARIANTS.values())))
    return {
        "variant": ACTIVE,
        "available": available_variants(),
        "cpu": [feature for feature in features if _CPU.get(feature, False)],
        "compiler": _MODULES[np.dtype(np.float64)].COMPILER,
        "lanes": {dtype.name: module.LANES_IN_REGISTER for dtype, module in _MODULES.items()},
        "threads": processors(),
    }
