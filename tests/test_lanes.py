"""Units in the lanes of vectors: the lanes engine, alone and of several networks, and calls with one sample.

Tolerances: sums have another order than in the reference, which costs each update some rounding errors of the largest
weight. Updates at a rate of 1 multiply these errors as they do differences of weights. 4000 are allowed.
"""

import itertools

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, _dispatch, _layout, reference

N = 70  # more than the samples after which all weights are up to date
RULES = [{}, {"l2": 0.05}, {"adaptive": True}, {"adaptive": True, "l2": 0.05}]


def shapes(lanes):
    """D, M, K of every number of vectors, off and on the multiples of the lanes."""
    off = itertools.cycle([0, min(1, lanes - 1), lanes // 2, lanes - 1])  # fewer than whole vectors
    for inputs, (width, outputs) in zip(itertools.cycle([1, 2, 13]), np.ndindex(8, 4)):
        yield inputs, (width + 1) * lanes - next(off), (outputs + 1) * lanes - next(off) * (width % 2)


def problem(shape, dtype, functions, targets, samples=N, seed=0):
    """Samples, rows of targets, and weights in the layout of vectors."""
    D, M, K = shape
    rng = np.random.default_rng([*shape, seed])
    x = rng.normal(size=(samples, D)).astype(dtype)
    t = targets(functions["output"], samples, K, dtype, rng)
    w, v = cbackprop.init_weights(D, M, K, hidden=functions["hidden"], dtype=dtype, order="F", rng=rng)
    v[:, -1] = rng.normal(size=K)
    return x, t, *in_vectors(w, v)


def in_vectors(w, v):
    """Copies that the engine takes as they are, even a single row, which has no padding in the library's layout."""
    if len(w) == 1:
        copy = _layout.zeros_by_row(w.shape[1], 1, w.dtype)
        copy[...] = w.T
        return copy.T, _layout.copies(w, v)[1]
    return _layout.copies(w, v)


def zeros_of_units(w, v):
    return np.zeros(len(w), w.dtype), np.zeros(len(v), v.dtype)


def close(ours, wanted, factor=4000):
    for one, other in zip(ours, wanted, strict=True):
        atol = factor * np.finfo(one.dtype).eps * max(1, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def bits(*arrays):
    return [array.tobytes() for array in arrays]


def padding_of(w, v):
    return _layout.padding(w.T), _layout.padding(v)


def learn(kernels, samples, w, v, order, rate, functions, rule, engine="LanesEngine"):
    """The sum of E_n, each E_n, and the accumulators, with an engine that learns in w and v."""
    (M, inputs), K = w.shape, len(v)
    made = getattr(kernels, engine)(inputs - 1, M, K, **functions, **rule)
    sums = zeros_of_units(w, v)
    states = {"accumulators": sums} if "adaptive" in rule else {}
    made.load(w, v, states)
    losses = np.full(len(order), np.nan)
    total = made.learn(samples, order, rate, 1, losses)
    made.store(w, v, states)
    return total, losses, sums


# ------------------------------------------------------------------------------------------------------- the reference


@pytest.mark.parametrize(("rate", "first"), [(0.01, 0), (0.01, 5), (1, 0), (1, 5)])
def test_every_shape_learns_as_the_reference(kernels, all_functions, targets, rate, first):
    # every shape with two of the functions, or one in float32; rules, targets and numbers of samples in turn
    counts = itertools.cycle([N, 3, 4] if rate < 1 else [2])
    rules, in_turn = (itertools.islice(itertools.cycle(each), first, None) for each in (RULES, all_functions))
    kinds = itertools.cycle(["rows", "classes", "weighted rows", "weighted classes", "rows"])
    every = zip(shapes(kernels.LANES_IN_REGISTER), rules, kinds, in_turn, counts, strict=False)
    if kernels.DTYPE.name == "float32":
        every = itertools.islice(every, first % 2, None, 2)
    for shape, rule, kind, functions, samples in every:
        if functions["output"] == "softmax" and shape[2] == 1:
            functions = functions | {"output": "linear"}
        x, t, w, v = problem(shape, kernels.DTYPE, functions, targets, samples)
        x *= 1 if rate < 1 else kernels.DTYPE.type(0.1)  # tanh saturates otherwise, which magnifies rounding errors
        start = w.copy(), v.copy()
        order = np.random.default_rng(0).permutation(samples)
        weight = np.linspace(0, 2, samples).astype(kernels.DTYPE) if "weighted" in kind else None
        labels = t.argmax(axis=1) if "classes" in kind and functions["output"] == "softmax" else None
        wanted, wanted_sums = (w.copy(), v.copy()), zeros_of_units(w, v)
        given = kernels.Samples(x, None if labels is not None else t, labels, weight)
        total, losses, sums = learn(kernels, given, w, v, order, rate, functions, rule)
        history = reference.fit(
            x[order],
            (t if labels is None else labels)[order],
            *wanted,
            learning_rate=rate,
            sample_weight=None if weight is None else weight[order],
            shuffle=False,
            accumulators=wanted_sums if "adaptive" in rule else None,
            **functions,
            **rule,
        )
        close((w, v, *sums), (*wanted, *wanted_sums))
        assert not any(padding.any() for padding in padding_of(w, v))
        factor = np.ones(samples) if weight is None else weight[order]
        bound = 4000 * float(np.finfo(kernels.DTYPE).eps)
        assert total == pytest.approx((factor * losses).sum(), rel=bound)
        assert total / factor.sum() == pytest.approx(history.losses[0], rel=bound, abs=bound)
        alone = reference.loss(x[order[:1]], (t if labels is None else labels)[order[:1]], *start, **functions)
        assert losses[0] == pytest.approx(alone, rel=bound, abs=bound)


def test_copies_learn_the_same_bits(kernels, functions, targets):
    for shape in ((13, 11, 3), (2, 1, 1), (1, 15, 5)):
        x, t, *start = problem(shape, kernels.DTYPE, functions, targets)
        results = []
        for w, v in (in_vectors(*start), [np.ascontiguousarray(array) for array in in_vectors(*start)]):
            total, losses, _ = learn(kernels, kernels.Samples(x, t), w, v, np.arange(N), 0.01, functions, {"l2": 0.01})
            results.append((total, *bits(losses, w, v)))
        assert results[0] == results[1]


def test_in_place_is_what_suits_vectors(kernels):
    shape = 5, 11, 3
    engine = kernels.LanesEngine(*shape)
    for order in "FC":
        w, v = cbackprop.init_weights(*shape, dtype=kernels.DTYPE, order=order, rng=0)
        engine.load(w, v)
        assert engine.in_place is (order == "F")
        w, v = w.copy(order="K"), v.copy()
        engine.load(w, v)
        assert engine.in_place is (order == "F" and 11 % kernels.LANES_IN_REGISTER == 0)


def test_a_row_may_lie_among_other_numbers(kernels):
    # a single row has any stride; what follows in memory is neither read nor written
    D, M = 3, kernels.LANES_IN_REGISTER * 2 - 2 if kernels.LANES_IN_REGISTER > 2 else 3
    w, v = cbackprop.init_weights(D, M, 1, dtype=kernels.DTYPE, order="F", rng=0)
    x, t = np.ones((N, D), kernels.DTYPE), np.ones((N, 1), kernels.DTYPE)
    room = np.full((5, M + 1), np.nan, kernels.DTYPE)
    room[:1] = v
    results = []
    for row in (v, room[::5]):
        weights = _layout.copies(w, v)[0]
        learn(kernels, kernels.Samples(x, t), weights, row, np.arange(N), 0.1, {"output": "linear"}, {})
        results.append((weights.copy(), row.copy()))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isnan(room[1:]).all()


def test_networks_too_wide_are_refused(kernels):
    lanes = kernels.LANES_IN_REGISTER
    kernels.LanesEngine(2, 16 * lanes, 8 * lanes)
    for M, K in ((16 * lanes + 1, 1), (1, 8 * lanes + 1)):
        with pytest.raises(AssertionError):
            kernels.LanesEngine(2, M, K)
    for rule in ({"batch_size": 2}, {"momentum": 0.5}):
        with pytest.raises(AssertionError):
            kernels.LanesEngine(2, 3, 2, **rule)


# ------------------------------------------------------------------------------------------------ extremes, divergence


SCALES = {"inputs": (1e4, 1), "outputs": (1, 1e5), "both": (1e4, 1e5)}


@pytest.mark.parametrize("scale", SCALES)
def test_exponents_out_of_range_among_ordinary_ones(kernels, functions, targets, scale):
    # every third sample has huge b, or huge a: as in the direct engine, also for the ordinary ones after it
    scale_x, scale_v = SCALES[scale]
    # so that weights change, but do not grow
    rate = 1e-9 if functions["output"] != "linear" else 1e-20 if scale == "both" else 1e-12
    for shape, labelled in itertools.product([(5, 3, 2), (13, 15, 7), (2, 9, 5)], (False, True)):
        if labelled and functions["output"] != "softmax":
            continue
        x, t, w, v = problem(shape, kernels.DTYPE, functions, targets)
        x[::3] *= scale_x
        v[::2] *= scale_v
        given = kernels.Samples(x, labels=t.argmax(axis=1)) if labelled else kernels.Samples(x, t)
        results = []
        for engine in ("LanesEngine", "DirectEngine"):
            weights = in_vectors(w, v)
            total, losses, _ = learn(kernels, given, *weights, np.arange(N), rate, functions, {}, engine)
            assert np.isfinite(total)
            results.append((losses, *weights))
        for one, other in zip(*results, strict=True):
            bound = 4000 * float(np.finfo(kernels.DTYPE).eps)
            np.testing.assert_allclose(one, other, rtol=bound, atol=bound * np.abs(other).max())


def assert_unlearned(kernels, x, t, weights, rate, functions, rule):
    """Learning diverges and leaves all arrays as they were."""
    before = bits(*weights)
    total, _losses, sums = learn(kernels, kernels.Samples(x, t), *weights, np.arange(N), rate, functions, rule)
    assert np.isnan(total)
    assert bits(*weights) == before
    assert not any(array.any() for array in (*padding_of(*weights), *sums))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_weight_that_is_not_finite_stops_all(kernels, functions, targets, rule):
    for layer, value in itertools.product(range(2), (np.nan, -np.inf)):
        x, t, *weights = problem((5, 11, 3), kernels.DTYPE, functions, targets)
        weights[layer][-1, -1] = value
        assert_unlearned(kernels, x, t, weights, 0.1, functions, rule)


@pytest.mark.parametrize("rule", RULES[:3], ids=str)
def test_divergence_restores_all_arrays(kernels, targets, rule):
    functions = {"output": "linear", "hidden": "relu"}
    x, t, *weights = problem((5, 11, 3), kernels.DTYPE, functions, targets)
    t[40] = np.finfo(kernels.DTYPE).max  # after some samples that are learned
    assert_unlearned(kernels, x, t, weights, 0.01, functions, rule)


def test_a_stopped_engine_has_learned_a_block(kernels, targets):
    functions = {"output": "linear", "hidden": "tanh"}
    x, t, w, v = problem((5, 11, 3), kernels.DTYPE, functions, targets)
    given, wanted = kernels.Samples(x, t), in_vectors(w, v)
    learn(kernels, given, *wanted, np.arange(64), 0.1, functions, {})
    engine = kernels.LanesEngine(5, 11, 3, **functions)
    engine.load(w, v)
    engine.stop()
    engine.learn(given, np.arange(N), 0.1)
    assert bits(w, v) == bits(*wanted)


# --------------------------------------------------------------------------------------------------- several networks


def networks_of(kernels, all_functions, targets):
    """Networks of many shapes with targets of their own, and after them networks of one shape that learn classes."""
    lanes, D = kernels.LANES_IN_REGISTER, 7
    sizes = [(lanes, 2), (lanes, 2), (lanes, 2), (1, 1), (1, 1), (2 * lanes, 3), (2 * lanes - 1, 3), (3 * lanes, 2)]
    sizes += [(5 * lanes, 2), (2 * lanes, lanes + 1), (lanes, 2), (lanes, 2), (lanes, 2), (lanes, 2), (lanes, 2)]
    networks, x = [], np.random.default_rng(1).normal(size=(N, D)).astype(kernels.DTYPE)
    for r, ((M, K), functions) in enumerate(zip(sizes, itertools.cycle(all_functions), strict=False)):
        _x, t, w, v = problem((D, M, K), kernels.DTYPE, functions, targets, seed=r)
        weight = np.random.default_rng(r).uniform(size=N).astype(kernels.DTYPE) if r % 2 else None
        networks.append((functions, kernels.Samples(x, t, None, weight), w, v, 0.1 / (r + 1)))
    labels = np.arange(N) % 2
    for r, hidden in enumerate(np.repeat(["sigmoid", "tanh", "relu"], lanes)):
        functions = {"output": "softmax", "hidden": str(hidden)}
        _x, _t, w, v = problem((D, 9, 2), kernels.DTYPE, functions, targets, seed=r)
        v[0] *= 1000 if r == 0 else 1  # whose e^a_k leave their range
        weight = np.random.default_rng(r).uniform(size=N).astype(kernels.DTYPE) if r % 3 == 1 else None
        networks.append((functions, kernels.Samples(x, None, labels, weight), w, v, 0.3 / (r + 1)))
    return len(sizes), networks


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_networks_learn_the_same_bits_together(kernels, all_functions, targets, rule):
    different, networks = networks_of(kernels, all_functions, targets)
    lanes, order = kernels.LANES_IN_REGISTER, np.random.default_rng(0).permutation(N)
    wanted = []
    for functions, given, w, v, rate in networks:
        arrays = in_vectors(w, v)
        total, losses, sums = learn(kernels, given, *arrays, order, rate, functions, rule)
        wanted.append((total, *bits(losses, *arrays, *sums)))
    alike = range(different, len(networks))
    for chosen in (
        *(range(different), range(4), [4, 3, 2], [10, 11, 12, 13, 14], [5], [14, 8, 0]),
        *(alike, alike[1 : lanes + 1], alike[1 : lanes // 2 + 2], alike[2 * lanes :], [3, alike[-2], alike[-1]]),
    ):
        engines, arrays, states = [], [], []
        for r in chosen:
            functions, _given, w, v, _rate = networks[r]
            engine = kernels.LanesEngine(w.shape[1] - 1, w.shape[0], len(v), **functions, **rule)
            arrays.append(in_vectors(w, v))
            states.append(zeros_of_units(w, v))
            engine.load(*arrays[-1], {"accumulators": states[-1]} if "adaptive" in rule else {})
            engines.append(engine)
        totals, losses = [np.zeros(1) for _ in chosen], [np.zeros(N) if r != 2 else None for r in chosen]
        rates = np.array([networks[r][4] for r in chosen], np.float64)
        kernels.LanesEngine.learn_together(engines, [networks[r][1] for r in chosen], order, rates, totals, losses)
        for r, total, E, learned, sums in zip(chosen, totals, losses, arrays, states, strict=True):
            total_alone, E_alone, *weights_alone = wanted[r]
            assert total[0] == total_alone
            assert E is None or E.tobytes() == E_alone
            assert bits(*learned, *sums) == weights_alone
            assert not any(padding.any() for padding in padding_of(*learned))


def test_a_network_that_diverges_leaves_the_others_alone(kernels, targets):
    functions = {"output": "linear", "hidden": "tanh"}
    x, t, *start = problem((5, 3, 2), kernels.DTYPE, functions, targets)
    given, order = kernels.Samples(x, t), np.arange(N)
    engines, arrays = [], []
    for _ in range(3):
        engines.append(kernels.LanesEngine(5, 3, 2, **functions))
        arrays.append(in_vectors(*start))
        engines[-1].load(*arrays[-1])
    totals = [np.zeros(1) for _ in range(3)]
    rates = np.array([0.1, 1e30, 0.1])
    kernels.LanesEngine.learn_together(engines, [given] * 3, order, rates, totals, [None] * 3)
    assert np.isnan(totals[1])
    assert bits(*arrays[1]) == bits(*start)
    assert not any(padding.any() for padding in padding_of(*arrays[1]))
    assert totals[0] == totals[2]
    assert bits(*arrays[0]) == bits(*arrays[2]) != bits(*start)


def test_networks_learn_together_only_with_the_same_inputs(kernels):
    def made(D):
        engine = kernels.LanesEngine(D, 3, 2)
        engine.load(*cbackprop.init_weights(D, 3, 2, dtype=kernels.DTYPE, order="F"))
        return engine, kernels.Samples(np.ones((4, D), kernels.DTYPE), labels=np.zeros(4, np.intp))

    for sizes, E in (((2, 3), None), ((2, 2), np.zeros(3))):
        engines, samples = zip(*map(made, sizes), strict=True)
        totals, losses = [np.zeros(1), np.zeros(1)], [None, E]
        rates = np.ones(2)
        with pytest.raises(AssertionError):
            kernels.LanesEngine.learn_together(list(engines), list(samples), np.arange(4), rates, totals, losses)
    direct = kernels.DirectEngine(2, 3, 2)
    with pytest.raises(TypeError):
        kernels.LanesEngine.learn_together([made(2)[0], direct], [made(2)[1]] * 2, np.arange(4), rates, totals, losses)


# ------------------------------------------------------------------------------------------------ calls with one sample


@pytest.mark.parametrize("adaptive", [False, True])
def test_calls_with_one_sample_match_those_by_rows(variant, dtype, all_functions, targets, adaptive):
    in_turn = itertools.islice(itertools.cycle(all_functions), 4 * adaptive, None)
    for shape, functions in zip(shapes(_dispatch.kernels(dtype).LANES_IN_REGISTER), in_turn, strict=False):
        if functions["output"] == "softmax" and shape[2] == 1:
            functions = functions | {"output": "logistic"}
        x, t, w, v = problem(shape, dtype, functions, targets, 4)
        networks = []
        for order in "FC":
            settings = functions | ({"accumulators": zeros_of_units(w, v)} if adaptive else {})
            weights = _layout.copies(w, v) if order == "F" else [np.ascontiguousarray(a) for a in (w, v)]
            networks.append(Network.from_weights(*weights, learning_rate=0.05, **settings))
        for n in range(4):
            classes = functions["output"] == "softmax" and n % 2
            t_n = int(t[n].argmax()) if classes else t[n]
            one, other = (network.learn_one(x[n], t_n, sample_weight=n / 2) for network in networks)
            bound = 4000 * float(np.finfo(dtype).eps)
            assert one == pytest.approx(other, rel=bound, abs=bound)
            predictions = [np.asarray(network.predict_one(x[n])) for network in networks]
            close([predictions[0].astype(dtype)], [predictions[1].astype(dtype)])
        arrays = [(network.w, network.v, *(network.accumulators or ())) for network in networks]
        close(*arrays)
        assert len(w) == 1 or not any(padding.any() for padding in padding_of(*arrays[0][:2]))


@pytest.mark.parametrize("M", [3, 11, 100])
def test_sums_that_overflow_saturate_units_but_inputs_must_be_finite(variant, dtype, M):
    network = Network(5, M, 3, dtype=dtype, rng=0)
    network.w[:] = 1
    x = np.full(5, np.finfo(dtype).max)
    y = network.predict_proba_one(x)
    close([y], [Network.from_weights(network.w.copy("C"), network.v.copy("C")).predict_proba_one(x)])
    for value in (np.nan, np.inf, -np.inf):
        x[2] = value
        for call in (network.predict_one, lambda x: network.learn_one(x, 0)):
            with pytest.raises(ValueError, match=r"x\[2\] is"):
                call(x)


def test_a_sample_that_would_diverge_changes_nothing(refuse, variant, dtype):
    D, M, K = 5, 11, 3
    network = Network(D, M, K, output="linear", hidden="relu", dtype=dtype, learning_rate=1e30, rng=0)
    network.w[:] = 1
    big, arrays = float(np.finfo(dtype).max) ** 0.5 / 1e3, (network.w, network.v)
    refuse(cbackprop.DivergenceError, None, arrays, lambda: network.learn_one(np.full(D, big), np.full(K, big)))
    network.w[0, 0] = np.inf
    refuse((cbackprop.DivergenceError, ValueError), None, arrays, lambda: network.learn_one(np.ones(D), np.ones(K)))
    assert not any(padding.any() for padding in padding_of(*arrays))
