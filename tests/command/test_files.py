"""Lines of any length in tables of text: refused before they take memory."""

import gzip
import io
import sys
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cbackprop.command import tables
from cbackprop.command.tables import check_lines

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
def test_long_lines_are_refused(folder, fail, monkeypatch, name, lines, options):
    write(name, lines)
    assert fail(f"train {name} {options} {OPTIONS}") == f"{name}: {MESSAGE}"
    kind = "--format svmlight" if "svm" in name else "--format csv"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(name).read_bytes())))
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


def test_streams_that_cannot_be_copied(folder, fail, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,y\n" + b"1,2\n" * 10_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        message = fail("train - --target y")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert message.startswith("standard input cannot be copied to ")
    assert message.endswith(": File too large; the environment variable TMPDIR names another folder")
