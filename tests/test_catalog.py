"""The tables of hidden functions and outputs agree with the equations, and nothing else tells functions apart."""

import dataclasses
import importlib
from functools import partial

import numpy as np
import pytest

import cbackprop
from cbackprop import Ensemble, Network, _dispatch, reference
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._growth import Growing
from cbackprop.files.model_file import load_model

N, D, M, K = 12, 3, 4, 2
X = np.random.default_rng(0).normal(size=(N, D))
LOGITS = np.random.default_rng(1).normal(size=(50, 3)) * 3
NAMES = [*HIDDEN_FUNCTIONS, *OUTPUTS]


def test_numbers_are_those_of_the_kernels(kernels):
    for table, numbers in ((HIDDEN_FUNCTIONS, kernels.HIDDEN_FUNCTIONS), (OUTPUTS, kernels.OUTPUTS)):
        assert {name: record.number for name, record in table.items()} == numbers


def test_every_function_has_its_name_and_equations_in_the_reference():
    assert all(record.name == name for name, record in (HIDDEN_FUNCTIONS | OUTPUTS).items())
    assert reference.HIDDEN_FUNCTIONS.keys() == HIDDEN_FUNCTIONS.keys()
    assert reference.OUTPUTS.keys() == OUTPUTS.keys()
    assert reference.LOG_PROBABILITIES.keys() == {name for name, output in OUTPUTS.items() if output.probabilities}


@pytest.mark.parametrize("hidden", HIDDEN_FUNCTIONS)
def test_initial_weights_suit_the_hidden_function(hidden):
    h, derivative = reference.HIDDEN_FUNCTIONS[hidden]
    function = HIDDEN_FUNCTIONS[hidden]
    assert function.half_zero == ((h(np.array([-2, -1, 1, 2.0])) == 0).mean() == 0.5)
    near_0 = h(np.array([1e-9]))  # where ReLU has a slope
    assert function.gain == pytest.approx(1 / derivative(near_0)[0], abs=1e-8)  # the slopes differ by about b_j


@pytest.mark.parametrize("name", OUTPUTS)
def test_records_agree_with_the_equations_of_outputs(name):
    output, (of_logits, errors) = OUTPUTS[name], reference.OUTPUTS[name]
    y = of_logits(LOGITS)
    assert output.probabilities == bool(((y > 0) & (y < 1)).all())
    assert output.exclusive == np.allclose(y.sum(axis=1), 1)
    assert (output.onnx is None) == np.array_equal(y, LOGITS)
    # what is predicted could be the target, and has the least error of all targets of its kind
    predicted = output.prediction(y)
    t = np.eye(3)[predicted] if output.exclusive else predicted
    assert output.limits is None or (np.isin(t, output.limits).all())
    for k in range(3):
        other = np.roll(t, k, axis=1) if output.exclusive else np.where(np.arange(3) == k, 1 - t, t)
        assert (errors(t, LOGITS) <= errors(other, LOGITS)).all()
    # of a target that is far from its logit, a cross-entropy is about as large as the logit, and others are larger
    far = np.array([[-1e6, 0]])
    assert output.probabilities == (errors(np.array([[1, 0]]), far)[0] < 2e6)


@pytest.mark.parametrize("name", [name for name, output in OUTPUTS.items() if output.probabilities])
def test_logarithms_of_probabilities(name):
    (of_logits, _errors), log_y = reference.OUTPUTS[name], reference.LOG_PROBABILITIES[name]
    # y rounds by some ULP, near 1 of 1
    np.testing.assert_allclose(log_y(LOGITS), np.log(of_logits(LOGITS)), rtol=1e-14, atol=1e-15)
    assert log_y(np.array([[-2000.0, 0]]))[0, 0] == pytest.approx(-2000, abs=1)  # y_0 rounds to 0; log y_1 is in -1..0


@pytest.mark.parametrize("name", NAMES)
def test_names_of_other_libraries(name):
    onnx, sklearn = pytest.importorskip("onnx"), pytest.importorskip("sklearn.neural_network._base")
    record, (function, _) = (HIDDEN_FUNCTIONS | OUTPUTS)[name], (reference.HIDDEN_FUNCTIONS | reference.OUTPUTS)[name]
    assert record.onnx is None or onnx.defs.has(record.onnx)
    theirs = LOGITS.copy()
    sklearn.ACTIVATIONS[record.activation](theirs)  # in place
    np.testing.assert_allclose(theirs, function(LOGITS), rtol=1e-14)  # some roundings of either


# ----------------------------------------------------- a copy of a function with another name does the same everywhere


def message(call):
    """The message of the error that a call raises, or None."""
    try:
        call()
    except (TypeError, ValueError) as error:
        return str(error)


