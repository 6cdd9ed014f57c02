"""The command: every promise of its help, on small tables."""

import errno
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop import _gate
from cbackprop._model_file import Model, load_model, save_model

pl = pytest.importorskip("polars")
pytest.importorskip("typer")
pytest.importorskip("rich")
datasets = pytest.importorskip("sklearn.datasets")

from rich.progress import Progress  # noqa: E402

from cbackprop.command import article, checkpoint, demo, main, tables, train  # noqa: E402
from cbackprop.command.checkpoint import Course, Keeper  # noqa: E402
from cbackprop.command.files import open_table  # noqa: E402
from cbackprop.command.rows import look_through  # noqa: E402
from cbackprop.command.train import learn  # noqa: E402


@pytest.fixture
def iris(tmp_path, monkeypatch):
    """An empty current folder with the iris flowers in it, as a data frame and as CSV, Parquet and NPZ files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    flowers = datasets.load_iris()
    frame = pl.DataFrame(flowers.data, schema=["sepal length", "sepal width", "petal length", "petal width"])
    order = np.random.default_rng(0).permutation(len(frame))
    frame = frame.with_columns(species=pl.Series(flowers.target_names).gather(flowers.target))[order]
    frame.write_csv("iris.csv")
    frame.write_parquet("iris.parquet")
    np.savez("iris.npz", x=frame.drop("species").to_numpy(order="c"), species=frame["species"].to_numpy().astype("U"))
    return frame


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command in this process; return exit status, standard output and standard error."""

    def call(line):
        monkeypatch.setattr(sys, "argv", ["cbackprop", *shlex.split(line)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = capsys.readouterr()
        return exit_info.value.code, out, err

    return call


@pytest.fixture
def succeed(run):
    """Call the command, which must succeed and write nothing to standard error; return its output."""

    def call(line):
        status, out, err = run(line)
        assert (status, err) == (0, "")
        return out

    return call


def examples(help_text):
    """The commands that a help text shows."""
    return re.findall(r"^ +cbackprop (.+)$", help_text, re.MULTILINE)


def test_examples_in_help_work(iris, succeed):
    commands = re.findall(r"^  (\w+)  ", succeed("--help").partition("Commands:")[2], re.MULTILINE)
    assert commands == ["demo", "train", "predict", "info"]
    for command in commands:
        shown = examples(succeed(f"{command} --help"))
        assert len(shown) == 2
        for line in shown:
            succeed(line)
    written = {"demo.png", "figure.png", "model.safetensors", "iris.safetensors", "iris.png", "predictions.csv"}
    assert written | {"predictions.parquet"} <= set(os.listdir())


def test_module_is_the_command(python):
    done = python("import runpy; runpy.run_module('cbackprop', run_name='__main__')")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: cbackprop ")
    assert done.stderr == ""


# demo


def test_demo(iris, succeed):
    out = succeed("demo")
    assert float(re.search(r"accuracy, held out\s+([\d.]+)", out)[1]) >= 0.97
    assert len(re.findall(r" same *$", out, re.MULTILINE)) == 10  # w, three rows of v and E, of both experiments
    assert "DIFFERENT" not in out
    for row in ("compiled kernels", "NumPy reference", r"article, as printed\s+5.2 s\s+39.8 s\s+7.7"):
        assert re.search(row, out)
    assert Path("demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("seed", range(1, 6))
def test_digits_are_learned_whatever_the_seed(seed):
    # 100 seeds reach 0.979 on average, with a standard deviation of 0.007; these five and seed 0 are 0.975 or better
    digits = demo.learn_digits(seed, epochs=30)
    assert len(digits.true) == 360
    assert (digits.predicted == digits.true).mean() >= 0.97
    assert digits.history.samples == 30 * 1437


def test_demo_compares_all_printed_digits(iris, monkeypatch, succeed):
    monkeypatch.setattr(article, "ITERATIONS", 999)
    assert "DIFFERENT" in succeed("demo --epochs 1")


def test_samples_of_the_article_saturate_the_hidden_units():
    x, t = article.samples(article.TRAINING, np.random.default_rng(0))
    assert np.bincount(t).tolist() == [16, 22, 12]
    assert (cbackprop.forward(x, np.ones((2, 3)), np.ones((3, 3))).z == 1).all()


# train


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_train_learns_from_every_kind_of_table(iris, succeed, kind):
    out = succeed(f"train iris.{kind} --target species --hidden 8 --epochs 100")
    assert float(re.search(r"accuracy, held out\s+([\d.]+)", out)[1]) >= 0.9
    model = load_model("model.safetensors")
    names = iris.columns[:4] if kind != "npz" else ["x0", "x1", "x2", "x3"]
    assert (model.classes, model.features) == (["setosa", "versicolor", "virginica"], names)
    assert model.w.shape == (8, 5)

    # the same rows give the same bits, whatever the file
    w = model.w
    succeed("train iris.parquet --target species --hidden 8 --epochs 100")
    assert np.array_equal(load_model("model.safetensors").w, w)


def test_train_stores_the_scaling_of_the_training_rows(iris, succeed):
    out = succeed("train iris.csv --target species --epochs 1 --validation 0")
    assert "150 training, 0 held out" in out
    assert "accuracy" not in out
    x = iris.drop("species").to_numpy()
    model = load_model("model.safetensors")
    np.testing.assert_allclose(model.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(model.scale, x.std(axis=0), rtol=1e-14)

    succeed("train iris.csv --target species --epochs 1 --no-standardize")
    model = load_model("model.safetensors")
    assert model.mean is None
    assert model.scale is None


def test_options_reach_the_training(iris, succeed):
    def weights(options):
        succeed(f"train iris.csv --target species --epochs 2 {options}")
        return load_model("model.safetensors")

    plain = weights("")
    assert np.array_equal(weights("").w, plain.w)
    for options in ("--seed 1", "--learning-rate 0.2", "--batch-size 2", "--validation 0.3", "--epochs 3"):
        assert not np.array_equal(weights(options).w, plain.w)
    assert weights("--learning-rate 0.2").learning_rate == 0.2
    assert weights("--ignore 'sepal length' --ignore 'sepal width'").w.shape == (32, 3)


def test_chunks_change_neither_split_nor_scaling(iris, monkeypatch):
    def prepare():
        return look_through(open_table(Path("iris.csv")), "species", [], seed=3, validation=0.25, standardize=True)

    def held_out(rows):
        return np.vstack([x for _, (x, _) in rows.lots()])

    whole = prepare()
    assert whole.only_chunk is not None
    monkeypatch.setattr(tables, "CHUNK_ROWS", 48)
    parts = prepare()
    assert parts.only_chunk is None
    assert len(list(parts.lots())) == 4
    assert (parts.training, parts.held_out, parts.classes) == (whole.training, whole.held_out, whole.classes)
    # merged moments differ from those taken at once by rounding
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(parts.scale, whole.scale, rtol=1e-13)
    np.testing.assert_allclose(held_out(parts), held_out(whole), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_train_and_predict_in_chunks(iris, succeed, monkeypatch, kind):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 48)
    out = succeed(f"train iris.{kind} --target species --hidden 8 --epochs 100")
    assert float(re.search(r"accuracy, held out\s+([\d.]+)", out)[1]) >= 0.9
    succeed(f"predict model.safetensors iris.{kind}")
    predicted = pl.read_csv("predictions.csv")["class"]
    assert (predicted == iris["species"]).mean() >= 0.9


# Tables of 488 MiB as float64, which held as a whole, read and converted, would take twice that. Python with NumPy and
# Polars needs 100 MiB before it reads any. Measured peaks: 395, 290, 145 MiB; on a busy machine Polars, which reads
# ahead, came to 530 and 410. Each of its threads has rows of its own at hand, so their number is fixed.
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of the memory in use is read from /proc")
@pytest.mark.parametrize(("kind", "limit"), [("csv", 700), ("parquet", 600), ("npz", 250)])
def test_memory_is_bounded(tmp_path, python, kind, limit):
    N, D = 4_000_000, 16
    rows = pl.LazyFrame().select(t=pl.int_range(N) % 2).with_columns(x=pl.lit(0, dtype=pl.Int8))
    rows = rows.select("t", *(pl.col("x").alias(f"x{i}") for i in range(D)))
    if kind == "csv":
        rows.sink_csv(tmp_path / "large.csv")
    elif kind == "parquet":
        rows.cast(pl.Float32).sink_parquet(tmp_path / "large.parquet", row_group_size=100_000)
    else:
        with zipfile.ZipFile(tmp_path / "large.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, values, shape in (
                ("x", np.zeros((100_000, D), "<f4"), (N, D)),
                ("t", np.arange(100_000) % 2, (N,)),
            ):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                    header = {"descr": values.dtype.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(stream, header)
                    for _ in range(N // 100_000):
                        stream.write(values.tobytes())
    arguments = ["train", f"large.{kind}", "--target=t", "--hidden=1", "--epochs=1", "--validation=0"]
    done = python(
        "import pathlib, re; from cbackprop.command import app\n"
        f"assert app.run({arguments}) == 0\n"
        f"assert app.run(['predict', 'model.safetensors', 'large.{kind}', '--output=p.parquet']) == 0\n"
        r"print(re.search(r'VmHWM:\s+(\d+)', pathlib.Path('/proc/self/status').read_text())[1])",
        POLARS_MAX_THREADS="2",
    )
    assert done.returncode == 0, done.stderr
    assert "4,000,000 training" in done.stdout
    assert int(done.stdout.split()[-1]) / 1024 < limit


def test_classes_are_in_order(tmp_path, monkeypatch, succeed):
    monkeypatch.chdir(tmp_path)
    x = np.arange(6.0)
    for labels, classes in (([10, 9, -1] * 2, ["-1", "9", "10"]), (["10", "9", "b"] * 2, ["10", "9", "b"])):
        pl.DataFrame({"x": x, "t": labels}).write_csv("t.csv")
        succeed("train t.csv --target t --epochs 1 --validation 0")
        assert load_model("model.safetensors").classes == classes


def test_a_constant_input_is_no_trouble(tmp_path, monkeypatch, succeed):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"x": [1.0, 2, 3, 4], "same": [7.0] * 4, "t": [0, 0, 1, 1]}).write_csv("t.csv")
    succeed("train t.csv --target t --epochs 1 --validation 0")
    assert load_model("model.safetensors").scale[1] == 1


@pytest.mark.parametrize("rows", [50, 1000])
@pytest.mark.parametrize("value", [0.1, 1e200])
def test_an_input_that_never_changes_has_scale_1_despite_rounding(tmp_path, monkeypatch, rows, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "CHUNK_ROWS", rows)
    pl.DataFrame({"same": [value] * 1000, "tiny": [1e-300, 2e-300] * 500, "t": [0, 1] * 500}).write_csv("t.csv")
    found = look_through(open_table(Path("t.csv")), "t", [], seed=0, validation=0, standardize=True)
    assert found.scale.tolist() == [1, 1]


def test_numbers_too_large_to_standardize_are_refused(tmp_path, monkeypatch, run, succeed):
    monkeypatch.chdir(tmp_path)
    line = "train t.csv --target y --validation 0 --epochs 1"
    for large in ("1e200", "1e308"):  # the squares overflow, then the sum
        Path("t.csv").write_text(f"a,b,y\n1,{large},yes\n2,-{large},no\n1,{large},yes\n3,{large},yes\n")
        status, out, err = run(line)
        assert (status, out) == (1, "")
        assert err == "cbackprop: error: t.csv: column 'b' has numbers too large to standardize; scale them down\n"
        assert not Path("model.safetensors").exists()
    succeed(f"{line} --no-standardize --learning-rate 1e-300")
    load_model("model.safetensors")


def test_rows_too_large_for_the_scale_of_others_are_refused(tmp_path, monkeypatch, run, succeed):
    monkeypatch.chdir(tmp_path)
    table = pl.DataFrame({"b": [1.0] * 30, "a": np.arange(30) % 3 * 1e-10, "y": np.arange(30) % 2})
    table.write_csv("t.csv")
    line = "train {}.csv --target y --epochs 1 --validation 0.5"
    succeed(line.format("t"))
    held_out = int((np.random.default_rng([0, 1]).random(30) < 0.5).argmax())
    spoil(table, held_out, "a", "1e300").write_csv("large.csv")
    for command in (line.format("large"), "predict model.safetensors large.csv"):
        status, _, err = run(command)
        told = "cbackprop: error: large.csv: column 'a' has numbers too large to standardize; scale them down\n"
        assert (status, err) == (1, told)


def test_archives_hold_arrays_of_any_shape(tmp_path, monkeypatch, succeed):
    """Images, vectors and numeric labels, in any order of the arrays; the columns of an array are its cells."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images, age = rng.integers(0, 255, (60, 2, 3), np.uint8), rng.standard_normal(60)
    np.savez_compressed("t.npz", images=images, label=np.arange(60) % 3, age=age)
    succeed("train t.npz --target label --epochs 1 --validation 0")
    model = load_model("model.safetensors")
    assert model.features == [*(f"images{i}" for i in range(6)), "age"]
    assert model.classes == ["0", "1", "2"]
    np.testing.assert_allclose(model.mean, [*images.reshape(60, 6).mean(axis=0), age.mean()], rtol=1e-13)


def interrupt(arguments, moment, number=signal.SIGINT):
    """Run the command on a terminal, send a signal once it shows `moment`; return status, output and what it showed."""
    terminal, other_end = pytest.importorskip("pty").openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cbackprop", *arguments],
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(Path(cbackprop.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
    )
    os.close(other_end)
    with process, open(terminal, "rb", buffering=0) as screen:
        shown = b""
        while not re.search(moment, shown):
            shown += screen.read(10_000)
        process.send_signal(number)
        out = process.stdout.read()
    return process.returncode, out, shown.decode()


def test_ctrl_c_stops_training_after_a_whole_sample_and_saves(iris):
    arguments = ["train", "iris.csv", "--target", "species", "--epochs", "100000000"]
    status, out, shown = interrupt(arguments, rb"epoch \d")
    assert status == 130
    assert "learning" in shown
    finished = int(re.search(r"(\d+) of 100000000, interrupted", out)[1])

    # 115 samples are learned between two looks for Ctrl-C: the weights are those after `finished` epochs or one more
    saved = load_model("model.safetensors").w
    rows = look_through(open_table(Path("iris.csv")), "species", [], seed=0, validation=0.2, standardize=True)
    rng = np.random.default_rng([0, 0])
    network = cbackprop.Network(4, 32, 3, rng=rng)
    learn(network, rows, finished, 1, rng, Course(), keep=lambda: None)
    if not np.array_equal(network.w, saved):
        learn(network, rows, 1, 1, rng, Course(), keep=lambda: None)
    assert np.array_equal(network.w, saved)


def stopping(monkeypatch, calls, error):
    """Let learning a chunk raise an error, after so many chunks that were learned."""
    fit = cbackprop.Network.fit

    def cut(network, *arguments, **keywords):
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise error
        return fit(network, *arguments, **keywords)

    monkeypatch.setattr(cbackprop.Network, "fit", cut)


def content(path):
    model = load_model(path)
    return model.w.tobytes(), model.v.tobytes(), model.mean.tobytes(), model.classes


@pytest.mark.parametrize("chunk_rows", [48, 65_536])
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 7])
def test_a_resumed_training_is_never_cut(iris, run, succeed, monkeypatch, chunk_rows, cut):
    monkeypatch.setattr(tables, "CHUNK_ROWS", chunk_rows)
    line = "train iris.csv --target species --epochs 5 --checkpoint c --resume"
    succeed("train iris.csv --target species --epochs 5 --output whole --checkpoint w")
    with monkeypatch.context() as patch:
        stopping(patch, cut, KeyboardInterrupt())
        status, out, err = run(line)
    chunks = 4 if chunk_rows == 48 else 1
    if cut < 5 * chunks:
        assert status == 130
        epoch = cut // chunks + 1
        assert err == f"cbackprop: stopped by SIGINT in epoch {epoch} of 5; model.safetensors is saved\n"
        assert f"{epoch - 1} of 5, interrupted" in out
        assert Path("c").exists() == (cut > 0)
    out = succeed(line)
    assert "5 of 5" in out
    assert content("model.safetensors") == content("c") == content("whole")
    resumed, whole = load_model("c"), load_model("w")
    assert resumed.training == whole.training
    assert np.array_equal([resumed.losses, resumed.held_out], [whole.losses, whole.held_out])

    succeed("train iris.csv --target species --epochs 7 --output whole")
    assert "7 of 7" in succeed(line.replace("5", "7"))  # and a training that was finished may be continued
    assert content("model.safetensors") == content("whole")
    _, _, err = run(line)
    assert "epochs is 5; c has learned 7 already" in err


@pytest.mark.timeout(60, method="thread")  # a shuffle that never ends lets no signal through
def test_a_checkpoint_whose_random_numbers_repeat_one_is_refused(iris, run, succeed):
    line = "train iris.csv --target species --checkpoint c --resume --epochs "
    succeed(line + "1")
    model = load_model("c")
    model.training["rng"]["state"] = {"state": 2**64 - 1, "inc": 0xDFDB0DA07FF967604385DF649FCCF644}  # a large one
    save_model("c", model)
    status, out, err = run(line + "2")
    assert (status, out) == (1, "")
    assert "c does not hold a state of a PCG64" in err


def test_options_and_data_must_stay(iris, run, succeed):
    line = "train iris.csv --target species --epochs 1 --checkpoint c --resume"
    succeed(line)
    before = Path("c").read_bytes()
    for option, told in (
        ("--learning-rate 0.2", "--learning-rate is 0.2; it must stay 0.1, with which c was made"),
        ("--batch-size 2", "--batch-size is 2; it must stay 1"),
        ("--seed 1", "--seed is 1; it must stay 0"),
        ("--no-standardize", "--standardize is False; it must stay True"),
        ("--validation 0.3", "--validation is 0.3; it must stay 0.2"),
        ("--hidden 8", "w is float64 (8, 5); c has float64 (32, 5)"),
        ("--ignore 'sepal width'", "data is '150 rows with checksum"),
    ):
        status, _, err = run(f"{line} {option}")
        assert (status, err.count("\n")) == (1, 1)
        assert told in err
    assert Path("c").read_bytes() == before
    assert re.search("learned +1 epochs; training may be resumed", succeed("info c"))
    for other in ("model.safetensors", "iris.csv"):
        status, _, err = run(f"train iris.csv --target species --checkpoint {other} --resume")
        assert (status, err.count("\n")) == (1, 1)
        assert other in err


def test_labels_are_part_of_the_data(iris, run, succeed, monkeypatch):
    line = "train iris.csv --target species --epochs 1 --checkpoint c --resume"
    succeed(line)
    iris.with_columns(iris["species"].reverse()).write_csv("iris.csv")
    status, _, err = run(line)
    assert (status, err.count("\n")) == (1, 1)
    assert "data is '150 rows with checksum" in err


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_chunks_do_not_change_the_fingerprint(iris, monkeypatch, kind):
    def fingerprint():
        return look_through(open_table(Path(f"iris.{kind}")), "species", [], 0, 0.2, standardize=True).fingerprint

    whole = fingerprint()
    monkeypatch.setattr(tables, "CHUNK_ROWS", 48)
    assert fingerprint() == whole


def test_the_checkpoint_is_written_now_and_then(iris, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", -1)
    stopping(monkeypatch, 3, SystemError("no chance to save anything"))
    with pytest.raises(SystemError):
        train.run(**OPTIONS)
    assert len(load_model("c").losses) == 3


def test_errors_are_those_of_each_epoch(iris):
    rows = look_through(open_table(Path("iris.csv")), "species", [], seed=0, validation=0.2, standardize=True)
    ((x, t), (x_held_out, t_held_out)) = next(rows.lots())
    network, twin = (cbackprop.Network(4, 5, 3, rng=0) for _ in range(2))
    course = Course()
    learn(network, rows, 3, 1, np.random.default_rng(0), course, keep=lambda: None)
    rng = np.random.default_rng(0)
    for E, E_held_out in zip(course.losses, course.held_out, strict=True):
        # N E / N may differ from E by rounding
        assert twin.fit(x, t, rng=rng).losses[0] == pytest.approx(E, rel=1e-15)
        assert twin.loss(x_held_out, t_held_out) == pytest.approx(E_held_out, rel=1e-15)


def test_what_is_written_is_what_was_kept(iris):
    network, course = cbackprop.Network(2, 3, 2, rng=0), Course([0.5], [0.25])
    keeper = Keeper(Path("c"), Model(network.w, network.v, 0.1), course, np.random.default_rng(0), {})
    keeper.keep()
    w = network.w.copy()
    course.losses.append(0.125)  # as Ctrl-C may leave it
    network.w[:] = 0
    keeper.write()
    model = load_model("c")
    assert (model.losses.tolist(), model.held_out.tolist()) == ([0.5], [0.25])
    assert np.array_equal(model.w, w)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_interrupts_the_saving(iris, succeed, monkeypatch, number):
    def replace(old, new, do=os.replace):
        os.kill(os.getpid(), number)
        do(old, new)

    monkeypatch.setattr(os, "replace", replace)
    succeed("train iris.csv --target species --epochs 1 --checkpoint c")
    assert content("model.safetensors") == content("c")


OPTIONS = {
    "path": Path("iris.csv"),
    "target": "species",
    "ignore": [],
    "hidden": 4,
    "epochs": 9,
    "learning_rate": 0.1,
    "batch_size": 1,
    "seed": 0,
    "validation": 0.2,
    "standardize": True,
    "output": Path("model.safetensors"),
    "plot": None,
    "checkpoint": Path("c"),
    "resume": False,
    "skip_bad_rows": False,
}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_model_and_checkpoint(iris, succeed, number, status):
    arguments = ["train", "iris.csv", "--target", "species", "--epochs", "100000000", "--checkpoint", "c"]
    done, out, _shown = interrupt(arguments, rb"epoch \d", number)
    assert done == status
    finished = int(re.search(r"(\d+) of 100000000, interrupted", out)[1])
    assert finished - len(load_model("c").losses) in (0, 1)  # it may come between an epoch's end and its keeping
    load_model("model.safetensors")
    succeed(f"train iris.csv --target species --epochs {finished + 2} --checkpoint c --resume")
    succeed(f"train iris.csv --target species --epochs {finished + 2} --output whole")
    assert content("model.safetensors") == content("whole")


def test_a_full_disk_is_one_line(iris, run, succeed, monkeypatch):
    succeed("train iris.csv --target species --epochs 1 --checkpoint c")
    before = Path("model.safetensors").read_bytes(), Path("c").read_bytes()

    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    for seconds in (-1, 10):  # in the midst of the training, and at its end
        monkeypatch.setattr(checkpoint, "SECONDS", seconds)
        status, out, err = run("train iris.csv --target species --epochs 2 --checkpoint c")
        assert (status, out) == (1, "")
        assert re.fullmatch(r"cbackprop: error: .*No space left on device; nothing was written.*\n", err)
    assert (Path("model.safetensors").read_bytes(), Path("c").read_bytes()) == before
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize(("broken", "whole"), [("model.safetensors", "c"), ("c", "model.safetensors")])
def test_one_file_is_saved_where_the_other_fails(iris, run, monkeypatch, broken, whole):
    def fail(old, new, do=os.replace):
        if Path(new).name == broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        do(old, new)

    monkeypatch.setattr(os, "replace", fail)
    status, out, err = run("train iris.csv --target species --epochs 1 --checkpoint c")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.endswith(f": '{broken}'; what was learned is in {whole}\n")
    load_model(whole)
    assert not Path(broken).exists()


def test_what_was_learned_before_a_divergence_is_saved(iris, run, succeed, monkeypatch):
    succeed("train iris.csv --target species --epochs 2 --output whole")
    stopping(monkeypatch, 2, cbackprop.DivergenceError())
    status, out, err = run("train iris.csv --target species --epochs 5 --checkpoint c")
    assert (status, out) == (1, "")
    told = "learning diverged in epoch 3: try a smaller --learning-rate, or inputs standardized"
    assert err == f"cbackprop: error: {told}; what was learned before is in model.safetensors and c\n"
    assert content("model.safetensors") == content("c") == content("whole")


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", ["in the bar", "after learning", "twice"])
def test_a_signal_at_any_moment_leaves_what_was_learned(iris, run, monkeypatch, moment, number, status):
    def then_signal(*arguments):
        learn(*arguments)
        os.kill(os.getpid(), number)

    def twice(*arguments):
        try:
            then_signal(*arguments)
        finally:
            os.kill(os.getpid(), number)

    def stop(bar, do=Progress.stop):
        do(bar)
        if bar.tasks[0].description == "learning":
            os.kill(os.getpid(), number)

    if moment == "in the bar":
        monkeypatch.setattr(Progress, "stop", stop)
    else:
        monkeypatch.setattr(train, "learn", then_signal if moment == "after learning" else twice)
    done, _, err = run("train iris.csv --target species --epochs 1 --checkpoint c")
    assert done == status
    assert err.startswith(f"cbackprop: stopped by {signal.Signals(number).name} in epoch 1 of 1; model.safetensors is")
    assert len(load_model("c").losses) == 1
    assert content("model.safetensors") == content("c")


FAULTS = {  # of a row of a CSV file, and what is said
    "nan": ("nan,1,2,3,setosa", "column 'sepal length' is 'nan'; a finite number is needed"),
    "text": ("1,x,2,3,setosa", "column 'sepal width' is 'x'; a finite number is needed"),
    "gap": ("1,,2,3,setosa", "column 'sepal width' has no value"),
    "too few": ("1,2,3", "column 'petal width' has no value"),
    "too many": ("1,2,3,4,setosa,5", "has more fields than the header"),
    "far too many": ("1,2,3,4,setosa,5,6,7", "has more fields than the header"),
    "no label": ("1,2,3,4,", "column 'species' has no value"),
    "nothing": ("", "column 'sepal length' has no value"),
}


@pytest.mark.parametrize(("row", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_rows_stop_or_are_skipped(iris, run, succeed, monkeypatch, row, reason):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 48)
    lines = Path("iris.csv").read_text().splitlines()
    Path("bad.csv").write_text("\n".join([*lines[:71], row, lines[71], row, *lines[72:100], row, *lines[100:], ""]))
    status, out, err = run("train bad.csv --target species")
    assert (status, out) == (1, "")
    where = "row 71" if reason.startswith("has") else "row 71,"
    assert err == f"cbackprop: error: bad.csv: {where} {reason}\n"
    assert not Path("model.safetensors").exists()

    out = succeed("train bad.csv --target species --epochs 2 --on-bad-row skip")
    assert re.search(r"bad rows +3 skipped; the first: bad.csv: row 71", out)
    skipped = content("model.safetensors")
    monkeypatch.setattr(tables, "CHUNK_ROWS", 65_536)
    assert "bad rows" not in succeed("train iris.csv --target species --epochs 2")
    whole = content("model.safetensors")
    assert skipped[2:] != whole[2:]  # rounding of the moments, as the chunks differ
    np.testing.assert_allclose(np.frombuffer(skipped[2]), np.frombuffer(whole[2]), rtol=1e-13)


@pytest.mark.parametrize("ignore", ["", " --ignore note"])
@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ('"1,1,n,yes', "row 71: could not parse"),
        ('1,1,n,"yes', "row 71: could not parse"),
        ('1,1,"n,yes', "row 71: could not parse"),
        ('1,1,n,yes,"', "row 71: could not parse"),
        ('"1,1,n,yes\n1,1,n,yes",1,n,yes', "row 71 has a cell of many lines; is a quote missing?"),
        ('1,1,"n,yes\n1,1,n,yes"', "row 71 has a cell of many lines; is a quote missing?"),
        ('1,1,n,yes,"\n1,1,n,yes"', "row 71 has a cell of many lines; is a quote missing?"),
    ],
)
def test_no_rows_are_lost_in_a_cell_of_a_skipped_one(tmp_path, monkeypatch, run, bad, told, ignore):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 7},{i % 5},1,{'yes' if i % 3 else 'no'}" for i in range(140)]
    rows[30] = "1,gap,1,yes"
    Path("t.csv").write_text("\n".join(["a,b,note,y", *rows[:70], bad.replace("n,", "1,"), *rows[70:], ""]))
    status, out, err = run(f"train t.csv --target y --on-bad-row skip{ignore}")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"t.csv: {told}" in err
    assert not Path("model.safetensors").exists()


def test_text_of_many_lines_is_no_trouble_where_it_is_ignored(tmp_path, monkeypatch, succeed):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text('a,note,y\n1,"two\nlines",yes\nx,"one",no\n3,"two\nlines",no\n')
    out = succeed("train t.csv --target y --on-bad-row skip --ignore note --validation 0")
    assert "1 skipped; the first: t.csv: row 2, column 'a' is 'x'" in " ".join(out.split())


@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("row", [70, 140])
def test_what_was_learned_before_a_bad_row_is_saved(iris, run, monkeypatch, kind, row):
    # found only while learning: another program has changed the file since it was looked through
    monkeypatch.setattr(tables, "CHUNK_ROWS", 48)

    def change(*arguments):
        rows = look_through(*arguments)
        labels = iris["species"].to_list()
        labels[row] = "rose"
        if kind == "csv":
            iris.with_columns(species=pl.Series(labels)).write_csv("iris.csv")
        else:
            np.savez("iris.npz", x=iris.drop("species").to_numpy(order="c"), species=labels)
        return rows

    monkeypatch.setattr(train, "look_through", change)
    line = f"train iris.{kind} --target species --epochs 2 --checkpoint c"
    original = Path(f"iris.{kind}").read_bytes()
    status, out, err = run(line)
    assert (status, out) == (1, "")
    first = row + 1
    told = f"iris.{kind}: row {first}, column 'species' is 'rose'; there was no such label before"
    assert err == f"cbackprop: error: {told}; what was learned before is in model.safetensors and c\n"
    assert load_model("c").training["chunks"] == row // 48
    assert content("c") == content("model.safetensors")

    Path(f"iris.{kind}").write_bytes(original)
    Path("model.safetensors").unlink()
    row = 7
    status, _, err = run(line)
    assert (status, err.count("\n")) == (1, 1)
    assert err.endswith("row 8, column 'species' is 'rose'; there was no such label before\n")
    assert not Path("model.safetensors").exists()  # nothing was learned

    Path(f"iris.{kind}").write_bytes(original)
    status, out, _ = run(f"{line} --on-bad-row skip")
    assert status == 0
    assert f"bad rows 1 skipped; the first: {told.replace(str(first), '8')}" in " ".join(out.split())


def test_an_archive_that_was_damaged(iris, run):
    whole = Path("iris.npz").read_bytes()
    Path("iris.npz").write_bytes(whole.replace(np.float64(iris["petal width"][77]).tobytes(), bytes(8)))
    status, _, err = run("train iris.npz --target species")
    assert (status, err) == (1, "cbackprop: error: iris.npz: Bad CRC-32 for file 'x.npy'\n")
    np.savez_compressed("iris.npz", x=np.random.default_rng(0).normal(size=(150, 4)), species=np.arange(150) % 3)
    spoiled = bytearray(Path("iris.npz").read_bytes())
    spoiled[200:400] = bytes(200)
    Path("iris.npz").write_bytes(spoiled)
    status, _, err = run("train iris.npz --target species")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("cbackprop: error: iris.npz: ")


def archive(content):
    """An NPZ file of one column y and an array x, whose header and content are given."""
    np.savez("t.npz", y=np.arange(4) % 2)
    with zipfile.ZipFile("t.npz", "a") as file:
        file.writestr("x.npy", content)


def npy(header, content):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "told"),
    [
        ("<f8", "(4, 9223372036854775808, 2)", 64, "has shape (4, 9223372036854775808, 2), dtype float64 and 64 bytes"),
        ("<f8", "(4, 1000000000)", 64, "has shape (4, 1000000000), dtype float64 and 64 bytes"),
        ("|b1", "(4, 5000000)", 20_000_000, "has 5,000,000 columns; there may be 4,194,304"),
        ("<f8", "(4, 2)", 63, "has shape (4, 2), dtype float64 and 63 bytes"),
        ("<f8", "(-4,)", 0, "has shape (-4,); rows are needed"),
        ("<U0", "(4,)", 0, "has dtype <U0; numbers or text are needed"),
        ("<f8", "(4, 2", 64, "EOF in multi-line statement"),
        ("<f8", "{[]}", 64, "unhashable"),
    ],
)
def test_archives_that_lie_are_named(tmp_path, monkeypatch, run, dtype, shape, size, told):
    monkeypatch.chdir(tmp_path)
    archive(npy(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}", bytes(size)))
    status, _, err = run("train t.npz --target y --validation 0")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("cbackprop: error: t.npz: array 'x.npy'")
    assert told in err


@pytest.mark.parametrize("code", [0x110000, 0xD800, 0xFFFFFFFF])
@pytest.mark.parametrize("order", "<>")
def test_text_that_is_none_is_named_with_its_row(tmp_path, monkeypatch, run, code, order):
    monkeypatch.chdir(tmp_path)
    labels = np.array([[65, 66], [66, 65], [65, code], [66, 0]], f"{order}u4").view(f"{order}U2")[:, 0]
    np.savez("t.npz", x=np.arange(4.0), y=labels)
    _, _, err = run("train t.npz --target y --validation 0")
    assert err == "cbackprop: error: t.npz: row 3, column 'y' is no Unicode text\n"


def test_a_panic_of_polars_is_one_line(iris, run, monkeypatch):
    def panic(*arguments, **keywords):
        raise pl.exceptions.PanicException("assertion failed\nbacktrace")

    monkeypatch.setattr(pl, "scan_parquet", panic)
    status, out, err = run("train iris.parquet --target species")
    assert (status, out, err) == (1, "", "cbackprop: error: iris.parquet: assertion failed\n")


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_names_of_files_are_no_patterns(iris, succeed, kind):
    os.rename(f"iris.{kind}", f"iris[1].{kind}")
    succeed(f"train 'iris[1].{kind}' --target species --epochs 1")
    succeed(f"predict model.safetensors 'iris[1].{kind}'")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["~/t.{}", "file:t.{}"])
def test_names_of_files_are_no_addresses(iris, succeed, monkeypatch, tmp_path, kind, name):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("~", "home"):
        Path(folder).mkdir()
    path, output = name.format(kind), name.format(f"out.{kind}")
    os.rename(f"iris.{kind}", path)
    succeed(f"train '{path}' --target species --epochs 1")
    succeed(f"predict model.safetensors '{path}' --output '{output}'")
    assert Path(output).exists()
    assert os.listdir("home") == []


@pytest.mark.parametrize(
    ("header", "twice"),
    [("a,a,y", "'a'"), ("a,b,y,b,a", "'b', 'a'"), ("\n\na,y,a", "'a'"), ("a,a_duplicated_0,y", ""), (",a,y", "")],
)
def test_columns_of_one_name_are_refused(tmp_path, monkeypatch, run, header, twice):
    monkeypatch.chdir(tmp_path)
    width = header.count(",") + 1
    Path("t.csv").write_text("\n".join([header, ",".join("1" * width), ",".join("2" * width), ""]))
    status, _, err = run("train t.csv --target y --validation 0 --epochs 1")
    assert (status, err) == ((1, f"cbackprop: error: t.csv: two columns are named {twice}\n") if twice else (0, ""))


# predict


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_predict_writes_classes_and_probabilities(iris, succeed, kind):
    succeed("train iris.csv --target species --hidden 8 --epochs 100")
    # columns in another order, one too many, none for the target
    iris.select("petal width", pl.lit("x").alias("note"), *iris.columns[:3]).write_parquet("other.parquet")
    out = succeed(f"predict model.safetensors other.parquet --output p.{kind}")
    assert f"150 rows → p.{kind}" in out

    predicted = pl.read_csv("p.csv") if kind == "csv" else pl.read_parquet("p.parquet")
    assert predicted.columns == ["class", "p_setosa", "p_versicolor", "p_virginica"]
    model = load_model("model.safetensors")
    x = (iris.drop("species").to_numpy() - model.mean) / model.scale
    y = cbackprop.Network.from_weights(model.w, model.v).predict_proba(x)
    assert np.array_equal(predicted.drop("class").to_numpy(), y)  # CSV numbers have all their digits
    assert predicted["class"].to_list() == [model.classes[k] for k in y.argmax(axis=1)]
    for name in model.classes:
        assert re.search(rf"{name} +{(predicted['class'] == name).sum()}\b", out)


def test_predict_with_a_network_that_knows_no_names(iris, succeed, run):
    network = cbackprop.Network(4, 3, 2, rng=0)
    network.save("plain.safetensors")
    x = iris.drop("species")
    x.write_csv("x.csv")
    succeed("predict plain.safetensors x.csv")
    predicted = pl.read_csv("predictions.csv")
    assert predicted.columns == ["class", "p_0", "p_1"]
    assert np.array_equal(predicted["class"].to_numpy(), network.predict(x.to_numpy()))
    _, _, err = run("predict plain.safetensors iris.csv")
    assert "iris.csv: there are 5 columns; plain.safetensors has 4 inputs, without names" in err


def test_predict_leaves_no_part_of_a_file(iris, succeed, run):
    succeed("train iris.csv --target species --epochs 1")
    frame = pl.concat([iris] * 1000)
    frame.with_columns(pl.col("petal width").cast(pl.String)).with_row_index().with_columns(
        pl.when(pl.col("index") == 149_990).then(pl.lit("wide")).otherwise("petal width").alias("petal width")
    ).write_csv("bad.csv")
    status, _, err = run("predict model.safetensors bad.csv --output p.csv")
    assert status == 1
    assert err == "cbackprop: error: bad.csv: row 149991, column 'petal width' is 'wide'; a finite number is needed\n"
    assert not [*Path().glob("p.csv*"), *Path().glob(".*.partial")]


def test_predict_writes_beside_files_of_any_name(iris, succeed, run, monkeypatch):
    succeed("train iris.csv --target species --epochs 1")
    Path("p.csv.part").write_text("mine")
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    succeed("predict model.safetensors iris.csv --output p.csv")
    assert len(synced) == 1 + hasattr(os, "O_DIRECTORY")  # the file and, where that is possible, its folder
    assert Path("p.csv.part").read_text() == "mine"
    assert len(list(Path().glob("p.csv*"))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there, and links need a privilege")
def test_predictions_follow_links_and_keep_the_mode(iris, succeed):
    succeed("train iris.csv --target species --epochs 1")
    Path("folder").mkdir()
    Path("folder/p.csv").touch(mode=0o440)
    Path("p.csv").symlink_to("folder/p.csv")
    succeed("predict model.safetensors iris.csv --output p.csv")
    assert Path("p.csv").is_symlink()
    assert stat.S_IMODE(Path("folder/p.csv").stat().st_mode) == 0o440
    assert len(pl.read_csv("folder/p.csv")) == 150
    assert os.listdir("folder") == ["p.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="names and paths have other limits there")
def test_predictions_may_have_the_longest_name(iris, succeed):
    succeed("train iris.csv --target species --epochs 1")
    succeed(f"predict model.safetensors iris.csv --output {'a' * 251}.csv")
    assert len(pl.read_csv("a" * 251 + ".csv")) == 150


def test_ctrl_c_stops_predicting_and_leaves_no_part_of_a_file(iris, succeed):
    succeed("train iris.csv --target species --epochs 1")
    iris.sample(3_000_000, with_replacement=True, seed=0).write_parquet("large.parquet")  # takes seconds
    status, _, shown = interrupt(["predict", "model.safetensors", "large.parquet", "--output", "p.csv"], rb"\d rows")
    assert status == 130
    assert "predicting" in shown
    assert not [*Path().glob("p.csv*"), *Path().glob(".*.partial")]


# info


def test_info_describes_the_installation(succeed):
    out = succeed("info")
    info = cbackprop.kernel_info()
    for name, value in (("cbackprop", cbackprop.__version__), ("kernels", info["variant"]), ("CPU", "")):
        assert re.search(rf"^{name} +{re.escape(value)}", out, re.MULTILINE)
    assert re.search(rf"compiler +{re.escape(info['compiler'])}", out)


def test_info_describes_a_model(iris, succeed):
    succeed("train iris.csv --target species --hidden 8 --epochs 1 --validation 0")
    out = succeed("info model.safetensors")
    assert "4 inputs, 8 hidden units, 3 outputs" in out
    assert "(8, 5), float64" in out
    assert "(3, 9), float64" in out
    assert "'setosa', 'versicolor', 'virginica'" in out
    assert re.search(r"sepal length +5.84333 +0.825301", out)


def test_names_do_not_command_the_terminal(tmp_path, monkeypatch, run, succeed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    red, back, kept = "\x1b[31mred", "\x9b2Jback\u202e", "幅　🌸"
    pl.DataFrame({red: [1, 2], back: [2, 1], kept: [1, 1], "t": [red, kept]}).write_csv("t.csv")
    shown = succeed("train t.csv --target t --validation 0 --epochs 1")
    shown += succeed("info model.safetensors") + succeed("predict model.safetensors t.csv")
    shown += run("train t.csv --target 'nothing\x1b[31m'")[2]
    pl.DataFrame({"x": [1, 2], "y": [2, 1]}).write_parquet("\x1b.parquet")
    shown += run("train \x1b.parquet --target t")[2]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    for name in (r"\x1b[31mred", r"\x9b2Jback\u202e", kept):
        assert name in shown


# errors


def spoil(iris, row, column, value):
    frame = iris.with_columns(pl.all().cast(pl.String)).with_row_index()
    cell = pl.when(pl.col("index") == row).then(pl.lit(value)).otherwise(column).alias(column)
    return frame.with_columns(cell).drop("index")


@pytest.fixture
def bad_files(iris):
    """Files with one fault each."""
    spoil(iris, 6, "sepal width", "wide").write_csv("text.csv")
    spoil(iris, 9, "sepal width", None).write_csv("gap.csv")
    spoil(iris, 9, "sepal width", "inf").write_csv("infinite.csv")
    spoil(iris, 9, "species", None).write_csv("unlabeled.csv")
    x, species = iris.drop("species").to_numpy(order="c"), iris["species"].to_numpy().astype("U")
    x[4, 2] = np.nan
    iris.with_columns(pl.Series("petal length", x[:, 2])).write_parquet("nan.parquet")
    np.savez("nan.npz", x=x, species=species)
    np.savez("twice.npz", x=x, x1=x[:, 1], species=species)
    np.savez("lengths.npz", x=x, species=species[:-1])
    np.savez("objects.npz", x=x, species=species.astype(object))
    np.savez("columns.npz", x=np.asfortranarray(x), species=species)
    iris.with_columns(day=pl.lit("2020-01-01").str.to_date()).write_parquet("date.parquet")
    iris.filter(species="setosa").write_csv("one.csv")
    iris.head(0).write_csv("header.csv")
    iris.select("species").write_csv("target.csv")
    Path("empty.csv").touch()
    Path("ragged.csv").write_text("a,species\n1,x\n2,y,z\n")
    Path("quote.csv").write_text('a,species\n"1,x\n2,y\n')
    Path("latin.csv").write_bytes(b"a,species\n1,\xe9\n2,y\n")
    for name in ("junk.parquet", "junk.npz", "junk.safetensors", "iris.txt"):
        Path(name).write_text("This is neither a table nor a model.")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("train no.csv --target species", "no.csv: there is no such file"),
        ("train iris.txt --target species", "iris.txt: the name must end in .csv, .parquet, .npz"),
        ("train iris.csv --target kind", "iris.csv: no column 'kind'; it has 'sepal length', 'sepal width', "),
        ("train iris.csv --target species --ignore kind", "iris.csv: no column 'kind'"),
        ("train text.csv --target species", "row 7, column 'sepal width' is 'wide'; a finite number is needed"),
        ("train iris.csv --target 'sepal width'", "row 1, column 'species' is '"),
        ("train gap.csv --target species", "gap.csv: row 10, column 'sepal width' has no value"),
        ("train infinite.csv --target species", "row 10, column 'sepal width' is 'inf'; a finite"),
        ("train unlabeled.csv --target species", "unlabeled.csv: row 10, column 'species' has no value"),
        ("train nan.parquet --target species", "nan.parquet: row 5, column 'petal length' is nan; a finite"),
        ("train nan.npz --target species", "nan.npz: row 5, column 'x2' is nan; a finite"),
        ("train iris.npz --target x0", "iris.npz: array 'species' holds text, not numbers"),
        ("train lengths.npz --target species", "one number of rows; they are x (150, 4), species (149,)"),
        ("train twice.npz --target species", "twice.npz: two columns are named 'x1'"),
        ("train objects.npz --target species", "objects.npz: array 'species.npy' has dtype object"),
        ("train columns.npz --target species", "columns.npz: array 'x.npy' is stored column by column"),
        ("train date.parquet --target species", "date.parquet: column 'day' holds Date, not numbers"),
        ("train one.csv --target species", "one.csv: column 'species' has one class, 'setosa'; 2 are needed"),
        ("train header.csv --target species", "header.csv: there are no rows to learn from"),
        ("train target.csv --target species", "target.csv: no column is left beside the target 'species'"),
        ("train empty.csv --target species", "empty.csv: empty CSV"),
        ("train ragged.csv --target species", "ragged.csv: row 2 has more fields than the header"),
        ("train quote.csv --target species", "quote.csv: row 1, column 'a' has no value"),
        ("train latin.csv --target species", "latin.csv: row 1: invalid utf-8 sequence"),
        ("train junk.parquet --target species", "junk.parquet: "),
        ("train junk.npz --target species", "junk.npz: File is not a zip file"),
        (
            "train iris.csv --target species --output no/m.safetensors",
            "--output is 'no/m.safetensors'; there is no folder",
        ),
        ("train iris.csv --target species --plot no/p.png", "--plot is 'no/p.png'; there is no folder"),
        ("train iris.csv --target species --plot p.txt", "p.txt: the name must end in .eps or "),
        ("train iris.csv --target species --plot p.pgf", "p.pgf: the name must end in .eps or "),
        ("train iris.csv --target species --learning-rate -1", "learning_rate is -1.0; it must be positive"),
        (
            "train iris.csv --target species --learning-rate 1e300 --no-standardize",
            "diverged in epoch 1: try a smaller",
        ),
        ("predict junk.safetensors iris.csv", "junk.safetensors"),
        ("predict no.safetensors iris.csv", "no.safetensors"),
        ("predict iris.safetensors target.csv", "target.csv: no column 'sepal length', 'sepal width', "),
        ("predict iris.safetensors iris.csv --output p.txt", "p.txt: the name must end in .csv or .parquet"),
        ("info junk.safetensors", "junk.safetensors"),
        ("demo --output demo", "demo: the name must end in .eps or "),
        ("demo --output no/demo.png", "--output is 'no/demo.png'; there is no folder"),
    ],
)
def test_errors_are_one_line(bad_files, succeed, run, line, reason):
    succeed("train iris.csv --target species --epochs 1 --output iris.safetensors")
    status, out, err = run(line)
    assert status == 1
    assert out == ""
    assert err.startswith("cbackprop: error: ")
    assert reason in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("learn", "No such command 'learn'."),
        ("train", "Missing"),
        ("train iris.csv", "Missing option '--target'."),
        ("train iris.csv --target species --epochs 0", "Invalid value for '--epochs': "),
        ("train iris.csv --target species --depth 3", "No such option: --depth"),
        ("train iris.csv --target species --resume", "Invalid value for '--resume': it needs --checkpoint"),
        ("train iris.csv --target species --on-bad-row ask", "Invalid value for '--on-bad-row': "),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, line, reason):
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert err.startswith("cbackprop: error: ")
    assert reason in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train iris.csv --target species --output iris.csv", "iris.csv: it is both the table and --output"),
        ("train iris.csv --target species --checkpoint ./iris.csv", "iris.csv: it is both the table and --checkpoint"),
        ("train iris.csv --target species --plot link.csv", "link.csv: it is both the table and --plot"),
        ("train iris.csv --target species --output m --checkpoint m", "m: it is both --output and --checkpoint"),
        ("train iris.csv --target species --output m --plot ../{}/m", "m: it is both --output and --plot"),
        ("predict model.safetensors iris.csv --output iris.csv", "iris.csv: it is both the table and --output"),
        ("predict m.csv iris.csv --output m.csv", "m.csv: it is both the model and --output"),
    ],
)
def test_no_file_serves_two_purposes(iris, run, line, told):
    os.link("iris.csv", "link.csv")
    before = Path("iris.csv").read_bytes()
    status, out, err = run(line.format(Path.cwd().name))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert told in err
    assert Path("iris.csv").read_bytes() == before


@pytest.mark.parametrize("option", ["--output", "--plot", "--checkpoint"])
def test_an_output_that_cannot_be_written_is_refused_at_once(iris, run, monkeypatch, option):
    Path("folder.csv").mkdir()
    Path("lost.csv").symlink_to("no/p.csv")
    Path("loop.csv").symlink_to("loop.csv")
    monkeypatch.setattr(train, "look_through", None)

    def refused(path, reason):
        for line in (f"train iris.csv --target species {option}", "predict no.safetensors iris.csv --output"):
            status, out, err = run(f"{line} {path}")
            assert (status, out, err.count("\n")) == (1, "", 1)
            assert path in err
            assert reason in err

    refused("folder.csv", "a folder")
    refused("no/p.csv", "there is no folder")
    refused("lost.csv", "No such file or directory")
    refused("loop.csv", os.strerror(errno.ELOOP))

    def forbid(path, mode, do=open):  # nothing is forbidden to root
        if "folder.csv" in path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return do(path, mode)

    monkeypatch.setattr(_gate, "open", forbid, raising=False)
    refused("folder.csv/p.csv", "Permission denied")


@pytest.mark.parametrize("line", ["train loop.csv --target species", "predict loop.csv iris.csv", "info loop.csv"])
def test_links_in_a_circle_are_one_line(iris, run, line):
    Path("loop.csv").symlink_to("loop.csv")
    status, out, err = run(line)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "loop.csv" in err


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such limit there")
@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("predict model.safetensors large.csv --output p.csv", "p.csv"),
        ("predict model.safetensors large.csv --output p.parquet", "p.parquet"),
        ("train iris.csv --target species --epochs 1 --hidden 1 --plot p.png", "p.png"),
        ("demo --epochs 1 --output p.png", "p.png"),
    ],
)
def test_what_finds_no_room_leaves_the_old_file(iris, run, succeed, line, name):
    resource = pytest.importorskip("resource")
    succeed("train iris.csv --target species --epochs 1")
    pl.concat([iris] * 100).write_csv("large.csv")
    Path(name).write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        status, _, err = run(line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert re.fullmatch(r"cbackprop: error: .*File too large.*; nothing was written, .*\n", err)
    assert name in err
    assert Path(name).read_text() == "old"
    assert not list(Path().glob("*.partial"))


def test_names_that_cannot_be_saved_are_refused_at_once(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "learn", None)
    pl.DataFrame({"x": [1, 2], "t": ["a" * 2**20, "b"]}).write_csv("t.csv")
    status, _, err = run("train t.csv --target t --validation 0")
    assert status == 1
    assert "names of classes and features take more than 1,048,576 bytes" in err


def test_a_long_cell_is_not_quoted_in_full(iris, run):
    spoil(iris, 6, "sepal width", "wide" * 1000).write_csv("t.csv")
    status, _, err = run("train t.csv --target species")
    assert status == 1
    assert "t.csv: row 7, column 'sepal width' is 'widewide" in err
    assert len(err) < 150


@pytest.mark.skipif(os.name != "posix", reason="its shell closes the streams")
@pytest.mark.parametrize("stream", [1, 2])
def test_a_stream_that_is_closed_is_no_trouble(iris, python, stream):
    code = "import sys; from cbackprop.command import main; sys.argv[1:] = {}; main()"
    closed = ("sh", "-c", f'exec "$@" {stream}>&-', "sh")
    done = python(code.format(["train", "iris.csv", "--target", "species", "--epochs", "1"]), under=closed)
    assert (done.returncode, done.stderr) == (0, "")
    load_model("model.safetensors")
    done = python(code.format(["train", "no.csv", "--target", "species"]), under=closed)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == (stream == 1)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_that_the_terminal_does_not_know_are_escaped(iris, python, encoding):
    iris.with_columns(species=pl.col("species") + "幅").write_csv("t.csv")
    code = "import sys; from cbackprop.command import main; sys.argv[1:] = {}; main()"
    for line in ("train t.csv --target species --epochs 1", "predict model.safetensors t.csv"):
        done = python(code.format(line.split()), PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        assert r"setosa\u5e45" in done.stdout
    assert r"150 rows \u2192" in done.stdout


def test_ctrl_c_at_the_beginning_is_status_130(monkeypatch, run):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cbackprop.command, "require", interrupt)
    assert run("info") == (130, "", "")


def test_too_many_classes_are_refused(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"x": np.arange(10_001), "price": np.arange(10_001)}).write_csv("t.csv")
    _, _, err = run("train t.csv --target price")
    assert "t.csv: column 'price' has more than 10,000 different values" in err


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
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, run, package, line, extra):
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed
    status, _, err = run(line)
    assert status == 1
    assert err == f'cbackprop: error: {package} is not installed; to install it: pip install "cbackprop[{extra}]"\n'
