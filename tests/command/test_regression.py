"""`cbackprop train` and `predict` with a target of numbers."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import cbackprop
from cbackprop._catalog import HIDDEN_FUNCTIONS
from cbackprop.command import evaluate
from cbackprop.files.model_file import Model, load_model, save_model


def field(out, name):
    return re.search(rf"^{name} +(.+?) *$", out, re.MULTILINE)[1]


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 64), ("parquet", 65_536)])
def test_measures_and_predictions(houses, succeed, kind, block_rows):
    out = succeed(f"train houses.{kind} --target price --validation 0.3 --learning-rate 0.03")
    assert field(out, "task") == "regression of 'price'"
    succeed(f"predict model.safetensors houses.{kind} --output p.parquet")
    predicted = pl.read_parquet("p.parquet")
    assert predicted.columns == ["price"]
    true, y = houses["price"].to_numpy(), predicted["price"].to_numpy()
    held_out = np.random.default_rng([0, 1]).random(300) < 0.3
    mean = np.full(held_out.sum(), true[held_out].mean())
    for name, measure in (("R²", r2_score), ("RMSE", root_mean_squared_error), ("MAE", mean_absolute_error)):
        values = [measure(true[chosen], y[chosen]) for chosen in (~held_out, held_out)]
        values.append(measure(true[held_out], mean))
        assert field(out, f"  {name}").split() == [f"{value:.4g}" for value in values]
    assert r2_score(true[held_out], y[held_out]) > 0.95

    # scaling is that of the training rows, and the model alone predicts scaled numbers
    model = load_model("model.safetensors")
    np.testing.assert_allclose(model.target_mean, [true[~held_out].mean()], rtol=1e-13)
    np.testing.assert_allclose(model.target_scale, [true[~held_out].std()], rtol=1e-13)
    x = houses.select("area", "age").to_numpy()
    np.testing.assert_allclose([model.mean, model.scale], [x[~held_out].mean(0), x[~held_out].std(0)], rtol=1e-13)
    x = (x - model.mean) / model.scale
    scaled = cbackprop.Network.load("model.safetensors").predict(x)
    assert np.array_equal(scaled * model.target_scale + model.target_mean, y)


def test_whole_numbers_and_no_validation(houses, succeed):
    houses.with_columns(pl.col("price").round().cast(pl.Int64)).write_csv("whole.csv")
    out = succeed("train whole.csv --target price --task regression --validation 0 --epochs 5")
    assert "300 training, 0 held out" in out
    assert float(field(out, "  R²").split()[0]) > 0.9
    assert "held out" not in out.replace("0 held out", "")


def test_target_without_standardization(houses, succeed, fail):
    small = houses.select(pl.col("area") / 200, price=pl.col("price") / 1e6)
    small.write_csv("small.csv")
    succeed("train small.csv --target price --no-standardize")
    model = load_model("model.safetensors")
    assert model.target_mean is model.target_scale is model.mean is None
    succeed("predict model.safetensors small.csv")
    y = pl.read_csv("predictions.csv")["price"].to_numpy()
    assert np.array_equal(y, cbackprop.Network.load("model.safetensors").predict(small.select("area").to_numpy()))
    message = fail("train houses.csv --target price --no-standardize --activation relu --learning-rate 0.1")
    assert message == "learning diverged in epoch 1: try a smaller --learning-rate, or --standardize"
    message = fail("train houses.csv --target price --learning-rate 1000 --activation relu")
    assert message == "learning diverged in epoch 1: try a smaller --learning-rate"


@pytest.mark.parametrize("activation", HIDDEN_FUNCTIONS)
def test_activation(houses, iris, succeed, activation):
    option = f"--activation {activation} --learning-rate {0.1 if activation == 'sigmoid' else 0.01}"
    succeed(f"train houses.csv --target price {option} --epochs 1")
    assert load_model("model.safetensors").functions == (activation, "linear")
    out = succeed(f"train iris.csv --target species {option}")
    assert field(out, "task") == "classification, 3 classes: 'setosa', 'versicolor', 'virginica'"
    model = load_model("model.safetensors")
    assert model.functions == (activation, "softmax")
    assert f"{activation} hidden units, softmax outputs" in succeed("info model.safetensors")
    succeed("predict model.safetensors iris.csv")
    assert (pl.read_csv("predictions.csv")["class"] == iris["species"]).mean() > 0.9


def test_info(houses, succeed):
    succeed("train houses.csv --target price --epochs 1 --validation 0")
    out = succeed("info model.safetensors")
    assert field(out, "task") == "regression of 'price'"
    assert field(out, "scaling of y") == "y \\* scale \\+ mean".replace("\\", "")
    true = houses["price"].to_numpy()
    assert re.search(rf"^  price +{true.mean():.6g} +{true.std():.6g}", out, re.MULTILINE)
    cbackprop.Network(2, 3, 4, output="linear").save("unnamed")
    assert field(succeed("info unnamed"), "task") == "regression, 4 unnamed"
    cbackprop.Network(2, 3, 4, output="logistic").save("unnamed")
    assert field(succeed("info unnamed"), "task") == "4 labels, each by itself: unnamed"


def test_one_held_out_value_has_no_r2(folder, succeed):
    held_out = np.random.default_rng([0, 1]).random(20) < 0.2
    pl.DataFrame({"x": np.arange(20), "y": np.where(held_out, 0.5, np.arange(20))}).write_csv("t.csv")
    out = succeed("train t.csv --target y --epochs 1 --task regression")
    assert field(out, "  R²").split()[1:] == ["undefined", "undefined"]
    assert float(field(out, "  RMSE").split()[1]) > 0


@pytest.mark.parametrize(("validation", "rows", "most"), [(0.2, "held-out", 5000), (0, "training", 30)])
def test_figure(houses, succeed, monkeypatch, validation, rows, most):
    drawn = []
    monkeypatch.setattr("cbackprop.plot.predicted_against_true", lambda *pair, ax: drawn.extend(pair))
    monkeypatch.setattr(evaluate, "MAX_POINTS", most)
    succeed(f"train houses.csv --target price --epochs 2 --validation {validation} --plot p.svg")
    true, predicted = drawn
    succeed("predict model.safetensors houses.csv")
    chosen = np.random.default_rng([0, 1]).random(300) < validation if validation else np.ones(300, bool)
    wanted = np.column_stack([houses["price"], pl.read_csv("predictions.csv")["price"]])[chosen]
    step = 10 if most == 30 else 1
    np.testing.assert_allclose(np.column_stack([true, predicted]), wanted[::step], rtol=1e-14)
    shown = f"30 of 300 {rows}" if most == 30 else rows
    assert f"<!-- price, {shown} rows -->" in Path("p.svg").read_text()


def test_predictions_of_any_network(folder, succeed, fail):
    x = np.random.default_rng(0).normal(size=(9, 2))
    pl.DataFrame(x).write_csv("x.csv")
    for output, K, columns in (("linear", 1, ["y0"]), ("linear", 2, ["y0", "y1"]), ("logistic", 2, ["p_0", "p_1"])):
        network = cbackprop.Network(2, 3, K, output=output, hidden="tanh", rng=0)
        network.save("model")
        out = succeed("predict model x.csv")
        y = network.predict_proba(x) if output == "logistic" else network.predict(x)
        predicted = pl.read_csv("predictions.csv")
        assert predicted.columns == columns
        assert np.array_equal(predicted.to_numpy(), y.reshape(9, K))
        if output == "logistic":
            assert re.search(rf"^  0 +{(y[:, 0] >= 0.5).sum()} *$", out, re.MULTILINE)
        else:
            assert re.search(rf"y0 +{predicted['y0'].min():.6g} +{predicted['y0'].mean():.6g}", out)
    Path("none.csv").write_text("a,b\n")
    network = cbackprop.Network(2, 3, 1, output="linear")
    network.save("model")
    assert "inf" not in succeed("predict model none.csv")
    assert Path("predictions.csv").read_text() == "y0\n"
    scale = {"targets": ["y"], "target_scale": np.array([1e308])}
    w, v = np.ones((3, 3)), 100 * np.ones((1, 4))
    save_model("model", Model(w, v, 0.1, functions=cbackprop._validation.Functions(output="linear"), **scale))
    before = Path("predictions.csv").read_bytes()
    assert fail("predict model x.csv") == "the scaling of the targets is too large for the predictions"
    assert Path("predictions.csv").read_bytes() == before
