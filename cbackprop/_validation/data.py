"""Inputs, targets and sample weights, dense or sparse, which are converted only if necessary."""

from typing import Any

import numpy as np

from .._catalog import OUTPUTS
from .._sparse import SparseRows
from .arrays import (
    as_array,
    check_elements,
    check_kind,
    check_no_overlap,
    converted,
    first_invalid,
    flat,
    is_sparse,
    numbers,
)

INDICES = (np.dtype(np.int32), np.dtype(np.int64))
MISSING = "; a Network(..., standardize=True, missing='mean') takes NaN and None for the mean"
ONE_SAMPLE = "; for one sample, use x[None], or predict_one or predict_proba_one of a Network"


def inputs(
    x: Any,
    w: np.ndarray,
    v: np.ndarray,
    *,
    name: str = "x",
    one: bool = False,
    writeable: bool = False,
    finite: bool = True,
    missing: str | None = None,
) -> np.ndarray | SparseRows:
    """Inputs as the kernels need them: an array of shape (N, D) and the dtype of w, or SparseRows.

    If they are those of `one` sample, x has the shape (D,), or is a single row. Sparse rows are always finite. With
    `missing`, inputs are to be standardized: in their own precision, and NaN where they are missing, if it is "mean".
    """
    D = w.shape[1] - 1
    if is_sparse(x):
        rows = sparse_rows(name, x, w, v, writeable)
        if one and len(rows) != 1:
            raise ValueError(f"{name} has {len(rows)} rows; it must have 1")
        return rows
    dtype = w.dtype if missing is None else None
    options: Any = {"finite": finite, "hint": ONE_SAMPLE, "missing": missing or "error", "remedy": MISSING}
    array = numbers(name, x, dtype, f"({D},)" if one else f"(N, {D})", 1 if one else 2, **options)
    return check_no_overlap(name, columns(name, array[np.newaxis] if one else array, D), w, v, writeable)


def columns(name: str, array: Any, D: int) -> Any:
    if array.shape[1] != D:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {D}, since w has {D} + 1")
    return array


def sparse_rows(name: str, x: Any, w: np.ndarray, v: np.ndarray, writeable: bool) -> SparseRows:
    """Inputs of a CSR array or matrix as the kernels need them, copied only if necessary."""
    kind = type(x).__name__
    if x.ndim != 2:
        raise ValueError(
            f"{name} is a {kind} of {x.ndim} dimension; it must have 2: for one row, use {name}.reshape(1, -1).tocsr()"
        )
    if x.format != "csr":
        raise ValueError(f"{name} is a {kind}; a sparse {name} must be in CSR format: use {name}.tocsr()")
    N = x.shape[0]
    if N == 0:
        raise ValueError(f"{name} has shape {x.shape}; it must not be empty")
    columns(name, x, w.shape[1] - 1)
    data, indices, given = (flat(f"{name}.{part}", getattr(x, part)) for part in ("data", "indices", "indptr"))
    for part, array in (("indices", indices), ("indptr", given)):
        if array.dtype not in INDICES:
            raise TypeError(f"{name}.{part} has dtype {array.dtype}; it must be int32 or int64")
    if len(given) != N + 1:
        raise ValueError(f"{name}.indptr has {len(given)} entries; it must have {N + 1}, one more than rows")
    # always copies: a row pointer changed during the call is unsafe
    indptr = given.astype(np.intp)
    nnz = min(len(data), len(indices))
    wrong = (indptr[1:] < indptr[:-1]) | (indptr[1:] > nnz)
    wrong[0] |= indptr[0] != 0
    if wrong.any():
        n = int(wrong.argmax())
        raise ValueError(
            f"{name}.indptr has {indptr[n]} and {indptr[n + 1]} for row {n}; it must start at 0 and rise up to the "
            f"number of values and indices, {nnz}"
        )
    names = f"{name}.data", f"{name}.indices", f"{name}[{{}}]"
    return non_zeros(names, data[: indptr[-1]], indices[: indptr[-1]], indptr, w, v, writeable)


def sparse_row(indices: Any, values: Any, w: np.ndarray, v: np.ndarray, *, writeable: bool = False) -> SparseRows:
    """One sparse row, given by the inputs that are not 0 and their values."""
    places, data = flat("indices", as_array("indices", indices, "integers")), flat("values", values)
    if not len(places):
        places = np.zeros(0, np.intp)  # an empty list would be one of floats
    check_kind("indices", places, "iu", "it must hold integers")
    if places.dtype.kind == "u":
        places = np.minimum(places, np.uint64(np.iinfo(np.int64).max))
    if places.dtype not in INDICES:
        places = places.astype(np.int64)
    if len(places) != len(data):
        raise ValueError(f"indices and values have {len(places)} and {len(data)} entries; they must have as many")
    return non_zeros(("values", "indices", "the row"), data, places, np.array([0, len(data)]), w, v, writeable)


def non_zeros(
    names: tuple[str, str, str],
    data: np.ndarray,
    indices: np.ndarray,
    indptr: np.ndarray,
    w: np.ndarray,
    v: np.ndarray,
    writeable: bool,
) -> SparseRows:
    """Rows of non-zeros, whose values and indices are validated; the names are those of both, and of a row."""
    D = w.shape[1] - 1
    check_kind(names[0], data)
    data, indices = converted(data, w.dtype), np.require(indices, indices.dtype.newbyteorder("="), ["C", "ALIGNED"])
    wrong = ""
    if (place := first_invalid(data)) is not None:
        wrong = f"has {data[place]} at index {indices[place]}; it must be finite in {data.dtype}"
    elif (place := first_invalid(indices, lambda part: (part >= 0) & (part < D))) is not None:
        wrong = f"has index {indices[place]}; it must lie in 0..{D - 1}, since w has {D} + 1 columns"
    if place is not None:
        n = int(indptr.searchsorted(place[0], "right")) - 1
        raise ValueError(f"{names[2].format(n)} {wrong}")
    for name, array in zip(names, (data, indices), strict=False):
        check_no_overlap(name, array, w, v, writeable)
    return SparseRows(data, indices, indptr, (len(indptr) - 1, D))


