"""Tables that are compressed, piped, or separated otherwise."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

import cbackprop
from cbackprop.files.model_file import load_model

TRAIN = "--target species --epochs 2"


@pytest.fixture
def model(iris, succeed):
    """What a training on the plain CSV file gives."""
    succeed(f"train iris.csv {TRAIN} --output plain")
    succeed("predict plain iris.csv --output plain.csv")
    return iris


@pytest.fixture
def pipe(monkeypatch):
    """Make bytes the standard input."""

    def set_input(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return set_input


def assert_same(content):
    assert content("model.safetensors") == content("plain")
    assert Path("predictions.csv").read_bytes() == Path("plain.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "option", "settings"),
    [
        ("t.csv", "", {}),
        ("t.csv.gz", "", {"compression": "gzip"}),
        ("t.csv.zst", "", {"compression": "zstd"}),
        ("T.CSV.GZ", "", {"compression": "gzip"}),
        ("t.tsv", "", {"separator": "\t"}),
        ("t.tsv.gz", "", {"separator": "\t", "compression": "gzip"}),
        ("t.csv", "--separator ';'", {"separator": ";"}),
        ("t.csv", "--separator tab", {"separator": "\t"}),
        ("t.csv", "--separator '\\t'", {"separator": "\t"}),
        ("t.csv", "--separator ' '", {"separator": " "}),
        ("t.parquet", "", None),
    ],
)
def test_kinds_of_tables(model, succeed, content, pipe, name, option, settings):
    piped = not name.isupper() and not option
    if settings is None:
        model.write_parquet(name)
    else:
        model.lazy().sink_csv(name, quote_style="always", check_extension=False, **settings)
    for table in [name, f"- --format {name[2:5]}" if "tsv" in name else "-"][: 1 + piped]:
        for line in (f"train {table} {TRAIN} {option}", f"predict model.safetensors {table} {option}"):
            pipe(Path(name).read_bytes())
            succeed(line)
        assert_same(content)


def test_what_cannot_separate(iris, fail):
    assert fail(f"train iris.csv {TRAIN} --separator ab").startswith("iris.csv: ")


def test_tables_without_header(model, succeed):
    model.write_csv("t.csv", include_header=False)
    succeed("train t.csv --no-header --target column5 --epochs 2")
    assert load_model("model.safetensors").features == ["column1", "column2", "column3", "column4"]
    assert load_model("model.safetensors").w.tobytes() == load_model("plain").w.tobytes()
    succeed("predict model.safetensors t.csv --no-header")
    assert Path("predictions.csv").read_bytes() == Path("plain.csv").read_bytes()


@pytest.mark.parametrize("option", ["--separator ';'", "--no-header"])
def test_options_of_csv_files_only(iris, fail, option):
    message = "iris.parquet is no CSV file; --separator and --no-header are for those only"
    assert fail(f"train iris.parquet {TRAIN} {option}") == message


def test_errors_name_standard_input(iris, fail, pipe, monkeypatch):
    pipe(b"a,b,species\n1,x,s\n")
    assert fail(f"train - {TRAIN}").startswith("standard input: row 1, column 'b' is 'x'")
    pipe(b"")
    assert fail(f"train - {TRAIN}") == "standard input: empty CSV"
    monkeypatch.setattr(sys, "stdin", None)
    assert fail(f"train - {TRAIN}") == "standard input is closed"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_named_pipes(model, succeed, content):
    for line in (f"train pipe {TRAIN}", "predict model.safetensors pipe"):
        os.mkfifo("pipe")
        writer = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("iris.csv").read_bytes()))
        writer.start()
        succeed(line)
        writer.join()
        Path("pipe").unlink()
    assert_same(content)


def test_outputs_on_standard_output(model, python):
    run = "import sys; from cbackprop.command import main; sys.argv[1:] = {}; main()"
    done = python(run.format(["predict", "plain", "iris.csv", "--output", "-"]))
    assert (done.returncode, done.stdout) == (0, Path("plain.csv").read_text())
    assert "150 rows → standard output\n" in done.stderr
    line = ["train", "iris.csv", "--target", "species", "--output", "-"]
    done = python(run.format(line), under=("sh", "-c", 'exec "$@" >m', "sh"))
    assert done.returncode == 0
    assert "accuracy" in done.stderr
    load_model("m")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_reader_that_has_seen_enough(iris, succeed):
    succeed(f"train iris.csv {TRAIN}")
    iris.sample(20_000, with_replacement=True, seed=0).write_csv("large.csv")
    process = subprocess.Popen(
        [sys.executable, "-m", "cbackprop", "predict", "model.safetensors", "large.csv", "--output", "-"],
        env=os.environ | {"PYTHONPATH": str(Path(cbackprop.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"class,p_setosa,p_versicolor,p_virginica\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("kind", ["csv.gz", "tsv.zst"])
def test_compressed_predictions(model, succeed, kind):
    succeed(f"predict plain iris.csv --output p.{kind}")
    assert pl.read_csv(f"p.{kind}", separator="\t" if "tsv" in kind else ",").equals(pl.read_csv("plain.csv"))


@pytest.mark.parametrize("kind", ["csv.gz", "csv.zst", "svm.gz"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + bytes(8) + content[len(content) // 2 + 8 :],
        lambda content: content + b"garbage",
    ],
)
def test_damaged_compression(iris, fail, kind, damage):
    name, compression = f"t.{kind}", {"csv.gz": "gzip", "csv.zst": "zstd", "svm.gz": "gzip"}[kind]
    rows = pl.concat([iris] * 20)  # more than is read at once
    if kind == "svm.gz":
        rows = rows.select(pl.format("1 1:{} 2:{}", "sepal length", "petal width"))
    rows.lazy().sink_csv(name, compression=compression, include_header=kind != "svm.gz", check_extension=False)
    Path(name).write_bytes(damage(Path(name).read_bytes()))
    assert fail(f"train {name}" + (kind != "svm.gz") * f" {TRAIN}").startswith(f"{name}: ")
