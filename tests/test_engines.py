"""The engines of the kernels: each offers the same methods, checks its arguments, and stays within its own memory."""

import copy
import functools
import itertools
import pickle
import sys
import types

import numpy as np
import pytest

from cbackprop import _dispatch, _engines, reference
from cbackprop._validation import Functions

D, M, K, N = 50, 15, 7, 33
HUGE = 2**62
KINDS = {  # class, its arguments after D, M and K, and what it supports
    "direct": ("DirectEngine", (1,), {}, "gradient forward"),
    "direct-batches": ("DirectEngine", (16,), {}, "gradient forward"),
    "direct-momentum": ("DirectEngine", (1,), {"momentum": 0.5}, "forward velocity"),
    "direct-l2": ("DirectEngine", (16,), {"l2": 0.1}, "gradient forward"),
    "lanes": ("LanesEngine", (), {}, ""),
    "lanes-l2": ("LanesEngine", (), {"l2": 0.1}, ""),
    "samples-in-lanes": ("SamplesInLanesEngine", (16,), {}, "epochs"),
    "blocked": ("BlockedEngine", (1,), {"block": 16}, "threads"),
    "blocked-batches": ("BlockedEngine", (16,), {"block": 16}, "forward threads"),
    "blocked-accumulates": ("BlockedEngine", (128,), {"block": 16}, "gradient forward threads"),
    "blocked-momentum": ("BlockedEngine", (16,), {"block": 16, "momentum": 0.5}, "forward threads velocity"),
    "blocked-l2": ("BlockedEngine", (1,), {"block": 16, "l2": 0.1}, "threads"),
    "blocked-l2-batches": ("BlockedEngine", (16,), {"block": 16, "l2": 0.1}, "gradient forward threads"),
}
ENGINES = {kind: engine for kind, (*engine, _offers) in KINDS.items()}
OFFERS = {kind: offers for kind, (*_engine, offers) in KINDS.items()}


@pytest.fixture(params=ENGINES)
def kind(request):
    """Each kind of engine."""
    return request.param


def make(kernels, kind, *sizes):
    name, arguments, keywords = ENGINES[kind]
    return getattr(kernels, name)(*(sizes or (D, M, K)), *arguments, **keywords)


# what bindings check is the same in all variants
MODULES = [f"{_dispatch.ACTIVE}_{dtype}" for dtype in ("float32", "float64")]
one_variant = pytest.mark.parametrize("kernels", MODULES, indirect=True)
REFUSED = AssertionError, TypeError, ValueError, AttributeError  # asserted, or no such memoryview
SAMPLE_CALLS = {"learn", "epochs", "gradient", "forward", "loss", "threads"}


def loaded(kernels, kind):
    engine = make(kernels, kind)
    engine.load(*weights(kernels.DTYPE))
    return engine


def weights(dtype, value=None):
    """Random ones, or all the same."""
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(M, D + 1)).astype(dtype) / 4, rng.normal(size=(K, M + 1)).astype(dtype)
    return arrays if value is None else tuple(np.full_like(array, value) for array in arrays)


def data(dtype, samples=N):
    rng = np.random.default_rng(1)
    return rng.normal(size=(samples, D)).astype(dtype), rng.integers(K, size=samples)


def labelled(kernels, samples=N, sample_weight=None):
    x, labels = data(kernels.DTYPE, samples)
    return kernels.Samples(x, labels=labels, sample_weight=sample_weight)


def activations(dtype):
    return [np.zeros((N, size), dtype) for size in (M, M, K, K)]


def assert_refused(*uses, errors=AssertionError):
    for use in uses:
        with pytest.raises(errors):
            use()


def misfits(arrays, *ways):
    """Lists of the arrays in which one has another shape, is missing or is changed in one of the ways."""
    for place, array in enumerate(arrays):
        for wrong in (array[1:], array[:, 1:].copy(), None, *(way(array) for way in ways)):
            yield [*arrays[:place], wrong, *arrays[place + 1 :]]


def assert_stored(engine, wanted):
    """An engine holds those weights."""
    ours = weights(wanted[0].dtype, np.nan)
    engine.store(*ours)
    np.testing.assert_equal(ours, tuple(wanted))