def sample_target(
    name: str, t_n: Any, w: np.ndarray, v: np.ndarray, output: str = "softmax", double: bool = False
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Target of one sample as a pair (row, class index) of shapes (1, K) and (1,), one of which is None."""
    K = v.shape[0]
    needed = OUTPUTS[output].targets
    single, row = needed.one, needed.row.format(K=K)
    array = as_array(name, t_n, f"{single} or {row}")
    if array.ndim > 1:
        raise ValueError(f"{name} has {array.ndim} dimensions; it must have 0 ({single}) or 1 ({row})")
    if OUTPUTS[output].exclusive and array.ndim == 0:
        check_kind(name, array, "biu", f"it must be {single}, an int in 0..{K - 1}, or {row}")
    return targets(array[np.newaxis], 1, w, v, output, writeable=True, name=name, double=double)


def targets(
    t: Any,
    N: int,
    w: np.ndarray,
    v: np.ndarray,
    output: str = "softmax",
    *,
    writeable: bool = False,
    name: str = "t",
    double: bool = False,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Targets as a pair (rows, class indices) of shapes (N, K) and (N,), one of which is None.

    Rows have the dtype of the weights or, if they are to be standardized, are of `double` precision.
    """
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
            return None, labels(name, array, K)
        if K > 1:
            raise ValueError(f"{name} has 1 dimension; it must have 2, (N, {K}), since v has {K} rows")
        array = array[:, np.newaxis]
    if array.shape[1] != K:
        raise ValueError(f"{name} has {array.shape[1]} columns; it must have {K}, since v has {K} rows")
    rows = numbers(name, array, np.dtype(np.float64) if double else w.dtype, f"(N, {K})", 2)
    if needed.exclusive:
        check_probabilities(name, rows, array.dtype)
    elif needed.limits is not None:
        lowest, highest = needed.limits
        reason = "because the error whose derivative is (12), y_k - t_k, has a minimum only then"
        must = f"a target of {output} outputs must lie in {lowest}..{highest}, {reason}"
        check_elements(name, rows, lambda part: (part >= lowest) & (part <= highest), must)
    return check_no_overlap(name, rows, w, v, writeable), None


def check_probabilities(name: str, rows: np.ndarray, given: np.dtype) -> None:
    """Raise ValueError unless each row of targets, of dtype `given`, is a distribution."""
    given = given if given.kind == "f" else rows.dtype
    tolerance = np.sqrt(max(np.finfo(given).eps, np.finfo(rows.dtype).eps))
    sums, negative = rows.sum(axis=1, dtype=np.float64), rows.min(axis=1) < -tolerance
    bad = negative | (np.abs(sums - 1) > tolerance)
    if bad.any():
        n = int(bad.argmax())
        wrong = "has a negative number" if negative[n] else f"sums to {sums[n]:.9g}"
        raise ValueError(
            f"{name}[{n}] is {rows[n]} and {wrong}; a row of targets must be probabilities that sum to 1, because "
            f"(12), y_k - t_k, holds only then"
        )


def labels(name: str, array: np.ndarray, K: int) -> np.ndarray:
    """Class indices as the kernels need them: always a copy, since an index changed during the call is unsafe."""
    check_kind(name, array, "biu", f"it must hold integers (class indices) or rows of {K} that sum to 1")
    array = array.copy()
    needed = f"class indices must lie in 0..{K - 1}, since v has {K} rows"
    check_elements(name, array, lambda part: (part >= 0) & (part < K), needed)
    return array.astype(np.intp, copy=False)


def sample_weight(value: Any, N: int, w: np.ndarray, v: np.ndarray) -> np.ndarray | None:
    """Weights of the samples, shape (N,), or None if all are 1."""
    if value is None:
        return None
    array = numbers("sample_weight", value, w.dtype, f"({N},)", 1)
    if len(array) != N:
        raise ValueError(f"sample_weight has {len(array)} entries; it must have {N}, as many as x has rows")
    tiny = np.finfo(w.dtype).tiny  # subnormal numbers lose digits
    needed = f"it must be 0 or at least {tiny:g}"
    check_elements("sample_weight", array, lambda part: (part == 0) | (part >= tiny), needed)
    if not array.any():
        raise ValueError("sample_weight is 0 everywhere; it must be above 0 for some sample")
    with np.errstate(over="ignore"):
        total = array.sum(dtype=np.float64)
    if total > np.finfo(w.dtype).max:
        raise ValueError(f"sample_weight adds up to more than the largest {w.dtype}; it must be smaller")
    return check_no_overlap("sample_weight", array, w, v, True)


def sample_weights(value: Any, R: int, N: int, w: np.ndarray, v: np.ndarray) -> np.ndarray | None:
    """Weights of the samples, shape (N,) or (R, N), or None if all are 1."""
    if value is None:
        return None
    array = as_array("sample_weight", value, f"numbers of shape ({N},) or ({R}, {N})")
    if array.ndim != 2:
        return sample_weight(array, N, w, v)
    if len(array) != R:
        raise ValueError(f"sample_weight has {len(array)} rows; it must have {R}, one per network")
    rows: list[Any] = []
    for r, row in enumerate(array):
        try:
            rows.append(sample_weight(row, N, w, v))
        except (TypeError, ValueError) as error:
            raise type(error)(f"in row {r}, {error}") from None
    return np.stack(rows)
