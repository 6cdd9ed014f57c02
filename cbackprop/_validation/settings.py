"""Settings: numbers, names, flags, sources of random numbers."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from ctypes import c_float
from numbers import Integral, Real
from typing import Any

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
METHODS = ("auto", "direct", "blocked")
ORDERS = ("C", "F")


def real(name: str, value: Any) -> float:
    """A real number as a float: infinity if it exceeds the range of float."""
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        raise TypeError(f"{name} is {value!r}; it must be a number")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def rounded(number: float, dtype: np.dtype) -> float:
    """A setting in the precision of the kernels: one that rounds to 0 must count as 0 everywhere."""
    return number if dtype.itemsize == 8 else c_float(number).value


def in_range(name: str, value: Any, most: float, dtype: np.dtype) -> float:
    """A number in [0, most], rounded to the dtype. `most` is a number of the dtype, so rounding cannot exceed it."""
    if not 0 <= (number := real(name, value)) <= most:
        raise ValueError(f"{name} is {value!r}; it must lie in 0..{most:g}")
    return rounded(number, dtype)


def learning_rate(value: Any, dtype: np.dtype, name: str = "learning_rate") -> float:
    """A learning rate that is positive and finite in the dtype of the weights."""
    number = rounded(real(name, value), dtype)
    if not 0 < number < np.inf:
        raise ValueError(f"{name} is {value!r}; it must be positive and finite in {dtype}")
    return number


def is_auto(name: str, value: Any) -> bool:
    """Whether a value is "auto", in place of a number."""
    if isinstance(value, str) and value != "auto":
        raise TypeError(f"{name} is {value!r}; it must be a number, or 'auto'{nearest(value, ('auto',))}")
    return isinstance(value, str)


def weight(value: Any, dtype: np.dtype) -> float:
    """The weight of one sample: not negative, and finite in the dtype of the weights."""
    return in_range("sample_weight", value, float(np.finfo(dtype).max), dtype)


def count(name: str, value: Any) -> int:
    """An integer of at least 1."""
    if type(value) is not int and (isinstance(value, bool) or not isinstance(value, Integral)):
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
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, among))}{nearest(value, among)}")
    return str(value)  # not a string of NumPy


def nearest(value: Any, among: Collection[str]) -> str:
    """The end of an error: which of the valid names a misspelled one may stand for, if any is similar."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in among}
    found = get_close_matches(str(value).lower(), names, n=1)
    return f"; did you mean {names[found[0]]!r}?" if found else ""


def generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """The generator of `numpy.random.default_rng` for None, a seed or a Generator."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is {rng!r}; it must be None, a seed or a numpy.random.Generator") from None


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
    shown = repr(value)
    with suppress(TypeError):
        if (dtype := np.dtype(value)) in FLOATS:
            return dtype
        shown = str(dtype)
    raise TypeError(f"dtype is {shown}; it must be float32 or float64")


def epsilon(value: Any) -> float | None:
    """Step size of a numerical derivative: positive, finite and not subnormal, or None."""
    if value is None:
        return None
    distance = real("epsilon", value)
    if not np.finfo(np.float64).tiny <= distance < np.inf:
        raise ValueError(f"epsilon is {value!r}; it must be positive and finite, and not subnormal")
    return distance


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
