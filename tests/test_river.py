"""The River classifier: River's own checks, new features and classes, data frames, and invalid samples."""

import copy
import pickle
import random
import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network

pytest.importorskip("river")
pytest.importorskip("pandas")
import pandas as pd
from river import checks, compat, compose, datasets, evaluate, metrics, preprocessing
from river.utils import VectorDict
from sklearn.neural_network import MLPClassifier

from cbackprop.river import BackpropClassifier

CHECKS = list(checks.yield_checks(BackpropClassifier()))


@pytest.mark.parametrize("check", CHECKS, ids=[f"{n}-{check.__name__}" for n, check in enumerate(CHECKS)])
def test_checks_of_river(check):
    random.seed(0)  # some checks shuffle
    check(BackpropClassifier())


def test_no_check_of_river_is_skipped():
    assert len(CHECKS) > 40
    assert BackpropClassifier()._unit_test_skips() == set()


def samples(n, names="abc"):
    rng = np.random.default_rng(0)
    return [
        (dict(zip(names, rng.normal(size=len(names)).tolist(), strict=True)), f"class {k}")
        for k in rng.integers(3, size=n)
    ]


def learned(stream, **options):
    model = BackpropClassifier(**{"n_hidden": 5, "seed": 0} | options)
    for x, y in stream:
        model.learn_one(x, y)
    return model


def bits(model):
    return model.network.w.tobytes() + model.network.v.tobytes()


def test_samples_with_all_features_are_learned_like_by_the_network():
    stream = samples(50)
    model = learned(stream[:20])
    assert model.features == ["a", "b", "c"]
    network = pickle.loads(pickle.dumps(model.network))
    for x, y in stream[20:]:
        model.learn_one(x, y)
        network.learn_one(list(x.values()), model.classes.index(y))
        assert bits(model) == network.w.tobytes() + network.v.tobytes()
    x = stream[0][0]
    assert list(model.predict_proba_one(x).values()) == network.predict_proba_one(list(x.values())).tolist()
    assert model.predict_one(x) == model.classes[network.predict_one(list(x.values()))]


def test_predictions_before_training():
    model = BackpropClassifier()
    assert model.predict_one({"a": 1.0}) is None
    assert model.predict_proba_one({"a": 1.0}) == {}
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[3, 4])
    assert model.predict_many(frame).tolist() == [None, None]
    assert model.predict_proba_many(frame).shape == (2, 0)


def test_new_features_and_classes_keep_what_was_learned():
    model = learned(samples(50))
    before, x = copy.deepcopy(model.network), samples(1)[0][0]
    model.mutate({"learning_rate": 1e-300})  # updates are negligible
    model.learn_one(x | {"z": 0.7, "y": 0.3}, "class 7")
    assert model.features == ["a", "b", "c", "y", "z"]
    assert model.classes[-1] == "class 7"
    assert np.array_equal(model.network.w[:, [0, 1, 2, 5]], before.w)
    assert np.array_equal(model.network.v[:3], before.v)
    assert np.abs(model.network.w[:, 3:5]).min() > 0  # random, as in a new network
    assert list(model.predict_proba_one(x)) == model.classes


class Name:
    """A name that counts how often names are looked up."""

    lookups = 0

    def __init__(self, number):
        self.number = number

    def __hash__(self):
        Name.lookups += 1
        return self.number

    def __repr__(self):
        return f"name {self.number}"


class CountingGenerator(np.random.Generator):
    """A generator that counts the numbers drawn."""

    drawn = 0

    def uniform(self, low, high, size):
        CountingGenerator.drawn += np.prod(size)
        return super().uniform(low, high, size)


def test_a_new_feature_costs_the_same_however_many_are_known(monkeypatch):
    def default_rng(seed):
        return seed if isinstance(seed, np.random.Generator) else CountingGenerator(np.random.PCG64(seed))

    monkeypatch.setattr(np.random, "default_rng", default_rng)
    model, costs = learned([]), []
    for number in range(100):
        before = Name.lookups, CountingGenerator.drawn
        model.learn_one({Name(number): 1.0, "a": 1.0}, f"class {number % 2}")
        costs.append((Name.lookups - before[0], CountingGenerator.drawn - before[1]))
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
        fresh = Network(D, 5, K, rng=np.random.default_rng([seed, D, K]))
        w = np.hstack([w[:, :-1], fresh.w[:, max(0, w.shape[1] - 1) : -1] / 2, np.zeros((5, 1))])
        v = np.vstack([v, fresh.v[len(v) :]])
        assert np.array_equal(model.network.w[:, :-1], w[:, :-1])
        assert np.array_equal(model.network.v[:, :-1], v[:, :-1])
    assert D > 100
    assert K == 10


