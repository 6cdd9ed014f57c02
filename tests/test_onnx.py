"""ONNX models compute the same outputs as the network; weights of other libraries are imported unchanged."""

import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, init_weights

pytest.importorskip("sklearn")
pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbackprop._catalog import OUTPUTS
from cbackprop.onnx import from_sklearn, from_torch, register_converter, to_onnx
from cbackprop.sklearn import BackpropClassifier, BackpropRegressor

# rounding errors of the sums and exponentials: 1e-6 is eight units in the last place of 1 in single precision, 1e-14
# some dozens in double precision
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


@pytest.fixture(scope="module")
def iris():
    data = load_iris()
    return data.data, data.target, data.target_names


def bits(network):
    return network.w.tobytes() + network.v.tobytes()


def run_reference(model, x):
    return ReferenceEvaluator(model).run(None, {"X": x})


def run_runtime(model, x):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})


RUNNERS = (run_reference, run_runtime)


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize(("K", "dtype"), [(1, "float64"), (2, "float32"), (10, "float64")])
def test_functions_of_the_network(all_functions, K, dtype, run):
    for functions in all_functions:
        w, v = init_weights(20, 30, K, hidden=functions["hidden"], dtype=dtype, rng=0)
        network = Network.from_weights(w, v, **functions)
        x = np.random.default_rng(0).normal(size=(200, 20)).astype(dtype)
        model = to_onnx(network)
        names = ["variable"] if network.output == "linear" else ["label", "probabilities"]
        assert [value.name for value in model.graph.output] == names
        results = dict(zip(names, run(model, x), strict=True))
        y = cbackprop.forward(x, w, v, **functions).y
        numbers = results.get("variable", results.get("probabilities"))
        assert (numbers.dtype, numbers.shape) == (dtype, (200, K))
        tolerance = 10 * TOLERANCE[dtype] * max(1, np.abs(y).max())  # sums of up to 30 terms of any size
        np.testing.assert_allclose(numbers, y, rtol=0, atol=tolerance)
        if network.output != "linear":
            shape = (200,) if network.output == "softmax" else (200, K)
            assert (results["label"].dtype, results["label"].shape) == (np.int64, shape)
            assert np.array_equal(results["label"], network.predict(x).reshape(shape))


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("missing", ["error", "mean"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_networks_that_standardize(dtype, output, missing, run):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)) * [500, 1, 1e-4, 0] + [101325, 0, 0, 7]
    x[::20, 1] = 1000
    if missing == "mean":
        x[::7, 2] = np.nan
    x = x.astype(dtype)
    t = (x[:, :2] - [101325, 0]) * [10, 1] + [5000, 0]
    t = t if output == "linear" else (t > [5000, 0]) if output == "logistic" else (t[:, 0] > 5000).astype(int)
    network = Network(4, 6, 2, output=output, standardize=True, missing=missing, dtype=dtype, rng=0)
    untrained = Network(4, 6, 2, output=output, standardize=True, missing=missing, dtype=dtype)
    network.fit(x, t.astype(dtype) if t.ndim == 2 else t, epochs=3)
    for each in (network, untrained):
        result = run(to_onnx(each), x)[-1]
        assert result.dtype == dtype
        wanted = each.predict(x) if output == "linear" else each.predict_proba(x)
        atol = 10 * TOLERANCE[np.dtype(dtype).name] * np.abs(wanted).max(axis=0)
        assert (np.abs(result - wanted) <= atol).all()


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("kind", ["text", "object", "int32"])
def test_classifier_predicts_its_labels(iris, kind, run):
    x, t, names = iris
    x = x.astype(np.float32)
    names = {"text": names, "object": names.astype(object), "int32": np.array([3, 5, 9], np.int32)}[kind]
    model = BackpropClassifier(8, random_state=0, learning_rate_init=0.02).fit(csr_array(x), names[t])
    assert not model.network_.w.flags.c_contiguous
    label, probabilities = run(to_onnx(model), x)
    assert label.tolist() == model.predict(x).tolist()
    # inputs up to 8, which are not scaled, make larger sums
    np.testing.assert_allclose(probabilities, model.predict_proba(x), rtol=0, atol=4e-6)


