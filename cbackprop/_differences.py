"""Numerical differentiation: slow, and independent of backpropagation, which it checks."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _validation as validate


@np.errstate(all="ignore")  # the result is checked instead
def derivatives(
    E: Callable[[np.ndarray, np.ndarray], Any], w: np.ndarray, v: np.ndarray, epsilon: float | None, scheme: str
) -> tuple[np.ndarray, np.ndarray]:
    """dE/dw and dE/dv of a function E(w, v), which takes complex weights if the scheme is "complex".

    ``Im E(w + i epsilon) / epsilon`` subtracts nothing, and so suffers no cancellation.
    """
    validate.finite_weights(w, v)
    kind = validate.choice("scheme", scheme, ("central", "forward", "complex"))
    default = 1e-20 if kind == "complex" else float(np.finfo(w.dtype).eps) ** (1 / 2 if kind == "forward" else 1 / 3)
    size = validate.epsilon(epsilon) or default
    layers = tuple(array.astype(np.complex128) if kind == "complex" else array.copy() for array in (w, v))

    def E_at(weights: np.ndarray, index: tuple[int, ...], weight: Any) -> Any:
        before, weights[index] = weights[index], weight
        value = E(*layers)
        weights[index] = before
        return value

    E_here = E(*layers) if kind == "forward" else None
    dw, dv = np.empty(w.shape, w.dtype), np.empty(v.shape, v.dtype)
    for name, weights, gradient in zip("wv", layers, (dw, dv), strict=True):
        step = weights.dtype.type(size)
        for index, weight in np.ndenumerate(weights):
            if kind == "complex":
                gradient[index] = E_at(weights, index, weight + 1j * size).imag / size
            else:
                above, below = weight + step, weight if kind == "forward" else weight - step
                if above == below:
                    place = f"{name}[{index[0]}, {index[1]}] = {weight}"
                    raise ValueError(f"epsilon is {size}, which is lost beside {place}; it must change every weight")
                E_below = E_here if kind == "forward" else E_at(weights, index, below)
                gradient[index] = (E_at(weights, index, above) - E_below) / (float(above) - float(below))
    if not (np.isfinite(dw).all() and np.isfinite(dv).all()):
        if epsilon is None:
            validate.refuse_overflow(w, v)
        raise ValueError(f"epsilon is {epsilon}; that far from w and v, sums overflow {w.dtype}: it must be smaller")
    return dw, dv
