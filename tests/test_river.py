"""The River models: River's own checks, new features and outputs, weights, data frames, and invalid samples."""

import copy
import math
import os
import pickle
import random
import tracemalloc
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from cbackprop import DivergenceError, _growth, init_weights, reference
from cbackprop._catalog import HIDDEN_FUNCTIONS
from cbackprop._running import RunningScaler

pytest.importorskip("river")
pytest.importorskip("pandas")
import pandas as pd
from river import checks, compose, datasets, evaluate, linear_model, metrics, preprocessing
from river.utils import VectorDict
from sklearn.feature_extraction import FeatureHasher

from cbackprop.river import (
    BackpropClassifier,
    BackpropMultiLabelClassifier,
    BackpropMultiTargetRegressor,
    BackpropRegressor,
)
from cbackprop.river._samples import Hasher

OUTPUTS = {
    BackpropClassifier: "softmax",
    BackpropRegressor: "linear",
    BackpropMultiTargetRegressor: "linear",
    BackpropMultiLabelClassifier: "logistic",
}

with pytest.MonkeyPatch.context() as patch:
    patch.setattr(datasets, "Music", datasets.Yeast)  # River's data set of labels, and the one that it ships
    every = [
        (model, check, options)
        for model in OUTPUTS
        for options in ({}, {"n_features": 2**10})
        if not options or model in (BackpropClassifier, BackpropMultiTargetRegressor)
        for check in checks.yield_checks(model(**options))
    ]
    # the check of memory takes long: of each model with its first data set
    growth = [case for case in every if case[1].__name__ == "check_bounded_memory_growth"]
    first = {case[0]: case for case in reversed(growth)}
    CHECKS = [case for case in every if case not in growth or case is first[case[0]]]


models = pytest.mark.parametrize("model", OUTPUTS)
rates = pytest.mark.parametrize("rate", [0.1, "auto"])
# Of each model one kind of rate, where models and rates can't depend on each other
kinds = pytest.mark.parametrize(
    ("model", "rate"),
    [
        (BackpropClassifier, "auto"),
        (BackpropRegressor, 0.1),
        (BackpropMultiTargetRegressor, "auto"),
        (BackpropMultiLabelClassifier, 0.1),
    ],
)
HASHED = {"n_features": 50}
named_or_hashed = pytest.mark.parametrize("options", [{}, HASHED], ids=str)


@pytest.mark.parametrize(
    ("model", "check", "options"),
    CHECKS,
    ids=[f"{n}-{model.__name__}-{check.__name__}" for n, (model, check, _) in enumerate(CHECKS)],
)
def test_checks_of_river(model, check, options):
    random.seed(0)  # some checks shuffle
    check(model(**options))


@models
def test_no_check_of_river_is_skipped(model):
    assert sum(other is model for other, *_ in CHECKS) > 25
    assert model()._unit_test_skips() == set()


def samples(n, names="abc"):
    rng = np.random.default_rng(0)
    return [
        (dict(zip(names, rng.normal(size=len(names)).tolist(), strict=True)), f"class {k}")
        for k in rng.integers(3, size=n)
    ]


def learned(stream, model=BackpropClassifier, **options):
    model = model(**{"n_hidden": 5, "learning_rate": 0.1, "seed": 0} | options)
    for sample in stream:
        model.learn_one(*sample)
    return model


def number(x, y):
    """A number to learn in place of the label."""
    return x["a"] - 0.5 * int(y[-1])


def answer(model, x, y):
    """What the model can learn in place of the label."""
    if model is BackpropClassifier:
        return y
    if model is BackpropRegressor:
        return number(x, y)
    if model is BackpropMultiTargetRegressor:
        return {"first": number(x, y), "second": x["b"]}
    return {"first": x["a"] > 0, "second": y == "class 1"}


def stream_for(model, n):
    return [(x, answer(model, x, y)) for x, y in samples(n)]


def layers(networks):
    return [array for network in networks for array in (network.w, network.v, *(network.accumulators or ()))]


def bits(model):
    return b"".join(array.tobytes() for array in (*layers(model.networks), model.weights))


def assert_alike(model, networks, weights):
    """A model has these networks, and weights of them, but for sums in another order."""
    for found, expected in zip(layers(model.networks), layers(networks), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-11)
    np.testing.assert_allclose(model.weights, weights, rtol=1e-9)


def numbers_in(y):
    """The numbers of a prediction; of pairs of probabilities the second."""
    if not isinstance(y, dict):
        return [y]
    return [number[True] if isinstance(number, dict) else number for number in y.values()]


def target(model, y):
    """The target of the network for y."""
    if isinstance(y, str):
        return model.classes.index(y)
    return [float(number) for number in y.values()] if isinstance(y, dict) else y


def meaning(model, y):
    """What a prediction y of the network means."""
    if isinstance(model, BackpropClassifier):
        return model.classes[y]
    return y if isinstance(model, BackpropRegressor) else dict(zip(["first", "second"], y.tolist(), strict=True))


@contextmanager
def refused(model, error, message=None):
    """A call that raises this error leaves the model unchanged."""
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        yield
    assert pickle.dumps(model) == before


