"""The command as a whole: help and its page, usage errors, missing packages, terminals."""

import os
import re
import shlex
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import cbackprop

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command.md"
with_page = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no pages")
CODE = "import sys; from cbackprop.command import main; sys.argv[1:] = {}; main()"


def test_examples_in_help_work(iris, succeed, monkeypatch):
    commands = re.findall(r"^  (\w+)  ", succeed("--help").partition("Commands:")[2], re.MULTILINE)
    assert commands == ["demo", "train", "predict", "evaluate", "export", "info"]
    for command in commands:
        examples = re.findall(r"^ +cbackprop (.+)$", succeed(f"{command} --help"), re.MULTILINE)
        assert len(examples) == {"train": 4, "predict": 3}.get(command, 2)
        for line in examples if command != "demo" else ():
            with open("iris.csv") as stream:
                monkeypatch.setattr(sys, "stdin", stream)
                succeed(line.partition(" <")[0])
    written = {"model.safetensors", "iris.safetensors", "iris.png", "predictions.csv", "predictions.parquet", "iris.h"}
    assert written <= set(os.listdir())


def test_completion(succeed, run, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # tests may run without a shell
    assert "_CBACKPROP_COMPLETE=complete_bash" in succeed("--show-completion bash")
    for name, value in {
        "_CBACKPROP_COMPLETE": "complete_bash",
        "COMP_WORDS": "cbackprop ev",
        "COMP_CWORD": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert run("")[1].split() == ["evaluate"]


SPARSE = "t.svm has no named columns, and its lines begin with the target"
NOT_SPARSE = "--target", "--ignore", "--categories", "--hash", "--weight"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learn", "No such command 'learn'."),
        ("train t.csv", "Invalid value for '--target': it must be one of the columns 'a', 'y'"),
        *((f"train t.svm {option} 9", f"Invalid value for '{option}': {SPARSE}") for option in NOT_SPARSE),
        ("train t.csv --target y --hash 25", "Invalid value for '--hash': … 24"),
        ("train iris.csv --target species --epochs 0", "Invalid value for '--epochs': "),
        ("train iris.csv --target species --depth 3", "No such option … --depth"),
        ("train iris.csv --target species --resume", "Invalid value for '--resume': it requires --checkpoint"),
        ("train iris.csv --target species --on-bad-row ask", "Invalid value for '--on-bad-row': "),
    ],
)
def test_usage_errors_have_status_2(folder, fail, line, message):
    Path("t.csv").write_text("a,y\n1,2\n")
    Path("t.svm").write_text("1 1:2\n")
    found = fail(line, status=2)
    assert [part for part in message.split(" … ") if part not in found] == []  # versions of Typer differ in between


@pytest.mark.parametrize(
    ("package", "line", "extra"),
    [
        ("typer", "info", "cli"),
        ("rich", "info", "cli"),
        ("polars", "train iris.csv --target species", "cli"),
        ("polars", "predict model.safetensors iris.csv", "cli"),
        ("matplotlib", "train iris.csv --target species --plot p.png", "plot"),
        ("matplotlib", "demo", "demo"),
        ("sklearn", "demo", "demo"),
    ],
)
def test_missing_packages(monkeypatch, fail, package, line, extra):
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed
    message = fail(line)
    assert message.startswith(f"{package} is not installed; ")
    assert message.endswith(f' pip install "cbackprop[{extra}]"')


def test_missing_feature_hasher(folder, fail, monkeypatch):
    def refuse(name, *_):
        if name == "sklearn":
            raise ModuleNotFoundError(name=name)

    Path("t.csv").write_text("a,y\n1,2\n1,3\n")
    for module in ("sklearn", "sklearn.feature_extraction"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=refuse), *sys.meta_path])
    message = 'sklearn is not installed; to install it: pip install "cbackprop[sklearn]"'
    assert fail("train t.csv --target y --hash 18 --validation 0") == message


def test_warnings_are_escaped(run, monkeypatch):
    monkeypatch.setattr("cbackprop.command.info.run", lambda **_: warnings.warn("\x1b[2J\nhere", stacklevel=2))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run("info") == (0, "", "cbackprop: warning: \\x1b[2J here\n")


def test_names_cannot_control_the_terminal(folder, run, succeed, failing_fit):
    red, back, kept = "\x1b[31mred", "\x9b2Jback\u202e", "幅　🌸"
    pl.DataFrame({red: [1, 2] * 9, back: [2, 1] * 9, kept: [1, 1] * 9, "t": [red, kept] * 9}).write_csv("t.csv")
    shown = succeed("train t.csv --target t --validation 0 --epochs 1")
    shown += succeed("info model.safetensors") + succeed("predict model.safetensors t.csv")
    shown += run("train t.csv --target 'nothing\x1b[31m'")[2]
    pl.DataFrame({"x": [1, 2], "y": [2, 1]}).write_parquet("\x1b.parquet")
    shown += run("train \x1b.parquet --target t")[2]
    with warnings.catch_warnings(), failing_fit(1, KeyboardInterrupt()):
        warnings.simplefilter("always")  # Matplotlib lacks a glyph, and says which
        shown += "".join(run("train t.csv --target t --output \x1bm --plot p.svg --validation 0.5 --epochs 1")[1:])
        shown += "".join(run("train t.csv --target t --output \x1bm --validation 0.5 --epochs 2")[1:])
    assert "cbackprop: warning: Glyph " in shown
    assert "stopped by SIGINT" in shown
    shown += Path("p.svg").read_text()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    for name in (r"\x1b[31mred", r"\x9b2Jback\u202e", kept):
        assert name in shown


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize(("stream", "table", "result"), [(1, "iris.csv", (0, "", "")), (2, "no.csv", (1, "", ""))])
def test_closed_streams(iris, python, stream, table, result):
    closed = ("sh", "-c", f'exec "$@" {stream}>&-', "sh")
    done = python(CODE.format(["train", table, "--target", "species", "--epochs", "1"]), under=closed)
    assert (done.returncode, done.stdout, done.stderr) == result
    assert Path("model.safetensors").exists() == (table == "iris.csv")


