"""Tables: bad rows, damaged files and file names."""

import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cbackprop.command import tables
from cbackprop.command.dataset import Dataset
from cbackprop.command.options import TrainOptions
from cbackprop.command.tables import Table
from cbackprop.files.model_file import load_model


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("nan,1,2,3,setosa", "column 'sepal length' is 'nan'; a finite number is needed"),
        ("1,-inf,2,3,setosa", "column 'sepal width' is '-inf'; a finite number is needed"),
        ("1,x,2,3,setosa", "column 'sepal width' is 'x'; a finite number is needed"),
        ("1,,2,3,setosa", "column 'sepal width' has no value"),
        ("1,2,3", "column 'petal width' has no value"),
        ("1,2,3,4,setosa,5", "has more fields than there are columns"),
        ("1,2,3,4,setosa,5,6,7", "has more fields than there are columns"),
        ("1,2,3,4,", "column 'species' has no value"),
        ("", "column 'sepal length' has no value"),
    ],
)
def test_bad_rows_raise_or_are_skipped(iris, fail, succeed, monkeypatch, row, problem):
    monkeypatch.setattr(tables, "BLOCK_ROWS", 48)
    lines = Path("iris.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([*lines[:71], row, lines[71], row, *lines[72:100], row, *lines[100:], ""]))
    location = "row 71" if problem.startswith("has") else "row 71,"
    message = fail("train bad.csv --target species")
    assert message.startswith(f"bad.csv: {location} {problem}; ")
    assert message.endswith("--on-bad-row skip leaves such rows out")
    assert not Path("model.safetensors").exists()

    out = succeed("train bad.csv --target species --epochs 2 --on-bad-row skip")
    assert re.search(r"skipped +3 bad rows; the first: row 71", out)
    skipped = load_model("model.safetensors")
    monkeypatch.setattr(tables, "BLOCK_ROWS", 65_536)
    assert "bad rows" not in succeed("train iris.csv --target species --epochs 2")
    whole = load_model("model.safetensors")
    assert skipped.classes == whole.classes
    np.testing.assert_allclose(skipped.mean, whole.mean, rtol=1e-13)  # chunks round differently


@pytest.mark.parametrize(("bad", "ignore"), [('"1,1,n,yes', ""), ('1,1,"n,yes', " --ignore note"), ('1,1,n,yes,"', "")])
def test_rows_after_an_unclosed_quote_are_not_skipped(folder, fail, bad, ignore):
    rows = [f"{i % 7},{i % 5},1,{'yes' if i % 3 else 'no'}" for i in range(140)]
    rows[30] = "1,gap,1,yes"
    Path("t.csv").write_text("\n".join(["a,b,note,y", *rows[:70], bad.replace("n,", "1,"), *rows[70:], ""]))
    message = fail(f"train t.csv --target y --on-bad-row skip{ignore}")
    assert message.startswith(("t.csv: CSV malformed", 't.csv: could not parse `"'))
    assert not Path("model.safetensors").exists()


def test_multiline_text_in_an_ignored_column(folder, succeed):
    Path("t.csv").write_text('a,note,y\n1,"two\nlines",yes\nx,"one",no\n3,"two\nlines",no\n')
    out = succeed("train t.csv --target y --on-bad-row skip --ignore note --validation 0")
    assert "skipped 1 bad rows; the first: row 2, column 'a' is 'x'" in " ".join(out.split())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_long_texts_are_no_labels(folder, fail, kind):
    table = pl.DataFrame({"x": [1, 2, 3], "t": ["a", "b", "幅" * 400]})
    (table.write_csv if kind == "csv" else table.write_parquet)(f"t.{kind}")
    message = "a text of at most 1,000 bytes is needed; --on-bad-row skip leaves such rows out"
    assert fail(f"train t.{kind} --target t --validation 0").endswith(message)


class Name(str):
    """A name that counts how often one is hashed or compared."""

    __slots__ = ()
    uses = 0

    def __hash__(self):
        Name.uses += 1
        return super().__hash__()

    def __eq__(self, other):
        Name.uses += 1
        return super().__eq__(other)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_work_is_linear_in_the_number_of_columns(folder, monkeypatch, kind):
    names = [Name(f"c{i}") for i in range(1000)]
    frame = pl.DataFrame(np.zeros((2, 1000)), schema=names).with_columns(c999=pl.Series(["a", "b"]))
    (frame.write_csv if kind == "csv" else frame.write_parquet)(f"t.{kind}")
    options = TrainOptions(data=Path(f"t.{kind}"), target=names[-1], ignore=names[::2], validation=0)
    table = Table(options)
    table.columns = names
    monkeypatch.setattr(Name, "uses", 0)
    Dataset(table, options)
    assert len(names) <= Name.uses < 20 * len(names)


@pytest.fixture
def bad_files(iris):
    """Files with one fault each."""
    gap = pl.when(pl.int_range(pl.len()) != 4).then("petal length").otherwise(np.nan)
    iris.with_columns(gap.alias("petal length")).write_parquet("nan.parquet")
    iris.with_columns(day=pl.lit("2020-01-01").str.to_date()).write_parquet("date.parquet")
    iris.filter(species="setosa").write_csv("one.csv")
    iris.head(0).write_csv("header.csv")
    iris.select("species").write_csv("target.csv")
    Path("empty.csv").touch()
    Path("quote.csv").write_text('a,species\n"1,x\n2,y\n')
    Path("latin.csv").write_bytes(b"a,species\n1,\xe9\n2,y\n")
    for name in ("junk.parquet", "iris.txt"):
        Path(name).write_text("This is no table.")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no.csv", "No such file or directory"),
        ("iris.txt", "the name of a table must end in .csv, .csv.gz, .csv.zst, .tsv, "),
        ("nan.parquet", "row 5, column 'petal length' is nan; a finite number is needed"),
        ("date.parquet", "row 1, column 'day' is datetime.date(2020, 1, 1); a finite number is needed"),
        ("one.csv", "column 'species' has one class, 'setosa'; 2 are needed"),
        ("header.csv", "there are no training rows"),
        ("target.csv", "no column remains besides the target 'species'"),
        ("empty.csv", "empty CSV"),
        ("quote.csv", 'could not parse `"1,x'),
        ("latin.csv", "invalid utf-8 sequence"),
        ("junk.parquet", ""),
        ("iris.csv --target kind", "no column 'kind'; it has 'sepal length', 'sepal width', "),
        ("iris.csv --ignore kind", "no column 'kind'"),
        ("iris.csv --target 'sepal width'", "row 1, column 'species' is '"),
        ("iris.csv --separator ab", ""),
        ("iris.parquet --separator ';'", "is no CSV file; --separator and --no-header are for those only"),
        ("iris.parquet --no-header", "is no CSV file; --separator and --no-header are for those only"),
    ],
)
def test_bad_files(bad_files, fail, line, message):
    file = line.partition(" ")[0]
    found = fail(f"train --target species {line}").removeprefix(file)
    assert found.lstrip(": ").startswith(message)


