"""`cbackprop train --categories`: columns of text as inputs."""

import numpy as np
import polars as pl
import pytest

import cbackprop
from cbackprop.command import dataset, tables
from cbackprop.files.model_file import load_model

LINE = "train shops.{} --target sales --categories open --categories city"


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 70), ("parquet", 65_536)])
def test_indicators_of_categories(shops, succeed, monkeypatch, kind, block_rows):
    monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
    out = succeed(LINE.format(kind) + " --learning-rate 0.03")
    assert "6: 'area', 'open=0', 'open=1', 'city=Bonn', 'city=Oslo', 'city=Rome'" in out
    model = load_model("model.safetensors")
    assert model.categories == {"open": ["0", "1"], "city": ["Bonn", "Oslo", "Rome"]}
    assert (model.mean[1:].any(), model.scale[1:].tolist()) == (False, [1] * 5)
    succeed(f"predict model.safetensors shops.{kind} --output p.parquet")
    predicted = pl.read_parquet("p.parquet")["sales"].to_numpy()
    columns = [(shops["area"] - model.mean[0]) / model.scale[0]]
    columns += [
        (shops[name].cast(pl.String) == level).cast(float)
        for name, levels in model.categories.items()
        for level in levels
    ]
    y = cbackprop.Network.load("model.safetensors").predict(np.column_stack(columns))
    np.testing.assert_allclose(predicted, y * model.target_scale + model.target_mean, rtol=1e-12)
    assert np.corrcoef(predicted, shops["sales"])[0, 1] > 0.99
    assert "'open': '0', '1'; 'city': 'Bonn', 'Oslo', 'Rome'" in succeed("info model.safetensors")


def test_categories_alone(shops, succeed):
    succeed(LINE.format("csv") + " --ignore area --epochs 1")
    assert load_model("model.safetensors").w.shape == (32, 6)
    succeed("predict model.safetensors shops.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_unknown_and_missing_categories(shops, succeed, fail, kind):
    succeed(LINE.format("csv") + " --epochs 1")
    succeed("predict model.safetensors shops.csv")
    known = pl.read_csv("predictions.csv")
    cities = ["Rome", "Lima", "Oslo"]
    other = shops.head(3).with_columns(city=pl.Series(cities))
    (other.write_csv if kind == "csv" else other.write_parquet)(f"t.{kind}")
    problem = f"t.{kind}: row 2, column 'city' is 'Lima'; a value that the training has seen is needed"
    skip = "--missing mean fills gaps; --on-bad-row skip leaves the predictions of such rows empty"
    assert fail(f"predict model.safetensors t.{kind}") == f"{problem}; {skip}"
    out = succeed(f"predict model.safetensors t.{kind} --on-bad-row skip")
    assert f"1 bad rows; the first: {problem[len(f't.{kind}: ') :]}" in " ".join(out.split())
    assert len(known) == 300
    assert pl.read_csv("predictions.csv")["sales"].is_nan().to_list() == [False, True, False]
    other = shops.with_columns(city=pl.when(pl.int_range(pl.len()) != 4).then("city"))
    (other.write_csv if kind == "csv" else other.write_parquet)(f"shops.{kind}")
    assert fail(LINE.format(kind)).startswith(f"shops.{kind}: row 5, column 'city' has no value; --on-bad-row skip")
    out = succeed(LINE.format(kind) + " --epochs 1 --on-bad-row skip")
    assert "1 bad rows" in out


def test_too_many_categories(shops, fail, monkeypatch):
    monkeypatch.setattr(dataset, "MAX_LEVELS", 2)
    message = "shops.csv: column 'city' has more than 2 different categories"
    message += "; --hash 18 learns any number of them, --ignore leaves the column out"
    assert fail(LINE.format("csv")) == message


def test_chunks_of_many_indicators_are_small(shops, succeed, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_VALUES", 600)
    sizes = []
    fit = cbackprop.Network.fit

    def measured(network, x, *arguments, **keywords):
        sizes.append(len(x))
        return fit(network, x, *arguments, **keywords)

    monkeypatch.setattr(cbackprop.Network, "fit", measured)
    succeed(LINE.format("csv") + " --epochs 1 --validation 0")
    assert sizes == [84, 84, 84, 48]  # even, and at most 600 values of 6 inputs and a target


@pytest.mark.parametrize("column", ["sales", "area"])
def test_categories_are_inputs(shops, fail, column):
    message = f"--categories is '{column}', which is the target, the weight or ignored; it must be an input"
    assert fail(f"{LINE.format('csv')} --ignore area --categories {column}") == message
    assert "no column 'town'" in fail("train shops.csv --target sales --categories town")