def calls(engine, samples, order=None):
    """A call of each method that needs weights, by what an engine must offer for it."""
    dtype, order = sys.modules[type(engine).__module__].DTYPE, np.arange(N) if order is None else order
    return {
        "learn": lambda: engine.learn(samples, order, 0.1),
        "store": lambda: engine.store(*weights(dtype)),
        "finite": engine.finite,
        "epochs": lambda: engine.learn_epochs(samples, order, 0.1, np.zeros(2)),
        "gradient": lambda: engine.gradient(samples, *weights(dtype)),
        "forward": lambda: engine.forward(samples, *activations(dtype)),
        "loss": lambda: engine.loss(samples),
        "velocity": lambda: engine.store(*weights(dtype), {"velocity": weights(dtype)}),
        "threads": lambda: engine.learn(samples, order, 0.1, 2),
    }


def offered(kind, calls):
    """Those of the calls that a kind of engine offers."""
    offers = {"learn", "store", "finite", *OFFERS[kind].split()}
    offers |= {"loss"} if "forward" in offers else set()
    return {name: call for name, call in calls.items() if name in offers}


# -------------------------------------------------------------------------------------------------- the life of engines


CLASSES = ["DirectEngine", "LanesEngine", "SamplesInLanesEngine", "BlockedEngine", "SparseEngine", "Samples", "Engine"]


@one_variant
@pytest.mark.parametrize("name", CLASSES)
def test_new_without_arguments_is_refused(kernels, name):
    kernel_class = getattr(kernels, name)
    with pytest.raises(TypeError, match="argument"):
        kernel_class.__new__(kernel_class)


@one_variant
def test_a_second_init_changes_nothing(kernels, kind):
    ours, other = loaded(kernels, kind), loaded(kernels, kind)
    ours.__init__(10 * D, M, K)
    assert (ours.D, ours.M, ours.K) == (D, M, K)
    order = np.arange(N)
    assert ours.learn(labelled(kernels), order, 0.1) == other.learn(labelled(kernels), order, 0.1)


@one_variant
def test_the_base_class_offers_nothing(kernels):
    engine = kernels.Engine(D, M, K)
    assert_refused(lambda: engine.load(*weights(kernels.DTYPE)), errors=NotImplementedError)
    assert_refused(*calls(engine, labelled(kernels)).values())


@one_variant
def test_weights_must_be_loaded_first(kernels, kind):
    engine = make(kernels, kind)
    ours = offered(kind, calls(engine, labelled(kernels)))
    assert_refused(*ours.values())
    engine.load(*weights(kernels.DTYPE))
    for call in ours.values():
        call()
    assert engine.finite()


@one_variant
def test_engines_cannot_be_copied(kernels, kind):
    for ours in (loaded(kernels, kind), labelled(kernels)):
        copies = (functools.partial(copy_of, ours) for copy_of in (copy.copy, copy.deepcopy, pickle.dumps))
        assert_refused(*copies, errors=TypeError)


@one_variant
def test_sizes_below_1_are_refused(kernels, kind):
    name, _, keywords = ENGINES[kind]
    engine, good = getattr(kernels, name), [D, M, K, 16]
    for wrong in (0, -1, -HUGE):
        sizes = ([*good[:place], wrong, *good[place + 1 :]] for place in range(len(good)))
        assert_refused(*(functools.partial(engine, *each, **keywords) for each in sizes))
        assert_refused(functools.partial(engine, *good, **keywords | {"block": wrong}))


@one_variant
def test_sizes_whose_bytes_cannot_be_counted_raise_memory_error(kernels, kind):
    for huge in (2**50, HUGE, 2**63 - 1):
        for sizes in ((huge, huge, K), (huge, M, huge), (D, huge, huge)):
            with pytest.raises(MemoryError, match="no memory"):
                make(kernels, kind, *sizes)


@one_variant
def test_an_engine_says_what_it_supports(kernels, kind):
    engine, offers = loaded(kernels, kind), OFFERS[kind].split()
    assert (engine.D, engine.M, engine.K) == (D, M, K)
    assert engine.states == (("velocity",) if "velocity" in offers else ())
    assert sorted(engine.supports) == sorted(set(offers) - {"velocity"})


@one_variant
def test_what_is_not_supported_is_refused(kernels, kind):
    engine = loaded(kernels, kind)
    every = calls(engine, labelled(kernels))
    assert_refused(*(every[name] for name in every.keys() - offered(kind, every)))
    assert_stored(engine, weights(kernels.DTYPE))