def test_characters_unknown_to_the_terminal_are_escaped(iris, succeed, python):
    iris.with_columns(species=pl.col("species") + "幅").write_csv("t.csv")
    succeed("train t.csv --target species --epochs 1")
    done = python(CODE.format(["predict", "model.safetensors", "t.csv"]), PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"setosa\u5e45" in done.stdout
    assert r"150 rows \u2192" in done.stdout


def test_version(succeed):
    assert succeed("--version") == f"cbackprop {cbackprop.__version__}\n"


def test_quiet(iris, succeed):
    for option in ("--quiet", "-q"):
        assert succeed(f"train iris.csv --target species --epochs 1 --plot p.png {option}") == ""
        assert succeed(f"predict model.safetensors iris.csv {option}") == ""
    assert Path("p.png").exists()
    assert len(pl.read_csv("predictions.csv")) == 150


@pytest.mark.parametrize(("options", "shown"), [(["--threads", "3"], "threads {3} 3"), ([], "threads {1}")])
def test_threads(iris, python, monkeypatch, options, shown):
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    code = (
        "from cbackprop import Network\n"
        "from cbackprop.command import run\n"
        "used = []\n"
        "for name in ('fit', 'predict_proba'):\n"
        "    def call(*arguments, n_threads=1, do=getattr(Network, name), **keywords):\n"
        "        used.append(n_threads)\n"
        "        return do(*arguments, n_threads=n_threads, **keywords)\n"
        "    setattr(Network, name, call)\n"
        f"run('train iris.csv --target species --epochs 1 --validation 0 --quiet'.split() + {options})\n"
        f"run('predict model.safetensors iris.csv --quiet'.split() + {options})\n"
        "import polars\n"
        "print(len(used), 'threads', set(used), polars.thread_pool_size())"
    )
    assert f"2 {shown}" in python(code).stdout


def test_progress_without_a_terminal(iris, run, monkeypatch):
    monkeypatch.setattr("cbackprop.command.terminal.LINE_INTERVAL", 0)
    monkeypatch.setattr("cbackprop.command.tables.BLOCK_ROWS", 48)
    line = "train iris.csv --target species --epochs 2"
    status, _, err = run(line)
    lines = err.splitlines()
    assert status == 0
    assert lines[:4] == [f"cbackprop: reading: {n} rows" for n in (48, 96, 144, 150)]
    assert lines[7] == "cbackprop: learning: 50 %"
    assert re.fullmatch(r"cbackprop: learning: epoch 1 of 2, E 0\.\d+, 50 %", lines[8])
    assert lines[-4:] == [f"cbackprop: evaluating: {n} rows" for n in (48, 96, 144, 150)]
    _, _, err = run("predict model.safetensors iris.csv")
    assert err.splitlines()[-1] == "cbackprop: predicting: 150 rows"
    assert run(f"{line} --quiet") == (0, "", "")
    assert run("predict model.safetensors iris.csv --quiet") == (0, "", "")


def test_time_counts_everything(iris, succeed, monkeypatch):
    times = iter(range(100))
    monkeypatch.setattr("cbackprop.command.train.perf_counter", lambda: next(times) ** 2)
    out = " ".join(succeed("train iris.csv --target species --epochs 1 --plot p.png").split())
    assert "time 28 s: reading 1 s, learning 5 s, evaluating 9 s, drawing 13 s" in out


@with_page
def test_every_option_is_documented(succeed):
    text = PAGE.read_text(encoding="utf-8")
    commands = ("", "train ", "predict ", "evaluate ", "export ", "info ", "demo ")
    shown = "".join(succeed(f"{command}--help") for command in commands)
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", shown)) - {"--standardize"}
    assert {"--separator", "--version", "--no-standardize"} < options
    assert [option for option in options if option not in text] == []


@with_page
def test_examples_run(iris, succeed, python, monkeypatch):
    monkeypatch.setattr("cbackprop.command.demo.ITERATIONS", 9)
    text = PAGE.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    lines = blocks.replace("\\\n", "").splitlines()
    assert len(lines) == 16
    for line in lines:
        if line.startswith("cbackprop "):
            succeed(line.removeprefix("cbackprop "))
        else:
            command = line.replace("cbackprop", f"{shlex.quote(sys.executable)} -m cbackprop")
            assert python("", under=("sh", "-c", command)).returncode == 0
    assert Path("classes.csv").read_text().count("\n") == 151
