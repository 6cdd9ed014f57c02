"""`train --categories`, and `--missing mean`: gaps in numbers are the mean, unknown categories none; `--base`."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cbackprop
from cbackprop import Network
from cbackprop.command import dataset, tables
from cbackprop.files.model_file import load_model

LINE = "train shops.{} --target sales --categories open --categories city"


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 70), ("parquet", 65_536)])
def test_indicators_of_categories(shops, succeed, kind, block_rows):
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


GAPS = "train gaps.{} --target sales --categories city --epochs 2 --validation 0"


@pytest.fixture
def gaps(shops):
    """The shops without some of the numbers and categories, as a data frame and as files."""
    row = pl.int_range(pl.len())
    frame = shops.with_columns(area=pl.when(row % 7 != 3).then("area"), city=pl.when(row % 11 != 3).then("city"))
    frame.write_csv("gaps.csv", null_value="NA")
    frame.with_columns(pl.col("area").fill_null(np.nan)).write_parquet("gaps.parquet")
    return frame


@pytest.mark.parametrize(("kind", "n_rows"), [("csv", 65_536), ("parquet", 100)])
def test_gaps(gaps, succeed, fail, monkeypatch, kind, n_rows):
    message = f"gaps.{kind}: row 4, column "
    if kind == "csv":
        gaps.write_csv("gaps.csv")  # NA is no gap among categories
    assert fail(GAPS.format(kind)).startswith(message)
    assert "--missing mean fills gaps" in fail(GAPS.format(kind).replace(" --categories city", " --ignore city"))
    succeed(GAPS.format(kind) + " --missing mean")
    model = load_model("model.safetensors")
    area = gaps["area"].to_numpy()
    assert model.categories == {"city": ["Bonn", "Oslo", "Rome"]}
    assert model.mean[1] == pytest.approx(np.nanmean(area), rel=1e-12)
    # a gap is a row at the mean
    assert model.scale[1] == pytest.approx(np.sqrt(np.nansum((area - np.nanmean(area)) ** 2) / 300), rel=1e-12)

    monkeypatch.setattr(tables, "BLOCK_ROWS", n_rows)
    out = succeed(f"predict model.safetensors gaps.{kind} --missing mean")
    assert f"{gaps['city'].null_count()} unknown categories, which count as none" in " ".join(out.split())
    columns = [(gaps[name] - model.mean[i]) / model.scale[i] for i, name in enumerate(["open", "area"])]
    columns += [gaps["city"] == level for level in model.categories["city"]]
    x = np.column_stack([column.fill_null(0).cast(float) for column in columns])
    y = cbackprop.Network.load("model.safetensors").predict(x) * model.target_scale + model.target_mean
    np.testing.assert_allclose(pl.read_csv("predictions.csv")["sales"], y, rtol=1e-12)


def test_what_is_no_gap(gaps, succeed, fail):
    succeed(GAPS.format("parquet") + " --missing mean")
    Path("t.csv").write_text("area,open,city,sales\n,1,Lima,3\n1,?,Rome,4\n2,nan,Oslo,5\n")
    out = " ".join(succeed("predict model.safetensors t.csv --missing mean").split())
    assert "3 rows → predictions.csv; 1 unknown categories, which count as none" in out
    shown = " ".join(succeed("evaluate model.safetensors t.csv --missing mean").split())
    assert "3 rows; 1 unknown categories, which count as none" in shown
    Path("t.csv").write_text("area,open,city\n1,wide,Rome\n")
    message = "t.csv: row 1, column 'open' is 'wide'; a finite number is needed"
    assert fail("predict model.safetensors t.csv --missing mean").startswith(message)
    Path("t.csv").write_text("area,open,city,sales\n1,1,Rome,NA\n1,1,Rome,1.5\n1,2,Bonn,3\n")
    problem = fail("train t.csv --target sales --task regression --missing mean --categories city")
    assert problem.startswith("t.csv: row 1, column 'sales' is 'NA'; a finite number is needed")
    message = "model.safetensors does not hold the means of its inputs, which --missing mean needs"
    assert fail(GAPS.format("csv") + " --missing mean --no-standardize") == message


def test_gaps_among_hashed_columns(gaps, succeed):
    gaps.with_columns(area=pl.col("area").fill_null(strategy="mean")).write_parquet("filled.parquet")
    for table, option in (("gaps", "--missing mean"), ("filled", "")):
        line = f"{table}.parquet --target sales --hash 8 --epochs 2 --validation 0 --output {table}"
        succeed(f"train {line} {option}")
    found, wanted = load_model("gaps"), load_model("filled")
    np.testing.assert_allclose(found.w, wanted.w, rtol=1e-4, atol=1e-6)  # means differ by rounding, in float32


def test_base(rows, succeed, fail):
    x, _ = rows
    succeed("train t.svm --epochs 1")
    assert load_model("model.safetensors").w.shape == (32, 14)
    succeed("train t.svm --epochs 1 --base 1 --validation 0")
    assert load_model("model.safetensors").w.shape == (32, 13)
    succeed("predict model.safetensors t.svm --base 1")
    y = cbackprop.Network.load("model.safetensors").predict_proba(x)
    np.testing.assert_allclose(pl.read_csv("predictions.csv")["p_1"], y[:, 1], rtol=1e-4)
    Path("t.svm").write_text("1 0:1\n0 1:1\n")
    message = (
        "t.svm: row 1, column 'pairs' is '0:1'; a list of index:value, of finite numbers and with ascending indices"
    )
    assert fail("train t.svm --base 1").startswith(f"{message} in 1..16,777,216 is needed")


def test_a_network_that_standardizes_by_itself(folder, succeed, fail):
    """Its file, saved from Python, holds no means: it takes rows as they are, and gaps if it was made for them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2)) * [500, 1] + [101325, 0]
    for missing in ("error", "mean"):
        network = Network(2, 3, 1, output="linear", standardize=True, missing=missing, rng=0)
        network.fit(x, 10 * x[:, 1], rng=0)
        network.save("model")
        Path("x.csv").write_text("a,b\n101000,1\n101500,-2\n")
        succeed("predict model x.csv --output p.csv")
        found = np.loadtxt("p.csv", delimiter=",", skiprows=1)
        np.testing.assert_allclose(found, network.predict([[101000, 1], [101500, -2]]), rtol=1e-6)
        out = succeed("info model")
        assert len(re.findall("by running means and variances", out)) == 2
        assert json.loads(succeed("info model --json"))["standardize"]["missing"] == missing
        Path("x.csv").write_text("a,b\n101000,\n")
        if missing == "error":
            assert "does not hold the means" in fail("predict model x.csv --missing mean")
    succeed("predict model x.csv --missing mean --output p.csv")
    found = np.loadtxt("p.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(found, network.predict([[101000, None]]), rtol=1e-6)