# ------------------------------------------------------------------------------------------------- weights and velocity


def test_store_returns_what_load_took(kernels, kind):
    assert_stored(loaded(kernels, kind), weights(kernels.DTYPE))


@one_variant
def test_states_of_other_names_are_refused(kernels, kind):
    engine = loaded(kernels, kind)
    wrong_states = {"momentum": ()}, {"velocity": (), "momentum": ()}, {b"velocity": ()}
    for use, wrong in itertools.product((engine.load, engine.store), wrong_states):
        arrays = weights(kernels.DTYPE, 3)
        assert_refused(functools.partial(use, *arrays, wrong))
        assert all((array == 3).all() for array in arrays)


@pytest.mark.parametrize("name", ["DirectEngine", "BlockedEngine"])
def test_momentum_that_rounds_to_0_has_no_velocity(name):
    from cbackprop.kernels import baseline_float32

    engine = getattr(baseline_float32, name)(D, M, K, 16, momentum=1e-50)
    assert engine.states == ()
    assert_refused(lambda: engine.load(*weights(np.float32), {"velocity": weights(np.float32)}))


@one_variant
@pytest.mark.parametrize("kind", ["direct-momentum", "blocked-momentum"])
def test_load_and_store_copy_all_or_nothing(kernels, kind):
    engine, dtype = make(kernels, kind), kernels.DTYPE
    engine.load(*weights(dtype, 1), {"velocity": weights(dtype, 2)})
    good = [*weights(dtype, 3), *weights(dtype, 4)]
    wrong = [(arrays[:2], tuple(arrays[2:])) for arrays in misfits(good, lambda array: array.astype("f2"))]
    wrong += [(good[:2], velocity) for velocity in ((), tuple(good[:1]), tuple(good[:3]), 5)]
    for use, (arrays, velocity) in itertools.product((engine.load, engine.store), wrong):
        assert_refused(functools.partial(use, *arrays, {"velocity": velocity}), errors=REFUSED)
    assert all((array == value).all() for array, value in zip(good, (3, 3, 4, 4), strict=True))
    engine.store(*good[:2], {"velocity": tuple(good[2:])})
    assert all((array == value).all() for array, value in zip(good, (1, 1, 2, 2), strict=True))


@one_variant
@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("DirectEngine", "velocity"),
        ("BlockedEngine", "velocity"),
        *((name, "accumulators") for name in ("DirectEngine", "LanesEngine", "BlockedEngine", "SparseEngine")),
    ],
)
def test_load_without_states_sets_them_to_0(kernels, name, state):
    rule = {"momentum": 0.5} if state == "velocity" else {"adaptive": True}
    engine = getattr(kernels, name)(D, M, K, **rule)
    start = weights(kernels.DTYPE)
    pair = start if state == "velocity" else (np.ones(M, kernels.DTYPE), np.ones(K, kernels.DTYPE))
    engine.load(*start, {state: tuple(array.copy() for array in pair)})
    engine.load(*start)
    after = tuple(np.full_like(array, np.nan) for array in pair)
    engine.store(*start, {state: after})
    for array in after:
        np.testing.assert_array_equal(array, 0)


@one_variant
def test_read_only_arrays_are_loaded_and_never_stored_to(kernels, kind):
    engine, arrays = make(kernels, kind), weights(kernels.DTYPE)
    for array in arrays:
        array.flags.writeable = False
    engine.load(*arrays)
    assert_refused(lambda: engine.store(*arrays))


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 19, 5)])
@pytest.mark.parametrize("name", ["DirectEngine", "BlockedEngine"])
def test_every_weight_that_is_not_finite_is_found(kernels, name, shape):
    engine = getattr(kernels, name)(*shape)
    D, M, K = shape
    arrays = np.zeros((M, D + 1), kernels.DTYPE), np.zeros((K, M + 1), kernels.DTYPE)
    engine.load(*arrays)
    assert engine.finite()
    for array in arrays:
        for position, value in zip(np.ndindex(array.shape), itertools.cycle([np.inf, -np.inf, np.nan])):
            array[position] = value
            engine.load(*arrays)
            assert not engine.finite()
            array[position] = 0