@named_or_hashed
@pytest.mark.parametrize("hidden", HIDDEN_FUNCTIONS)
@models
def test_samples_are_learned_like_by_the_network(model, hidden, options):
    stream = stream_for(model, 50)
    model = learned(stream[:20], model, hidden=hidden, **options)
    assert model.features == ([] if options else ["a", "b", "c"])
    network = pickle.loads(pickle.dumps(model.network))
    assert network.w.shape == (5, 51 if options else 4)
    functions = {"output": OUTPUTS[type(model)], "hidden": hidden}
    assert network.functions._asdict() == functions
    w, v = network.w.copy(), network.v.copy()
    for n, (x, y) in enumerate(stream[20:]):
        weight = [1, 1.0, 0.5, 0, 3][n % 5]
        if options:
            x["text"] = f"{n % 3}"
        row = FeatureHasher(50).transform([x]).toarray()[0] if options else np.array(list(x.values()))
        model.learn_one(x, y, w=weight)
        network.learn_one(row, target(model, y), weight)
        if not options:
            assert bits(model) == network.w.tobytes() + network.v.tobytes() + np.ones(1).tobytes()
            assert model.predict_one(x) == meaning(model, network.predict_one(row))
        reference.step(row, target(model, y), w, v, 0.1, sample_weight=weight, **functions)
    np.testing.assert_allclose(model.network.w, w, atol=1e-12)  # sums in another order, over 30 updates
    np.testing.assert_allclose(model.network.v, v, atol=1e-12)


def test_types_of_predictions():
    x = samples(1)[0][0]
    regressor, several, labels = (
        learned(stream_for(model, 20), model)
        for model in (BackpropRegressor, BackpropMultiTargetRegressor, BackpropMultiLabelClassifier)
    )
    assert type(regressor.predict_one(x)) is float
    assert several.targets == labels.labels == ["first", "second"]
    assert {type(holds) for holds in labels.predict_one(x).values()} == {bool}
    for probabilities in labels.predict_proba_one(x).values():
        assert probabilities[False] == 1 - probabilities[True]


def test_predictions_before_training():
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[3, 4])
    classifier, regressor = BackpropClassifier(), BackpropRegressor()
    assert (classifier.predict_one({"a": 1.0}), classifier.predict_proba_one({"a": 1.0})) == (None, {})
    assert classifier.predict_many(frame).tolist() == [None, None]
    assert classifier.predict_proba_many(frame).shape == (2, 0)
    assert (regressor.predict_one({"a": 1.0}), regressor.predict_many(frame).to_dict()) == (0, {3: 0, 4: 0})
    for multiple in (BackpropMultiTargetRegressor(), BackpropMultiLabelClassifier()):
        assert multiple.predict_one({"a": 1.0}) == {}
    assert multiple.predict_proba_one({"a": 1.0}) == {}


NEW = {
    BackpropClassifier: "class 7",
    BackpropRegressor: 1.5,
    BackpropMultiTargetRegressor: {"zero": 0, "fourth": 1.5, "second": 0.5, "first": 0.5},
    BackpropMultiLabelClassifier: {"zero": False, "fourth": True, "second": False, "first": True},
}


@named_or_hashed
@rates
@models
def test_new_features_and_outputs_keep_what_was_learned(model, rate, options):
    stream, y = stream_for(model, 30), NEW[model]
    model = learned(stream, model, learning_rate=rate, **options)
    before, kept = copy.deepcopy(model.networks), slice(None) if options else [0, 1, 2, 5]
    model.learn_one(stream[0][0] | {"z": 0.7, "y": 0.3}, y, 0)  # grows, and learns nothing
    assert model.features == ([] if options else ["a", "b", "c", "y", "z"])
    for network, smaller in zip(model.networks, before, strict=True):
        assert network.functions == smaller.functions
        assert np.array_equal(network.w[:, kept], smaller.w)
        assert np.array_equal(network.v[: len(smaller.v)], smaller.v)
        assert np.abs(network.w[:, 3:5]).min() > 0  # random, as in a new network
        if rate == "auto":
            assert np.array_equal(network.accumulators[0], smaller.accumulators[0])
            assert np.array_equal(network.accumulators[1][: len(smaller.v)], smaller.accumulators[1])
            assert not network.accumulators[1][len(smaller.v) :].any()
    if isinstance(y, dict):
        assert list(model.predict_one(stream[0][0])) == ["first", "second", "fourth", "zero"]
    elif isinstance(model, BackpropClassifier):
        names = ["class 2", "class 1", "class 0", "class 7"]
        assert model.classes == list(model.predict_proba_one(stream[0][0])) == names
    else:
        assert len(model.network.v) == 1
    again = pickle.loads(pickle.dumps(model))
    assert pickle.dumps(again) == pickle.dumps(model)
    for each in (model, again):
        each.learn_one(*stream[1])
    assert bits(again) == bits(model)
    assert again.predict_one(stream[0][0]) == model.predict_one(stream[0][0])


@rates
@pytest.mark.parametrize("model", [BackpropMultiTargetRegressor, BackpropMultiLabelClassifier])
def test_missing_targets_do_not_learn(model, rate):
    stream = stream_for(model, 20)
    model = learned(stream, model, learning_rate=rate)
    before, (x, y) = copy.deepcopy(model.network), stream[0]
    model.learn_one(x | {"new": 1.0}, {"second": y["second"], "third": True})
    assert np.array_equal(model.network.v[0], before.v[0])
    assert (model.network.v[1] != before.v[1]).all()
    assert (model.network.w[:, 0] != before.w[:, 0]).all()
    assert list(model.predict_one(x)) == ["first", "second", "third"]
    saved = copy.deepcopy(layers(model.networks))
    model.learn_one(x, {})
    assert all(map(np.array_equal, layers(model.networks), saved))


def test_a_single_target_is_learned_like_by_the_regressor():
    stream = stream_for(BackpropRegressor, 30)
    single = learned([(x, {"target": y}) for x, y in stream], BackpropMultiTargetRegressor)
    assert bits(single) == bits(learned(stream, BackpropRegressor))


