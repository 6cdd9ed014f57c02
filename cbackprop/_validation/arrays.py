"""Arrays of any kind: what NumPy makes of them, whether they are finite, and which memory they share."""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .._memory import share, span

SLICE = 1 << 16  # elements checked at a time, which keeps temporary arrays small
PART = 1 << 22  # elements converted at a time: some milliseconds
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
Check = Callable[[np.ndarray], np.ndarray]  # of each element, whether it is valid


def first_invalid(array: np.ndarray, valid: Check = np.isfinite) -> tuple[Any, ...] | None:
    """Index of the first element, as it lies in memory, for which ``valid(part)`` is False, or None."""
    if array.size <= SLICE and valid(array).all():
        return None
    if array.flags.c_contiguous:
        lines, size = array.reshape(-1), 1
    elif array.strides[0] < array.strides[-1]:
        place = first_invalid(array.T, valid)
        return None if place is None else place[::-1]
    else:
        lines, size = array, array[0].size
    count = max(1, SLICE // size)
    for start in range(0, len(lines), count):
        good = valid(lines[start : start + count])
        if not good.all():
            return np.unravel_index(start * size + good.argmin(), array.shape)
    return None


def check_elements(name: str, array: np.ndarray, valid: Check, needed: str, given: np.ndarray | None = None) -> None:
    """Raise ValueError with the first element for which ``valid(part)`` is False, as it was given."""
    if (place := first_invalid(array, valid)) is not None:
        where = ", ".join(str(i) for i in place)
        raise ValueError(f"{name}[{where}] is {(array if given is None else given)[place]}; {needed}")


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the arrays lie in the same memory, or in the same part of a file that is mapped twice."""
    if share(a, b):
        return True
    if a.base is None or b.base is None or (here := file_range(a)) is None or (there := file_range(b)) is None:
        return False
    return here[0] == there[0] and here[1] < there[2] and there[1] < here[2]


def file_range(array: np.ndarray) -> tuple[Any, int, int] | None:
    """The file of a memory-mapped array, its first byte there and the one after its last; None without such a file."""
    mapped: Any = array
    while isinstance(mapped.base, np.ndarray):
        mapped = mapped.base
    if not isinstance(mapped, np.memmap) or mapped.filename is None or mapped.mode == "c":  # c: changes are private
        return None
    try:
        status = os.stat(mapped.filename)
        file: Any = (status.st_dev, status.st_ino)
    except OSError:  # deleted since then
        file = os.fspath(mapped.filename)
    first = mapped.offset + array.ctypes.data - mapped.ctypes.data
    return file, first, first + span(array)


def check_no_overlap(name: str, array: np.ndarray, w: np.ndarray, v: np.ndarray, writeable: bool) -> np.ndarray:
    if writeable and (overlap(array, w) or overlap(array, v)):
        raise ValueError(f"{name} overlaps the weights in memory; it must be separate, since they are updated in place")
    return array


def as_array(name: str, values: Any, needed: str) -> np.ndarray:
    """The array that NumPy makes of the values, which must hide nothing: it would use what a mask hides."""
    if type(values) is np.ndarray:
        return values
    refuse_masked(name, values)
    if is_sparse(values):
        raise TypeError(f"{name} is a sparse {type(values).__name__}; it must be dense: use {name}.toarray()")
    try:
        array = np.asarray(values)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} is ragged; it must be {needed}") from None
        raise ValueError(f"{name} cannot be converted to an array: {error}; it must be {needed}") from error
    if array.ndim > 1 and isinstance(values, (list, tuple)):
        for n, row in enumerate(values):
            refuse_masked(f"{name}[{n}]", row)
    return array


def is_sparse(x: Any) -> bool:
    """Whether x is a matrix or an array of scipy.sparse."""
    sparse = sys.modules.get("scipy.sparse")  # imported by whoever has made it
    return sparse is not None and sparse.issparse(x)


def is_masked(values: Any) -> bool:
    ma = sys.modules.get("numpy.ma")  # imported by whoever has made a masked array
    return ma is not None and isinstance(values, ma.MaskedArray)


def refuse_masked(name: str, values: Any) -> None:
    """Raise TypeError for a masked array."""
    if is_masked(values):
        raise TypeError(
            f"{name} is a {type(values).__name__}, whose masked values would be used; it must be an array without a "
            f"mask: use {name}.filled(…), or drop the rows with masked values"
        )


def numbers(
    name: str,
    values: Any,
    dtype: np.dtype | None,
    shape: str,
    ndim: int,
    *,
    finite: bool = True,
    hint: str = "",
    missing: str = "error",
    remedy: str = "",
) -> np.ndarray:
    """Convert to a C-contiguous, aligned array of `dtype`, copying only if necessary; check that it is finite.

    Without a dtype, float32 stays, and all else becomes float64. If `missing` is "mean", NaN and None are NaN;
    otherwise they are errors, to which the remedy is added.
    """
    array = as_array(name, values, f"an array of numbers of shape {shape}")
    valid: Check = np.isfinite
    if missing == "mean":
        valid = not_infinite
        if array.dtype == object:
            given: Any = array
            array = as_array(name, np.where(given == None, np.nan, given).tolist(), "numbers")  # noqa: E711
    check_kind(name, array, needed="it must hold real numbers" + remedy * (array.dtype == object))
    if array.ndim != ndim:
        shape += hint * (array.ndim == 1)
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have {ndim}: {shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must not be empty")
    usable = converted(array, (FLOAT32 if array.dtype == FLOAT32 else FLOAT64) if dtype is None else dtype)
    if finite and (place := first_invalid(usable, valid)) is not None:
        needed = f"it must be finite in {usable.dtype}{remedy if np.isnan(usable[place]) else ''}"
        check_elements(name, usable, valid, needed, array)
    return usable


def not_infinite(part: np.ndarray) -> np.ndarray:
    return ~np.isinf(part)


def check_kind(name: str, array: np.ndarray, kinds: str = "biuf", needed: str = "it must hold real numbers") -> None:
    """Raise TypeError for an array of other kinds of dtype."""
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} has dtype {array.dtype}; {needed}")


def converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array if it is C-contiguous, aligned and of `dtype`; else a copy, in parts between which Ctrl-C acts."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    copy = np.empty(array.shape, dtype)
    rows = max(1, PART // max(1, array[:1].size))
    with np.errstate(over="ignore"):
        for start in range(0, len(array), rows):
            copy[start : start + rows] = array[start : start + rows]
    return copy


def flat(name: str, values: Any) -> np.ndarray:
    """The array of the values, which must have one dimension."""
    array = as_array(name, values, "an array of 1 dimension")
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 1")
    return array