def results(output, hidden, folder):
    """What a network does, in all places that could tell its functions apart."""
    exclusive = OUTPUTS[output].exclusive
    t = np.random.default_rng(2).integers(K, size=N) if exclusive else (X[:, :K] > 0).astype(float)
    network = Network(D, M, K, output=output, hidden=hidden, rng=0)
    yield network.fit(X, t, epochs=3, rng=0).losses
    yield [network.learn_one(x_n, t_n) for x_n, t_n in zip(X, t, strict=True)]
    yield network.predict(X)
    yield [network.predict_one(x_n) for x_n in X]
    yield from network.gradient(X, t)
    functions = network.functions._asdict()
    yield from cbackprop.numerical_gradient(X, t, network.w, network.v, scheme="complex", **functions)
    yield reference.loss(X, t, network.w, network.v, **functions)
    yield [y.tolist() for y in reference.init_weights(D, M, K, hidden=hidden, rng=0)]
    for call in (
        lambda: network.predict_proba(X),
        lambda: network.predict_proba_one(X[0]),
        lambda: network.learn_one(X[0], 2.5),
        lambda: network.learn_one(X[0], np.full(K, 2.5)),
        lambda: network.fit(X, np.full((N, K), 2.5), rng=0),
        lambda: network.fit(X, np.zeros((N, K, 1))),
        lambda: Network(D, M, 1, output=output),
    ):
        yield message(call)
    network.save(folder / "model")
    growing = Growing.new((D, K), (D, M, K if exclusive else 1), output, hidden, "auto", [0], None)
    growing.learn_many(X, t if exclusive else t[:, 0])
    for x_n, t_n in zip(X, t if exclusive else t[:, :1], strict=True):
        growing.one_sample.learn_one(x_n, t_n)
    yield growing.predict(X)
    yield growing.weights
    yield from results_of_ensemble(network, t, folder)
    yield from results_of_adapters(network, t)
    yield from results_of_commands(network, folder)
    yield from results_of_plots(output, hidden)


def results_of_ensemble(network, t, folder):
    functions = network.functions._asdict()
    ensemble = Ensemble(D, [M, 2], K, learning_rates=[0.1, 0.5], rng=0, **functions)
    yield ensemble.fit(X, t, rng=0).losses
    yield [ensemble.learn_one(x_n, t_n) for x_n, t_n in zip(X, t, strict=True)]
    yield ensemble.weights
    ensemble.save(folder / "ensemble")
    ensemble = Ensemble.load(folder / "ensemble")
    yield ensemble.predict(X)
    yield [ensemble.predict_one(x_n) for x_n in X]
    yield ensemble.loss(X, t)
    yield message(lambda: ensemble.predict_proba(X))
    yield message(lambda: Ensemble(D, M, 1, learning_rates=[0.1], **functions))


def results_of_adapters(network, t):
    sklearn, onnx = pytest.importorskip("cbackprop.sklearn"), pytest.importorskip("cbackprop.onnx")
    graph = onnx.to_onnx(network).graph
    yield [node.op_type for node in graph.node], [output.name for output in graph.output]
    yield sklearn._validation.mean_error(network, X, t, np.arange(1.0, N + 1))
    if OUTPUTS[network.output].probabilities:
        model = sklearn.BackpropClassifier.from_network(network, np.arange(K), random_state=0)
        yield message(lambda: sklearn.BackpropRegressor.from_network(network)) is None
        yield model.predict_proba(X)
        yield model.predict_log_proba(X)
        yield model.decision_function(X)
    else:
        model = sklearn.BackpropRegressor.from_network(network, random_state=0)
        yield message(lambda: sklearn.BackpropClassifier.from_network(network, np.arange(K))) is None
    yield model.activation
    yield model.out_activation_
    yield model.predict(X)
    yield model.partial_fit(X, t).predict(X)


def results_of_commands(network, folder):
    pytest.importorskip("polars")
    from cbackprop.command import info, predict

    model = load_model(folder / "model")
    yield info.describe(model)["task"]
    predictions = predict.Predictions(model)
    writer = predict.Writer(predictions)
    yield writer.frame(predictions(X)).to_dict(as_series=False)
    yield writer.summary()


def results_of_plots(output, hidden):
    plot, figure = pytest.importorskip("cbackprop.plot"), pytest.importorskip("matplotlib.figure").Figure
    classes = np.arange(N) % 2
    for inputs, outputs in ((2, 1), (2, 2), (1, 1)):
        weights = reference.init_weights(inputs, M, outputs, rng=0)
        network = Network.from_weights(*weights, output=output, hidden=hidden)
        yield message(partial(plot.decision_regions, network, X[:, :2], classes, ax=figure().subplots()))
        yield message(partial(plot.fitted_curve, network, X[:, 0], X[:, 1], ax=figure().subplots()))


def check_copy(table, name, equations, functions, monkeypatch, folder):
    pytest.importorskip("sklearn")
    importlib.import_module("cbackprop.sklearn")  # which reads the table when it is imported, and keeps what it finds
    attribute = "OUTPUTS" if table is OUTPUTS else "HIDDEN_FUNCTIONS"
    for variant in _dispatch.available_variants():
        for dtype in ("float32", "float64"):
            module = importlib.import_module(f"cbackprop.kernels.{variant}_{dtype}")
            equations.append(getattr(module, attribute))
    monkeypatch.setitem(table, "copied", dataclasses.replace(table[name], name="copied"))
    for each in equations:
        monkeypatch.setitem(each, "copied", each[name])
    of_both = (list(results(*functions(each), folder)) for each in (name, "copied"))
    for wanted, found in zip(*of_both, strict=True):
        if isinstance(found, str):
            assert found.replace("copied", name) == wanted
        else:
            np.testing.assert_equal(found, wanted)


@pytest.mark.parametrize("hidden", HIDDEN_FUNCTIONS)
def test_a_hidden_function_is_a_record_and_equations(hidden, monkeypatch, tmp_path):
    equations = [reference.HIDDEN_FUNCTIONS]
    check_copy(HIDDEN_FUNCTIONS, hidden, equations, lambda name: ("linear", name), monkeypatch, tmp_path)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_is_a_record_and_equations(output, monkeypatch, tmp_path):
    equations = [table for table in (reference.OUTPUTS, reference.LOG_PROBABILITIES) if output in table]
    check_copy(OUTPUTS, output, equations, lambda name: (name, "tanh"), monkeypatch, tmp_path)