def test_a_new_feature_costs_the_same_however_many_are_known(monkeypatch):
    counts = {"lookups": 0, "drawn": 0}

    class Name(str):
        def __hash__(self):
            counts["lookups"] += 1
            return super().__hash__()

    class Counting(np.random.Generator):
        def uniform(self, low, high, size):
            counts["drawn"] += np.prod(size)
            return super().uniform(low, high, size)

    def default_rng(seed):
        return seed if isinstance(seed, np.random.Generator) else Counting(np.random.PCG64(seed))

    monkeypatch.setattr(np.random, "default_rng", default_rng)
    model, costs = learned([]), []
    for number in range(100):
        counts |= {"lookups": 0, "drawn": 0}
        model.learn_one({Name(f"{number}"): 1.0, "a": 1.0}, f"class {number % 2}")
        costs.append(tuple(counts.values()))
    assert set(costs[2:]) == {costs[2]}
    assert costs[2][1] == 5  # one weight to each hidden unit


@pytest.mark.parametrize("seed", [0, 2**70])
def test_new_weights_are_those_of_a_new_network(seed):
    model, random_order = learned([], seed=seed, learning_rate=1e-300), random.Random(0)
    w, v = np.zeros((5, 0)), np.zeros((0, 6))
    for n in range(1, 30):
        names = [f"feature {i:2}" for i in range(n * n // 4)]
        model.learn_one(dict.fromkeys(random_order.sample(names, min(len(names), 40)), 0.0), n // 3)
        D, K = max(1, len(model.features)), len(model.classes)
        fresh_w, fresh_v = init_weights(D, 5, K, rng=np.random.default_rng([seed, D, K]))
        w = np.hstack([w[:, :-1], fresh_w[:, max(0, w.shape[1] - 1) : -1] / 2, np.zeros((5, 1))])
        v = np.vstack([v, fresh_v[len(v) :]])
        assert np.array_equal(model.network.w[:, :-1], w[:, :-1])
        assert np.array_equal(model.network.v[:, :-1], v[:, :-1])
    assert D > 100
    assert K == 10


@rates
def test_missing_features_are_0_and_unknown_ones_are_ignored(rate):
    model, other = (learned(samples(50), learning_rate=rate) for _ in range(2))
    assert model.predict_proba_one({"c": 1.0}) == model.predict_proba_one({"a": 0.0, "b": 0, "c": 1, "unknown": 9.0})
    for few, all_of_them in (({"c": 1.0}, {"b": False, "a": 0, "c": np.float32(1)}), ({}, dict.fromkeys("abc", 0.0))):
        before = bits(model)
        model.learn_one(few, "class 1")
        other.learn_one(all_of_them, "class 1")
        assert_alike(model, other.networks, other.weights)
        assert bits(model) != before
    assert model.predict_one({}) == model.predict_one({"unknown": 1.0})


@rates
@models
def test_a_stream_may_begin_with_empty_samples(model, rate):
    stream = stream_for(model, 40)
    empty = [({}, {}), ({"a": 1.0}, {})] if isinstance(stream[0][1], dict) else [({}, stream[0][1])]
    model = learned(empty, model, learning_rate=rate)
    assert len(model.predict_one({"a": 1.0})) == 0 if empty[0][1] == {} else model.features == []
    for sample in stream:
        model.learn_one(*sample)
    assert model.network.w.shape == (5, 4)
    assert model.features == ["a", "b", "c"]


@rates
@pytest.mark.parametrize("options", [{"hidden": "sigmoid"}, {"hidden": "tanh"}, {"n_features": 50}], ids=str)
@pytest.mark.parametrize("model", [BackpropClassifier, BackpropRegressor])
def test_learn_many_equals_repeated_learn_one(model, options, rate):
    stream = stream_for(model, 60)
    if "n_features" in options:
        stream = [(x | {"text": f"{x['a']:.0f}", "whole": n}, y) for n, (x, y) in enumerate(stream)]
    one = learned(stream, model, learning_rate=rate, **options)
    many = one.clone()
    X, y = pd.DataFrame([x for x, _ in stream]), pd.Series([y for _, y in stream])
    for start, stop in pairwise([0, 2, 30, 30, 60]):
        many.learn_many(X[start:stop], y[start:stop])
    assert many.features == one.features
    assert_alike(many, one.networks, one.weights)
    X = X[X.columns[::-1]]
    X.index = X.index + 100
    predicted, expected = many.predict_many(X), [many.predict_one(x) for x, _ in stream]
    assert predicted.index.equals(X.index)
    if model is BackpropRegressor:
        np.testing.assert_allclose(predicted, expected, rtol=1e-12)
        return
    assert predicted.tolist() == expected
    probabilities = many.predict_proba_many(X)
    assert probabilities.index.equals(X.index)
    assert probabilities.columns.tolist() == many.classes == one.classes
    np.testing.assert_allclose(probabilities, [list(many.predict_proba_one(x).values()) for x, _ in stream], rtol=1e-12)


@pytest.mark.parametrize("names", ["a", "ab"])
@models
def test_numbers_of_any_type_are_learned(model, names):
    numbers, is_class = [0, True, np.float32(1), np.int8(0), np.True_], model is BackpropClassifier

    def stream(kind, x_type):
        for n, x in enumerate(numbers):
            y = n % 2 if is_class else kind(numbers[-n])
            yield x_type(dict.fromkeys(names, kind(x))), {"b": y} if "Multi" in model.__name__ else y

    any_type = learned(stream(lambda number: number, VectorDict), model)
    assert bits(any_type) == bits(learned(stream(float, dict), model))
    assert any_type.predict_one(VectorDict({"a": 1})) == any_type.predict_one({"a": 1.0})


@pytest.mark.parametrize("options", [{}, {"n_features": 64}, {"learning_rate": "auto"}], ids=str)
@pytest.mark.parametrize("model", [BackpropClassifier, BackpropRegressor])
def test_frames_without_rows_change_nothing_and_are_predicted(model, options):
    model = learned(stream_for(model, 20), model, **options)
    before = pickle.dumps(model)
    for frame in (pd.DataFrame({"a": [], "new": []}, dtype=float), pd.DataFrame(), pd.DataFrame([{"a": 1.0}])[:0]):
        model.learn_many(frame, pd.Series([], dtype=object))
        assert len(model.predict_many(frame)) == 0
        if isinstance(model, BackpropClassifier):
            assert model.predict_proba_many(frame).shape == (0, 3)
        assert pickle.dumps(model) == before


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    X = polars.DataFrame([x for x, _ in samples(60)])
    classifier, regressor = BackpropClassifier(seed=0), BackpropRegressor(seed=0)
    classifier.learn_many(X, polars.Series([y for _, y in samples(60)]))
    regressor.learn_many(X, X["a"])
    assert isinstance(classifier.predict_proba_many(X), polars.DataFrame)
    assert isinstance(regressor.predict_many(X), polars.Series)
    assert classifier.predict_many(X).to_list() == [classifier.predict_one(x) for x in X.iter_rows(named=True)]


def test_weights_of_a_stream_are_used_in_a_pipeline():
    stream = [(*sample, {"w": 0.5}) for sample in samples(20)]
    model = compose.Select("a", "b") | BackpropClassifier(learning_rate=0.1, seed=0)
    evaluate.progressive_val_score(stream, model, metrics.Accuracy())
    own = learned([({name: x[name] for name in "ab"}, y, 0.5) for x, y, _ in stream], n_hidden=16)
    assert bits(model["BackpropClassifier"]) == bits(own)


def test_weights_stay_live():
    model = pickle.loads(pickle.dumps(learned(samples(20))))
    network, (x, y) = model.network, samples(1)[0]
    before = network.w.copy()
    model.learn_one(x, y)
    assert model.network is network
    assert not np.array_equal(network.w, before)
    network.v[:] = 0
    assert set(model.predict_proba_one(x).values()) == {1 / 3}


# ------------------------------------------------------------------------------------------- calls that change nothing


@kinds
def test_invalid_weights_leave_the_model_unchanged(model, rate):
    stream = stream_for(model, 10)
    model = learned(stream, model, learning_rate=rate)
    for w, message in ((-1.0, r"w is -1.0; it must lie in 0\."), (np.nan, "w is nan; it must"), ("1", "w is '1'; it")):
        with refused(model, (TypeError, ValueError), message):
            model.learn_one(stream[0][0] | {"new": 1.0}, stream[0][1], w)


@kinds
@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({}, {"a": 1.0, "b": np.nan, "c": 1.0}, "feature 'b' is nan; it must be a finite number: .*StatImputer"),
        ({}, {"a": 1.0, "b": 1.0, "new": math.inf}, "feature 'new' is inf; it must be a finite number"),
        ({}, {"a": 1.0, "b": 1.0, "c": 10**400}, "feature 'c' is 1000.*; it must be a finite number"),
        ({}, {"a": "1.0", "b": 1.0, "c": 1.0}, "feature 'a' is '1.0'; it must be a finite number: .*OneHotEncoder"),
        ({}, {"a": 1.0, "b": None, "c": 1.0}, "feature 'b' is None; it must be a finite .*StatImputer"),
        ({}, {"a": [1.0], "b": 1.0}, r"feature 'a' is \[1.0\]; it must be"),
        ({}, {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}, r"feature 'a' is \[1.0, 2.0\]; it must be"),
        ({}, [1.0, 1.0, 1.0], "x is a list; it must be a dict of values"),
        ({}, "abc", "x is a str; it must be a dict of values"),
        ({}, np.zeros(3), "x is a ndarray; it must be a dict of values"),
        (HASHED, {"a": math.nan}, "feature 'a' is nan; it must be a finite number: leave out"),
        (HASHED, {"a": 10**400}, "feature 'a' is 1000.*; it must be a finite number"),
        (HASHED, {"a": None, "b": "text"}, "feature 'a' is None; it must be a finite number: leave out"),
        (HASHED, {"a": b"bytes"}, "feature 'a' is b'bytes'; it must be"),
        (HASHED, {1: 1.0}, "feature 1 cannot be hashed; its name must be a str"),
        (HASHED, {"\udc80": 1.0}, r"feature '\\udc80' cannot be hashed; its name must be a str, without surrogates"),
        (HASHED, {"a": "\udc80"}, r"feature 'a=\\udc80' cannot be hashed"),
        (HASHED, [1.0], "x is a list; it must be a dict"),
    ],
    ids=str,
)
def test_invalid_features_leave_the_model_unchanged(model, options, x, message, rate):
    y = NEW[model]
    model = learned(stream_for(model, 20), model, learning_rate=rate, **options)
    with refused(model, (TypeError, ValueError), message):
        model.learn_one(x, y)
    for name in {"predict_one", "predict_proba_one"} & set(dir(type(model))):
        with refused(model, (TypeError, ValueError), message):
            getattr(model, name)(x)


@rates
@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (BackpropClassifier, None, "y is None; it must be a label"),
        (BackpropClassifier, math.nan, "y is nan; it must be a label"),
        (BackpropClassifier, ["class 0"], "y is not a label: .*unhashable type: 'list'.*; it must be hashable"),
        (BackpropClassifier, 0.372, "y is 0.372, which is not a whole number: .* use BackpropRegressor"),
        (BackpropRegressor, 10**400, "y is 1000.*; it must be a finite number"),
        (BackpropRegressor, "1.0", "y is '1.0'; it must be a finite number"),
        (BackpropRegressor, [1.0, 2.0], r"y is \[1.0, 2.0\]; it must be a finite number"),
        (
            BackpropMultiTargetRegressor,
            {"first": 1.0, "new": np.nan},
            "target 'new' is nan; .* number: leave out targets that .*g$",
        ),
        (BackpropMultiTargetRegressor, 1.0, "y is a float; it must be a dict of values by target name"),
        (BackpropMultiLabelClassifier, {"new": 0.5}, "label 'new' is 0.5; it must be True or False$"),
        (BackpropMultiLabelClassifier, {"first": "True"}, "label 'first' is 'True'; it must be True or False$"),
        (BackpropMultiLabelClassifier, {"first": np.nan}, "label 'first' is nan; .*: leave out labels .*missing$"),
    ],
    ids=str,
)
def test_invalid_targets_leave_the_model_unchanged(model, y, message, rate):
    model = learned(stream_for(model, 20), model, learning_rate=rate)
    x = samples(1)[0][0]
    for features in (x, x | {"new": 1.0}):
        with refused(model, (TypeError, ValueError), message):
            model.learn_one(features, y)


