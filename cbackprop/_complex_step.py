"""Gradients by the complex step, in NumPy: the compiled kernels compute with real numbers only."""

import numpy as np


@np.errstate(over="ignore", invalid="ignore", under="ignore")  # the caller checks the result
def complex_step_gradient(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (3) as Im E(w + i·epsilon) / epsilon, which subtracts nothing and so suffers no cancellation.

    Parameters
    ----------
    x : ndarray of shape (N, D)
    t : ndarray of shape (N,) or (N, K)
        Class indices or rows.
    w, v : ndarray
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
            derivative[index] = _cross_entropy(x, t, w, v).imag / epsilon
            weights[index] = weight
    return dw, dv


def _cross_entropy(x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray) -> complex:
    """E (2) of complex weights. Comparisons are those of the real parts, so that E stays analytic."""
    b = x @ w[:, :-1].T + w[:, -1]
    e = np.exp(np.where(b.real > 0, -b, b))
    z = np.where(b.real > 0, 1, e) / (1 + e)
    a = z @ v[:, :-1].T + v[:, -1]
    largest = a.real.argmax(axis=1)[:, np.newaxis]
    max_a = np.take_along_axis(a, largest, axis=1)
    e = np.exp(a - max_a)
    np.put_along_axis(e, largest, 0, axis=1)
    log_sum = np.log1p(e.sum(axis=1, keepdims=True))  # log Σ_l e^a_l − max_a
    return np.where(t > 0, t * ((max_a - a) + log_sum), 0).sum(axis=1).mean()
