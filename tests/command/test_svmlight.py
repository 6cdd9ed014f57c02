"""Tables in the format of SVMlight and LIBSVM."""

import gzip
import io
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import dump_svmlight_file

import cbackprop
from cbackprop.command import tables
from cbackprop.command.columns import Pairs
from cbackprop.command.options import TrainOptions
from cbackprop.files.model_file import load_model

LINE = "train t.svm --epochs 5 --learning-rate 0.5"


@pytest.mark.parametrize("block_rows", [70, 65_536])
def test_training_and_prediction(rows, succeed, monkeypatch, block_rows):
    monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
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
def test_names_and_compression(rows, succeed, monkeypatch, name):
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
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
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
