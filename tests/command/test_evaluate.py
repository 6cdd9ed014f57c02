"""`cbackprop evaluate`: measures of the predictions for a table whose targets are known."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

import cbackprop
from cbackprop.command import evaluate
from cbackprop.files.model_file import load_model


@pytest.mark.parametrize("block_rows", [64, 65_536])
@pytest.mark.parametrize(("table", "target"), [("clicks", "click"), ("iris", "species")])
def test_classes(request, succeed, table, target, block_rows):
    """Measures are those that scikit-learn makes of the file of predictions."""
    true = request.getfixturevalue(table)[target].to_numpy()
    line = f"{table}.parquet --target {target} --epochs 2" + " --hash 10" * (table == "clicks")
    out = succeed(f"train {line} --validation 0")
    succeed(f"predict model.safetensors {table}.parquet")
    predicted = pl.read_csv("predictions.csv")
    classes, y = load_model("model.safetensors").classes, predicted.drop("class").to_numpy()
    wanted = {"log_loss": -np.log(y[np.arange(len(y)), np.searchsorted(classes, true)]).mean()}
    wanted |= {"accuracy": (predicted["class"].to_numpy() == true).mean()}
    shares = np.unique(true, return_counts=True)[1] / len(true)
    base = {"log_loss": -(shares * np.log(shares)).sum(), "accuracy": shares.max()}
    if len(classes) == 2:
        wanted["auc"], base["auc"] = metrics.roc_auc_score(true == classes[1], y[:, 1]), 0.5
    found = json.loads(succeed(f"evaluate model.safetensors {table}.parquet --json"))
    assert found.pop("base_rate") == pytest.approx(base, rel=1e-12)
    confusion = metrics.confusion_matrix(true, predicted["class"].to_numpy(), labels=classes)
    assert found.pop("confusion") == confusion.tolist()
    assert (found.pop("classes"), found.pop("rows"), found.pop("skipped")) == (classes, len(true), 0)
    assert found == pytest.approx(wanted, rel=1e-12)

    # the summary of the training has the same lines
    shown = succeed(f"evaluate model.safetensors {table}.parquet")
    rows = [f"  {evaluate.NAMES[name]} {found[name]:.4g} {base[name]:.4g}" for name in found]
    for text in (out, shown):
        assert [" ".join(row.split()) in " ".join(text.split()) for row in rows] == [True] * len(rows)
    assert " ".join([classes[0], *(f"{n}" if n else "·" for n in confusion[0])]) in " ".join(shown.split())


def test_numbers(houses, succeed):
    succeed("train houses.csv --target price --epochs 5 --validation 0.5")
    succeed("predict model.safetensors houses.csv")
    true, y = houses["price"].to_numpy(), pl.read_csv("predictions.csv")["price"].to_numpy()
    found = json.loads(succeed("evaluate model.safetensors houses.csv --json"))
    for measured, values in ((found, y), (found["mean"], np.full(300, true.mean()))):
        wanted = metrics.r2_score(true, values), metrics.root_mean_squared_error(true, values)
        wanted = [*wanted, metrics.mean_absolute_error(true, values)]
        assert [measured["r2"], measured["rmse"], measured["mae"]] == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert f"MAE {found['mae']:.4g} {found['mean']['mae']:.4g}" in " ".join(
        succeed("evaluate model.safetensors houses.csv").split()
    )
    houses.head(1).write_csv("one.csv")
    found = json.loads(succeed("evaluate model.safetensors one.csv --json"))
    assert found["r2"] is found["mean"]["r2"] is None


def test_sparse_rows(rows, succeed):
    succeed("train t.svm --epochs 2 --validation 0")
    succeed("predict model.safetensors t.svm")
    found = json.loads(succeed("evaluate model.safetensors t.svm --json"))
    assert found["accuracy"] == (pl.read_csv("predictions.csv")["class"].to_numpy() == rows[1]).mean()


def test_bad_rows(iris, succeed, fail):
    succeed("train iris.csv --target species --epochs 1")
    rows = Path("iris.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([*rows[:3], "1,2,3,4,rose", *rows[3:], ""]))
    problem = "row 3, column 'species' is 'rose'; a value that the training has seen is needed"
    assert fail("evaluate model.safetensors bad.csv") == f"bad.csv: {problem}; --on-bad-row skip leaves such rows out"
    shown = " ".join(succeed("evaluate model.safetensors bad.csv --on-bad-row skip").split())
    assert f"150 rows; 1 bad rows; the first: {problem}" in shown
    assert json.loads(succeed("evaluate model.safetensors bad.csv --on-bad-row skip --json"))["skipped"] == 1
    Path("bad.csv").write_text("\n".join(rows[:1]))
    assert fail("evaluate model.safetensors bad.csv") == "bad.csv: there are no rows; at least one is needed"


def test_models_without_a_target(iris, succeed, fail):
    network = cbackprop.Network(4, 3, 3, rng=0)
    network.save("unnamed")
    iris.with_columns(species=(pl.col("species").rank("dense") - 1).cast(int)).write_csv("t.csv")
    assert "unnamed does not tell it; it must be one of the columns 'sepal length'" in fail("evaluate unnamed t.csv", 2)
    y = network.predict(iris.drop("species").to_numpy())
    found = json.loads(succeed("evaluate unnamed t.csv --target species --json"))
    assert found["accuracy"] == (y == pl.read_csv("t.csv")["species"].to_numpy()).mean()
    Path("t.csv").write_text("x,t\n1,0\n2,1\n")
    cbackprop.Network(1, 3, 2, output="logistic").save("labels")
    assert fail("evaluate labels t.csv --target t").startswith("the model has 2 logistic outputs; only softmax")


def test_samples_are_random_and_bounded(monkeypatch):
    monkeypatch.setattr(evaluate, "BLOCK_VALUES", 400)
    sample = evaluate.Sample()
    for start in range(0, 10_000, 50):
        sample.add(np.arange(start, start + 50), -np.arange(start, start + 50))
    assert 60 < len(sample.rows) <= 200  # at least a quarter of the limit, but for chance
    assert (sample.rows[:, 0] == -sample.rows[:, 1]).all()
    assert abs(sample.rows[:, 0].mean() - 5000) < 1500  # five standard errors


def test_area_under_the_curve_of_equal_scores():
    measures = evaluate.ClassMeasures(["a", "b"])
    measures.update(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([1, 1]))
    assert np.isnan(measures.results()[0]["auc"])  # without pairs of both classes
    measures.update(np.array([[0.5, 0.5]]), np.array([0]))
    assert measures.results()[0]["auc"] == 0.75
