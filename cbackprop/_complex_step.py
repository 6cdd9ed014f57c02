"""Gradients by the complex step, in NumPy: the compiled kernels compute with real numbers only."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._validation import Functions


@np.errstate(over="ignore", invalid="ignore", under="ignore")  # the caller checks the result
def complex_step_gradient(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, functions: Functions, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (3) as Im E(w + i·epsilon) / epsilon, which subtracts nothing and so suffers no cancellation.

    Parameters
    ----------
    x : ndarray of shape (N, D)
    t : ndarray of shape (N,) or (N, K)
        Class indices or rows.
    w, v : ndarray
    functions : Functions
    epsilon : float

    Returns
    -------
    dw, dv : ndarray
        In the dtype of the weights.
    """
    t = np.eye(len(v))[t] if t.ndim == 1 else t
    dw, dv = np.empty_like(w), np.empty_like(v)
    w, v = w.astype(np.complex128), v.astype(np.complex128)
    for weights, derivative in ((w, dw), (v, dv)):
        for index, weight in np.ndenumerate(weights):
            weights[index] = weight + 1j * epsilon
            derivative[index] = _loss(x, t, w, v, functions).imag / epsilon
            weights[index] = weight
    return dw, dv


def _loss(x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, functions: Functions) -> complex:
    """E (2) of complex weights. Comparisons are those of the real parts, so that E stays analytic."""
    b = x @ w[:, :-1].T + w[:, -1]
    z = _HIDDEN_FUNCTIONS[functions.hidden](b)
    a = z @ v[:, :-1].T + v[:, -1]
    return _OUTPUT_ERRORS[functions.output](t, a).sum(axis=1).mean()


def _sigmoid(b: np.ndarray) -> np.ndarray:
    e = np.exp(np.where(b.real > 0, -b, b))
    return np.where(b.real > 0, 1, e) / (1 + e)


def _relu(b: np.ndarray) -> np.ndarray:
    return np.where(b.real > 0, b, 0)


def _cross_entropy(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    largest = a.real.argmax(axis=1)[:, np.newaxis]
    max_a = np.take_along_axis(a, largest, axis=1)
    e = np.exp(a - max_a)
    np.put_along_axis(e, largest, 0, axis=1)
    log_sum = np.log1p(e.sum(axis=1, keepdims=True))  # log Σ_l e^a_l − max_a
    return np.where(t > 0, t * ((max_a - a) + log_sum), 0)


def _squared_error(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    return (a - t) ** 2 / 2


def _logistic_error(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    absolute = np.where(a.real >= 0, a, -a)
    return np.log1p(np.exp(-absolute)) + np.where(a.real >= 0, 1 - t, t) * absolute


_HIDDEN_FUNCTIONS: dict[str, Callable[..., Any]] = {"sigmoid": _sigmoid, "tanh": np.tanh, "relu": _relu}
_OUTPUT_ERRORS = {"softmax": _cross_entropy, "linear": _squared_error, "logistic": _logistic_error}