@rates
@pytest.mark.parametrize(
    ("options", "X", "y", "message"),
    [
        ({}, {"a": [1.0, np.inf]}, ["class 0", "new"], "feature 'a' is inf in row 1; it must be a finite number"),
        ({}, {"a": [1.0, 2.0], "text": ["x", "y"]}, ["class 0", "new"], "feature 'text' has .*must hold numbers"),
        ({}, {"a": [1.0, 2.0]}, ["new"], "X has 2 rows and y 1; they must have the same number"),
        ({}, {"a": [1.0, 2.0]}, ["class 0", None], "y is (None|nan); it must be a label"),
        ({}, {"a": np.zeros(1001)}, range(1001), "y is 997, which would be class 1001, .* use BackpropRegressor"),
        (HASHED, {"a": ["x", "y"], "b": [1.0, math.nan]}, ["new", "class 1"], "feature 'b' is nan in row 1; it must"),
        ({}, {"a": [1.0, 2.0], "new": 1.0}, [1.0, np.nan], "y is nan in row 1; it must be a finite number"),
        ({}, {"a": [1.0, 2.0], "new": 1.0}, ["text", 1.0], "y is 'text' in row 0; it must be a finite number"),
    ],
    ids=str,
)
def test_invalid_frames_leave_the_model_unchanged(options, X, y, message, rate):
    model = BackpropRegressor if "in row" in message and message[0] == "y" else BackpropClassifier
    model = learned(stream_for(model, 20), model, learning_rate=rate, **options)
    with refused(model, (TypeError, ValueError), message):
        model.learn_many(pd.DataFrame(X), pd.Series(y, dtype=object))


