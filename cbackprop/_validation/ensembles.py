"""Settings of several networks: one for all of them, or one for each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._catalog import HIDDEN_FUNCTIONS
from .arrays import as_array
from .data import sample_weight
from .settings import choice, learning_rate


def for_each(name: str, value: Any, R: int, check: Callable[[str, Any], Any]) -> list[Any]:
    """What ``check(name, value)`` returns for each of R networks, from one value or R."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [check(name, value)] * R
    if len(value) != R:
        raise ValueError(f"{name} has {len(value)} entries; it must have {R}, one per learning rate")
    return [check(f"{name}[{r}]", each) for r, each in enumerate(value)]


def learning_rates(values: Any, dtype: np.dtype) -> list[float]:
    """Learning rates, at least one, each positive and finite in the dtype."""
    if isinstance(values, str) or not np.iterable(values):
        raise TypeError(f"learning_rates is {values!r}; it must be a sequence of numbers, one per network")
    rates = list(values)
    if not rates:
        raise ValueError(f"learning_rates is {values!r}; it must hold at least one number")
    for r, rate in enumerate(rates):
        learning_rate(rate, dtype, f"learning_rates[{r}]")
    return list(map(float, rates))


def hidden_function(name: str, value: Any) -> str:
    """The name of a hidden function."""
    return choice(name, value, HIDDEN_FUNCTIONS)


def eta(value: Any) -> float | None:
    """A rate of the mixture, positive and finite, or None."""
    return None if value is None else learning_rate(value, np.dtype(np.float64), "eta")


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
