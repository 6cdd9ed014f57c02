"""The one gate in front of the kernels: what passes is safe to compute with, what does not raises.

A message names the argument, says what came and what is needed. Weights are never converted, since they are updated in
place; inputs and targets are converted only if they must be. Nothing here writes to an array.
"""

from __future__ import annotations  # NumPy imports its random numbers when they are named: not before

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
METHODS = ("auto", "direct", "blocked")
SLICE = 1 << 16  # numbers looked at in one go: keeps temporary arrays out of the memory bill


def weights(w: Any, v: Any, *, written: bool) -> tuple[int, int]:
    """M and K of weights that the kernels may read and, if `written`, update in place."""
    layers(("w", w), ("v", v), written)
    return w.shape[0], v.shape[0]


def velocity(
    u: Any, w: np.ndarray, v: np.ndarray, momentum: float, read: Iterable[np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Arrays like w and v that are updated beside them, if there is momentum; zeros if none are given.

    They must be separate from the weights and from what is `read` meanwhile.
    """
    if u is None:
        return (np.zeros_like(w), np.zeros_like(v)) if momentum else None
    if not momentum:
        raise ValueError(f"velocity is given and momentum is 0 in {w.dtype}; it must be above 0")
    if not isinstance(u, (tuple, list)) or len(u) != 2:
        raise TypeError(f"velocity is {type(u).__name__}; it must be a pair of arrays like w and v")
    layers(("velocity[0]", u[0]), ("velocity[1]", u[1]), True)
    for name, array, like in (("velocity[0]", u[0], w), ("velocity[1]", u[1], v)):
        if (array.shape, array.dtype) != (like.shape, like.dtype):
            raise ValueError(f"{name} is {array.dtype} {array.shape}; it must be {like.dtype} {like.shape}")
        if (place := first_not_finite(array)) is not None:
            raise ValueError(f"{name} holds {array.reshape(-1)[place]}; it must be finite")
        separate(name, array, w, v, True)
        if any(other is not None and np.may_share_memory(array, other) for other in read):
            raise ValueError(f"{name} overlaps x, t or sample_weight in memory; it must be separate from what is read")
    return u[0], u[1]


def layers(first: tuple[str, Any], second: tuple[str, Any], written: bool) -> None:
    """Two arrays shaped like the weights of two layers, in a form that the kernels may read and write."""
    for (name, array), shape in ((first, "(M, D+1)"), (second, "(K, M+1)")):
        if type(array) not in (np.ndarray, np.memmap):  # others may compute otherwise: masked arrays, matrices
            raise TypeError(f"{name} is a {type(array).__name__}; it must be a NumPy array of shape {shape}")
        if array.dtype not in FLOATS or not array.dtype.isnative:
            raise TypeError(f"{name} has dtype {array.dtype.str}; it must be float32 or float64 in native byte order")
        if array.ndim != 2:
            raise ValueError(f"{name} has {array.ndim} dimensions; it must have 2: {shape}")
        if array.size == 0 or array.shape[1] < 2:
            raise ValueError(f"{name} has shape {array.shape}; it must be {shape} with D, M, K of at least 1")
        if not array.flags.c_contiguous:
            raise ValueError(f"{name} has strides {array.strides}; it must be C-contiguous: use np.ascontiguousarray")
        if not array.flags.aligned:
            raise ValueError(f"{name} is misaligned in memory; it must be aligned: use np.array(…, copy=True)")
        if written and not array.flags.writeable:
            raise ValueError(f"{name} is read-only; it must be writable, since it is updated in place")
    (w_name, w), (v_name, v) = first, second
    if w.dtype != v.dtype:
        raise TypeError(f"{w_name} is {w.dtype} and {v_name} is {v.dtype}; they must have the same dtype")
    if v.shape[1] != w.shape[0] + 1:
        raise ValueError(
            f"{v_name} has shape {v.shape}; it must be (K, {w.shape[0] + 1}), since {w_name} has shape {w.shape}"
        )
    if np.may_share_memory(w, v):
        raise ValueError(f"{w_name} and {v_name} overlap in memory; they must be separate arrays")


def finite_weights(w: np.ndarray, v: np.ndarray) -> None:
    """Refuse NaN and infinity in the weights."""
    for name, array in (("w", w), ("v", v)):
        if (place := first_not_finite(array)) is not None:
            row, column = divmod(place, array.shape[1])
            raise ValueError(f"{name}[{row}, {column}] is {array[row, column]}; weights must be finite")


def refuse_overflow(w: np.ndarray, v: np.ndarray) -> NoReturn:
    """Say why outputs for finite inputs are not finite."""
    finite_weights(w, v)
    raise ValueError(f"w and v are too large for x; with them, sums overflow {w.dtype}: they must be smaller")


def first_not_finite(array: np.ndarray) -> int | None:
    """Index into the flat array of its first NaN or infinity."""
    flat = array.reshape(-1)
    for start in range(0, flat.size, SLICE):
        finite = np.isfinite(flat[start : start + SLICE])
        if not finite.all():
            return start + int(finite.argmin())
    return None


def numbers(name: str, values: Any, dtype: np.dtype, shape: str, ndim: int, *, finite: bool = True) -> np.ndarray:
    """`values` as a C-contiguous, aligned, finite array of `dtype`; no copy if it is one."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} is ragged; it must be an array of numbers of shape {shape}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold real numbers")
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have {ndim}: {shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must not be empty")
    with np.errstate(over="ignore"):
        converted = np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    if finite and (place := first_not_finite(converted)) is not None:
        index = np.unravel_index(place, converted.shape)
        where = ", ".join(str(i) for i in index)
        raise ValueError(f"{name}[{where}] is {array[index]}; it must be finite in {dtype}")
    return converted


def inputs(x: Any, w: np.ndarray, v: np.ndarray, *, written: bool = False, finite: bool = True) -> np.ndarray:
    """x as the kernels want it: (N, D), the dtype of w."""
    D = w.shape[1] - 1
    array = numbers("x", x, w.dtype, f"(N, {D})", 2, finite=finite)
    return separate("x", columns("x", array, D), w, v, written)


def sample(name: str, x_n: Any, w: np.ndarray, v: np.ndarray, *, written: bool = False) -> np.ndarray:
    """One row of x as the kernels want it: (1, D), the dtype of w."""
    D = w.shape[1] - 1
    array = numbers(name, x_n, w.dtype, f"({D},)", 1)
    return separate(name, columns(name, array[np.newaxis], D), w, v, written)


def sample_target(name: str, t_n: Any, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Target of one sample to learn from: a row (1, K) or a class index (1,), and None for the other."""
    K = v.shape[0]
    try:
        array = np.asarray(t_n)
    except ValueError:
        raise ValueError(f"{name} is ragged; it must be a class index or a row of {K} that sums to 1") from None
    if array.ndim > 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 0 (a class index) or 1 (a row of {K})")
    return targets(array[np.newaxis], 1, w, v, written=True, name=name)


def columns(name: str, array: np.ndarray, D: int) -> np.ndarray:
    if array.shape[1] != D:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {D}, since w has {D} + 1")
    return array


def separate(name: str, array: np.ndarray, w: np.ndarray, v: np.ndarray, written: bool) -> np.ndarray:
    if written and (np.may_share_memory(array, w) or np.may_share_memory(array, v)):
        raise ValueError(f"{name} overlaps the weights in memory; it must be separate, since they are updated in place")
    return array


def targets(
    t: Any, N: int, w: np.ndarray, v: np.ndarray, *, written: bool = False, name: str = "t"
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Targets as rows (N, K) of the dtype of w, or as class indices (N,): one of the two, and None for the other."""
    K = v.shape[0]
    try:
        array = np.asarray(t)
    except ValueError:
        raise ValueError(f"{name} is ragged; it must be (N,) class indices or (N, {K}) rows that sum to 1") from None
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} has {array.ndim} dimensions; it must have 1 (class indices) or 2 (rows of {K} that sum to 1)"
        )
    if array.shape[0] != N:
        raise ValueError(f"{name} has {array.shape[0]} rows; it must have {N}, as many as x")
    if array.ndim == 1:
        return None, separate(name, labels(name, array, K), w, v, written)
    if array.shape[1] != K:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {K}, one a class, since v has {K} rows")
    rows = numbers(name, array, w.dtype, f"(N, {K})", 2)
    given = array.dtype if array.dtype.kind == "f" else w.dtype
    tolerance = np.sqrt(max(np.finfo(given).eps, np.finfo(w.dtype).eps))
    for start in range(0, N, max(1, SLICE // K)):
        part = rows[start : start + max(1, SLICE // K)]
        sums = part.sum(axis=1, dtype=np.float64)
        bad = (np.abs(sums - 1) > tolerance) | (part < 0).any(axis=1)
        if bad.any():
            n = int(bad.argmax())
            raise ValueError(
                f"{name}[{start + n}] is {part[n]} and sums to {sums[n]:.9g}; a row of targets must be "
                f"probabilities that sum to 1, because (12), y_k - t_k, holds only then"
            )
    return separate(name, rows, w, v, written), None


def labels(name: str, array: np.ndarray, K: int) -> np.ndarray:
    """Class indices as the kernels want them: a copy, for an index that somebody changes meanwhile leads anywhere."""
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"{name} has dtype {array.dtype}; it must hold class indices, integers, or rows of {K} that sum to 1"
        )
    array = array.copy()
    outside = (array < 0) | (array >= K)
    if outside.any():
        n = int(outside.argmax())
        raise ValueError(f"{name}[{n}] is {array[n]}; class indices must lie in 0..{K - 1}, since v has {K} rows")
    return np.require(array, np.intp, ["C_CONTIGUOUS", "ALIGNED"])


def sample_weight(value: Any, N: int, w: np.ndarray, v: np.ndarray) -> np.ndarray | None:
    """What each sample counts, (N,), or None if all count the same."""
    if value is None:
        return None
    array = numbers("sample_weight", value, w.dtype, f"({N},)", 1)
    if len(array) != N:
        raise ValueError(f"sample_weight has {len(array)} entries; it must have {N}, as many as x has rows")
    tiny = np.finfo(w.dtype).tiny  # below, digits are lost
    wrong = (array < tiny) & (array != 0)
    if wrong.any():
        n = int(wrong.argmax())
        raise ValueError(f"sample_weight[{n}] is {array[n]}; it must be 0 or at least {tiny:g}")
    if not array.any():
        raise ValueError("sample_weight is 0 everywhere; it must be above 0 for some sample")
    with np.errstate(over="ignore"):
        total = array.sum(dtype=np.float64)
    if total > np.finfo(w.dtype).max:
        raise ValueError(f"sample_weight adds up to more than {w.dtype} can hold; it must be smaller")
    return separate("sample_weight", array, w, v, True)


def real(name: str, value: Any) -> float:
    """One real number; infinity for what no float can hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; it must be a number")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def rounded(number: float, dtype: np.dtype) -> float:
    """A setting as the kernels take it, in the weights' dtype: what is 0 for them must be 0 for all."""
    with np.errstate(over="ignore", under="ignore"):
        return float(dtype.type(number))


def between(name: str, value: Any, most: float, dtype: np.dtype) -> float:
    """A number from 0 to most, which both are numbers of the dtype: rounding leads to none beyond them."""
    if not 0 <= (number := real(name, value)) <= most:
        raise ValueError(f"{name} is {value!r}; it must lie in 0..{most:g}")
    return rounded(number, dtype)


def learning_rate(value: Any, dtype: np.dtype) -> float:
    """A positive number that is finite and not 0 in the weights' dtype."""
    number = rounded(real("learning_rate", value), dtype)
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"learning_rate is {value!r}; it must be positive and finite in {dtype}")
    return number


def count(name: str, value: Any) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; it must be an integer")
    if value < 1:
        raise ValueError(f"{name} is {value!r}; it must be at least 1")
    return int(value)


def layer_sizes(n_inputs: Any, n_hidden: Any, n_outputs: Any) -> tuple[int, int, int]:
    """D, M and K of weights that can be addressed."""
    D, M, K = count("n_inputs", n_inputs), count("n_hidden", n_hidden), count("n_outputs", n_outputs)
    if max(D + 1, K) * (M + 1) * 8 > sys.maxsize:
        raise ValueError(f"n_inputs, n_hidden and n_outputs are {D}, {M} and {K}; so many weights cannot be addressed")
    return D, M, K


def batch_size(value: Any, N: int) -> int:
    """Samples in a batch: at most all N, and all N for None."""
    return N if value is None else min(N, count("batch_size", value))


def choice(name: str, value: Any, among: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in among:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, among))}")
    return value


def generator(rng: Any) -> np.random.Generator:
    """`rng` as NumPy's default_rng takes it: None, a seed, or a Generator."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng is {rng!r}; it must be None, a seed or a numpy.random.Generator") from None


def callback(value: Any) -> Callable[[int, float], bool]:
    """Whether to stop after an epoch: if the callback answers True, not merely something true."""
    if value is None:
        return lambda epoch, loss: False
    if not callable(value):
        raise TypeError(f"callback is {value!r}; it must be callable as callback(epoch, loss)")

    def stops(epoch: int, loss: float) -> bool:
        answer = value(epoch, loss)
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    return stops


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}; it must be True or False")
    return bool(value)


def file_path(name: str, value: Any) -> str:
    """The path as text that the system can take."""
    try:
        path = os.fsdecode(value)
        if b"\0" in os.fsencode(path):
            raise ValueError
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a path") from None
    except ValueError:
        raise ValueError(f"{name} is {value!r}; no file can have this name") from None
    return path


def new_file(name: str, value: Any) -> str:
    """The path of a file that may be made or replaced, as making another one in its folder shows."""
    path = file_path(name, value)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{name} is {path!r}, a folder; it must be a file")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise FileNotFoundError(f"{name} is {path!r}; there is no folder of this name for it")
    try:
        replaceable(path)
        trial = partial_path(os.path.realpath(path))
        try:
            with open(trial, "xb"):
                pass
        finally:
            if os.path.exists(trial):
                os.unlink(trial)
    except OSError as error:
        raise OSError(error.errno, f"{name} cannot be written: {error.strerror or error}", path) from None
    return path


def replaceable(path: str) -> int | None:
    """The mode of the regular file at a path, None if nothing is there; OSError if it is something else."""
    if os.path.basename(path) in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
    return mode & 0o777


def partial_path(path: str) -> str:
    """Where a file is written before it gets its name, in the same folder. Others may be writing, too."""
    return os.path.join(os.path.dirname(path), f".{os.urandom(4).hex()}.partial")


def float_dtype(value: Any) -> np.dtype:
    """float32 or float64, in native byte order."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype is {value!r}; it must be float32 or float64") from None
    if dtype not in FLOATS:
        raise TypeError(f"dtype is {dtype}; it must be float32 or float64")
    return dtype


def epsilon(value: Any) -> float | None:
    """The distance of a numerical derivative: positive, with all its digits, and finite, or None."""
    if value is None:
        return None
    distance = real("epsilon", value)
    if not (np.isfinite(distance) and distance >= np.finfo(np.float64).tiny):
        raise ValueError(f"epsilon is {value!r}; it must be positive and finite, and not subnormal")
    return distance


def distance(epsilon: float, w: np.ndarray, v: np.ndarray, scheme: str) -> None:
    """Refuse a distance that rounding loses beside a weight, as differences would be divided by 0."""
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
    """Numerical derivatives, unless a sum was too large at a distance from the weights."""
    if not all(np.isfinite(derivative).all() for derivative in gradients):
        if epsilon is None:
            refuse_overflow(w, v)
        raise ValueError(f"epsilon is {epsilon}; so far from w and v, sums overflow {w.dtype}: it must be smaller")
    return gradients
