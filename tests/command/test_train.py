"""`cbackprop train`: models, options, memory, and the weights that survive errors."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import cbackprop
from cbackprop.command import evaluate, tables, train
from cbackprop.files.model_file import load_model


@pytest.mark.parametrize(("kind", "block_rows"), [("csv", 48), ("parquet", 65_536)])
def test_training_and_prediction(iris, succeed, content, kind, block_rows):
    line = "train iris.{} --target species --hidden 8 --epochs 100"
    out = succeed(line.format(kind))
    assert float(re.search(r"accuracy +[\d.]+ +([\d.]+)", out)[1]) >= 0.9
    model = load_model("model.safetensors")
    assert (model.classes, model.features) == (["setosa", "versicolor", "virginica"], iris.columns[:4])
    assert model.w.shape == (8, 5)
    succeed(f"predict model.safetensors iris.{kind}")
    assert (pl.read_csv("predictions.csv")["class"] == iris["species"]).mean() >= 0.9

    # the same rows give the same bits in any format
    succeed(line.format("parquet") + " --output other")
    assert content("model.safetensors") == content("other")


def test_every_option_matters(iris, succeed):
    def weights(options):
        succeed(f"train iris.csv --target species --epochs 2 {options}")
        return load_model("model.safetensors")

    default = weights("")
    assert np.array_equal(weights("").w, default.w)
    for options in ("--seed 1", "--learning-rate 0.2", "--batch-size 2", "--validation 0.3", "--epochs 3"):
        assert not np.array_equal(weights(options).w, default.w)
    assert weights("--learning-rate 0.2").learning_rate == 0.2
    assert weights("--ignore 'sepal length' --ignore 'sepal width'").w.shape == (32, 3)


def test_errors_of_each_epoch(iris, succeed, first_pass):
    dataset = first_pass("iris.csv", target="species")
    ((x, t, _), (x_held_out, t_held_out, _)) = next(dataset.splits())
    rng = np.random.default_rng([0, 0])
    network = cbackprop.Network(4, 32, 3, rng=rng)
    succeed("train iris.csv --target species --learning-rate 0.1 --epochs 3 --checkpoint c")
    model = load_model("c")
    assert len(model.losses) == 3
    for E, E_held_out in zip(model.losses, model.held_out, strict=True):
        # N E / N may differ from E by rounding
        assert network.fit(x, t, rng=rng).losses[0] == pytest.approx(E, rel=1e-15)
        assert network.loss(x_held_out, t_held_out) == pytest.approx(E_held_out, rel=1e-15)


# The large table takes 73 MiB as float64, twice that if held, read and converted as a whole. Measured growth: up to 24
# MiB; with the chunks in a list, 70 or more. Polars reads ahead, so it has one thread and reads little at a time, and
# its allocator keeps memory for later, unless told not to.
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of the memory in use is read from /proc")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_memory_is_bounded(tmp_path, python, kind):
    for name, N in (("small", 40_000), ("large", 300_000)):
        path, x, t = tmp_path / f"{name}.{kind}", np.zeros((N, 32), np.float32), np.arange(N) % 2
        if kind == "parquet":  # a regression
            t = t + np.linspace(0, 0.5, N)
        rows = pl.DataFrame(x).with_columns(t=t)
        if kind == "csv":
            rows.cast(pl.Int8).write_csv(path)
        else:
            rows.write_parquet(path, row_group_size=10_000)
    done = python(
        "import re\n"
        "from pathlib import Path\n"
        "from cbackprop.command import run, tables\n"
        "def peak(table):\n"
        "    train = ['--target=t', '--hidden=1', '--epochs=1', '--validation=0']\n"
        "    assert run(['train', table, *train]) == 0\n"
        "    assert run(['predict', 'model.safetensors', table, '--output=p.parquet']) == 0\n"
        r"    return int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) >> 10"
        "\ntables.BLOCK_ROWS = 8192\n"
        f"print(-peak('small.{kind}') + peak('large.{kind}'))",
        POLARS_MAX_THREADS="1",
        POLARS_CSV_CHUNK_SIZE="65536",
        POLARS_ROW_GROUP_PREFETCH_SIZE="1",
        _RJEM_MALLOC_CONF="dirty_decay_ms:0,muzzy_decay_ms:0",
    )
    assert done.returncode == 0, done.stderr
    assert "300,000 training" in done.stdout
    assert int(done.stdout.split()[-1]) < 45


def test_confusion_matrix_of_many_classes_is_omitted(folder, succeed):
    n = evaluate.MAX_CONFUSION + 1
    pl.DataFrame({"x": np.arange(2 * n) % n, "t": np.arange(2 * n) % n}).write_csv("t.csv")
    out = succeed("train t.csv --target t --task classification --hidden 1 --epochs 1 --plot p.png")
    assert "accuracy" in out
    assert Path("p.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--learning-rate 1e-320 --hash 4", "learning_rate is 1e-320; it must be positive and finite in float32"),
        ("--learning-rate 1e308 --no-standardize", "diverged in epoch 1: try a smaller --learning-rate"),
    ],
)
def test_failure_before_anything_is_learned(iris, fail, options, message):
    assert message in fail(f"train iris.csv --target species {options}")
    assert not Path("model.safetensors").exists()


def test_weights_before_a_divergence_are_saved(iris, fail, succeed, content, failing_fit):
    line = "train iris.csv --target species --learning-rate 0.1"
    succeed(f"{line} --epochs 2 --output whole")
    with failing_fit(2, cbackprop.DivergenceError()):
        message = fail(f"{line} --epochs 5 --checkpoint c")
    assert message == (
        "learning diverged in epoch 3: try a smaller --learning-rate; "
        "the weights learned before are saved in model.safetensors and c"
    )
    assert content("model.safetensors") == content("c") == content("whole")


@pytest.mark.parametrize("row", [70, 140])
def test_weights_before_a_bad_row_are_saved(iris, run, fail, content, monkeypatch, row):
    monkeypatch.setattr(tables, "BLOCK_ROWS", 48)

    def scan_then_change(*arguments, do=train.Dataset):  # as another program may
        dataset = do(*arguments)
        labels = iris["species"].to_list()
        labels[row] = "rose"
        iris.with_columns(species=pl.Series(labels)).write_csv("iris.csv")
        return dataset

    monkeypatch.setattr(train, "Dataset", scan_then_change)
    line = "train iris.csv --target species --epochs 2 --checkpoint c"
    original = Path("iris.csv").read_bytes()
    problem = f"iris.csv: row {row + 1}, column 'species' is 'rose'; a value that the training has seen is needed"
    skip = "--on-bad-row skip leaves such rows out"
    assert fail(line) == f"{problem}; {skip}; the weights learned before are saved in model.safetensors and c"
    assert load_model("c").training["blocks"] == row // 48
    assert content("c") == content("model.safetensors")

    # in the first chunk, nothing is learned before it
    Path("iris.csv").write_bytes(original)
    Path("model.safetensors").unlink()
    row, problem = 7, problem.replace(f"row {row + 1}", "row 8")
    assert fail(line) == f"{problem}; {skip}"
    assert not Path("model.safetensors").exists()

    Path("iris.csv").write_bytes(original)
    status, out, _ = run(f"{line} --on-bad-row skip")
    assert status == 0
    assert f"skipped 1 bad rows; the first: {problem[10:]}" in " ".join(out.split())


def test_full_disk(iris, fail, succeed, monkeypatch):
    succeed("train iris.csv --target species --epochs 1 --checkpoint c")
    before = Path("model.safetensors").read_bytes(), Path("c").read_bytes()

    def refuse(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    for seconds in (-1, 10):  # during the training, and at its end
        monkeypatch.setattr(train, "CHECKPOINT_INTERVAL", seconds)
        message = fail("train iris.csv --target species --epochs 2 --checkpoint c")
        assert "No space left on device" in message
        assert message.endswith(" are lost")
    assert (Path("model.safetensors").read_bytes(), Path("c").read_bytes()) == before
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize(("broken", "whole"), [("model.safetensors", "c"), ("c", "model.safetensors")])
def test_one_file_is_saved_if_the_other_fails(iris, fail, monkeypatch, broken, whole):
    def refuse_one(old, new, replace=os.replace):
        if Path(new).name == broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(old, new)

    monkeypatch.setattr(os, "replace", refuse_one)
    message = fail("train iris.csv --target species --epochs 1 --checkpoint c")
    assert message.endswith(f": '{broken}'; the weights are saved in {whole}")
    load_model(whole)
    assert not Path(broken).exists()


def test_names_too_long_for_a_model_file_are_refused_before_the_work(folder, fail, monkeypatch):
    monkeypatch.setattr(train.Training, "learn", None)
    pl.DataFrame({"x" * 2**20: [1, 2], "t": ["a", "b"]}).write_csv("t.csv")
    assert re.search("names of classes.* 1,048,576 bytes", fail("train t.csv --target t --validation 0"))