def test_a_table_of_bad_rows_only(iris, fail):
    bad = "row 1, column 'species' is 'versicolor'; a finite number is needed"
    message = fail("train iris.csv --target species --task regression --on-bad-row skip")
    assert message.endswith(f"no training rows; at least one is needed; 150 bad rows; the first: {bad}")


def test_panic_of_polars(iris, fail, monkeypatch):
    def panic(*arguments, **keywords):
        raise pl.exceptions.PanicException("assertion failed\nbacktrace")

    monkeypatch.setattr(pl, "scan_parquet", panic)
    assert fail("train iris.parquet --target species") == "iris.parquet: assertion failed"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["~/t.{}", "file:t.{}", "t[1].{}"])
def test_file_names_are_neither_addresses_nor_patterns(iris, succeed, monkeypatch, tmp_path, kind, name):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("~", "home"):
        Path(folder).mkdir()
    path, output = name.format(kind), name.format(f"out.{kind}")
    os.rename(f"iris.{kind}", path)
    succeed(f"train '{path}' --target species --epochs 1")
    succeed(f"predict model.safetensors '{path}' --output '{output}'")
    assert Path(output).exists()
    assert os.listdir("home") == []


def test_booleans_are_numbers(folder, fail, first_pass):
    cells = ["true", "False", "TRUE", "1", "0", " 0.5 ", "true"]
    Path("t.csv").write_text("\n".join(["flag,y", *(f"{cell},{i % 2}" for i, cell in enumerate(cells)), ""]))
    options = {"target": "y", "validation": 0, "standardize": False}
    (((x, *_), _),) = first_pass("t.csv", **options).splits()
    assert x[:, 0].tolist() == [1, 0, 1, 1, 0, 0.5, 1]
    pl.DataFrame({"flag": [True, False], "y": [0, 1]}).write_parquet("t.parquet")
    (((x, *_), _),) = first_pass("t.parquet", **options).splits()
    assert x[:, 0].tolist() == [1, 0]
    Path("t.csv").write_text("flag,y\n" + "true,0\nfalse,1\n" * 150 + "maybe,1\n")
    assert fail("train t.csv --target y").startswith("t.csv: row 301, column 'flag' is 'maybe'; a finite number is ")
