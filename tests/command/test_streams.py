"""Tables that are compressed, piped, or separated otherwise; lines of any length, refused before they take memory."""

import gzip
import os
import subprocess
import sys
import threading
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cbackprop
from cbackprop.command import tables
from cbackprop.command.tables import check_lines
from cbackprop.files.model_file import load_model

TRAIN = "--target species --epochs 2"


@pytest.fixture
def model(iris, succeed):
    """What a training on the plain CSV file gives."""
    succeed(f"train iris.csv {TRAIN} --output plain")
    succeed("predict plain iris.csv --output plain.csv")
    return iris


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


def test_tables_without_header(model, succeed):
    model.write_csv("t.csv", include_header=False)
    succeed("train t.csv --no-header --target column5 --epochs 2")
    assert load_model("model.safetensors").features == ["column1", "column2", "column3", "column4"]
    assert load_model("model.safetensors").w.tobytes() == load_model("plain").w.tobytes()
    succeed("predict model.safetensors t.csv --no-header")
    assert Path("predictions.csv").read_bytes() == Path("plain.csv").read_bytes()


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


LIMIT = 2000  # bytes of a line, in these tests
LONG = "7" * LIMIT  # a separator makes it too long
OPTIONS = f"--max-line {LIMIT} --validation 0 --epochs 1"
MESSAGE = "a line has more than 2,000 bytes; --max-line raises the limit"


def write(name, lines):
    """Write lines to a file, compressed as its name tells."""
    if name.endswith("zst"):
        frame = pl.LazyFrame({"line": lines})
        frame.sink_csv(name, include_header=False, quote_style="never", compression="zstd", check_extension=False)
    else:
        content = "\n".join([*lines, ""]).encode()
        Path(name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)


@pytest.mark.parametrize(
    ("name", "lines", "options"),
    [
        ("t.csv", ["a,y", "1,2", f"{LONG},", "4,0"], "--target y"),
        ("t.csv.gz", ["a,y", "1,2", f"{LONG},", "4,0"], "--target y"),
        ("t.tsv.zst", ["a,y", "1,2", f"{LONG},", "4,0"], "--target y --separator ,"),
        ("t.csv", [f"a,{LONG}", "1,2"], "--target y"),
        ("t.svm", ["1 1:2", f"1 {LONG}", "0 1:1"], ""),
        ("t.svm.gz", ["1 1:2", f"1 {LONG}", "0 1:1"], ""),
        ("t.svm.zst", ["1 1:2", f"1 {LONG}", "0 1:1"], ""),
    ],
)
def test_long_lines_are_refused(folder, fail, pipe, name, lines, options):
    write(name, lines)
    assert fail(f"train {name} {options} {OPTIONS}") == f"{name}: {MESSAGE}"
    kind = "--format svmlight" if "svm" in name else "--format csv"
    pipe(Path(name).read_bytes())
    assert fail(f"train - {options} {OPTIONS} {kind}") == f"standard input: {MESSAGE}"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zst"])
def test_lines_as_long_as_the_limit(folder, succeed, name):
    write(name, ["a,note,y", f"1,{LONG[:-4]},0", f"2,{LONG[:-4]},1"])
    succeed(f"train {name} --target y --ignore note {OPTIONS}")


@pytest.mark.parametrize("size", [1, 2, 5])
def test_lines_across_parts(folder, monkeypatch, size):
    monkeypatch.setattr(tables, "PART", size)
    for seed in range(100):
        content = np.random.default_rng(seed).choice(list(b"ab\n"), 30, p=[0.4, 0.4, 0.2]).astype("u1").tobytes()
        Path("t.csv").write_bytes(content)
        longest = max(map(len, content.split(b"\n")))
        for limit in range(2, 15):
            with pytest.raises(ValueError, match="a line has more than") if longest > limit else nullcontext():
                check_lines(Path("t.csv"), limit)


def test_long_lines_take_no_memory(folder):
    limit = 2**20
    Path("t.csv.gz").write_bytes(gzip.compress(b"a,y\n" + bytes(2**27)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="a line has more than 1,048,576 bytes"):
        check_lines(Path("t.csv.gz"), limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * limit  # one line of at most the limit, and its copies in buffers


def test_zlib_is_refused(folder, fail):
    for level in range(1, 10):
        Path("t.csv").write_bytes(zlib.compress(b"a,y\n1,2\n3,4\n", level))
        message = "t.csv: it is compressed by zlib; gzip or Zstandard is needed"
        assert fail("train t.csv --target y") == message


def test_quoted_cells_in_messages_are_short(folder, fail):
    Path("t.csv").write_text('a,y\n"' + "7" * 10_000)
    message = fail("train t.csv --target y")
    assert message.startswith("t.csv: could not parse")
    assert len(message) < 600


def test_streams_that_cannot_be_copied(folder, fail, pipe, full_disk):
    pipe(b"a,y\n" + b"1,2\n" * 10_000)
    with full_disk():
        message = fail("train - --target y")
    assert message.startswith("standard input cannot be copied to ")
    assert message.endswith(": File too large; the environment variable TMPDIR names another folder")
