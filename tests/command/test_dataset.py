"""The first pass over a table: classes, scaling, and split, whatever the chunks."""

import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cbackprop.command import tables
from cbackprop.files.model_file import load_model


def test_chunk_size_changes_neither_split_nor_scaling(iris, first_pass, monkeypatch):
    def held_out(dataset):
        return np.vstack([x for _, (x, *_) in dataset.splits()])

    whole = first_pass("iris.csv", target="species", seed=3, validation=0.25)
    monkeypatch.setattr(tables, "BLOCK_ROWS", 48)
    parts = first_pass("iris.csv", target="species", seed=3, validation=0.25)
    assert len(list(parts.splits())) == 4
    assert (parts.n_training, parts.n_held_out, parts.classes) == (whole.n_training, whole.n_held_out, whole.classes)
    # merged moments differ from those of a single chunk by rounding
    for found, wanted in zip(parts.inputs.scaling, whole.inputs.scaling, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    np.testing.assert_allclose(held_out(parts), held_out(whole), rtol=1e-11, atol=1e-12)


def test_fingerprint_is_that_of_the_whole_file(folder, first_pass):
    Path("t.csv").write_text("x,note,t\n1," + "a" * 3 * 2**20 + ",0\n2,b,1\n")
    dataset = first_pass("t.csv", target="t", ignore=["note"], validation=0)
    assert dataset.fingerprint() == f"2 rows with checksum {zlib.crc32(Path('t.csv').read_bytes()):08x}"


@pytest.mark.parametrize(
    ("labels", "classes"), [([10, 9, -1] * 2, ["-1", "9", "10"]), (["10", "9", "b"] * 2, ["10", "9", "b"])]
)
def test_order_of_classes(folder, first_pass, labels, classes):
    pl.DataFrame({"x": np.arange(6.0), "t": labels}).write_csv("t.csv")
    assert first_pass("t.csv", target="t", validation=0).classes == classes


@pytest.mark.parametrize("block_rows", [50, 1000])
@pytest.mark.parametrize("value", [7, 0.1, 1e200])
def test_constant_columns_have_scale_1_despite_rounding(folder, first_pass, block_rows, value):
    pl.DataFrame({"same": [value] * 1000, "tiny": [1e-300, 2e-300] * 500, "t": [0, 1] * 500}).write_csv("t.csv")
    assert first_pass("t.csv", target="t", validation=0).inputs.scaling[1].tolist() == [1, 1]


@pytest.mark.parametrize("target", ["y", "b"])
@pytest.mark.parametrize("large", ["1e200", "1e308"])  # the squares overflow, or the sum
def test_values_too_large_to_standardize(folder, fail, succeed, large, target):
    Path("t.csv").write_text(f"a,b,y\n1,{large},yes\n2,-{large},no\n1,{large},yes\n3,0.5,yes\n")
    line = f"train t.csv --target {target} {'--ignore y' if target == 'b' else ''} --validation 0 --epochs 1"
    assert fail(line) == "t.csv: column 'b' has values too large to standardize; rescale it"
    assert not Path("model.safetensors").exists()
    if target == "y":
        succeed(f"{line} --no-standardize --learning-rate 1e-300")
        load_model("model.safetensors")


def test_rows_too_large_for_the_scale_of_the_training_rows(folder, fail, succeed):
    x = np.arange(30) % 3 * 1e-10
    table = pl.DataFrame({"b": [1.0] * 30, "a": x, "y": np.arange(30) % 2})
    table.write_csv("t.csv")
    line = "train {}.csv --target y --epochs 1 --validation 0.5"
    succeed(line.format("t"))
    x[(np.random.default_rng([0, 1]).random(30) < 0.5).argmax()] = 1e300  # the first held-out row
    table.with_columns(a=x).write_csv("large.csv")
    for command in (line.format("large"), "predict model.safetensors large.csv"):
        assert fail(command) == "large.csv: column 'a' has values too large to standardize; rescale it"


def test_too_many_classes(folder, fail):
    pl.DataFrame({"x": np.arange(10_001), "y": 1, "name": [f"n{i}" for i in range(10_001)]}).write_csv("t.csv")
    for line in ("--target name", "--target x --ignore name --task classification"):
        assert "has more than 10,000 distinct values; the target must be" in fail(f"train t.csv {line}")
