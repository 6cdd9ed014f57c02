"""Sparse inputs: tables in the format of SVMlight and LIBSVM, and `train --hash`."""

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction import FeatureHasher

import cbackprop
from cbackprop.command import tables
from cbackprop.command.columns import Pairs
from cbackprop.command.inputs import Inputs
from cbackprop.command.options import TrainOptions
from cbackprop.command.tables import Table
from cbackprop.files.model_file import Model, load_model

LINE = "train t.svm --epochs 5 --learning-rate 0.5"


@pytest.mark.parametrize("block_rows", [70, 65_536])
def test_training_and_prediction(rows, succeed, block_rows):
    x, _ = rows
    out = succeed(LINE)
    assert "classification, 2 classes: '-1', '1'" in out
    assert "13, sparse" in out
    assert float(re.search(r"accuracy +[\d.]+ +([\d.]+)", out)[1]) > 0.8
    model = load_model("model.safetensors")
    assert (model.w.shape, model.w.dtype, model.w.flags.fnc, model.features) == ((32, 14), np.float32, True, None)
    succeed("predict model.safetensors t.svm")
    y = cbackprop.Network.load("model.safetensors").predict_proba(np.hstack([np.zeros((300, 1)), x]))
    predicted = pl.read_csv("predictions.csv")
    np.testing.assert_allclose(predicted["p_1"], y[:, 1], rtol=1e-4)
    assert predicted["class"].to_list() == np.where(y[:, 1] > 0.5, 1, -1).tolist()
    assert "unnamed" in succeed("info model.safetensors")


