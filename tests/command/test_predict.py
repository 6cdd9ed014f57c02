"""`cbackprop predict`: predictions, and their file."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cbackprop
from cbackprop.command import tables
from cbackprop.files.model_file import load_model


@pytest.fixture
def model(iris, succeed):
    succeed("train iris.csv --target species --hidden 8")
    return load_model("model.safetensors")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_classes_and_probabilities(iris, model, succeed, kind):
    # other column order, an additional column, no target
    iris.select("petal width", pl.lit("x").alias("note"), *iris.columns[:3]).write_parquet("other.parquet")
    out = succeed(f"predict model.safetensors other.parquet --output p.{kind}")
    assert f"150 rows → p.{kind}" in out

    predicted = pl.read_csv("p.csv") if kind == "csv" else pl.read_parquet("p.parquet")
    assert predicted.columns == ["class", "p_setosa", "p_versicolor", "p_virginica"]
    x = (iris.drop("species").to_numpy() - model.mean) / model.scale
    y = cbackprop.Network.load("model.safetensors").predict_proba(x)
    assert np.array_equal(predicted.drop("class").to_numpy(), y)  # CSV keeps all digits
    assert predicted["class"].to_list() == [model.classes[k] for k in y.argmax(axis=1)]
    for name in model.classes:
        assert re.search(rf"{name} +{(predicted['class'] == name).sum()}\b", out)


def test_outputs_take_no_more_memory_than_a_block(iris, succeed, monkeypatch):
    sizes = []

    def probabilities(network, x, n_threads, do=cbackprop.Network.predict_proba):
        sizes.append(len(x))
        return do(network, x)

    monkeypatch.setattr(cbackprop.Network, "predict_proba", probabilities)
    pl.DataFrame({"x": np.arange(20), "t": [f"t{i}" for i in range(20)]}).write_csv("t.csv")
    succeed("train t.csv --target t --task classification --epochs 1 --validation 0")
    succeed("predict model.safetensors t.csv --output whole.csv")
    assert sizes == [20, 20]
    monkeypatch.setattr(tables, "BLOCK_VALUES", 99)
    succeed("train t.csv --target t --task classification --epochs 1 --validation 0 --output parts")
    succeed("predict model.safetensors t.csv --output parts.csv")
    assert sizes[2:] == [4] * 10
    whole, parts = (pl.read_csv(f"{name}.csv") for name in ("whole", "parts"))
    assert parts["class"].equals(whole["class"])
    np.testing.assert_allclose(parts[:, 1:].to_numpy(), whole[:, 1:].to_numpy(), rtol=1e-14)


def test_model_without_names(iris, succeed, fail):
    network = cbackprop.Network(4, 3, 2, rng=0)
    network.save("unnamed.safetensors")
    x = iris.drop("species")
    x.write_csv("x.csv")
    succeed("predict unnamed.safetensors x.csv")
    predicted = pl.read_csv("predictions.csv")
    assert predicted.columns == ["class", "p_0", "p_1"]
    assert np.array_equal(predicted["class"].to_numpy(), network.predict(x.to_numpy()))
    message = "iris.csv has 5 columns; unnamed.safetensors has unnamed inputs, so the table must have exactly 4"
    assert fail("predict unnamed.safetensors iris.csv") == message


def test_no_partial_file_after_a_bad_row(iris, model, fail):
    lines = Path("iris.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([lines[0], *lines[1:] * 1000, "1,2,3,wide,setosa", *lines[1:], ""]))
    message = "bad.csv: row 150001, column 'petal width' is 'wide'; a finite number is needed; --missing"
    assert fail("predict model.safetensors bad.csv --output p.csv").startswith(message)
    assert not [*Path().glob("p.csv*"), *Path().glob(".*.partial")]


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 2), ("parquet", 65_536)])
def test_bad_rows_have_no_prediction(iris, model, succeed, fail, kind, block_rows):
    succeed("predict model.safetensors iris.csv --output whole.parquet")
    whole = pl.read_parquet("whole.parquet")[:7]
    good = np.array([False, True, True, False, False, False, True])
    lines = Path("iris.csv").read_text().splitlines()[:8]
    lines[1], lines[4:7] = "1,2,3", ["1,2,3,4,5,6", "", "1,2,wide,4,setosa"]
    Path("bad.csv").write_text("\n".join([*lines, ""]))
    out = succeed(f"predict model.safetensors bad.csv --on-bad-row skip --output p.{kind}")
    problem = "row 1, column 'petal width' has no value"
    assert f"7 rows → p.{kind}; 4 bad rows; the first: {problem}" in out
    found = pl.read_csv("p.csv") if kind == "csv" else pl.read_parquet("p.parquet")
    assert found["class"].filter(pl.Series(good)).equals(whole["class"].filter(pl.Series(good)))
    assert found["class"].is_null().to_list() == (~good).tolist()
    y, y_whole = (frame.drop("class").to_numpy() for frame in (found, whole))
    np.testing.assert_allclose(y[good], y_whole[good], rtol=1e-14)
    assert np.isnan(y).all(axis=1).tolist() == (~good).tolist()
    skip = "--missing mean fills gaps; --on-bad-row skip leaves the predictions of such rows empty"
    assert fail("predict model.safetensors bad.csv") == f"bad.csv: {problem}; {skip}"


@pytest.mark.parametrize("output", ["linear", "logistic"])
def test_bad_rows_of_other_outputs(folder, succeed, output):
    cbackprop.Network(1, 3, 2, output=output).save("model")
    Path("t.csv").write_text("x\n1\nx\n2\n")
    out = succeed("predict model t.csv --on-bad-row skip")
    assert pl.read_csv("predictions.csv")[:, 1].is_nan().to_list() == [False, True, False]
    assert "nan" not in out
