"""The two experiments that the article rests on, to every digit it prints.

They need no data file: at temperatures near 39 and pH values near 6, with all weights 1, the hidden units saturate, so
z = 1 to the last bit, and only the numbers of samples in each class count.
"""

import numpy as np
import pytest

import cbackprop

RATE, ITERATIONS = 0.5, 1000
BACKPROPAGATION = ["0.99658093", "1.10273217", "0.9006869"]
DIFFERENCES = ["0.9426991", "1.04883974", "0.84682914"]  # forward differences, epsilon = 0.001
ERROR = "1.080"  # on the test half, for both


def half(counts, seed):
    """Temperatures and pH values, and classes, so many of each."""
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.repeat(np.arange(3), counts))
    return np.column_stack([rng.normal(39, 1, t.size), rng.normal(6, 0.3, t.size)]), t


@pytest.fixture
def training():
    return half((16, 22, 12), 0)


@pytest.fixture
def test():
    return half((14, 22, 14), 1)


@pytest.fixture
def weights():
    return np.ones((2, 3)), np.ones((3, 3))


def printed(number):
    """As NumPy prints an array: 8 decimals, without zeros at the end."""
    return f"{number:.8f}".rstrip("0")


def check(w, v, rows):
    assert [[printed(number) for number in row] for row in v] == [[row] * 3 for row in rows]
    assert {printed(number) for number in w.ravel()} == {"1."}


def test_backpropagation_by_fit(engine, training, test, weights):
    history = engine.fit(*training, *weights, learning_rate=RATE, epochs=ITERATIONS, batch_size=None)
    check(*weights, BACKPROPAGATION)
    assert f"{engine.library.loss(*test, *weights):.3f}" == ERROR
    assert history.epochs == ITERATIONS
    assert history.losses[0] == pytest.approx(np.log(3), rel=1e-14)  # equal weights: every class has probability 1/3


def test_backpropagation_by_gradient(library, training, test, weights):
    w, v = weights
    for _ in range(ITERATIONS):
        dw, dv = library.gradient(*training, w, v)
        w -= RATE * dw
        v -= RATE * dv
    check(w, v, BACKPROPAGATION)
    assert f"{library.loss(*test, w, v):.3f}" == ERROR


def test_numerical_differentiation(variant, training, test, weights):
    w, v = weights
    for _ in range(ITERATIONS):
        dw, dv = cbackprop.numerical_gradient(*training, w, v, epsilon=0.001, scheme="forward")
        w -= RATE * dw
        v -= RATE * dv
    check(w, v, DIFFERENCES)
    assert f"{cbackprop.loss(*test, w, v):.3f}" == ERROR


def test_only_the_class_counts_matter(weights):
    # other temperatures and pH values, another order: the digits stay; with other counts, they do not
    settings = {"learning_rate": RATE, "epochs": ITERATIONS, "batch_size": None}
    others = [array.copy() for array in weights]
    cbackprop.fit(*half((16, 22, 12), 99), *weights, **settings)
    check(*weights, BACKPROPAGATION)
    cbackprop.fit(*half((15, 23, 12), 0), *others, **settings)
    with pytest.raises(AssertionError):
        check(*others, BACKPROPAGATION)
