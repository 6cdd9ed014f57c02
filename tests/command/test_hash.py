"""`cbackprop train --hash`: text of any number of values as inputs."""

import csv
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction import FeatureHasher

import cbackprop
from cbackprop.command import tables
from cbackprop.command.inputs import Inputs
from cbackprop.command.options import TrainOptions
from cbackprop.command.tables import Table
from cbackprop.files.model_file import Model, load_model

LINE = "train clicks.{} --target click --hash 10 --learning-rate 0.5 --epochs 3"


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 90), ("parquet", 65_536)])
def test_inputs_are_those_of_feature_hasher(clicks, succeed, monkeypatch, kind, block_rows):
    monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
    out = " ".join(succeed(LINE.format(kind)).split())
    assert "1,024, hashed; numbers: 'price'; text: 'site', 'device'" in out
    assert float(re.search(r"accuracy [\d.]+ ([\d.]+)", out)[1]) > 0.8
    model = load_model("model.safetensors")
    assert (model.w.shape, model.w.dtype, model.w.flags.fnc) == ((32, 1025), np.float32, True)
    assert (model.hash["bits"], model.hash["numbers"], set(model.hash["texts"])) == (10, ["price"], {"site", "device"})
    assert model.mean.shape == model.scale.shape == (1,)

    rows = clicks.drop("click").with_columns((pl.col("price") - model.mean[0]) / model.scale[0]).to_dicts()
    x = FeatureHasher(2**10, dtype=np.float32).transform(rows)
    y = cbackprop.Network.load("model.safetensors").predict_proba(x)
    succeed(f"predict model.safetensors clicks.{kind} --output p.parquet")
    predicted = pl.read_parquet("p.parquet")
    np.testing.assert_allclose(predicted.drop("class").to_numpy(), y, rtol=1e-5)
    out = succeed("info model.safetensors")
    assert "hashed; numbers: 'price'; text: 'site', 'device'" in out
    assert re.search(rf"price +{model.mean[0]:.6g} +{model.scale[0]:.6g}", out)


def test_hashed_rows_equal_those_of_feature_hasher(folder):
    """Names that collide, a number of 0, empty and repeated text; values bit by bit."""
    Path("t.csv").write_text("a,b,c,d\n1.5,x,0,\n-2,y=z,3,é\n1e-3,x,0,é\n7,,-1,x\n")
    with open("t.csv", newline="", encoding="utf-8") as file:
        rows = [row | {"a": float(row["a"]), "c": float(row["c"])} for row in csv.DictReader(file)]
    for bits in (1, 2, 20):
        table = Table(TrainOptions(data=Path("t.csv")))
        assert table.texts == ["b", "d"]
        hashed = {"bits": bits, "numbers": ["a", "c"], "texts": ["b", "d"]}
        inputs = Inputs(table, Model(np.zeros((1, 2**bits + 1)), np.zeros((2, 2)), 0.1, hash=hashed), "model")
        ((rows_of_table, _),) = table.blocks(inputs.columns)
        wanted = FeatureHasher(2**bits, dtype=np.float32).transform(rows)
        assert (inputs.encode(rows_of_table) != wanted).nnz == 0


def test_which_columns_are_text(folder):
    Path("t.csv").write_text("flag,number,gaps,hex,empty,word\ntrue,1,NA,12,,a\nFalse,-1e3,,1f,,\n,nan,4,3,,b\n")
    assert Table(TrainOptions(data=Path("t.csv"))).texts == ["hex", "empty", "word"]


def test_numbers_as_categories(clicks, succeed):
    succeed(f"{LINE.format('csv')} --categories price --ignore device")
    model = load_model("model.safetensors")
    assert model.hash == {"bits": 10, "numbers": [], "texts": ["site", "price"]}
    assert model.mean is model.scale is None
    assert "scaling  none" in re.sub(" +", "  ", succeed("info model.safetensors"))


def test_bad_rows_of_hashed_columns(clicks, succeed, fail):
    rows = Path("clicks.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([*rows[:201], "s1,cheap,tv,yes", *rows[201:], ""]))
    line = LINE.format("csv").replace("clicks", "bad")
    assert fail(line).startswith("bad.csv: row 201, column 'price' is 'cheap'; a finite number is needed; --categories")
    assert "1 bad rows" in succeed(f"{line} --on-bad-row skip")
    succeed("predict model.safetensors bad.csv --on-bad-row skip --output p.parquet")
    assert pl.read_parquet("p.parquet")["class"].is_null().arg_true().to_list() == [200]
    Path("bad.csv").write_text("site,price\na,1\n")
    assert "no column 'device'" in fail("predict model.safetensors bad.csv")


def test_numbers_beyond_float32(folder, fail):
    Path("t.csv").write_text("a,y\n1,no\n1e300,yes\n2,no\n")
    message = "t.csv: column 'a' has values too large to standardize; rescale it"
    assert fail("train t.csv --target y --hash 4 --no-standardize --validation 0") == message


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_long_texts_are_hashed(folder, succeed, kind):
    """Texts of more than 1,000 bytes, which labels must not have."""
    t = np.arange(30) % 2
    table = {"note": np.where(t, "幅" * 2000, "short"), "t": t}
    pl.DataFrame(table).write_csv("t.csv")
    pl.DataFrame(table).write_parquet("t.parquet")
    succeed(f"train t.{kind} --target t --hash 8 --epochs 1 --validation 0")
    succeed(f"predict model.safetensors t.{kind} --output p.csv")
    assert pl.read_csv("p.csv")["class"].to_list() == t.tolist()