# ------------------------------------------------------------------------------------------------------------- samples


SAMPLES = {  # what does not fit
    "float labels": {"labels": np.zeros(N)},
    "32-bit labels": {"labels": np.zeros(N, np.int32)},
    "strided labels": {"labels": np.zeros(2 * N, np.intp)[::2]},
    "few labels": {"labels": np.zeros(N - 1, np.intp)},
    "many labels": {"labels": np.zeros(N + 1, np.intp)},
    "no labels": {"labels": np.zeros(0, np.intp)},
    "negative label": {"labels": np.r_[np.zeros(N - 1, np.intp), -1]},
    "lowest label": {"labels": np.full(N, -(2**63))},
    "highest label": {"labels": np.full(N, 2**63 - 1)},
    "few rows": {"t": np.ones((N - 1, K))},
    "flat rows": {"t": np.ones(N)},
    "few weights": {"sample_weight": np.ones(N - 1)},
    "no weights": {"sample_weight": np.ones(0)},
    "Fortran rows": {"t": np.ones((N, K), order="F")},
}


@one_variant
@pytest.mark.parametrize("wrong", SAMPLES.values(), ids=SAMPLES.keys())
def test_arrays_that_do_not_fit_are_refused(kernels, wrong):
    ours = {name: array if name == "labels" else array.astype(kernels.DTYPE) for name, array in wrong.items()}
    assert_refused(lambda: kernels.Samples(np.ones((N, D), kernels.DTYPE), **ours), errors=REFUSED)


@one_variant
def test_empty_inputs_are_refused(kernels):
    for shape in ((0, D), (N, 0), (0, 0)):
        assert_refused(functools.partial(kernels.Samples, np.ones(shape, kernels.DTYPE)))


@one_variant
def test_another_precision_is_refused(kernels, kind):
    other = np.dtype("f4" if kernels.DTYPE == "f8" else "f8")
    engine = loaded(kernels, kind)
    foreign = {module.DTYPE: module for module in _dispatch._MODULES.values()}[other]
    for use in (
        lambda: kernels.Samples(np.ones((N, D), other)),
        lambda: kernels.Samples(np.ones((N, D), kernels.DTYPE), np.ones((N, K), other)),
        lambda: kernels.Samples(np.ones((N, D), kernels.DTYPE), None, None, np.ones(N, other)),
        lambda: engine.load(*weights(other)),
        lambda: engine.store(*weights(other)),
        lambda: engine.learn(labelled(foreign), np.arange(N), 0.1),  # samples of the other module
    ):
        with pytest.raises((ValueError, TypeError), match=r"dtype|incorrect type"):
            use()


@one_variant
def test_samples_that_do_not_fit_the_engine_are_refused(kernels, kind):
    engine, dtype = loaded(kernels, kind), kernels.DTYPE
    x, labels = data(dtype)
    without_targets = kernels.Samples(x)
    for wrong in (
        kernels.Samples(x[:, 1:].copy(), labels=labels),
        kernels.Samples(np.ones((N, D + 1), dtype), labels=labels),
        kernels.Samples(x, labels=np.full(N, K)),
        kernels.Samples(x, labels=np.full(N, 2**63 - 2)),
        kernels.Samples(x, np.ones((N, K - 1), dtype)),
        kernels.Samples(x, np.ones((N, K + 1), dtype)),
        without_targets,
    ):
        ours = offered(kind, calls(engine, wrong))
        names = SAMPLE_CALLS & ours.keys()
        if wrong is without_targets and "forward" in ours:  # needs none
            names.remove("forward")
            assert ours["forward"]()
        assert_refused(*(ours[name] for name in names))


ORDERS = {
    "empty": np.zeros(0, np.intp),
    "too high": np.array([0, N]),
    "negative": np.array([0, 1, -1]),
    "highest": np.array([2**63 - 1]),
    "lowest": np.array([-(2**63)]),
    "32-bit": np.zeros(3, np.int32),
    "strided": np.arange(N)[::2],
    "no array": 5,
}


@one_variant
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_an_order_out_of_range_is_refused(kernels, kind, order):
    engine = loaded(kernels, kind)
    learn = offered(kind, calls(engine, labelled(kernels), order))
    assert_refused(*(learn[name] for name in {"learn", "epochs", "threads"} & learn.keys()), errors=REFUSED)
    assert_stored(engine, weights(kernels.DTYPE))


