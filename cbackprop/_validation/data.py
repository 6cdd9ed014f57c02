"""Inputs, targets and sample weights, dense or sparse, which are converted only if necessary."""

from typing import Any

import numpy as np

from .._catalog import OUTPUTS
from .._sparse import SparseRows
from .arrays import SLICE, as_array, check_no_overlap, converted, first_nonfinite, flat, is_sparse, numbers

INDICES = (np.dtype(np.int32), np.dtype(np.int64))


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
