"""Which compiled kernels to use: chosen at import, from what the processor and the operating system offer.

Every instruction set has its own pair of modules with the same functions; this is the only place that knows which
instruction sets there are. `CBACKPROP_KERNEL` forces one.
"""

import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any

import numpy as np

try:  # NumPy's own table of what CPU and operating system offer; it has no public name yet
    from numpy._core._multiarray_umath import __cpu_features__ as _CPU
except ImportError:
    _CPU = {}

# what the compiler was told it may use, best first (see setup.py)
VARIANTS = {
    "avx512": ("AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL", "AVX2", "FMA3"),
    "avx2": ("AVX2", "FMA3"),
    "baseline": (),
}


def _built(variant: str) -> bool:
    return importlib.util.find_spec(f"cbackprop.kernels.{variant}_float64") is not None


def _offered(variant: str) -> bool:
    return all(_CPU.get(feature, False) for feature in VARIANTS[variant])


def available_variants() -> list[str]:
    """The variants that were built and can run here, best first."""
    return [variant for variant in VARIANTS if _built(variant) and _offered(variant)]


def _choose() -> str:
    forced = os.environ.get("CBACKPROP_KERNEL")
    if not forced:
        return available_variants()[0]
    if forced not in VARIANTS:
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}; it must be one of {', '.join(sorted(VARIANTS))}")
    if not _built(forced):
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}, which this build of cbackprop does not contain")
    if missing := [feature for feature in VARIANTS[forced] if not _CPU.get(feature, False)]:
        raise ImportError(f"CBACKPROP_KERNEL is {forced!r}, which needs {', '.join(missing)}: not offered here")
    return forced


ACTIVE = _choose()
_MODULES = {
    np.dtype(name): importlib.import_module(f"cbackprop.kernels.{ACTIVE}_{name}") for name in ("float32", "float64")
}


def kernels(dtype: np.dtype) -> ModuleType:
    """The compiled functions for weights of `dtype`."""
    return _MODULES[dtype]


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kernel_info() -> dict[str, Any]:
    """Which kernels run, and what they were chosen from.

    Returns
    -------
    dict
        ``variant``: the active one; ``available``: all that can run here, best first; ``cpu``: the features in
        question that CPU and operating system offer; ``compiler``: what the kernels were built with; ``lanes``:
        numbers in a register, for each dtype; ``threads``: processors this process may use.

    Examples
    --------
    >>> import cbackprop
    >>> cbackprop.kernel_info()["variant"] in ("baseline", "avx2", "avx512")
    True
    """
    features = sorted({feature for needed in VARIANTS.values() for feature in needed})
    return {
        "variant": ACTIVE,
        "available": available_variants(),
        "cpu": [feature for feature in features if _CPU.get(feature, False)],
        "compiler": _MODULES[np.dtype(np.float64)].COMPILER,
        "lanes": {dtype.name: module.LANES_IN_REGISTER for dtype, module in _MODULES.items()},
        "threads": processors(),
    }