def test_an_order_may_repeat_and_omit_samples(kernels, kind):
    x, labels = data(kernels.DTYPE)
    order = np.array([5, 5, 32, 0] * 20)
    engine, other = loaded(kernels, kind), loaded(kernels, kind)
    total = engine.learn(kernels.Samples(x, labels=labels), order, 0.1)
    assert total == other.learn(kernels.Samples(x[order], labels=labels[order]), np.arange(80), 0.1)
    wanted = weights(kernels.DTYPE, 0)
    other.store(*wanted)
    assert_stored(engine, wanted)


@one_variant
def test_no_epochs_learn_nothing(kernels):
    engine = loaded(kernels, "samples-in-lanes")
    assert engine.learn_epochs(labelled(kernels), np.arange(N), 0.1, np.zeros(0)) == 0
    assert_stored(engine, weights(kernels.DTYPE))
    for wrong in (None, np.zeros(2, np.float32), np.zeros(4)[::2], np.zeros((2, 2))):
        learn = functools.partial(engine.learn_epochs, labelled(kernels), np.arange(N), 0.1, wrong)
        assert_refused(learn, errors=(ValueError, TypeError))


def test_epochs_in_one_call_equal_one_by_one(kernels):
    engine, other, order = loaded(kernels, "samples-in-lanes"), loaded(kernels, "samples-in-lanes"), np.arange(N)
    totals = np.zeros(5)
    assert engine.learn_epochs(labelled(kernels), order, 0.1, totals) == 5
    assert totals.tolist() == [other.learn(labelled(kernels), order, 0.1) for _ in range(5)]
    assert totals[4] < totals[0]


@one_variant
@pytest.mark.parametrize("kind", [kind for kind, offers in OFFERS.items() if "forward" in offers])
def test_activations_must_have_the_right_shapes(kernels, kind):
    engine, samples = loaded(kernels, kind), labelled(kernels)
    good = activations(kernels.DTYPE)
    ways = lambda array: np.zeros((N + 1, array.shape[1]), array.dtype), lambda array: array[0], np.asfortranarray
    for wrong in misfits(good, *ways):
        assert_refused(functools.partial(engine.forward, samples, *wrong), errors=REFUSED)
    assert not any(array.any() for array in good)
    assert engine.forward(samples, None, None, *good[2:])
    only_outputs = good[2].copy(), good[3].copy()
    assert engine.forward(samples, *good)
    for array, alone in zip(good[2:], only_outputs, strict=True):
        np.testing.assert_array_equal(array, alone)


@one_variant
@pytest.mark.parametrize("kind", [kind for kind, offers in OFFERS.items() if "gradient" in offers])
def test_gradients_must_have_the_shapes_of_the_weights(kernels, kind):
    engine, samples = loaded(kernels, kind), labelled(kernels)
    good = weights(kernels.DTYPE, 7)
    assert_refused(*(functools.partial(engine.gradient, samples, *wrong) for wrong in misfits(good)), errors=REFUSED)
    assert all((array == 7).all() for array in good)


@one_variant
def test_threads_out_of_range_are_refused(kernels):
    learn = functools.partial(loaded(kernels, "blocked-batches").learn, labelled(kernels), np.arange(N), 0.1)
    assert_refused(*(functools.partial(learn, threads) for threads in (0, -1, -HUGE, 2**21, 2**32, 2**63 - 1)))
    assert learn() > 0


# ----------------------------------------------------------------------------------------------- equations (2) and (3)


def tolerance(dtype):
    return 400 * float(np.finfo(dtype).eps)


@pytest.mark.parametrize("kind", [kind for kind, offers in OFFERS.items() if "gradient" in offers])
def test_mean_error_and_mean_gradient(kernels, kind):
    # (2) and (3), against the reference, and without sample weights
    dtype = kernels.DTYPE
    x, labels = data(dtype)
    engine, (w, v) = loaded(kernels, kind), weights(dtype)
    dw, dv = weights(dtype, np.nan)
    E = engine.gradient(labelled(kernels), dw, dv)
    assert pytest.approx(reference.loss(x, labels, w, v), rel=tolerance(dtype)) == E
    assert engine.loss(labelled(kernels)) == pytest.approx(E, rel=tolerance(dtype))
    for got, wanted in zip((dw, dv), reference.gradient(x, labels, w, v), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance(dtype))
    weighted = labelled(kernels, sample_weight=np.linspace(0, 3, N).astype(dtype))
    again = weights(dtype)
    assert engine.gradient(weighted, *again) == E
    assert engine.loss(weighted) == engine.loss(labelled(kernels))
    np.testing.assert_array_equal(again[0], dw)