def test_model_has_standard_operators_and_is_a_copy():
    network = Network(3, 4, 2, rng=0)
    model = to_onnx(network)
    before = model.SerializeToString()
    network.learn_one(np.ones(3), 1)
    assert model.SerializeToString() == before
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert model.ir_version == 7  # the version released with that operator set
    assert (model.producer_name, model.producer_version) == ("cbackprop", cbackprop.__version__)
    undecided = Network.from_weights(np.zeros((2, 3)), np.zeros((2, 3)), output="logistic")
    assert run_reference(to_onnx(undecided), np.ones((1, 2)))[0].tolist() == [[1, 1]]  # labels hold from 1/2 on


@pytest.mark.parametrize(
    ("run", "real"),
    [*((run, real) for run in RUNNERS for real in (np.float32, np.float64)), (run_runtime, np.int64)],
)  # onnx.reference rounds scaled integers to integers
def test_pipelines_are_converted(iris, real, run):
    skl2onnx = pytest.importorskip("skl2onnx")
    x, y = (10 * iris[0]).astype(real), iris[2][iris[1]]
    pipeline = make_pipeline(StandardScaler(), BackpropClassifier(8, random_state=0)).fit(x, y)
    register_converter()
    label, probabilities = run(skl2onnx.to_onnx(pipeline, x[:1], options={"zipmap": False}), x)
    assert label.tolist() == pipeline.predict(x).tolist()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(x), rtol=0, atol=2e-6)  # the scaler rounds, too
    maps = skl2onnx.to_onnx(pipeline, x[:1])
    assert [output.name for output in maps.graph.output] == ["output_label", "output_probability"]


OTHER_TARGETS = {
    "labels": lambda x, t: np.eye(3, dtype=int)[t] | (x[:, :1] > 58),
    "number": lambda x, t: (x[:, 2] - x[:, 3]) / 10,
    "numbers": lambda x, t: (x[:, 2:] - x[:, :1]) / 10,
}


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize(("activation", "real"), [("tanh", np.float32), ("relu", np.float64)])
@pytest.mark.parametrize("kind", OTHER_TARGETS)
def test_pipelines_of_other_outputs_are_converted(iris, kind, activation, real, run):
    skl2onnx = pytest.importorskip("skl2onnx")
    x = (10 * iris[0]).astype(real)
    y = OTHER_TARGETS[kind](x, iris[1])
    estimator = BackpropClassifier if kind == "labels" else BackpropRegressor
    model = estimator(8, activation, random_state=0, learning_rate_init=1e-3, max_iter=5, tol=0, n_iter_no_change=9)
    with pytest.warns(ConvergenceWarning):
        pipeline = make_pipeline(StandardScaler(), model).fit(x, y)
    register_converter()
    options = {"zipmap": False} if kind == "labels" else None
    converted = skl2onnx.to_onnx(pipeline, x[:1], options=options)
    results = run(converted, x)
    for value, result in zip(converted.graph.output, results, strict=True):
        assert [size.dim_value for size in value.type.tensor_type.shape.dim][1:] == list(result.shape[1:])
    if kind == "labels":
        assert np.array_equal(results[0], pipeline.predict(x))
        np.testing.assert_allclose(results[1], pipeline.predict_proba(x), rtol=0, atol=2e-6)
        skl2onnx.to_onnx(pipeline, x[:1])  # with a map for each sample
    else:
        wanted = pipeline.predict(x).reshape(150, -1)
        tolerance = 4e-6 * np.abs(wanted).max()  # the scaler rounds, too
        np.testing.assert_allclose(results[0], wanted, rtol=0, atol=tolerance)