@pytest.mark.parametrize("name", ["t.svm.gz", "t.libsvm.zst", "T.SVMLIGHT", "t.txt", "-"])
def test_names_and_compression(rows, succeed, pipe, name):
    succeed(f"{LINE} --output plain")
    succeed("predict plain t.svm --output plain.csv")
    content, kind = Path("t.svm").read_bytes(), ""
    if name == "t.txt":
        kind = " --format svmlight"
    if name.endswith("zst"):
        pl.scan_lines("t.svm").sink_csv("t.csv.zst", compression="zstd", include_header=False, quote_style="never")
        Path("t.csv.zst").rename(name)
    elif name != "-":
        Path(name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for line in (LINE.replace("t.svm", name), f"predict model.safetensors {name}"):
        if name == "-":
            kind = " --format svmlight"
            pipe(content)
        succeed(line + kind)
    assert load_model("model.safetensors").w.tobytes() == load_model("plain").w.tobytes()
    assert Path("predictions.csv").read_bytes() == Path("plain.csv").read_bytes()


def test_numbers_as_targets(rows, succeed):
    x, _ = rows
    dump_svmlight_file(x, 100 + 7 * x[:, 0], "t.svm")
    out = succeed("train t.svm --epochs 5")
    assert "regression of 'target'" in out
    assert "12, sparse" in out
    model = load_model("model.safetensors")
    assert model.targets == ["target"]
    assert 100 < model.target_mean[0] < 107
    succeed("predict model.safetensors t.svm")
    assert np.corrcoef(pl.read_csv("predictions.csv")["target"], x[:, 0])[0, 1] > 0.9


NEEDED = "a list of index:value, of finite numbers and with ascending indices in 0.."


@pytest.mark.parametrize(
    "line",
    [
        *("1 3:4 2:1", "1 3:4 3:1", "1 -1:3", "1 99999999999:1", "1 16777216:1", "1 3:nan", "1 3:1e39", "1 3:"),
        *("1 3:4:5", "1 x:1", "1 2", "nan 1:1", "yes 1:1", "1,2 1:1", "1:1"),
    ],
)
def test_bad_lines(folder, fail, line):
    Path("t.svm").write_text(f"# rows\n1 1:2\n\n0 1:3 # a row\n{line}\n1 2:1\n")
    target, _, pairs = line.partition(" ")
    problem = f"row 3, column 'pairs' is {pairs!r}; {NEEDED}16,777,215"
    if target in ("nan", "yes", "1,2", "1:1"):
        problem = f"row 3, column 'target' is {target!r}; a finite number"
    assert fail("train t.svm") == f"t.svm: {problem} is needed; --on-bad-row skip leaves such rows out"


def test_fields_that_are_left_out(folder, first_pass):
    Path("t.svm").write_text("+1 qid:3 1:2 2:4#5\n 0\t1:3  2:5 # 3:1\n1\n0 2:1e-3")
    dataset = first_pass("t.svm", validation=0)
    assert dataset.classes == ["0", "1"]
    (((x, t, _), _),) = dataset.splits()
    assert x.toarray().tolist() == [[0, 2, 4], [0, 3, 5], [0, 0, 0], [0, 0, np.float32(1e-3)]]
    assert t.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("batches", [3, 64])
def test_bad_lines_are_skipped(rows, succeed, monkeypatch, batches):
    monkeypatch.setattr(tables, "BLOCK_ROWS", 150)
    monkeypatch.setattr(tables, "BATCHES", batches)
    lines = Path("t.svm").read_text().splitlines()
    start = sum(line.startswith("#") for line in lines) + 100
    bad = [*lines[:start], "1 16777216:1", "", lines[start], "1 2", *lines[start + 1 :]]
    Path("bad.svm").write_text("\r\n".join(bad))
    out = succeed(LINE.replace("t.svm", "bad.svm") + " --epochs 1 --on-bad-row skip")
    assert "2 bad rows; the first: row 101, column 'pairs' is '16777216:1'" in out
    assert load_model("model.safetensors").w.shape == (32, 14)
    succeed("predict model.safetensors bad.svm --on-bad-row skip --output p.parquet")
    assert pl.read_parquet("p.parquet")["class"].is_null().arg_true().to_list() == [100, 102]


def test_inputs_that_the_model_does_not_know(rows, succeed, fail):
    succeed(f"{LINE} --epochs 1")
    Path("t.svm").write_text("1 12:1\n1 13:1\n")
    message = f"t.svm: row 2, column 'pairs' is '13:1'; {NEEDED}12 is needed"
    message += "; --on-bad-row skip leaves the predictions of such rows empty"
    assert fail("predict model.safetensors t.svm") == message


def test_models_of_columns_need_columns(iris, rows, succeed, fail):
    succeed("train iris.csv --target species --epochs 1")
    message = "model.safetensors has named or scaled inputs; t.svm has neither: give a table with columns"
    assert fail("predict model.safetensors t.svm") == message


def test_long_lines_make_small_chunks(rows, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(tables, "BATCHES", 10_000)
    table = tables.Table(TrainOptions(data=Path("t.svm")))
    sizes = [len(good) for _, good in table.blocks({"pairs": Pairs()})]
    assert sum(sizes) == 300
    assert max(sizes) < 300


def test_files_without_rows(folder, fail):
    Path("t.svm").write_text("# nothing\n\n")
    assert fail("train t.svm") == "t.svm: there are no training rows; at least one is needed"
    Path("t.svm").write_bytes(b"1 1:1\n\xff\n")
    assert "utf" in fail("train t.svm").lower()


HASH = "train clicks.{} --target click --hash 10 --learning-rate 0.5 --epochs 3"


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 90), ("parquet", 65_536)])
def test_hashed_inputs_are_those_of_feature_hasher(clicks, succeed, kind, block_rows):
    out = " ".join(succeed(HASH.format(kind)).split())
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
    succeed(f"{HASH.format('csv')} --categories price --ignore device")
    model = load_model("model.safetensors")
    assert model.hash == {"bits": 10, "numbers": [], "texts": ["site", "price"]}
    assert model.mean is model.scale is None
    assert "scaling  none" in re.sub(" +", "  ", succeed("info model.safetensors"))


def test_bad_rows_of_hashed_columns(clicks, succeed, fail):
    rows = Path("clicks.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([*rows[:201], "s1,cheap,tv,yes", *rows[201:], ""]))
    line = HASH.format("csv").replace("clicks", "bad")
    assert fail(line).startswith("bad.csv: row 201, column 'price' is 'cheap'; a finite number is needed; --categories")
    assert "1 bad rows" in succeed(f"{line} --on-bad-row skip")
    succeed("predict model.safetensors bad.csv --on-bad-row skip --output p.parquet")
    assert pl.read_parquet("p.parquet")["class"].is_null().arg_true().to_list() == [200]
    Path("bad.csv").write_text("site,price\na,1\n")
    assert "no column 'device'" in fail("predict model.safetensors bad.csv")


@pytest.mark.parametrize("block_rows", [1])
def test_a_block_of_bad_rows(folder, succeed, block_rows):
    Path("t.csv").write_text("a,b,y\n1,x,no\n2,x,\n2,y,yes\n3,x,yes\n")
    assert "1 bad rows" in succeed("train t.csv --target y --hash 4 --validation 0 --epochs 1 --on-bad-row skip")


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