@pytest.mark.parametrize("kind", [kind for kind in ENGINES if "direct" not in kind])
def test_padding_changes_no_sum(kernels, kind):
    # K and M off every multiple of the vector length. Were the weights of padding units, or their z of 1/2, part of any
    # sum, the network would drift away from that of the direct engine
    dtype, lanes = kernels.DTYPE, kernels.LANES_IN_REGISTER
    name, arguments, keywords = ENGINES[kind]
    for number, (m, k) in enumerate(np.ndindex(2 * lanes, lanes)):
        if kernels.LANES_IN_REGISTER > 4 and number % 3:  # a third of the pairs, with every M and every K
            continue
        sizes = D, M, K = 3, 1 + m, 1 + k
        rng = np.random.default_rng([m, k])
        x, labels = rng.normal(size=(40, D)).astype(dtype), rng.integers(K, size=40)
        start = rng.normal(size=(M, D + 1)).astype(dtype), rng.normal(size=(K, M + 1)).astype(dtype)
        samples, order, results = kernels.Samples(x, labels=labels), np.arange(40), []
        rule = {key: value for key, value in keywords.items() if key != "block"}
        ours = getattr(kernels, name)(*sizes, *arguments, **keywords)
        for engine in (ours, kernels.DirectEngine(*sizes, *arguments, **rule)):
            engine.load(*start)
            total = [engine.learn(samples, order, 0.1) for _ in range(3)]
            w, v = np.empty_like(start[0]), np.empty_like(start[1])
            engine.store(w, v)
            assert engine.finite()
            results.append((total, w, v))
        for got, wanted in zip(*results, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tolerance(dtype), atol=tolerance(dtype))


@pytest.mark.parametrize("kind", ["blocked", "blocked-batches", "blocked-accumulates"])
def test_padding_neither_overflows_nor_hides_overflow(kernels, kind):
    # finite() and E take sums over padding, too: huge weights and inputs of the last real unit must not leak into it
    dtype, lanes = kernels.DTYPE, kernels.LANES_IN_REGISTER
    big = float(np.finfo(dtype).max) / 4
    M, K = lanes + 1, lanes + 1
    name, arguments, keywords = ENGINES[kind]
    engine = getattr(kernels, name)(2, M, K, *arguments, **keywords)
    w, v = np.zeros((M, 3), dtype), np.zeros((K, M + 1), dtype)
    w[-1], v[-1, -1] = (big, -big, -big), big
    x = np.ones((5, 2), dtype)
    engine.load(w, v)
    assert engine.finite()
    total = engine.learn(kernels.Samples(x, labels=np.full(5, K - 1)), np.arange(5), 0.1)
    assert total == 0
    assert engine.finite()
    ours = np.empty_like(w), np.empty_like(v)
    engine.store(*ours)
    np.testing.assert_array_equal(ours[0], w)
    v[-1, -1] = np.inf
    engine.load(w, v)
    assert not engine.finite()


# ------------------------------------------------------------------------------------------------------- the cost rule