def test_missing_features_are_0_and_unknown_ones_are_ignored():
    model, other = learned(samples(50)), learned(samples(50))
    assert model.predict_proba_one({"c": 1.0}) == model.predict_proba_one({"a": 0.0, "b": 0, "c": 1, "unknown": 9.0})
    model.learn_one({"c": 1.0}, "class 1")
    other.learn_one({"b": False, "a": 0, "c": np.float32(1)}, "class 1")
    assert bits(model) == bits(other)
    assert model.predict_one({}) in model.classes


def test_dicts_of_river_are_learned():
    stream = samples(20)
    model, other = learned(stream), learned([(VectorDict(x), y) for x, y in stream])
    assert bits(model) == bits(other)
    assert model.predict_proba_one({"a": 1.0}) == other.predict_proba_one(VectorDict({"a": 1.0}))


def test_a_stream_may_begin_with_empty_samples():
    model = learned([({}, "class 0"), ({}, "class 1"), *samples(40)])
    assert model.network.w.shape == (5, 4)
    assert model.features == ["a", "b", "c"]


def test_learn_many_equals_repeated_learn_one():
    stream = samples(60)
    one = learned(stream)
    many = BackpropClassifier(n_hidden=5, seed=0)
    X, y = pd.DataFrame([x for x, _ in stream]), pd.Series([y for _, y in stream])
    for start in (0, 20, 40):
        many.learn_many(X[start : start + 20], y[start : start + 20])
    assert (many.features, many.classes) == (one.features, one.classes)
    np.testing.assert_allclose(many.network.w, one.network.w, atol=1e-12)  # sums in another order, over 60 updates
    np.testing.assert_allclose(many.network.v, one.network.v, atol=1e-12)
    X.index = X.index + 100
    probabilities = many.predict_proba_many(X[["c", "a", "b"]])
    assert probabilities.index.equals(X.index)
    assert probabilities.columns.tolist() == many.classes
    np.testing.assert_allclose(probabilities, [list(many.predict_proba_one(x).values()) for x, _ in stream], rtol=1e-12)
    assert many.predict_many(X).tolist() == [many.predict_one(x) for x, _ in stream]


def test_a_frame_without_rows_changes_nothing():
    model = learned(samples(20))
    before = pickle.dumps(model)
    model.learn_many(pd.DataFrame({"a": [], "new": []}), pd.Series([], dtype=object))
    assert pickle.dumps(model) == before


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    stream = samples(60)
    X, y = polars.DataFrame([x for x, _ in stream]), polars.Series([y for _, y in stream])
    model = BackpropClassifier(seed=0)
    model.learn_many(X, y)
    assert isinstance(model.predict_proba_many(X), polars.DataFrame)
    assert model.predict_many(X).to_list() == [model.predict_one(x) for x, _ in stream]


def test_weights_stay_live():
    model = pickle.loads(pickle.dumps(learned(samples(20))))
    x, network = samples(1)[0][0], model.network
    before = model.predict_proba_one(x)
    model.learn_one(x, "class 1")
    assert model.network is network
    assert model.predict_proba_one(x) != before
    assert isinstance(network, Network)


@pytest.mark.parametrize("stream", [datasets.Phishing, datasets.ImageSegments])
def test_streams_of_river(stream):
    """At least as accurate as MLPClassifier with the same network, learning rate and scaler.

    The progressive accuracy includes the first samples, on which both guess. That of ours is the mean of three seeds.
    """
    dataset = list(stream().take(300))
    labels = sorted({y for _, y in dataset})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = progress(
            dataset,
            compat.SKL2RiverClassifier(
                MLPClassifier(
                    (16,),
                    "logistic",
                    solver="sgd",
                    learning_rate_init=0.1,
                    momentum=0,
                    alpha=0,
                    batch_size=1,
                    random_state=0,
                ),
                classes=labels,
            ),
        )
    assert np.mean([progress(dataset, BackpropClassifier(seed=seed)) for seed in range(3)]) > theirs