def test_models_that_protobuf_cannot_hold_are_rejected(monkeypatch):
    skl2onnx = pytest.importorskip("skl2onnx")
    register_converter()
    wide, narrow = (Network(20, 30, 2, dtype=dtype, rng=0) for dtype in ("float64", "float32"))  # 692 weights
    classifier = BackpropClassifier.from_network(wide, [0, 1])
    message = r"model has 692 weights in float64, 0.0 GiB; ONNX holds less than 2 GiB: .* to float32, .* hidden units"
    monkeypatch.setattr("cbackprop.onnx.MAX_BYTES", 692 * 8)
    to_onnx(wide)
    monkeypatch.setattr("cbackprop.onnx.MAX_BYTES", 692 * 8 - 1)
    for convert, x in ((to_onnx, ()), (skl2onnx.to_onnx, (np.ones((1, 20)),))):
        with pytest.raises(ValueError, match=message):
            convert(classifier, *x)
    skl2onnx.to_onnx(classifier, np.ones((1, 20), np.float32))  # converts the weights
    monkeypatch.setattr("cbackprop.onnx.MAX_BYTES", 692 * 4 - 1)
    with pytest.raises(ValueError, match=r"float32, .*: train fewer hidden units"):
        to_onnx(narrow)


def test_other_models_are_rejected():
    with pytest.raises(TypeError, match="model is a StandardScaler; it must be a Network, a BackpropClassifier or a"):
        to_onnx(StandardScaler())
    for estimator in (BackpropClassifier(), BackpropRegressor()):
        with pytest.raises(NotFittedError):
            to_onnx(estimator)
    model = BackpropClassifier.from_network(Network(3, 4, 2, rng=0), np.array([1, 2**63], np.uint64))
    with pytest.raises(ValueError, match="model has the label 9223372036854775808; ONNX needs labels below"):
        to_onnx(model)


# --------------------------------------------------------------------------------------------------------- scikit-learn


def fitted(x, y, kind=MLPClassifier, **options):
    options = {"hidden_layer_sizes": (7,), "activation": "logistic", "max_iter": 40, "random_state": 0} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning
        return kind(**options).fit(x, y)


@pytest.mark.parametrize("classes", [2, 3])
def test_from_sklearn_copies_weights(iris, classes, dtype):
    x, t, names = iris
    x, y = x[t < classes].astype(dtype), names[t[t < classes]]
    theirs = fitted(x, y)
    before = theirs.coefs_[0].copy()
    ours = from_sklearn(theirs)
    assert ours.network_.dtype == dtype
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=0, atol=TOLERANCE[dtype.name])
    assert np.array_equal(ours.predict(x), theirs.predict(x))
    ours.partial_fit(x, y)
    assert np.array_equal(theirs.coefs_[0], before)


@pytest.mark.parametrize(("activation", "real"), [("logistic", "f4"), ("tanh", "f8"), ("relu", "f4")])
@pytest.mark.parametrize("kind", ["classes", *OTHER_TARGETS])
def test_from_sklearn_keeps_functions(iris, kind, activation, real):
    x, t, names = iris
    y = {"classes": lambda x, t: names[t], **OTHER_TARGETS}[kind](x, t)
    theirs = fitted(
        x.astype(real), y, MLPRegressor if kind.startswith("number") else MLPClassifier, activation=activation
    )
    ours = from_sklearn(theirs)
    assert (ours.out_activation_, ours.activation) == (theirs.out_activation_, activation)
    assert all(np.array_equal(*pair) for pair in zip(ours.coefs_, theirs.coefs_, strict=True))
    assert ours.predict(x).shape == theirs.predict(x).shape
    if kind.startswith("number"):
        tolerance = 10 * TOLERANCE[np.dtype(real).name]  # sums of numbers up to 10
        np.testing.assert_allclose(ours.predict(x.astype(real)), theirs.predict(x.astype(real)), rtol=0, atol=tolerance)
    else:
        assert np.array_equal(ours.predict(x), theirs.predict(x))
        assert np.array_equal(ours.classes_, theirs.classes_)
    ours.partial_fit(x, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "identity"}, r"has 1 hidden layers, activation 'identity'.* among 'logistic', 'tanh', 'relu'"),
        ({"hidden_layer_sizes": (3, 3)}, "has 2 hidden layers"),
        ({"kind": MLPRegressor, "loss": "poisson"}, r"output activation 'exp'; .* no Poisson loss"),
    ],
)
def test_from_sklearn_rejects_other_networks(iris, options, message):
    if "loss" in options and "loss" not in MLPRegressor().get_params():
        pytest.skip("scikit-learn before 1.7 has no other loss")
    with pytest.raises(TypeError, match="model is a StandardScaler; it must be an MLPClassifier or an MLPRegressor"):
        from_sklearn(StandardScaler())
    with pytest.raises(NotFittedError):
        from_sklearn(MLPClassifier())
    with pytest.raises(ValueError, match=message):
        from_sklearn(fitted(*iris[:2], **options))