@pytest.mark.parametrize(
    ("M", "batch_size", "method", "keywords", "name"),
    [
        (3, 1, "auto", {}, "LanesEngine"),
        (3, 1, "auto", {"l2": 0.5}, "LanesEngine"),
        (3, 4, "auto", {}, "SamplesInLanesEngine"),
        (3, 64, "auto", {}, "SamplesInLanesEngine"),
        (3, 64, "auto", {"momentum": 0.5}, "BlockedEngine"),
        (3, 64, "auto", {"l2": 0.5}, "BlockedEngine"),
        (3, 64, "direct", {}, "DirectEngine"),
        (3, 64, "blocked", {}, "BlockedEngine"),
        (4, 1, "auto", {}, "LanesEngine"),
        (300, 1, "auto", {}, "BlockedEngine"),
        (4, 64, "auto", {"momentum": 0.5}, "BlockedEngine"),
        (4, 1, "auto", {"momentum": 0.5}, "DirectEngine"),
        (4, 1, "auto", {"momentum": 0.5, "l2": 0.5}, "DirectEngine"),
        (4, 1, "auto", {"l2": 0.5}, "LanesEngine"),
        (4, 1, "blocked", {"l2": 0.5}, "BlockedEngine"),
        (4, 1, "direct", {}, "DirectEngine"),
    ],
)
def test_the_cost_rule_chooses_the_engine(dtype, M, batch_size, method, keywords, name):
    w, v = np.zeros((M, 3), dtype), np.zeros((1, M + 1), dtype)
    assert type(_engines.make_engine(w, v, Functions(), batch_size, method, **keywords)).__name__ == name


def test_small_networks_learn_with_narrow_vectors(dtype, monkeypatch):
    wide, narrow = (types.SimpleNamespace(LANES_IN_REGISTER=lanes) for lanes in (16, 8))
    monkeypatch.setattr(_engines, "kernels", lambda dtype: wide)
    monkeypatch.setattr(_engines, "narrow_kernels", lambda dtype: narrow)
    for M, K, batch_size, wanted in (
        (1, 1, 1, narrow),
        (64, 8, 1, narrow),
        (16, 32, 1, narrow),
        (65, 8, 1, wide),  # more than 8 vectors of hidden units,
        (1, 33, 1, wide),  # 4 of outputs,
        (64, 16, 1, wide),  # or 400 of w times those of outputs
        (16, 8, 2, wide),
    ):
        w, v = np.zeros((M, 33), dtype), np.zeros((K, M + 1), dtype)
        assert _engines.kernels_for(w, v, batch_size) is wanted


def test_the_narrower_variant(dtype):
    both = not _dispatch.FORCED and {"avx512", "avx2"} <= set(_dispatch.available_variants())
    expected = "avx2" if both else _dispatch.ACTIVE
    assert _dispatch.narrow_kernels(dtype).__name__ == f"cbackprop.kernels.{expected}_{dtype}"


@pytest.mark.parametrize(("D", "M", "K"), [(100_000, 1, 2), (100_000, 3, 2), (100, 3, 3), (2, 3, 80)])
def test_weights_that_would_not_fit_into_the_cache_are_not_copied_to_each_lane(variant, dtype, D, M, K):
    w, v = np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
    lanes = _dispatch.kernels(w.dtype).LANES_IN_REGISTER
    engine = type(_engines.make_engine(w, v, Functions(), 1000, "auto")).__name__
    # with many inputs, vectors that are mostly padding take more time or memory than single units
    assert engine == ("DirectEngine" if D == 100_000 and lanes > 2 * M else "BlockedEngine")


@pytest.mark.parametrize(
    ("D", "M", "batch_size", "widths", "name"),
    [
        (8, 3, 4, (8, 16), "blocked"),
        (12, 8, 8, (8, 16), "blocked"),
        (12, 8, 1024, (8, 16), "samples in lanes"),
        (512, 3, 2, (8, 16), "direct"),
        (2, 2, 64, (1, 2, 4, 8, 16), "samples in lanes"),
    ],
)
def test_larger_batches_of_small_networks_fill_the_lanes(dtype, D, M, batch_size, widths, name):
    w, v = np.zeros((M, D + 1), dtype), np.zeros((3, M + 1), dtype)
    for lanes in widths:
        times = _engines.batch_times(w, v, lanes, batch_size)
        assert min(times, key=times.__getitem__) == name


def test_bulk_engines_offer_what_they_are_for(variant, dtype):
    for M, samples in ((3, 100), (4, 15), (4, 16), (40, 1000)):
        w, v = np.zeros((M, 3), dtype), np.zeros((2, M + 1), dtype)
        for gradient in (False, True):
            engine = _engines.bulk_engine(w, v, Functions(), np.empty((samples, 2)), gradient=gradient)
            assert type(engine).__name__ == ("BlockedEngine" if M >= 4 and samples >= 16 else "DirectEngine")
            assert "forward" in engine.supports
            assert "gradient" in engine.supports or not gradient
            assert engine.finite()  # its weights are loaded