@named_or_hashed
@pytest.mark.parametrize("model", [BackpropRegressor, BackpropMultiTargetRegressor])
def test_numbers_that_are_too_large_leave_the_model_unchanged(model, options):
    y = {"first": 1e200, "new": 1.0} if model is BackpropMultiTargetRegressor else 1e200
    stream = stream_for(model, 20)
    model, other = (learned(stream, model, **options) for _ in range(2))
    with refused(model, DivergenceError, "try a smaller learning_rate"):
        model.learn_one({"a": 1.0, "new": 1.0}, y)
    if isinstance(model, BackpropRegressor):
        with refused(model, DivergenceError, "try a smaller learning_rate"):
            model.learn_many(pd.DataFrame({"new": [1.0, 2.0], "b": [1.0, 2.0]}), pd.Series([1.0, y]))
    for each in (model, other):  # into the memory that the refused samples have used
        for name in ("another", "more"):
            each.learn_one({name: 1.0, "b": 1.0}, stream[0][1])
    assert bits(model) == bits(other)


@rates
@pytest.mark.parametrize("name", ["feature   0", "new"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, DivergenceError])
def test_a_late_error_in_a_frame_undoes_all(error, name, rate, monkeypatch):
    learn_many = _growth.Growing.learn_many

    def failing(growing, x, t):
        learn_many(growing, x, t)
        if name == "new":  # what has grown leaves the networks alone that predict meanwhile
            assert model.predict_proba_one({"feature   0": 1.0}) == predicted
        if growing.sizes[1] == 3:  # in the part with the new class
            raise error

    model = learned(sparse_stream(BackpropClassifier, 40), learning_rate=rate)
    predicted = model.predict_proba_one({"feature   0": 1.0})
    monkeypatch.setattr(_growth.Growing, "learn_many", failing)
    with refused(model, error):
        model.learn_many(pd.DataFrame({name: np.arange(10.0)}), pd.Series(5 * ["class 0"] + 5 * ["new"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seed", each) for each in ("x", -1, 1.5)),
        *(("n_features", each) for each in (0, -1, 2.5, "8", True)),
        ("hidden", "softplus"),
        ("n_hidden", "many"),
        ("learning_rate", "fast"),
        ("learning_rate", None),
    ],
)
def test_invalid_parameters_are_refused(name, value):
    with pytest.raises((TypeError, ValueError), match=f"{name} is {value!r}; it must be"):
        learned(samples(1), **{name: value})


def test_whole_numbers_are_labels_as_long_as_they_are_few(monkeypatch):
    monkeypatch.setattr("cbackprop.river._samples.MAX_NUMERIC_CLASSES", 20)
    model = learned([({"a": 1.0}, label) for label in (0, 1.0, True, 2, "text")])
    assert model.classes == [0, 1.0, 2, "text"]
    model.learn_many(pd.DataFrame({"a": np.zeros(21)}), pd.Series([f"label {n}" for n in range(21)]))
    assert len(model.classes) == 25
    with refused(model, ValueError, "y is 3, which would be class 26, .* use BackpropRegressor"):
        model.learn_one({"a": 1.0}, 3)


@named_or_hashed
@models
def test_a_refused_rate_leaves_the_model_unchanged(model, options):
    model = learned(stream_for(model, 20), model, **options)
    before = bits(model)
    for rate in (-1.0, math.nan, 0, True):
        model.learning_rate = rate
        with pytest.raises((TypeError, ValueError), match="learning_rate is"):
            model.learn_one({"a": 1.0, "new": 1.0}, NEW[type(model)])
        assert bits(model) == before


@pytest.mark.parametrize(("begun", "later"), [("auto", 0.1), (0.1, "auto")])
def test_a_model_keeps_to_its_parameters_and_one_kind_of_rate(begun, later):
    model = learned(samples(10), learning_rate=begun, n_features=64)
    with refused(model, ValueError, "seed is 3, and the model has learned with 0, .*clone it to begin anew"):
        model.seed = 3
    model.n_features = 64  # no change
    model.mutate({"learning_rate": later})
    with refused(model, ValueError, f"learning_rate is {later!r}, and the model has learned with .*: clone it"):
        model.learn_one(*samples(1)[0])
    model.mutate({"learning_rate": begun})
    model.learn_one(*samples(1)[0])


# ------------------------------------------------------------------------------------ many features, few in each sample


def sparse_stream(model, n):
    """Samples with a few features of many, new ones among them; every third has all that are known."""
    rng, known = np.random.default_rng(0), 1
    for number in range(n):
        known += int(rng.integers(3))
        names = range(known) if number % 3 == 2 else {*rng.integers(known, size=4).tolist(), known - 1}
        x = {f"feature {i:3}": float(rng.normal()) for i in names}
        label = int(rng.integers(2))
        yield x, answer(model, {"a": rng.normal(), "b": rng.normal()}, f"class {label}")


@pytest.mark.parametrize("hidden", ["sigmoid", "relu"])
@models
def test_features_that_are_0_can_be_left_out(model, hidden):
    stream = list(sparse_stream(model, 60))
    sparse = learned(stream, model, hidden=hidden)
    known, dense_stream = {}, []
    for x, y in stream:
        known |= dict.fromkeys(x, 0.0)
        dense_stream.append((known | x, y))
    dense = learned(dense_stream, model, hidden=hidden)
    assert sparse.features == dense.features
    np.testing.assert_allclose(sparse.network.w, dense.network.w, atol=1e-12)  # sums in another order, over 60 updates
    np.testing.assert_allclose(sparse.network.v, dense.network.v, atol=1e-12)


def peaks(model, stream):
    """How many bytes are allocated at most to learn each sample."""
    tracemalloc.start()
    for sample in stream:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        model.learn_one(*sample)
        yield tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


def test_added_features_cost_the_same_however_many_are_known():
    model = learned([({f"feature {i}": 1.0 for i in range(20)}, f"class {k}") for k in range(2)], n_hidden=50)
    stream = [({f"new {number}": 1.0, "feature 0": 1.0}, "class 0") for number in range(100)]
    assert sorted(peaks(model, stream))[-10] < 25_000  # bytes; the weights take 48 kB in the end
    assert model.network.w.shape == (50, 121)


@rates
def test_networks_that_were_read_stay_as_they_were(rate):
    model = learned(sparse_stream(BackpropClassifier, 40), learning_rate=rate)
    for x, y in (({"new": 1.0}, "class 0"), ({"newer": 1.0}, "class 1"), ({"new": 1.0}, "class 2")):
        networks = model.networks
        before = copy.deepcopy(layers(networks))
        model.learn_one(x, y)
        assert all(map(np.array_equal, layers(networks), before))
        assert model.network not in networks


# ------------------------------------------------------------------------------------------------------ hashed features


NAMES = [
    {"a": 0.5, "b": -2.0, "c": 3.25},
    {"text": "red", "ä€😀": "ß", "": "", "number": 7, "yes": True, "no": False},
    {"a=b": 2.0, "a": "b", "float32": np.float32(0.1), "numeral": "3", "numpy": np.str_("text"), "zero": 0.0},
    {f"feature {i}": i / 7 for i in range(100)},
    {},
    VectorDict({"a": 1.5}),
]


@pytest.mark.parametrize("n_features", [1, 7, 2**18, 2**31 - 1])
def test_names_are_hashed_as_by_featurehasher(n_features):
    for x in NAMES:
        indices, values = Hasher(n_features).row(x)
        expected = FeatureHasher(n_features).transform([dict(x)]).tocoo()
        # FeatureHasher leaves out zeros, and adds up values of the same input
        sums = {i: values[indices == i].sum() for i in indices.tolist()}
        ours = [sums.pop(i) for i in expected.coords[-1].tolist()]
        np.testing.assert_allclose(ours, expected.data, rtol=1e-14, atol=1e-14)
        assert not any(sums.values())


def test_the_smallest_hash_has_the_input_of_featurehasher():
    """The absolute value of -2**31 is not an int32."""
    hasher = Hasher(1000)
    hasher.hash = lambda name: -(2**31)
    indices, values = hasher.row({"a": 1.0})
    assert (indices.tolist(), values.tolist()) == ([(2**31 - 1 - 999) % 1000], [-1])


def test_an_output_added_to_hashed_samples_costs_no_copy_of_the_weights():
    (peak,) = peaks(learned(samples(20), n_features=2**16), [({"new": 1.0}, "class 7")])
    scratch = 2 * 8 * 2**16  # numbers for each input, of the network and of the mixture: few of their pages are touched
    assert peak - scratch < 20_000  # bytes, of 2.6 MB


def test_new_names_take_no_memory_if_they_are_hashed():
    model = learned(samples(20), n_features=100)
    tracemalloc.start()
    for n in range(0, 25_000, 5000):
        model.learn_one({f"{i}": 1.0 for i in range(n, n + 4000)} | {f"{i}": "text" for i in range(n, n + 1000)}, "new")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000  # bytes, for the names of one sample


# ----------------------------------------------------------------------------------------------------------- "auto"


AUTO = [("tanh", 0.1), ("tanh", 0.3), ("relu", 0.1), ("relu", 0.3)]
AUTO_HASHED = [("tanh", 0.03), ("tanh", 0.1), ("relu", 0.03), ("relu", 0.1)]


@models
def test_auto_is_the_default(model):
    defaults = {"n_hidden": "auto", "learning_rate": "auto", "hidden": None, "seed": None, "n_features": None}
    assert model()._get_params() == defaults
    assert model().networks == model().weights.tolist() == []
    trained = learned(stream_for(model, 3), model, learning_rate="auto")
    assert len({network.w.tobytes() for network in trained.networks}) == 4
    trained = learned(stream_for(model, 3), model, learning_rate="auto", hidden="sigmoid")
    assert {network.hidden for network in trained.networks} == {"sigmoid"}


@pytest.mark.parametrize(
    ("options", "widths"),
    [({}, [8, 32, 128]), ({"n_features": 50}, [16]), ({"learning_rate": 0.1}, [16]), ({"n_hidden": 3}, [3])],
    ids=str,
)
@models
def test_members_of_the_mixture(model, options, widths):
    model = learned(stream_for(model, 3), model, **{"n_hidden": "auto", "learning_rate": "auto"} | options)
    expected = AUTO_HASHED if "n_features" in options else AUTO
    if "learning_rate" in options:
        expected = [("tanh" if OUTPUTS[type(model)] == "linear" else "sigmoid", 0.1)]
    found = [(len(network.w), network.hidden, network.learning_rate) for network in model.networks]
    assert found == [(M, hidden, rate) for M in widths for hidden, rate in expected]
    assert {network.adaptive for network in model.networks} == {"learning_rate" not in options}


@named_or_hashed
@models
def test_a_mixture_learns_as_documented(model, options):
    """Adaptive networks, of which each learns the scaled samples, and weights by the losses."""
    stream, eta = stream_for(model, 60), {"softmax": 1, "linear": 0.5, "logistic": 1}[OUTPUTS[model]]
    model = learned(stream[:10], model, learning_rate="auto", **options)
    inputs, targets = copy.deepcopy((model._growing.inputs, model._growing.targets))
    networks, log_weights = copy.deepcopy(model.networks), np.log(model.weights)

    def scaled(scale, x):
        if options:
            return scale(FeatureHasher(50).transform([x])).toarray()[0]
        return scale(list(x.values()))

    for n, (x, y) in enumerate(stream[10:]):
        weight = [1, 0.5, 2, 0][n % 4]
        model.learn_one(x, y, weight)
        row, t, losses = scaled(inputs.learn, x), target(model, y), []
        t = np.eye(3)[t] if isinstance(t, int) else t if targets is None else targets.learn(np.atleast_1d(t))
        for network in networks:
            settings = {"sample_weight": weight, "accumulators": network.accumulators, **network.functions._asdict()}
            losses.append(reference.step(row, t, network.w, network.v, network.learning_rate, **settings))
        of_each = eta if isinstance(model, BackpropClassifier) else eta / len(t)
        reference.mixture_weights(log_weights, np.zeros(2), np.array([losses]), of_each, False, 0.01, [weight])
    assert_alike(model, networks, np.exp(log_weights))
    row = scaled(inputs.transform, x)
    method = "predict_proba_one" if targets is None else "predict_one"
    of_each = [np.atleast_1d(getattr(network, method)(row)) for network in networks]
    y = np.exp(log_weights) @ of_each
    y = y if targets is None else targets.inverse(y)
    np.testing.assert_allclose(numbers_in(getattr(model, method)(x)), y, rtol=1e-9)


def test_auto_beats_models_of_river():
    """At its defaults, without a scaler: linear ones on websites, and on the approval of a president."""

    def score(dataset, metric, model):
        return evaluate.progressive_val_score(list(dataset), model, metric).get()

    scaler, target = preprocessing.StandardScaler(), preprocessing.TargetStandardScaler
    dataset, others = datasets.Phishing(), scaler | linear_model.LogisticRegression()
    assert score(dataset, metrics.Accuracy(), BackpropClassifier(seed=0)) > score(dataset, metrics.Accuracy(), others)
    dataset, others = datasets.TrumpApproval(), scaler.clone() | target(linear_model.LinearRegression())
    assert score(dataset, metrics.RMSE(), BackpropRegressor(seed=0)) < score(dataset, metrics.RMSE(), others)


def test_predictions_change_no_statistics():
    model = learned(samples(20), learning_rate="auto")
    before = pickle.dumps(model)
    model.predict_one({"a": 1e9, "b": -1e9})
    model.predict_many(pd.DataFrame({"a": [1e9], "c": [3.0]}))
    assert pickle.dumps(model) == before


def test_statistics_of_new_features_begin_with_zeros():
    rows = [x for x, _ in samples(40)]
    late = learned([], learning_rate="auto")
    for n, x in enumerate(rows):
        late.learn_one({name: value for name, value in x.items() if n >= 20 or name != "c"}, n % 2)
    early = RunningScaler(3)
    early.learn(np.array([[x["a"], x["b"], x["c"] if n >= 20 else 0] for n, x in enumerate(rows)]))
    assert late._growing.inputs.state.tobytes() == early.state.tobytes()


def overflowing(model, hidden):
    """Give networks with this hidden function weights that are finite, but whose sums are not."""
    for network in model.networks:
        if network.hidden == hidden:
            network.v[...] = np.finfo(np.float64).max


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("model", [BackpropClassifier, BackpropRegressor])
def test_networks_that_diverge_are_left_out(model, many):
    stream = stream_for(model, 40)
    model = learned(stream[:20], model, learning_rate="auto")
    X, y = pd.DataFrame([x for x, _ in stream[20:]]), pd.Series([y for _, y in stream[20:]])
    calls = [
        lambda: model.learn_one(*stream[20]),
        lambda: model.learn_many(X, y),
        lambda: model.learn_one(stream[20][0] | {"newer": 1.0}, stream[20][1]),
    ]
    overflowing(model, "relu")
    tanh = copy.deepcopy(model.networks[:2])
    calls[many]()
    assert [network.hidden for network in model.networks] == ["tanh", "tanh"]
    assert len(model.weights) == 2
    assert np.isclose(model.weights.sum(), 1)
    assert not np.array_equal(model.networks[0].w, tanh[0].w)  # which learned
    model.learn_one(stream[21][0] | {"new": 1.0}, stream[21][1])
    model.predict_one(stream[20][0] | {"new": 1.0})
    assert len(model.networks) == 2

    overflowing(model, "tanh")
    for call in calls:
        with refused(model, DivergenceError):
            call()


def test_a_network_whose_weights_were_spoiled_is_left_out():
    model, other = (learned(samples(10), learning_rate="auto") for _ in range(2))
    model.networks[1].w[0, 0] = np.nan
    for each in (model, other):
        each.learn_one(*samples(12)[11])
    assert len(model.networks) == len(model.weights) == 3
    assert np.array_equal(model.networks[1].w, other.networks[2].w)


@pytest.mark.parametrize(
    ("options", "D", "scale", "accumulator"),
    [({}, 2, 1, 0), ({"n_features": 2**10}, 2**10, 0.1 * np.sqrt((2**10 + 5) / (2 + 5)), 0.1)],
    ids=["named", "hashed"],
)
def test_a_mixture_begins_as_documented(options, D, scale, accumulator):
    """One class has no errors, so all is as it began. Hashed samples count as those of a network with few inputs."""
    model = learned([({"a": 1.0, "b": 2.0}, "class 0")], learning_rate="auto", **options)
    for r, network in enumerate(model.networks):
        w, v = init_weights(D, 5, 1, hidden=network.hidden, rng=[0, D, 1, r])
        np.testing.assert_allclose(network.w, w * scale, rtol=1e-12)
        assert np.array_equal(network.v, v)
        assert [sums.tolist() for sums in network.accumulators] == [[accumulator] * 5, [0]]
    assert model.weights.tolist() == [0.25] * 4


# ------------------------------------------------------------------------------------- all of a call, or nothing of it


HANDLERS = {  # what signal handlers, or other threads, may call
    "new names": lambda model: model.learn_one({"a": 1.0, "handler": 2.0}, "class 3"),
    "the same names": lambda model: model.learn_one({"a": 2.0, "new": 2.0}, "class 4"),
    "known names": lambda model: model.learn_one({"a": 1.0, "b": 2.0, "c": 3.0}, "class 0"),
    "a frame": lambda model: model.learn_many(pd.DataFrame({"a": [1.0], "d": [2.0]}), pd.Series(["class 5"])),
    "a prediction": lambda model: model.predict_proba_one({"a": 1.0, "b": 2.0, "c": 3.0}),
    "a refused sample": lambda model: refuse(model, {"new": math.nan}, "class 4"),
}


def refuse(model, x, y):
    with pytest.raises(ValueError, match="must be a finite number"):
        model.learn_one(x, y)


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@rates
def test_calls_in_a_signal_handler_come_before_the_one_that_they_interrupt(rate, handler, monkeypatch):
    model = learned(samples(10), learning_rate=rate)
    other, grown = copy.deepcopy(model), _growth.Growing.grown

    def interrupted(*arguments):
        monkeypatch.undo()
        handler(model)
        return grown(*arguments)

    monkeypatch.setattr(_growth.Growing, "grown", interrupted)
    model.learn_one({"a": 1.0, "new": 1.0}, "class 4")
    handler(other)
    other.learn_one({"a": 1.0, "new": 1.0}, "class 4")
    for each in (model, other):
        each.learn_one(dict.fromkeys(each.features, 1.0), "class 1")
    assert bits(model) == bits(other)
    assert (model.features, model.classes) == (other.features, other.classes)


@rates
def test_a_model_that_grows_during_a_prediction_predicts_by_what_it_has_become(rate, monkeypatch):
    model = learned(stream_for(BackpropRegressor, 10), BackpropRegressor, learning_rate=rate)
    model.learn_one({"new": 1.0}, 1.0)  # makes room for more inputs
    x, predict_one = stream_for(BackpropRegressor, 1)[0][0], _growth.Growing.predict_one

    def interrupted(*arguments):
        monkeypatch.undo()
        model.learn_one({"newer": 1.0}, 5.0)
        return predict_one(*arguments)

    monkeypatch.setattr(_growth.Growing, "predict_one", interrupted)
    assert model.predict_one(x) == model.predict_one(x)


def test_names_whose_methods_raise_or_learn_are_refused():
    model = learned(samples(10))
    before = pickle.dumps(model)

    class Name(str):
        calls, last = 0, 0

        def __hash__(self):
            Name.calls += 1
            if Name.calls == Name.last:
                model.learn_one({"other": 1.0}, "class 9")
            return 1

    sample = {"a": 1.0, Name("new"): 1.0}
    Name.calls = 0
    copy.deepcopy(model).learn_one(sample, "class 0")
    Name.calls, Name.last = 0, Name.calls  # the last time is as it is added
    with pytest.raises(RuntimeError, match="this model is learning"):
        model.learn_one(sample, "class 0")
    assert pickle.dumps(model) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_fork_amid_a_call_learns(monkeypatch):
    model, learn_many = learned(samples(10)), _growth.Growing.learn_many

    def forking(*arguments):
        monkeypatch.undo()
        if (child := os.fork()) == 0:
            model.learn_one(*samples(1)[0])
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(RuntimeError, match="this model is learning"):
            model.learn_one(*samples(1)[0])
        return learn_many(*arguments)

    monkeypatch.setattr(_growth.Growing, "learn_many", forking)
    model.learn_many(pd.DataFrame([x for x, _ in samples(5)]), pd.Series([y for _, y in samples(5)]))


def test_a_shallow_copy_is_the_same_model():
    model = learned(samples(10))
    other = copy.copy(model)
    model.learn_one({"new": 1.0}, "class 0")
    other.learn_one({"newer": 1.0}, "class 0")
    assert model.features == other.features
    assert bits(model) == bits(other)
