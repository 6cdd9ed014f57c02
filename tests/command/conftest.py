"""Fixtures for tests of the command: a folder of tables, and calls of the command in this process."""

import io
import shlex
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop._rates import EpochRates
from cbackprop.files.model_file import load_model

if not all(map(find_spec, ("polars", "rich", "sklearn", "typer"))):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def small_blocks(request, monkeypatch):
    """Blocks have as many rows as the parameter `block_rows` tells, if any, and are not read row by row."""
    monkeypatch.setattr("cbackprop.command.tables.BATCHES", 2)
    if block_rows := hasattr(request.node, "callspec") and request.node.callspec.params.get("block_rows"):
        monkeypatch.setattr("cbackprop.command.tables.BLOCK_ROWS", block_rows)


@pytest.fixture
def learn_in_epochs():
    """Train a network as the command does at automatic rates, on blocks of inputs, targets and perhaps weights."""

    def learn(network, blocks, epochs, rng, size=1):
        auto = EpochRates(network.w.shape[1] - 1, epochs, sum(len(t) for _, t, *_ in blocks))
        l2 = 0 if network.output == "linear" or hasattr(blocks[0][0], "indptr") else auto.penalty
        for epoch in range(epochs):
            network.learning_rate = auto.rate(epoch) / size
            for sums in network.accumulators:
                sums *= auto.memory
            for x, t, *weight in blocks:
                network.fit(x, t, sample_weight=weight[0] if weight else None, l2=l2, rng=rng)
        network.learning_rate = auto.rate(0) / size  # which the file keeps
        return network

    return learn


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, and a terminal of 150 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    return tmp_path


def written(name, frame):
    """Write a data frame as CSV and Parquet; return it."""
    frame.write_csv(f"{name}.csv")
    frame.write_parquet(f"{name}.parquet")
    return frame


@pytest.fixture
def iris(folder):
    """The iris flowers, as a data frame and as CSV and Parquet files in the current folder."""
    import polars as pl
    from sklearn.datasets import load_iris

    flowers = load_iris()
    frame = pl.DataFrame(flowers.data, schema=["sepal length", "sepal width", "petal length", "petal width"])
    order = np.random.default_rng(0).permutation(len(frame))
    frame = frame.with_columns(species=pl.Series(flowers.target_names).gather(flowers.target))[order]
    return written("iris", frame)


@pytest.fixture
def houses(folder):
    """Two columns and a price that depends on them, as a data frame and as CSV and Parquet files."""
    import polars as pl

    rng = np.random.default_rng(0)
    area, age = rng.uniform(20, 200, 300), rng.integers(0, 90, 300)
    price = 1e5 + 3000 * area - 20 * age**2 + rng.normal(0, 5000, 300)
    frame = pl.DataFrame({"area": area, "age": age, "price": price})
    return written("houses", frame)


@pytest.fixture
def shops(folder):
    """Sales that depend on a city and on the kind of a day, as a data frame and as files."""
    import polars as pl

    rng = np.random.default_rng(0)
    city, open_, area = rng.choice(["Rome", "Oslo", "Bonn"], 300), rng.integers(0, 2, 300), rng.uniform(1, 2, 300)
    sales = 5.0 * (city == "Rome") - 3 * (city == "Oslo") + 2 * open_ + area + rng.normal(0, 0.1, 300)
    frame = pl.DataFrame({"city": city, "open": open_, "area": area, "sales": sales})
    return written("shops", frame)


@pytest.fixture
def clicks(folder):
    """Clicks that depend on site, device and price, as a data frame and as files."""
    import polars as pl

    rng = np.random.default_rng(0)
    site, device, price = rng.integers(0, 40, 400), rng.choice(["phone", "tv", ""], 400), rng.uniform(5, 9, 400)
    click = site % 3 + 2 * (device == "tv") + price - 7 > 1
    frame = pl.DataFrame({"site": [f"s{i}.é" for i in site], "price": price, "device": device, "click": click})
    frame = frame.with_columns(pl.col("click").replace_strict({True: "yes", False: "no"}))
    frame.with_columns(pl.col("device").replace("", None)).write_csv("clicks.csv")
    frame.with_columns(pl.col("site").cast(pl.Categorical)).write_parquet("clicks.parquet")
    return frame


@pytest.fixture
def rows(folder):
    """A file of sparse rows of two classes, -1 and 1; inputs and classes."""
    from sklearn.datasets import dump_svmlight_file

    rng = np.random.default_rng(0)
    x = rng.uniform(size=(300, 12)) * (rng.uniform(size=(300, 12)) < 0.4)
    t = np.where(x[:, 0] + x[:, 3] > x[:, 7], 1, -1)
    dump_svmlight_file(x, t, "t.svm", zero_based=False, comment="rows")
    return x, t


@pytest.fixture
def first_pass():
    """A function that returns what the first pass of a training finds in a table."""
    from cbackprop.command.options import TrainOptions
    from cbackprop.command.train import Training

    def call(path, **options):
        return Training(TrainOptions(data=Path(path), quiet=True, **options)).dataset

    return call


@pytest.fixture
def pipe(monkeypatch):
    """Make bytes the standard input."""
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.fixture
def full_disk():
    """A context in which no file can have more than 2,048 bytes."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def context():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return context


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process; return exit status, standard output and standard error."""
    from cbackprop.command import main

    def call(line):
        monkeypatch.setattr(sys, "argv", ["cbackprop", *shlex.split(line)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        out, err = capsys.readouterr()
        return exit_info.value.code, out, err

    return call


@pytest.fixture
def succeed(run):
    """Run the command, which must succeed without output on standard error; return its output."""

    def call(line):
        status, out, err = run(line)
        assert (status, err) == (0, "")
        return out

    return call


@pytest.fixture
def fail(run):
    """Run the command, which must fail with one line on standard error and nothing else; return its message."""

    def call(line, status=1):
        *result, err = run(line)
        assert (result, err.count("\n")) == ([status, ""], 1)
        prefix, _, message = err.rstrip("\n").partition("cbackprop: error: ")
        assert prefix == ""
        return message

    return call


@pytest.fixture
def content():
    """A function that returns what must agree between two model files of the same training."""

    def read(path):
        model = load_model(path)
        names = model.features, model.categories, model.hash, model.classes, model.targets
        scaling = [None if values is None else values.tolist() for values in (model.mean, model.target_mean)]
        states = [array.tobytes() for arrays in model.states.values() for array in arrays]
        return model.w.tobytes(), model.v.tobytes(), *states, *names, *scaling

    return read


@pytest.fixture
def failing_fit(monkeypatch):
    """A context in which `Network.fit` raises an error after a number of successful calls."""

    @contextmanager
    def context(calls, error):
        remaining = iter(range(calls))
        fit = cbackprop.Network.fit

        def fit_or_fail(network, *arguments, **keywords):
            if next(remaining, None) is None:
                raise error
            return fit(network, *arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(cbackprop.Network, "fit", fit_or_fail)
            yield

    return context
