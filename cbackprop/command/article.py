"""The article's two experiments: one training run by backpropagation and one by numerical differentiation.

Three classes are told from temperature and pH by two hidden units, from weights that are all 1. Inputs near 39 and 6
saturate the hidden units: z is 1 to the last bit, whatever the row. So only the class counts matter, and data drawn
here give the article's numbers, digit for digit, though its own data are not at hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from types import ModuleType

import numpy as np

from cbackprop.reference import descend

LEARNING_RATE = 0.5
ITERATIONS = 1000
EPSILON = 0.001

# where each class lies, in degrees Celsius and pH, how far it spreads, and how many samples there are
CENTERS = np.array([[37.6, 5.3], [39.0, 6.9], [40.6, 5.6]])
SPREAD = np.array([[0.75, 0.35], [0.9, 0.3], [0.6, 0.5]])
TRAINING, HELD_OUT = (16, 22, 12), (14, 22, 14)


@dataclass(frozen=True)
class Printed:
    """What the article prints of an experiment."""

    w: str  # all entries are equal
    v: tuple[str, str, str]  # the entries of each row are equal
    E: str  # on the held-out half
    seconds: float


BACKPROPAGATION = Printed("1", ("0.99658093", "1.10273217", "0.9006869"), "1.080", 5.2)
NUMERICAL = Printed("1", ("0.9426991", "1.04883974", "0.84682914"), "1.080", 39.8)


@dataclass(frozen=True)
class Outcome:
    """Weights after the iterations, and the time they took."""

    w: np.ndarray
    v: np.ndarray
    seconds: float


def samples(counts: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Temperature and pH of `counts` samples of each class, and their class indices."""
    t = np.repeat(np.arange(3), counts)
    return CENTERS[t] + SPREAD[t] * rng.standard_normal((len(t), 2)), t


def backpropagation(library: ModuleType, x: np.ndarray, t: np.ndarray) -> Outcome:
    """Run the first experiment by `cbackprop` or by `cbackprop.reference`."""

    def iterate(w: np.ndarray, v: np.ndarray) -> None:
        library.fit(x, t, w, v, learning_rate=LEARNING_RATE, epochs=ITERATIONS, batch_size=None)

    return _timed(iterate)


def numerical_differentiation(library: ModuleType, x: np.ndarray, t: np.ndarray) -> Outcome:
    """Run the second experiment by `cbackprop` or by `cbackprop.reference`."""

    def iterate(w: np.ndarray, v: np.ndarray) -> None:
        for _ in range(ITERATIONS):
            dw, dv = library.numerical_gradient(x, t, w, v, epsilon=EPSILON, scheme="forward")
            descend(w, dw, LEARNING_RATE)
            descend(v, dv, LEARNING_RATE)

    return _timed(iterate)


def _timed(iterate: Callable[[np.ndarray, np.ndarray], None]) -> Outcome:
    w, v = np.ones((2, 3)), np.ones((3, 3))
    started = perf_counter()
    iterate(w, v)
    return Outcome(w, v, perf_counter() - started)