# -------------------------------------------------------------------------------------------------------------- PyTorch


def state_of(network):
    """The state_dict of a PyTorch model with these weights, as arrays."""
    return {
        "0.weight": network.w[:, :-1].copy(),
        "0.bias": network.w[:, -1].copy(),
        "2.weight": network.v[:, :-1].copy(),
        "2.bias": network.v[:, -1].copy(),
    }


def test_from_torch_uses_the_named_functions(all_functions, dtype):
    for functions in all_functions:
        network = Network(4, 5, 3, dtype=dtype, rng=0, **functions)
        network.w[:, -1], network.v[:, -1] = 0.5, -0.5
        state = state_of(network)
        again = from_torch(state, **functions)
        assert (again.functions, again.dtype, bits(again)) == (network.functions, dtype, bits(network))
        again.w[...], again.v[...] = 1, 1
        assert bits(from_torch(state, **functions)) == bits(network)  # whose arrays are not shared
    with pytest.raises(ValueError, match="hidden is 'gelu'; it must be one of 'sigmoid', 'tanh', 'relu'"):
        from_torch(state, hidden="gelu")
    with pytest.raises(ValueError, match="output is 'sigmoid'; it must be one of 'softmax', 'linear', 'logistic'"):
        from_torch(state, output="sigmoid")


@pytest.mark.parametrize(("hidden", "activation"), [("sigmoid", "Sigmoid"), ("tanh", "Tanh"), ("relu", "ReLU")])
@pytest.mark.parametrize("output", OUTPUTS)
def test_from_a_torch_model(output, hidden, activation):
    torch = pytest.importorskip("torch")
    last = {"softmax": [torch.nn.Softmax(dim=1)], "linear": [], "logistic": [torch.nn.Sigmoid()]}[output]
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), getattr(torch.nn, activation)(), torch.nn.Linear(5, 3), *last)
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    network = from_torch(model.state_dict(), output=output, hidden=hidden)
    y = cbackprop.forward(x, network.w, network.v, **network.functions._asdict()).y
    np.testing.assert_allclose(y, model(torch.from_numpy(x)).detach().numpy(), rtol=0, atol=1e-6)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state_of(network).items()})
    assert bits(from_torch(model.state_dict())) == bits(network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"2.bias": None}, r"state has the entries \['0.weight', '0.bias', '2.weight'\]; it must have four"),
        ({"0.weight": np.ones(3)}, r"0.weight has shape \(3,\) and 0.bias \(5,\); they must be"),
        ({"2.bias": np.ones(4)}, r"2.weight has shape \(3, 5\) and 2.bias \(4,\); they must be"),
        ({"2.weight": np.ones((3, 6))}, r"2.weight has shape \(3, 6\); it must be \(K, 5\), since 0.weight has shape"),
        ({"0.weight": np.ones((5, 0))}, r"0.weight has shape \(5, 0\) and 0.bias \(5,\); they must be .* at least one"),
        ({"0.bias": np.ones(5, int)}, "0.bias has dtype int64; it must be"),
        ({"2.bias": np.ones(3, np.float32)}, "0.weight is float64 and 2.bias is float32; they must have"),
        ({"0.weight": np.full((5, 4), np.nan)}, "0.weight holds NaN or infinity; weights must be finite"),
    ],
)
def test_from_torch_names_the_invalid_entry(change, message):
    state = {name: value for name, value in (state_of(Network(4, 5, 3, rng=0)) | change).items() if value is not None}
    with pytest.raises((TypeError, ValueError), match=message):
        from_torch(state)
