"""Weights, which training updates in place, and what is learned besides them. They are never converted."""

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import _layout as layout
from .._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from .._memory import NOT_CONTIGUOUS, NOT_ZERO, lines
from .arrays import check_no_overlap, first_nonfinite, overlap
from .settings import FLOATS, choice


class Functions(NamedTuple):
    """The functions of a network, by name; the article's by default."""

    hidden: str = "sigmoid"
    output: str = "softmax"


def functions(hidden: Any, output: Any) -> Functions:
    """Validate the names of a hidden function and an output."""
    return Functions(choice("hidden", hidden, HIDDEN_FUNCTIONS), choice("output", output, OUTPUTS))


def weights(w: Any, v: Any, *, writeable: bool) -> tuple[int, int]:
    """Validate weights that the kernels read and, if `writeable`, update in place; return M and K."""
    layers(("w", w), ("v", v), writeable)
    return w.shape[0], v.shape[0]


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
        found["velocity"] = layout.zeros_like(w, v) if velocity is None else like_weights("velocity", velocity, w, v)
    if adaptive:
        found["accumulators"] = new_accumulators(w, v) if accumulators is None else like_units(accumulators, w, v)
    for state, pair in found.items():
        for number, array in enumerate(pair):
            check_no_overlap(f"{state}[{number}]", array, w, v, True)
            if any(other is not None and overlap(array, other) for other in inputs):
                raise ValueError(
                    f"{state}[{number}] overlaps x, t or sample_weight in memory; it must be a separate array"
                )
    return found


def new_accumulators(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accumulators of row-wise AdaGrad, with which it starts: one number for each unit."""
    return np.zeros(len(w), w.dtype), np.zeros(len(v), v.dtype)


def like_units(pair: Any, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Validate accumulators: a pair of writable arrays of shapes (M,) and (K,) and the dtype of w and v."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"accumulators is {type(pair).__name__}; it must be a pair of arrays of shapes (M,) and (K,)")
    for number, (array, like) in enumerate(zip(pair, (w, v), strict=True)):
        name = f"accumulators[{number}]"
        if type(array) not in (np.ndarray, np.memmap):
            raise TypeError(f"{name} is a {type(array).__name__}; it must be a NumPy array of shape ({len(like)},)")
        if (array.shape, array.dtype) != (like.shape[:1], like.dtype):
            raise ValueError(f"{name} is {array.dtype} {array.shape}; it must be {like.dtype} {like.shape[:1]}")
        if not (array.flags.c_contiguous and array.flags.aligned and array.flags.writeable):
            raise ValueError(f"{name} is strided, misaligned or read-only; it must be contiguous and writable")
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ValueError(f"{name} holds {array[~(array >= 0) | np.isinf(array)][0]}; sums of squares are needed")
    if overlap(*pair):
        raise ValueError("accumulators overlap in memory; they must be separate arrays")
    return pair[0], pair[1]


def like_weights(name: str, pair: Any, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Validate a pair of writable, finite arrays with the shapes and dtype of w and v."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{name} is {type(pair).__name__}; it must be a pair of arrays like w and v")
    layers((f"{name}[0]", pair[0]), (f"{name}[1]", pair[1]), True)
    for number, (array, like) in enumerate(zip(pair, (w, v), strict=True)):
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{name}[{number}] is {array.dtype} {array.shape}; it must be {like.dtype} {like.shape}")
        if (place := first_nonfinite(array)) is not None:
            raise ValueError(f"{name}[{number}] holds {array[place]}; it must be finite")
    return pair[0], pair[1]


def layers(first: tuple[str, Any], second: tuple[str, Any], writeable: bool) -> None:
    """Validate two named arrays with the shapes of two layers' weights, which the kernels read and may update."""
    for (name, array), shape in ((first, "(M, D+1)"), (second, "(K, M+1)")):
        if type(array) not in (np.ndarray, np.memmap):  # subclasses may redefine arithmetic: masked arrays, matrices
            raise TypeError(f"{name} is a {type(array).__name__}; it must be a NumPy array of shape {shape}")
        if array.dtype not in FLOATS or not array.dtype.isnative:
            raise TypeError(f"{name} has dtype {array.dtype.str}; it must be float32 or float64 in native byte order")
        if array.ndim != 2:
            raise ValueError(f"{name} has {array.ndim} dimensions; it must have 2: {shape}")
        if array.size == 0 or array.shape[1] < 2:
            raise ValueError(f"{name} has shape {array.shape}; it must be {shape} with D, M, K of at least 1")
        if not array.flags.c_contiguous:
            check_padding(name, array, by_column=array is first[1])
        if not array.flags.aligned:
            raise ValueError(f"{name} is misaligned in memory; it must be aligned: use np.array(…, copy=True)")
        if writeable and not array.flags.writeable:
            raise ValueError(f"{name} is read-only; it must be writable, since it is updated in place")
    (w_name, w), (v_name, v) = first, second
    if w.dtype != v.dtype:
        raise TypeError(f"{w_name} is {w.dtype} and {v_name} is {v.dtype}; they must have the same dtype")
    if v.shape[1] != w.shape[0] + 1:
        raise ValueError(
            f"{v_name} has shape {v.shape}; it must be (K, {w.shape[0] + 1}), since {w_name} has shape {w.shape}"
        )
    if overlap(w, v):
        raise ValueError(f"{w_name} and {v_name} overlap in memory; they must be separate arrays")


def check_padding(name: str, array: np.ndarray, *, by_column: bool) -> None:
    """Validate contiguous columns, or rows, and what lies between them, which kernels may read and overwrite."""
    kind, remedy = "rows", "use np.ascontiguousarray"
    if by_column:
        kind, remedy = "columns", f"{remedy} or np.asfortranarray"
    state = lines(array, 0 if by_column else 1)
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
    for name, array in (("w", w), ("v", v)):
        if (place := first_nonfinite(array)) is not None:
            where = ", ".join(str(i) for i in place)
            raise ValueError(f"{name}[{where}] is {array[place]}; weights must be finite")


def refuse_overflow(w: np.ndarray, v: np.ndarray) -> NoReturn:
    """Raise the ValueError that explains outputs that are not finite for finite inputs."""
    finite_weights(w, v)
    raise ValueError(f"w and v are too large for x: sums overflow {w.dtype}; they, or x, must be smaller")


def check_epsilon(epsilon: float, w: np.ndarray, v: np.ndarray, scheme: str) -> None:
    """Raise ValueError if adding `epsilon` to some weight does not change it: differences would be divided by 0."""
    for name, array in (("w", w), ("v", v)):
        with np.errstate(over="ignore", invalid="ignore"):
            size = array.dtype.type(epsilon)
            lost = array + size == (array if scheme == "forward" else array - size)
        if lost.any():
            row, column = np.unravel_index(lost.argmax(), array.shape)
            raise ValueError(
                f"epsilon is {epsilon}, which is lost beside {name}[{row}, {column}] = {array[row, column]}; "
                f"it must change every weight"
            )


def finite_derivatives(
    gradients: tuple[np.ndarray, np.ndarray], epsilon: float | None, w: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return numerical derivatives, or raise ValueError if the error overflowed at the shifted weights."""
    if not all(np.isfinite(derivative).all() for derivative in gradients):
        if epsilon is None:
            refuse_overflow(w, v)
        raise ValueError(f"epsilon is {epsilon}; that far from w and v, sums overflow {w.dtype}: it must be smaller")
    return gradients
