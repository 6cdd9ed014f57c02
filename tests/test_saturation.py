"""The warning of networks that hardly learn, since all hidden units are saturated: once, and only then."""

import warnings

import numpy as np
import pytest

from cbackprop import Network

MESSAGE = r"^all 8 hidden units are saturated .* standardize=True"
METHODS = pytest.mark.parametrize("method", ["fit", "learn_one"])


def samples(output, N=2100):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, 3))
    t = np.sin(z[:, 0]) + 0.5 * z[:, 1]
    return z, (t[:, np.newaxis] if output == "linear" else (t > 0).astype(int))


def learn(network, method, x, t, epochs=1):
    if method == "fit":
        network.fit(x, t, epochs=epochs, rng=0)
        return
    for _ in range(epochs):
        for x_n, t_n in zip(x, t.ravel().tolist(), strict=True):
            network.learn_one(x_n, t_n)


def new(output, hidden="sigmoid", **settings):
    return Network(3, 8, 1 if output == "linear" else 2, output=output, hidden=hidden, rng=0, **settings)


def pressure(z):
    return z * [500, 1, 1] + [101325, 0, 0]


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh"])
@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize(
    ("method", "x_of"),
    [("fit", pressure), ("fit", lambda z: 1e6 * z), ("learn_one", pressure)],
    ids=["fit", "wide", "learn_one"],
)
def test_saturated_networks_are_told_once(dtype, output, hidden, method, x_of):
    z, t = samples(output)
    network = new(output, hidden, learning_rate=0.01, dtype=dtype)
    with pytest.warns(UserWarning, match=MESSAGE) as told:
        learn(network, method, x_of(z).astype(dtype), t)
    assert [warning.filename for warning in told] == [__file__]
    learn(network, method, x_of(z), t, epochs=2)  # warnings are errors in tests


def test_units_that_are_all_dead():
    z, t = samples("softmax")
    network = new("softmax", "relu")
    network.w[:, -1] = -1000
    with pytest.warns(UserWarning, match=MESSAGE):
        network.fit(z, t)


@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("output", ["softmax", "linear"])
@METHODS
def test_no_false_alarm(output, hidden, method):
    z, t = samples(output)
    settings = {"learning_rate": 0.1 if output == "softmax" else 0.01}
    learn(new(output, hidden, **settings), method, z, t)
    learn(new(output, hidden, standardize=True, **settings), method, pressure(z), t)
    dead = new(output, hidden, **settings)
    dead.w[1:, -1] = -1000  # all units but one
    learn(dead, method, z, t)
    few = new(output, hidden, learning_rate=1e-9)
    learn(few, method, pressure(z[:100]), t[:100])


def test_a_sample_that_is_not_saturated_in_between():
    """Samples 512, 1024, 2048 and 4096 are looked at; three in a row must be saturated."""
    z, t = samples("linear", 5000)
    x = pressure(z)
    x[1023] = 0
    learn(new("linear", learning_rate=1e-3), "learn_one", x, t)


@METHODS
def test_networks_that_have_learned_may_be_saturated(method):
    """Inputs of 0 and 1 that tell the classes apart: the error is small."""
    x = np.repeat(np.eye(3), 700, axis=0)
    network = Network(3, 8, 3, rng=0)
    network.w[:, :3] = 100 * np.sign(network.w[:, :3] + 0.1)
    network.w[:, 3] = 50
    learn(network, method, x[np.random.default_rng(0).permutation(2100)], np.zeros(2100, int))


def test_sparse_rows_are_not_looked_at():
    sparse = pytest.importorskip("scipy.sparse")
    z, t = samples("softmax")
    network = new("softmax")
    with warnings.catch_warnings(action="error"):
        network.fit(sparse.csr_array(pressure(z)), t)
