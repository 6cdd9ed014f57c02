"""`cbackprop train --learning-rate auto`: row-wise AdaGrad, the default."""

import re
from functools import partial

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction import FeatureHasher

from cbackprop import Network
from cbackprop.files.model_file import load_model

IRIS = "train iris.csv --target species --epochs 3 --validation 0"


def assert_same(path, network):
    """Check that a model file holds the weights, functions and rates of a network."""
    model = load_model(path)
    same = partial(np.testing.assert_allclose, rtol=1e-9)  # statistics of columns are added up in another order
    same(model.w, network.w)
    same(model.v, network.v)
    same(model.learning_rate, network.learning_rate)
    assert model.functions == network.functions
    assert model.states.keys() == ({"accumulators"} if network.adaptive else set())
    loaded = Network.load(path)
    assert loaded.adaptive == network.adaptive
    if network.adaptive:
        for accumulators, wanted in zip(loaded.accumulators, network.accumulators, strict=True):
            same(accumulators, wanted)


@pytest.fixture
def learn(learn_in_epochs):
    """Train as the command does: three epochs with its random numbers."""

    def learn(x, t, n_outputs, size=1, **settings):
        rng = np.random.default_rng([0, 0])
        network = Network(x.shape[1], 32, n_outputs, rng=rng, **settings)
        return learn_in_epochs(network, [(x, t)], 3, rng, size)

    return learn


def standardized(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def test_classes(iris, succeed, learn):
    x = standardized(iris.drop("species").to_numpy(order="c"))
    t = iris["species"].cast(pl.Enum(["setosa", "versicolor", "virginica"])).to_physical().to_numpy()
    succeed(IRIS)
    assert_same("model.safetensors", learn(x, t, 3, hidden="tanh", adaptive=True))
    assert re.search(r"learning_rate=0\.134164\d+, adaptive=True", succeed("info model.safetensors"))
    succeed(f"{IRIS} --activation relu --learning-rate auto")
    assert_same("model.safetensors", learn(x, t, 3, hidden="relu", adaptive=True))

    # a number is a constant rate, with sigmoid units unless told otherwise
    succeed(f"{IRIS} --learning-rate 0.2")
    rng = np.random.default_rng([0, 0])
    network = Network(4, 32, 3, learning_rate=0.2, rng=rng)
    network.fit(x, t, epochs=3, rng=rng)
    assert_same("model.safetensors", network)
    assert "Network(4, 32, 3, learning_rate=0.2, dtype=float64)" in succeed("info model.safetensors")


def test_numbers_in_batches(houses, succeed):
    x, t = (standardized(houses.select(names).to_numpy(order="c")) for names in (["area", "age"], ["price"]))
    rng = np.random.default_rng([0, 0])
    # one pass is a stream
    network = Network(2, 32, 1, output="linear", hidden="tanh", learning_rate="auto", standardize=False, rng=rng)
    network.fit(x, t[:, 0], batch_size=8, rng=rng)
    succeed("train houses.csv --target price --epochs 1 --validation 0 --batch-size 8")
    assert_same("model.safetensors", network)


@pytest.mark.parametrize("size", [1, 20])
def test_sparse_rows(folder, succeed, learn, size):
    """The rate decreases for numbers above 1."""
    rng = np.random.default_rng(0)
    x = sparse.csr_array(np.float32(rng.choice([0, -size, size], (80, 40), p=[0.8, 0.1, 0.1])))
    t = rng.integers(0, 2, 80)
    dump_svmlight_file(x, t, "t.svm")
    succeed("train t.svm --validation 0 --epochs 3")
    settings = {"dtype": np.float32, "order": "F", "hidden": "tanh", "adaptive": True}
    assert_same("model.safetensors", learn(x, t, 2, size, **settings))


@pytest.mark.parametrize("bits", [1, 12])
def test_hashed_rows(folder, succeed, bits):
    t = np.arange(60) % 2
    table = pl.DataFrame({"a": [f"a{n // 2 % 7}" for n in range(60)], "b": np.where(t, "x", "y"), "t": t})
    table.write_csv("t.csv")
    x = sparse.csr_array(FeatureHasher(2**bits, dtype=np.float32).transform(table.drop("t").to_dicts()))
    succeed(f"train t.csv --target t --hash {bits} --validation 0 --epochs 3")
    network = Network.load("model.safetensors")
    assert (network.hidden, network.adaptive) == ("tanh", True)
    assert network.learning_rate == np.float32(0.3 / np.sqrt(2**bits + 1))
    if bits == 12:
        assert (network.predict(x) == t).all()


def test_large_hashed_numbers(folder, succeed):
    """Numbers that are not standardized reduce the rate, as those of an SVMlight file do."""
    x = np.random.default_rng(0).normal(30, 10, 60)
    pl.DataFrame({"x": x, "text": ["a", "b"] * 30, "t": [0, 1] * 30}).write_csv("t.csv")
    for options, size in (("", 1), ("--no-standardize", np.sqrt((np.mean(x**2) + 1) / 2))):
        succeed(f"train t.csv --target t --hash 6 --validation 0 --epochs 1 {options}")
        np.testing.assert_allclose(Network.load("model.safetensors").learning_rate, 1 / np.sqrt(65) / size, 1e-6)


@pytest.mark.parametrize("rate", ["fast", "Auto", "nan", "inf", "0", "-1"])
def test_bad_rates(iris, fail, rate):
    message = f"Invalid value for '--learning-rate': {rate!r} must be a positive number, or auto"
    assert fail(f"{IRIS} --learning-rate {rate}", 2) == message


def test_divergence(folder, fail):
    pl.DataFrame({"x": [1e150, 1, 2], "t": [1e150, 0.5, 3]}).write_csv("t.csv")
    line = "train t.csv --target t --no-standardize --validation 0 --activation relu"
    remedy = "learning diverged in epoch 1: try {}, or --standardize"
    assert fail(line) == remedy.format("--learning-rate 0.001")
    assert fail(f"{line} --learning-rate 0.1") == remedy.format("a smaller --learning-rate")