def progress(dataset, model):
    return evaluate.progressive_val_score(dataset, preprocessing.StandardScaler() | model, metrics.Accuracy()).get()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ({"a": 1.0, "b": np.nan, "c": 1.0}, "class 0", "feature 'b' is nan; it must be a finite number"),
        ({"a": 1.0, "b": 1.0, "c": 10**400}, "class 0", "feature 'c' is 1000.*; it must be a finite number"),
        ({"a": "1.0", "b": 1.0, "c": 1.0}, "class 0", "feature 'a' is '1.0'; it must be a finite number"),
        ({"a": 1.0, "b": None, "c": 1.0}, "class 0", "feature 'b' is None; it must be"),
        ({"new": "text"}, "class 0", "feature 'new' is 'text'; it must be"),
        ({"a": [1.0]}, "class 0", r"feature 'a' is \[1.0\]; it must be"),
        ({"a": 1.0}, None, "y is None; it must be a label"),
        ({"a": 1.0}, float("nan"), "y is nan; it must be a label"),
        ({"a": 1.0}, ["class 0"], "y is not a label: .*unhashable type: 'list'.*; it must be hashable"),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, ["class 0"], "y is not a label: .*unhashable"),
        ({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}, "class 0", r"feature 'a' is \[1.0, 2.0\]; it must be"),
        ([1.0, 1.0, 1.0], "class 0", "x is a list; it must be a dict of numbers"),
        (1.0, "class 0", "x is a float; it must be a dict of numbers"),
        (None, "class 0", "x is a NoneType; it must be a dict of numbers"),
    ],
    ids=str,
)
def test_invalid_samples_leave_the_model_unchanged(x, y, message):
    model = learned(samples(20))
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match=message):
        model.learn_one(x, y)
    if y == "class 0":
        for predict in (model.predict_one, model.predict_proba_one):
            with pytest.raises((TypeError, ValueError), match=message):
                predict(x)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ({"a": [1.0, np.inf]}, ["class 0", "new"], "feature 'a' is inf in row 1; it must be a finite number"),
        (
            {"a": [1.0, 2.0], "text": ["x", "y"]},
            ["class 0", "new"],
            "feature 'text' has dtype .*; it must hold numbers",
        ),
        ({"a": [1.0, 2.0]}, ["new"], "X has 2 rows and y 1; they must have the same number"),
        ({"a": [1.0, 2.0]}, ["class 0", None], "y is (None|nan); it must be a label"),
        ({"a": [1.0, 2.0]}, ["class 0", ["new"]], "y is not a label: .*unhashable type: 'list'.*; it must be hashable"),
    ],
    ids=str,
)
def test_invalid_frames_leave_the_model_unchanged(X, y, message):
    model = learned(samples(20))
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match=message):
        model.learn_many(pd.DataFrame(X), pd.Series(y, dtype=object))
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("seed", ["x", -1, 1.5])
def test_seeds_are_integers(seed):
    with pytest.raises((TypeError, ValueError), match=f"seed is {seed!r}; it must be None or an integer of at least 0"):
        BackpropClassifier(seed=seed)


def test_divergence_leaves_the_model_unchanged(monkeypatch):
    def diverging(x, t, w, v, **options):
        cbackprop.fit(x, t, w, v, **options)
        if len(v) == 4:  # the part with the new class
            raise DivergenceError

    monkeypatch.setattr("cbackprop.river.fit", diverging)
    model = learned(samples(20))
    before = pickle.dumps(model)
    with pytest.raises(DivergenceError):
        model.learn_many(pd.DataFrame([x for x, _ in samples(10)]), pd.Series(5 * ["class 0"] + 5 * ["new"]))
    assert pickle.dumps(model) == before


def test_in_a_pipeline_of_river():
    model = compose.Select("a", "b") | preprocessing.StandardScaler() | BackpropClassifier(seed=0)
    for x, y in samples(10):
        model.learn_one(x, y)
    assert model["BackpropClassifier"].features == ["a", "b"]
