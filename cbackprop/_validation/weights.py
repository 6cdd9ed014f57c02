"""Weights, which training updates in place, and what is learned besides them. They are never converted."""

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import _layout as layout
from .._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from .._memory import NOT_CONTIGUOUS, NOT_ZERO, lines
from .arrays import check_elements, check_no_overlap, overlap
from .settings import FLOATS, choice


class Functions(NamedTuple):
    """The functions of a network, by name; the article's by default."""

    hidden: str = "sigmoid"
    output: str = "softmax"


def functions(hidden: Any, output: Any) -> Functions:
    """Validate the names of a hidden function and an output."""
    return Functions(choice("hidden", hidden, HIDDEN_FUNCTIONS), choice("output", output, OUTPUTS))


def weights(w: Any, v: Any, *, writeable: bool) -> None:
    """Validate weights that the kernels read and, if `writeable`, update in place."""
    kernel_array("w", w, 2, "(M, D+1)", writeable, by_column=True)
    kernel_array("v", v, 2, "(K, M+1)", writeable)
    for name, array in (("w", w), ("v", v)):
        if array.size == 0 or array.shape[1] < 2:
            raise ValueError(f"{name} has shape {array.shape}; it must have D, M, K of at least 1")
    if w.dtype != v.dtype:
        raise TypeError(f"w is {w.dtype} and v is {v.dtype}; they must have the same dtype")
    if v.shape[1] != w.shape[0] + 1:
        raise ValueError(f"v has shape {v.shape}; it must be (K, {w.shape[0] + 1}), since w has shape {w.shape}")
    if overlap(w, v):
        raise ValueError("w and v overlap in memory; they must be separate arrays")


def kernel_array(name: str, array: Any, ndim: int, shape: str, writeable: bool, *, by_column: bool = False) -> None:
    """Validate an array that kernels read and may update, without its numbers."""
    if type(array) not in (np.ndarray, np.memmap):  # subclasses may redefine arithmetic: masked arrays, matrices
        raise TypeError(f"{name} is a {type(array).__name__}; it must be a NumPy array of shape {shape}")
    if array.dtype not in FLOATS or not array.dtype.isnative:
        raise TypeError(f"{name} has dtype {array.dtype.str}; it must be float32 or float64 in native byte order")
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have {ndim}: {shape}")
    if not array.flags.c_contiguous:
        check_padding(name, array, by_column=by_column)
    if not array.flags.aligned:
        raise ValueError(f"{name} is misaligned in memory; it must be aligned: use np.array(…, copy=True)")
    if writeable and not array.flags.writeable:
        raise ValueError(f"{name} is read-only; it must be writable, since it is updated in place")


def states(
    velocity: Any,
    momentum: float,
    accumulators: Any,
    adaptive: bool,
    w: np.ndarray,
    v: np.ndarray,
    inputs: Iterable[np.ndarray | None],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """State arrays by name: the velocity with momentum, accumulators with adaptive rates; zeros by default.

    They are updated in place, so they must not share memory with the weights or with the data in `inputs`.
    """
    if velocity is not None and not momentum:
        raise ValueError(f"velocity is given and momentum is 0 in {w.dtype}; it must be above 0")
    if accumulators is not None and not adaptive:
        raise ValueError("accumulators are given and adaptive is False; it must be True")
    found = {}
    if momentum:
        found["velocity"] = layout.zeros_like(w, v) if velocity is None else velocity
    if adaptive:
        found["accumulators"] = new_accumulators(w, v) if accumulators is None else accumulators
    for name, pair in found.items():
        found[name] = state(name, pair, w, v)
        for number, array in enumerate(pair):
            check_no_overlap(f"{name}[{number}]", array, w, v, True)
            if any(other is not None and overlap(array, other) for other in inputs):
                raise ValueError(
                    f"{name}[{number}] overlaps x, t or sample_weight in memory; it must be a separate array"
                )
    return found


def new_accumulators(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accumulators of row-wise AdaGrad, with which it starts: one number for each unit."""
    return np.zeros(len(w), w.dtype), np.zeros(len(v), v.dtype)


def state(name: str, pair: Any, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Validate a pair of writable arrays of finite numbers: a velocity like w and v, or sums of squares of units."""
    sums = name == "accumulators"
    shapes = [layer.shape[:1] if sums else layer.shape for layer in (w, v)]
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        needed = f"a pair of arrays of shapes {shapes[0]} and {shapes[1]}"
        raise TypeError(f"{name} is {type(pair).__name__}; it must be {needed}")
    for number, (array, shape) in enumerate(zip(pair, shapes, strict=True)):
        part = f"{name}[{number}]"
        kernel_array(part, array, len(shape), str(shape), True, by_column=number == 0 and not sums)
        if (array.shape, array.dtype) != (shape, w.dtype):
            raise ValueError(f"{part} is {array.dtype} {array.shape}; it must be {w.dtype} {shape}")
        check_elements(part, array, np.isfinite, "it must be finite")
        if sums:
            check_elements(part, array, lambda numbers: numbers >= 0, "it must be a sum of squares")
    if overlap(*pair):
        raise ValueError(f"{name}[0] and {name}[1] overlap in memory; they must be separate arrays")
    return pair[0], pair[1]


def check_padding(name: str, array: np.ndarray, *, by_column: bool) -> None:
    """Validate contiguous columns, or rows, and what lies between them, which kernels may read and overwrite."""
    kind, remedy = "rows", "use np.ascontiguousarray"
    if by_column:
        kind, remedy = "columns", f"{remedy} or np.asfortranarray"
    state = lines(array if array.ndim == 2 else array[np.newaxis], 0 if by_column else 1)
    if state == NOT_CONTIGUOUS:
        raise ValueError(
            f"{name} has strides {array.strides}; it must be C-contiguous, or have contiguous {kind} with nothing but "
            f"zeros of its own memory between them: {remedy}"
        )
    if state == NOT_ZERO:
        between = layout.padding(array.T if by_column else array)
        raise ValueError(
            f"{name} has {between[between != 0][0]} between its {kind}, as a part of a larger array; there must be "  # type: ignore[index]
            f"zeros: {remedy}"
        )


def finite_weights(w: np.ndarray, v: np.ndarray) -> None:
    """Raise ValueError if a weight is NaN or infinite."""
    check_elements("w", w, np.isfinite, "weights must be finite")
    check_elements("v", v, np.isfinite, "weights must be finite")


def refuse_overflow(w: np.ndarray, v: np.ndarray) -> NoReturn:
    """Raise the ValueError that explains outputs that are not finite for finite inputs."""
    finite_weights(w, v)
    raise ValueError(f"w and v are too large for x: sums overflow {w.dtype}; they, or x, must be smaller")
