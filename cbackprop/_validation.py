"""Validation of all arguments: the kernels behind it check nothing.

A message names the argument, the value and the requirement. Weights are never converted, since they are updated in
place; inputs and targets are converted only if necessary. Arrays of the caller are never written to.
"""

from __future__ import annotations  # annotations that name numpy.random must not import it

import os
import sys
from collections.abc import Callable, Collection, Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple, NoReturn

import numpy as np

from . import _layout as layout
from ._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from ._memory import NOT_CONTIGUOUS, NOT_ZERO, lines, share, span
from ._sparse import SparseRows

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
INDICES = (np.dtype(np.int32), np.dtype(np.int64))
METHODS = ("auto", "direct", "blocked")
ORDERS = ("C", "F")
SLICE = 1 << 16  # elements checked at a time, which keeps temporary arrays small
PART = 1 << 22  # elements converted at a time: some milliseconds


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


def first_nonfinite(array: np.ndarray) -> tuple[Any, ...] | None:
    """Index of the first NaN or infinity in the array, as it lies in memory, or None."""
    if array.flags.c_contiguous:
        lines, size = array.reshape(-1), 1
    elif array.strides[0] < array.strides[-1]:
        place = first_nonfinite(array.T)
        return None if place is None else place[::-1]
    else:
        lines, size = array, array[0].size
    count = max(1, SLICE // size)
    for start in range(0, len(lines), count):
        finite = np.isfinite(lines[start : start + count])
        if not finite.all():
            return np.unravel_index(start * size + finite.argmin(), array.shape)
    return None


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


def as_array(name: str, values: Any, needed: str) -> np.ndarray:
    """The array that NumPy makes of the values, which must hide nothing: it would use what a mask hides."""
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
            if is_masked(row):
                refuse_masked(f"{name}[{n}]", row)
    return array


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


def numbers(name: str, values: Any, dtype: np.dtype, shape: str, ndim: int, *, finite: bool = True) -> np.ndarray:
    """Convert to a C-contiguous, aligned array of `dtype`, copying only if necessary; check that it is finite."""
    array = as_array(name, values, f"an array of numbers of shape {shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold real numbers")
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have {ndim}: {shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; it must not be empty")
    usable = converted(array, dtype)
    if finite and (place := first_nonfinite(usable)) is not None:
        where = ", ".join(str(i) for i in place)
        raise ValueError(f"{name}[{where}] is {array[place]}; it must be finite in {dtype}")
    return usable


@np.errstate(over="ignore")
def converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array if it is C-contiguous, aligned and of `dtype`; else a copy, in parts between which Ctrl-C acts."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    copy = np.empty(array.shape, dtype)
    rows = max(1, PART // array[0].size)
    for start in range(0, len(array), rows):
        copy[start : start + rows] = array[start : start + rows]
    return copy


def inputs(
    x: Any, w: np.ndarray, v: np.ndarray, *, writeable: bool = False, finite: bool = True
) -> np.ndarray | SparseRows:
    """Inputs as the kernels need them: an array of shape (N, D) and the dtype of w, or SparseRows.

    Sparse rows are always finite.
    """
    D = w.shape[1] - 1
    if is_sparse(x):
        return sparse_rows("x", x, w, v, writeable)
    array = numbers("x", x, w.dtype, f"(N, {D})", 2, finite=finite)
    return check_no_overlap("x", columns("x", array, D), w, v, writeable)


def sample(name: str, x_n: Any, w: np.ndarray, v: np.ndarray, *, writeable: bool = False) -> np.ndarray | SparseRows:
    """Inputs of one sample as the kernels need them: of shape (1, D), as for `inputs`."""
    D = w.shape[1] - 1
    if is_sparse(x_n):
        rows = sparse_rows(name, x_n, w, v, writeable)
        if len(rows) != 1:
            raise ValueError(f"{name} has {len(rows)} rows; it must have 1")
        return rows
    array = numbers(name, x_n, w.dtype, f"({D},)", 1)
    return check_no_overlap(name, columns(name, array[np.newaxis], D), w, v, writeable)


def sample_target(
    name: str, t_n: Any, w: np.ndarray, v: np.ndarray, output: str = "softmax"
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Target of one sample as a pair (row, class index) of shapes (1, K) and (1,), one of which is None."""
    K = v.shape[0]
    needed = OUTPUTS[output].targets
    single, row = needed.one, needed.row.format(K=K)
    array = as_array(name, t_n, f"{single} or {row}")
    if array.ndim > 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 0 ({single}) or 1 ({row})")
    if OUTPUTS[output].exclusive and array.ndim == 0 and array.dtype.kind not in "biu":
        raise TypeError(f"{name} has dtype {array.dtype}; it must be {single}, an int in 0..{K - 1}, or {row}")
    return targets(array[np.newaxis], 1, w, v, output, writeable=True, name=name)


def is_sparse(x: Any) -> bool:
    """Whether x is a matrix or an array of scipy.sparse."""
    sparse = sys.modules.get("scipy.sparse")  # imported by whoever has made it
    return sparse is not None and sparse.issparse(x)


def sparse_rows(name: str, x: Any, w: np.ndarray, v: np.ndarray, writeable: bool) -> SparseRows:
    """Inputs of a CSR array or matrix as the kernels need them, copied only if necessary."""
    kind, D = type(x).__name__, w.shape[1] - 1
    if x.ndim != 2:
        raise ValueError(
            f"{name} is a {kind} of {x.ndim} dimension; it must have 2: for one row, use {name}.reshape(1, -1).tocsr()"
        )
    if x.format != "csr":
        raise ValueError(f"{name} is a {kind}; a sparse {name} must be in CSR format: use {name}.tocsr()")
    N = x.shape[0]
    if N == 0:
        raise ValueError(f"{name} has shape {x.shape}; it must not be empty")
    columns(name, x, D)
    data, indices, given = (flat(f"{name}.{part}", getattr(x, part)) for part in ("data", "indices", "indptr"))
    for part, array in (("indices", indices), ("indptr", given)):
        if array.dtype not in INDICES:
            raise TypeError(f"{name}.{part} has dtype {array.dtype}; it must be int32 or int64")
    if len(given) != N + 1:
        raise ValueError(f"{name}.indptr has {len(given)} entries; it must have {N + 1}, one more than rows")
    # always copies: a row pointer changed during the call is unsafe
    indptr = given.astype(np.intp)
    nnz = min(len(data), len(indices))
    falling = indptr[1:] < indptr[:-1]
    if indptr[0] != 0 or falling.any() or indptr[-1] > nnz:
        n = 0 if indptr[0] != 0 else int(falling.argmax()) if falling.any() else int((indptr[1:] > nnz).argmax())
        raise ValueError(
            f"{name}.indptr has {indptr[n]} and {indptr[n + 1]} for row {n}; it must start at 0 and rise up to the "
            f"number of values and indices, {nnz}"
        )
    nnz = int(indptr[-1])
    values = real_values(f"{name}.data", data[:nnz], w.dtype)
    indices = usable_indices(indices[:nnz])
    place, wrong = wrong_entry(values, indices, D)
    if place is not None:
        n = int(indptr.searchsorted(place, "right")) - 1
        raise ValueError(wrong.format(where=f"{name}[{n}]"))
    rows = SparseRows(values, indices, indptr, (N, D))
    for array in rows.arrays:
        check_no_overlap(name, array, w, v, writeable)
    return rows


def sparse_row(indices: Any, values: Any, w: np.ndarray, v: np.ndarray, *, writeable: bool = False) -> SparseRows:
    """One sparse row, given by the inputs that are not 0 and their values."""
    positions, numbers = flat("indices", as_array("indices", indices, "integers")), flat("values", values)
    if not len(positions):
        positions = np.zeros(0, np.intp)  # an empty list would be one of floats
    if positions.dtype.kind not in "iu":
        raise TypeError(f"indices has dtype {positions.dtype}; it must hold integers")
    if positions.dtype not in INDICES:
        large = positions > np.iinfo(np.int64).max
        positions = np.where(large, np.iinfo(np.int64).max, positions).astype(np.int64)
    if len(positions) != len(numbers):
        raise ValueError(f"indices and values have {len(positions)} and {len(numbers)} entries; they must have as many")
    row, D = real_values("values", numbers, w.dtype), w.shape[1] - 1
    positions = usable_indices(positions)
    place, wrong = wrong_entry(row, positions, D)
    if place is not None:
        raise ValueError(wrong.format(where="the row"))
    check_no_overlap("values", row, w, v, writeable)
    check_no_overlap("indices", positions, w, v, writeable)
    return SparseRows(row, positions, np.array([0, len(row)]), (1, D))


def flat(name: str, values: Any) -> np.ndarray:
    """The array of the values, which must have one dimension."""
    array = as_array(name, values, "an array of 1 dimension")
    if array.ndim != 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 1")
    return array


def real_values(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The non-zeros of sparse rows, in `dtype`."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; it must hold real numbers")
    return converted(array, dtype) if len(array) else np.empty(0, dtype)


def usable_indices(array: np.ndarray) -> np.ndarray:
    return np.require(array, array.dtype.newbyteorder("="), ["C_CONTIGUOUS", "ALIGNED"])


def wrong_entry(values: np.ndarray, indices: np.ndarray, D: int) -> tuple[int | None, str]:
    """The place of the first non-zero whose value or index is wrong, and what is wrong `where`."""
    if (found := first_nonfinite(values)) is not None:
        place = int(found[0])
        return place, f"{{where}} has {values[place]} at index {indices[place]}; it must be finite in {values.dtype}"
    if len(indices) and not (indices.min() >= 0 and indices.max() < D):
        place = int(((indices < 0) | (indices >= D)).argmax())
        return place, f"{{where}} has index {indices[place]}; it must lie in 0..{D - 1}, since w has {D} + 1 columns"
    return None, ""


def columns(name: str, array: Any, D: int) -> Any:
    if array.shape[1] != D:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {D}, since w has {D} + 1")
    return array


def check_no_overlap(name: str, array: np.ndarray, w: np.ndarray, v: np.ndarray, writeable: bool) -> np.ndarray:
    if writeable and (overlap(array, w) or overlap(array, v)):
        raise ValueError(f"{name} overlaps the weights in memory; it must be separate, since they are updated in place")
    return array


def targets(
    t: Any,
    N: int,
    w: np.ndarray,
    v: np.ndarray,
    output: str = "softmax",
    *,
    writeable: bool = False,
    name: str = "t",
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Targets as a pair (rows, class indices) of shapes (N, K) and (N,), one of which is None."""
    K = v.shape[0]
    needed = OUTPUTS[output]
    single, rows_of_K = needed.targets.many, needed.targets.rows.format(K=K)
    array = as_array(name, t, f"(N,) {single} or (N, {K}) {rows_of_K}")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 1 ({single}) or 2 ({rows_of_K})")
    if array.shape[0] != N:
        raise ValueError(f"{name} has {array.shape[0]} rows; it must have {N}, as many as x")
    if array.ndim == 1:
        if needed.exclusive:
            return None, check_no_overlap(name, labels(name, array, K), w, v, writeable)
        if K > 1:
            raise ValueError(f"{name} has 1 dimension; it must have 2, (N, {K}), since v has {K} rows")
        array = array[:, np.newaxis]
    if array.shape[1] != K:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {K}, since v has {K} rows")
    rows = numbers(name, array, w.dtype, f"(N, {K})", 2)
    if needed.exclusive:
        check_probabilities(name, rows, array.dtype)
    elif needed.limits is not None:
        check_limits(name, rows, output, *needed.limits)
    return check_no_overlap(name, rows, w, v, writeable), None


def check_limits(name: str, rows: np.ndarray, output: str, lowest: float, highest: float) -> None:
    """Raise ValueError unless all targets lie within the limits of the output."""
    N, K = rows.shape
    for start in range(0, N, max(1, SLICE // K)):
        part = rows[start : start + max(1, SLICE // K)]
        bad = (part < lowest) | (part > highest)
        if bad.any():
            n, k = divmod(int(bad.argmax()), K)
            raise ValueError(
                f"{name}[{start + n}, {k}] is {part[n, k]}; a target of {output} outputs must lie in "
                f"{lowest}..{highest}, because the error whose derivative is (12), y_k - t_k, has a minimum only then"
            )


def check_probabilities(name: str, rows: np.ndarray, given: np.dtype) -> None:
    """Raise ValueError unless each row of targets, of dtype `given`, is a distribution."""
    N, K = rows.shape
    given = given if given.kind == "f" else rows.dtype
    tolerance = np.sqrt(max(np.finfo(given).eps, np.finfo(rows.dtype).eps))
    for start in range(0, N, max(1, SLICE // K)):
        part = rows[start : start + max(1, SLICE // K)]
        sums = part.sum(axis=1, dtype=np.float64)
        negative = (part < -tolerance).any(axis=1)
        bad = negative | (np.abs(sums - 1) > tolerance)
        if bad.any():
            n = int(bad.argmax())
            row = f"{name}[{start + n}] is {part[n]}"
            if negative[n]:
                raise ValueError(f"{row}; a row of targets must be probabilities, none of them negative")
            raise ValueError(
                f"{row} and sums to {sums[n]:.9g}; a row of targets must be probabilities that sum to 1, because (12), "
                f"y_k - t_k, holds only then"
            )


def labels(name: str, array: np.ndarray, K: int) -> np.ndarray:
    """Class indices as the kernels need them: always a copy, since an index changed during the call is unsafe."""
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"{name} has dtype {array.dtype}; it must hold integers (class indices) or rows of {K} that sum to 1"
        )
    array = array.copy()
    outside = (array < 0) | (array >= K)
    if outside.any():
        n = int(outside.argmax())
        raise ValueError(f"{name}[{n}] is {array[n]}; class indices must lie in 0..{K - 1}, since v has {K} rows")
    return np.require(array, np.intp, ["C_CONTIGUOUS", "ALIGNED"])


def sample_weight(value: Any, N: int, w: np.ndarray, v: np.ndarray) -> np.ndarray | None:
    """Weights of the samples, shape (N,), or None if all are 1."""
    if value is None:
        return None
    array = numbers("sample_weight", value, w.dtype, f"({N},)", 1)
    if len(array) != N:
        raise ValueError(f"sample_weight has {len(array)} entries; it must have {N}, as many as x has rows")
    tiny = np.finfo(w.dtype).tiny  # subnormal numbers lose digits
    wrong = (array < tiny) & (array != 0)
    if wrong.any():
        n = int(wrong.argmax())
        raise ValueError(f"sample_weight[{n}] is {array[n]}; it must be 0 or at least {tiny:g}")
    if not array.any():
        raise ValueError("sample_weight is 0 everywhere; it must be above 0 for some sample")
    with np.errstate(over="ignore"):
        total = array.sum(dtype=np.float64)
    if total > np.finfo(w.dtype).max:
        raise ValueError(f"sample_weight adds up to more than the largest {w.dtype}; it must be smaller")
    return check_no_overlap("sample_weight", array, w, v, True)


def real(name: str, value: Any) -> float:
    """A real number as a float: infinity if it exceeds the range of float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; it must be a number")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def rounded(number: float, dtype: np.dtype) -> float:
    """A setting in the precision of the kernels: one that rounds to 0 must count as 0 everywhere."""
    with np.errstate(over="ignore", under="ignore"):
        return float(dtype.type(number))


def in_range(name: str, value: Any, most: float, dtype: np.dtype) -> float:
    """A number in [0, most], rounded to the dtype. `most` is a number of the dtype, so rounding cannot exceed it."""
    if not 0 <= (number := real(name, value)) <= most:
        raise ValueError(f"{name} is {value!r}; it must lie in 0..{most:g}")
    return rounded(number, dtype)


def learning_rate(value: Any, dtype: np.dtype, name: str = "learning_rate") -> float:
    """A learning rate that is positive and finite in the dtype of the weights."""
    number = rounded(real(name, value), dtype)
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {value!r}; it must be positive and finite in {dtype}")
    return number


def weight(value: Any, dtype: np.dtype) -> float:
    """The weight of one sample: not negative, and finite in the dtype of the weights."""
    return in_range("sample_weight", value, float(np.finfo(dtype).max), dtype)


def count(name: str, value: Any) -> int:
    """An integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is {value!r}; it must be an integer")
    if value < 1:
        raise ValueError(f"{name} is {value!r}; it must be at least 1")
    return int(value)


def layer_sizes(n_inputs: Any, n_hidden: Any, n_outputs: Any) -> tuple[int, int, int]:
    """D, M and K of weights whose size in bytes fits an address."""
    D, M, K = count("n_inputs", n_inputs), count("n_hidden", n_hidden), count("n_outputs", n_outputs)
    if max(D + 1, K) * (M + 1) * 8 > sys.maxsize:
        raise ValueError(f"n_inputs, n_hidden and n_outputs are {D}, {M} and {K}; so many weights cannot be addressed")
    return D, M, K


def batch_size(value: Any, N: int) -> int:
    """Samples per batch: at most N, or 2 if N is 1, and N for None."""
    most = max(N, 2)  # 1 is online learning, in which a sample weight is a factor of the step
    return most if value is None else min(most, count("batch_size", value))


def choice(name: str, value: Any, among: Collection[str]) -> str:
    if not isinstance(value, str) or value not in among:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, among))}")
    return str(value)  # not a string of NumPy


def generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """The generator of `numpy.random.default_rng` for None, a seed or a Generator."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is {rng!r}; it must be None, a seed or a numpy.random.Generator") from None


def order(rng: np.random.Generator, N: int) -> np.ndarray:
    """The order ``rng.permutation(N)`` of the samples, as NumPy draws it."""
    drawn = np.random.Generator.permutation(rng, N)
    if type(rng) is np.random.Generator:
        return drawn
    # a subclass may have shuffled in another way, and may write to the array again
    drawn = drawn.copy()
    if drawn.shape != (N,) or drawn.dtype != np.intp or (np.sort(drawn) != np.arange(N)).any():
        raise ValueError(
            f"rng is a {type(rng).__name__}, whose shuffle must leave a permutation of 0..{N - 1}; it does not"
        )
    return drawn


def callback(value: Any) -> Callable[[int, float], bool]:
    """A callback that returns whether to stop: only if the given one returns True, not just a truthy value."""
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


def float_dtype(value: Any) -> np.dtype:
    """The dtype float32 or float64, in native byte order."""
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype is {value!r}; it must be float32 or float64") from None
    if dtype not in FLOATS:
        raise TypeError(f"dtype is {dtype}; it must be float32 or float64")
    return dtype


def epsilon(value: Any) -> float | None:
    """Step size of a numerical derivative: positive, finite and not subnormal, or None."""
    if value is None:
        return None
    distance = real("epsilon", value)
    if not (np.isfinite(distance) and distance >= np.finfo(np.float64).tiny):
        raise ValueError(f"epsilon is {value!r}; it must be positive and finite, and not subnormal")
    return distance


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
