"""Checks of X and y that scikit-learn does not make, and targets of networks."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import column_or_1d

from cbackprop import Network, forward, reference
from cbackprop import _validation as validate

MAX_FEW_CLASSES = 100  # numbers that may be classes even if most have a single row


def is_csr(X: Any) -> bool:
    """Whether X is a CSR array or matrix."""
    return issparse(X) and X.format == "csr"


def check_inputs(name: str, X: Any) -> None:
    """Raise an error for masked arrays, and for sparse rows with wrong indices: scikit-learn and SciPy use both."""
    validate.refuse_masked(name, X)
    if is_csr(X):
        dtype = X.dtype if X.dtype in validate.FLOATS else np.dtype(np.float64)
        w, v = np.empty((1, X.shape[-1] + 1), dtype), np.empty((1, 2), dtype)  # stand for weights: D and dtype count
        validate.sparse_rows(name, X, w, v, False)


def check_dense(name: str, y: Any) -> None:
    """Raise TypeError for masked or sparse y, which scikit-learn's validation would let through."""
    validate.refuse_masked(name, y)
    if issparse(y):
        raise TypeError(f"{name} is a sparse {type(y).__name__}; it must be dense: use {name}.toarray()")


def check_classes(labels: np.ndarray, N: int) -> None:
    """Raise ValueError if the different labels of N samples are numbers that are hardly classes."""
    if labels.dtype.kind not in "iuf":
        return
    fractions = labels[labels % 1 != 0]
    if len(fractions) or len(labels) > max(MAX_FEW_CLASSES, N // 2):
        found = f"{fractions[0]}" if len(fractions) else f"{len(labels)} different numbers in {N} rows"
        raise ValueError(
            f"y holds {found}, hardly classes; to predict numbers, use BackpropRegressor; to have them as labels, pass "
            "strings: y.astype(str)"
        )


def class_indices(name: str, y: Any, classes: np.ndarray) -> np.ndarray:
    """Indices of the labels y in the sorted `classes`."""
    validate.refuse_masked(name, y)
    y = column_or_1d(y, warn=True)
    t = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    if (unknown := classes[t] != y).any():
        raise ValueError(f"{name} contains {np.unique(y[unknown])}, which are not among the classes {classes}")
    return t


def mean_error(network: Network, X: Any, t: np.ndarray, weights: np.ndarray | None) -> float:
    """Mean of E_n, weighted."""
    if weights is None:
        return network.loss(X, t)
    a = forward(X, network.w, network.v, **network.functions._asdict()).a
    rows = np.eye(len(network.v))[t] if t.ndim == 1 else t
    _y, errors = reference.OUTPUTS[network.output]
    return float(np.average(errors(rows, a), weights=weights))
