"""Output files: refused before the work if they cannot be written, and never left half-written."""

import builtins
import errno
import os
from pathlib import Path

import polars as pl
import pytest

from cbackprop.command import train


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train iris.csv --target species --output iris.csv", "iris.csv is both the table and --output"),
        ("train iris.csv --target species --checkpoint ./iris.csv", "iris.csv is both the table and --checkpoint"),
        ("train iris.csv --target species --plot link.csv", "link.csv is both the table and --plot"),
        ("train iris.csv --target species --output m --checkpoint m", "m is both --output and --checkpoint"),
        ("train iris.csv --target species --output m --plot ../{}/m", "m is both --output and --plot"),
        ("predict model.safetensors iris.csv --output iris.csv", "iris.csv is both the table and --output"),
        ("predict m.csv iris.csv --output m.csv", "m.csv is both the model and --output"),
    ],
)
def test_one_file_for_two_purposes(iris, fail, line, message):
    os.link("iris.csv", "link.csv")
    before = Path("iris.csv").read_bytes()
    assert message in fail(line.format(Path.cwd().name))
    assert Path("iris.csv").read_bytes() == before


@pytest.mark.parametrize("option", ["--output", "--plot", "--checkpoint"])
def test_unwritable_outputs_are_refused_before_the_work(iris, fail, monkeypatch, option):
    Path("folder.csv").mkdir()
    Path("lost.csv").symlink_to("no/p.csv")
    Path("loop.csv").symlink_to("loop.csv")
    monkeypatch.setattr(train, "Table", None)

    def refused(path, reason):
        for line in (f"train iris.csv --target species {option}", "predict no.safetensors iris.csv --output"):
            message = fail(f"{line} {path}")
            assert path in message
            assert reason in message

    refused("folder.csv", "a folder")
    refused("no/p.csv", "folder")
    refused("lost.csv", "No such file or directory")
    refused("loop.csv", os.strerror(errno.ELOOP))

    def forbid(path, *arguments, do=builtins.open, **keywords):  # root is denied nothing
        if "folder.csv" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return do(path, *arguments, **keywords)

    monkeypatch.setattr(builtins, "open", forbid)
    refused("folder.csv/p.csv", "Permission denied")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train iris.csv --target species --plot p.txt", "--plot is 'p.txt'; the name must end in .eps, "),
        ("train iris.csv --target species --plot p.pgf", "--plot is 'p.pgf'; the name must end in .eps, "),
        ("train iris.csv --target species --plot -", "--plot is -; it must be a file"),
        ("predict no.safetensors iris.csv --output p.txt", "--output is 'p.txt'; the name must end in .csv, "),
    ],
)
def test_unsupported_outputs_are_refused_before_the_work(iris, fail, monkeypatch, line, message):
    monkeypatch.setattr(train, "Table", None)
    assert fail(line).startswith(message)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("predict model.safetensors large.csv --output p.csv", "p.csv"),
        ("predict model.safetensors large.csv --output p.parquet", "p.parquet"),
        ("train iris.csv --target species --epochs 1 --hidden 1 --plot p.png", "p.png"),
    ],
)
def test_full_disk_leaves_the_old_file(iris, fail, succeed, full_disk, line, name):
    succeed("train iris.csv --target species --epochs 1")
    pl.concat([iris] * 100).write_csv("large.csv")
    Path(name).write_text("old")
    with full_disk():
        message = fail(line)
    assert "File too large" in message
    assert "nothing was written" in message
    assert name in message
    assert Path(name).read_text() == "old"
    assert not list(Path().glob("*.partial"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize(
    "line",
    [
        ["--version"],
        ["predict", "model.safetensors", "iris.csv", "--output", "-"],
    ],
)
def test_full_standard_output_is_named(iris, succeed, python, line):
    succeed("train iris.csv --target species --epochs 1")
    code = f"import sys; from cbackprop.command import main; sys.argv[1:] = {line}; main()"
    done = python(code, under=("sh", "-c", 'unset PYTHONUNBUFFERED; exec "$@" > /dev/full', "sh"))
    assert done.returncode == 1
    assert done.stderr.startswith("cbackprop: error: standard output: No space left on device")
    assert done.stderr.count("\n") == 1
