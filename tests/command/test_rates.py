"""`cbackprop train`: automatic rates, weights of rows and classes, and progressive validation."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction import FeatureHasher

from cbackprop import Network
from cbackprop.command import tables
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
def test_rates_of_sparse_rows(folder, succeed, learn, size):
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


@pytest.fixture
def rare(folder):
    """Numbers of two classes, of which one is rare, with weights, as a file; inputs, classes and weights."""
    rng = np.random.default_rng(0)
    x, t, weight = rng.normal(size=(200, 2)), (rng.uniform(size=200) < 0.1).astype(int), rng.integers(0, 3, 200)
    x[:, 0] += t
    pl.DataFrame({"a": x[:, 0], "w": weight, "b": x[:, 1], "t": t}).write_csv("t.csv")
    return x, t, weight.astype(float)


LINE = "train t.csv --target t --epochs 2 --validation 0 --no-standardize"


def balanced(t):
    so_far = [np.bincount(t[: n + 1], minlength=2) for n in range(len(t))]
    return np.array([counts.sum() / (2 * counts[t_n]) for counts, t_n in zip(so_far, t, strict=True)])


@pytest.mark.parametrize("block_rows", [80, 65_536])
def test_weights(rare, succeed, learn_in_epochs, block_rows):
    x, t, weight = rare
    starts = range(0, 200, block_rows)
    for options, weights in (
        ("--weight w", weight),
        ("--class-weight balanced --ignore w", balanced(t)),
        ("--class-weight balanced --weight w", balanced(t) * weight),
    ):
        out = succeed(f"{LINE} {options}")
        assert "2: 'a', 'b'" in out
        blocks = [[part[start : start + block_rows] for part in (x, t, weights)] for start in starts]
        rng = np.random.default_rng([0, 0])
        wanted = learn_in_epochs(Network(2, 32, 2, hidden="tanh", adaptive=True, order="C", rng=rng), blocks, 2, rng)
        np.testing.assert_allclose(load_model("model.safetensors").w, wanted.w, rtol=1e-12)


@pytest.mark.parametrize("cut", [1, 4])
def test_counts_continue_when_a_training_is_resumed(rare, run, succeed, content, failing_fit, monkeypatch, cut):
    monkeypatch.setattr(tables, "BLOCK_ROWS", 80)
    line = f"{LINE} --class-weight balanced --weight w"
    succeed(f"{line} --output whole")
    with failing_fit(cut, KeyboardInterrupt()):
        assert run(f"{line} --checkpoint c")[0] == 130
    succeed(f"{line} --checkpoint c --resume")
    assert content("model.safetensors") == content("whole")


def test_bad_weights(rare, succeed, fail, houses):
    Path("t.csv").write_text("a,w,t\n1,1,0\n2,-1,1\n3,,1\n4,1,0\n4,1,1\n")
    message = "t.csv: row 2, column 'w' is '-1'; a finite number of at least 0 is needed"
    assert fail(f"{LINE} --weight w").startswith(message)
    assert "2 bad rows" in succeed(f"{LINE} --weight w --on-bad-row skip")
    assert "no column 'v'" in fail(f"{LINE} --weight v")
    assert fail("train houses.csv --target price --class-weight balanced").startswith(
        "--class-weight is balanced, and 'price' holds numbers; "
    )
    Path("t.csv").write_text("a,w,t\n1,0,0\n2,0,1\n")
    succeed(f"{LINE} --weight w --learning-rate 0.1")  # learns nothing
    rng = np.random.default_rng([0, 0])
    assert np.array_equal(load_model("model.safetensors").w, Network(1, 32, 2, order="C", rng=rng).w)


def shown(out, name):
    return re.search(rf"{name} +(\S+)", out)[1]


@pytest.mark.parametrize("block_rows", [64, 65_536])
def test_progressive_classes(rare, run, monkeypatch, block_rows):
    monkeypatch.setattr("cbackprop.command.terminal.LINE_INTERVAL", 0)
    x, t, weight = rare
    rng = np.random.default_rng([0, 0])
    network = Network(2, 32, 2, hidden="tanh", learning_rate="auto", standardize=False, order="C", rng=rng)
    E, right = [], []
    for x_n, t_n, weight_n in zip(x, t.tolist(), weight, strict=True):
        right.append(network.predict_one(x_n) == t_n)
        E.append(network.learn_one(x_n, t_n, weight_n))
    status, out, err = run(f"{LINE} --weight w --progressive --epochs 7 --validation 0.3")
    assert status == 0
    assert "200 training, 0 held out" in out
    assert (shown(out, "log loss"), shown(out, "accuracy")) == (f"{np.mean(E):.4g}", f"{np.mean(right):.4g}")
    assert np.array_equal(load_model("model.safetensors").w, network.w)
    n = min(block_rows, 200)
    progress = rf"learning: log loss {np.mean(E[:n]):.4g}, accuracy {np.mean(right[:n]):.4g}, AUC "
    assert progress in err


def test_progressive_numbers_and_sparse_rows(houses, rows, succeed, fail):
    out = succeed("train houses.csv --target price --progressive")
    model = load_model("model.safetensors")
    x = (houses.select("area", "age").to_numpy() - model.mean) / model.scale
    t = (houses["price"].to_numpy() - model.target_mean) / model.target_scale
    rng = np.random.default_rng([0, 0])
    settings = {"hidden": "tanh", "learning_rate": "auto", "standardize": False, "order": "C"}
    network = Network(2, 32, 1, output="linear", **settings, rng=rng)
    errors = []
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        errors.append(network.predict_one(x_n) - t_n)
        network.learn_one(x_n, t_n)
    np.testing.assert_allclose(model.w, network.w, rtol=1e-12)
    assert shown(out, "RMSE") == f"{np.sqrt(np.mean(np.square(errors))) * model.target_scale[0]:.4g}"

    x, t = rows
    out = succeed("train t.svm --progressive --base 1 --learning-rate 0.5")
    network = Network(12, 32, 2, learning_rate=0.5, dtype=np.float32, rng=np.random.default_rng([0, 0]))
    E = [network.learn_one(x_n, t_n) for x_n, t_n in zip(np.float32(x), (t > 0).astype(int).tolist(), strict=True)]
    assert float(shown(out, "log loss")) == pytest.approx(np.mean(E), rel=1e-3)
    message = fail("train t.svm --progressive --checkpoint c", 2)
    assert message == "Invalid value for '--progressive': its measures are of a whole pass, without --checkpoint"
