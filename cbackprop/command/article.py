"""The article's two experiments: batch training by backpropagation, and by numerical differentiation.

Two hidden units classify temperature and pH into three classes; all initial weights are 1. Inputs near 39 and 6
saturate the hidden units: z is 1 to the last bit, whatever the sample. So only the class counts matter, and the
synthetic samples below reproduce the article's numbers digit for digit, although its data are not available.
"""

from types import ModuleType

import numpy as np

LEARNING_RATE, ITERATIONS, EPSILON = 0.5, 1000, 0.001

# of each class: mean and standard deviation of degrees Celsius and pH, and numbers of samples
MEANS = np.array([[37.6, 5.3], [39.0, 6.9], [40.6, 5.6]])
DEVIATIONS = np.array([[0.75, 0.35], [0.9, 0.3], [0.6, 0.5]])
TRAINING, HELD_OUT = (16, 22, 12), (14, 22, 14)

# what the article prints: every entry of w, every entry of each row of v, E on the held-out half; and seconds
QUANTITIES = "w, every entry", "v, row 0", "v, row 1", "v, row 2", "E, held out"
BACKPROPAGATION = ("1", "0.99658093", "1.10273217", "0.9006869", "1.080"), 5.2
NUMERICAL = ("1", "0.9426991", "1.04883974", "0.84682914", "1.080"), 39.8

Weights = tuple[np.ndarray, np.ndarray]


def draw_samples(counts: tuple[int, ...], rng: np.random.Generator) -> Weights:
    """Temperature and pH of `counts` samples of each class, and their class indices."""
    t = np.repeat(np.arange(3), counts)
    return MEANS[t] + DEVIATIONS[t] * rng.standard_normal((len(t), 2)), t


def backpropagation(library: ModuleType, x: np.ndarray, t: np.ndarray) -> Weights:
    """Return the weights of the first experiment with `cbackprop` or `cbackprop.reference`."""
    w, v = np.ones((2, 3)), np.ones((3, 3))
    library.fit(x, t, w, v, learning_rate=LEARNING_RATE, epochs=ITERATIONS, batch_size=None)
    return w, v


def numerical_differentiation(library: ModuleType, x: np.ndarray, t: np.ndarray) -> Weights:
    """Return the weights of the second experiment with `cbackprop` or `cbackprop.reference`."""
    w, v = np.ones((2, 3)), np.ones((3, 3))
    for _ in range(ITERATIONS):
        dw, dv = library.numerical_gradient(x, t, w, v, epsilon=EPSILON, scheme="forward")
        w -= LEARNING_RATE * dw
        v -= LEARNING_RATE * dv
    return w, v
