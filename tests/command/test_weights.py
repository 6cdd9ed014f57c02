"""`cbackprop train`: weights of rows and classes, and progressive validation."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cbackprop import Network
from cbackprop.command import tables
from cbackprop.files.model_file import load_model


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
def test_weights(rare, succeed, learn_in_epochs, monkeypatch, block_rows):
    monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
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
    monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
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
