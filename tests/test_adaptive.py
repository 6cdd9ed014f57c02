"""Row-wise AdaGrad: compiled against the reference, and both against its definition by the gradients (16) and (18).

Tolerances: rates divide by square roots of sums, so that the first updates double the relative error of a gradient; 20
updates may multiply it. 4000 rounding errors of the largest weight or sum are allowed.
"""

import copy
import functools
import pickle
import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, _dispatch, reference
from cbackprop.kernels import baseline_float64

ROUNDING = {"float32": 4000 * 2**-24, "float64": 4000 * 2**-53}
SHAPES = [(7, 13, 5), (2, 2, 3), (3, 1, 1), (33, 18, 4), (64, 40, 19)]


def accumulators(w, v):
    return np.zeros(len(w), w.dtype), np.zeros(len(v), w.dtype)


def close(ours, wanted):
    for one, other in zip(ours, wanted, strict=True):
        rounding = ROUNDING[one.dtype.name]
        np.testing.assert_allclose(one, other, rtol=0, atol=rounding * max(1, np.abs(other).max()))


def case(shape, dtype, functions, N=20, seed=0):
    D, M, K = shape
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)).astype(dtype)
    t = rng.dirichlet(np.ones(K), N).astype(dtype)
    t /= t.sum(axis=1, keepdims=True)  # 1 with one class: a rounding error would be divided by the root of EPSILON
    w, v = cbackprop.init_weights(D, M, K, hidden=functions["hidden"], dtype=dtype, rng=1)
    return x, t, w, v


def test_the_definition(library, dtype, functions):
    x, t, w, v = case((5, 4, 3), dtype, functions, N=8)
    weight = np.linspace(0.5, 2, 8)
    s = accumulators(w, v)
    wanted, sums = (w.copy(), v.copy()), accumulators(w, v)
    for n in range(8):
        gradient = cbackprop.gradient(x[[n]], t[[n]], *wanted, **functions)
        for layer, derivative, total in zip(wanted, gradient, sums, strict=True):
            derivative *= dtype.type(weight[n])
            total += (derivative**2).mean(axis=1)
            layer -= dtype.type(0.5) / np.sqrt(total + dtype.type(1e-10))[:, np.newaxis] * derivative
        library.step(x[n], t[n], w, v, 0.5, sample_weight=weight[n], accumulators=s, **functions)
    close((w, v, *s), (*wanted, *sums))


@pytest.mark.parametrize("batch_size", [1, 6, None])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_engine_agrees_with_the_reference(compiled, reference_fit, dtype, all_functions, shape, batch_size):
    # three functions of the nine for each shape, with all batches and precisions together all of them
    first = SHAPES.index(shape) + (batch_size or 2) + (dtype == np.float32)
    for functions in all_functions[first % 3 :: 3]:
        x, t, w, v = case(shape, dtype, functions)
        s = accumulators(w, v)
        settings = {"learning_rate": 0.1, "batch_size": batch_size, "rng": 0, "adaptive": True, **functions}
        wanted, losses = reference_fit(x, t, w, v, **settings)
        history = compiled.fit(x, t, w, v, accumulators=s, **settings)
        close((w, v, *s), wanted)
        assert history.losses == pytest.approx(losses, rel=ROUNDING[dtype.name])


@pytest.mark.parametrize(("batch_size", "l2"), [(1, 0), (1, 0.1), (6, 0.1)])
def test_weights_and_a_penalty(compiled, reference_fit, dtype, batch_size, l2):
    functions = {"hidden": "tanh", "output": "softmax"}
    weight = np.random.default_rng(3).random(20)
    weight[4] = 0
    for sample_weight in (None, weight):
        x, t, w, v = case((7, 13, 5), dtype, functions)
        s = accumulators(w, v)
        settings = {"learning_rate": 0.3, "batch_size": batch_size, "rng": 0, "l2": l2, "sample_weight": sample_weight}
        settings |= {"adaptive": True} | functions
        wanted, _losses = reference_fit(x, t, w, v, **settings)
        compiled.fit(x, t, w, v, accumulators=s, **settings)
        close((w, v, *s), wanted)


def test_single_samples_are_steps(variant, dtype, functions):
    x, t, w, v = case((7, 13, 5), dtype, functions)
    s = accumulators(w, v)
    network = Network.from_weights(
        w.copy(), v.copy(), learning_rate=0.3, accumulators=(s[0].copy(), s[1].copy()), **functions
    )
    for n, (x_n, t_n) in enumerate(zip(x, t, strict=True)):
        weight = 1 + n % 3
        E_n = cbackprop.step(x_n, t_n, w, v, 0.3, sample_weight=weight, accumulators=s, **functions)
        assert network.learn_one(x_n, t_n, weight) == E_n
    for ours, theirs in zip((network.w, network.v, *network.accumulators), (w, v, *s), strict=True):
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("inputs", [3, 40, 1000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_inputs_that_come_twice_count_with_their_sum(variant, dtype, order, inputs):
    sparse = pytest.importorskip("scipy.sparse")
    functions = {"output": "softmax", "hidden": "tanh"}
    N, nnz, rng = 12, 50, np.random.default_rng(0)
    _x, t, w, v = case((inputs, 13, 5), dtype, functions, N)
    indices = rng.integers(inputs, size=(N, nnz))
    values = (rng.integers(-3, 4, size=(N, nnz)) / 16).astype(dtype)  # exact sums, of which some are 0
    rows = sparse.csr_array((values.ravel(), indices.ravel(), np.arange(0, N * nnz + 1, nnz)), shape=(N, inputs))
    x = rows.toarray()
    for batch_size in (1, 5, None):
        ours, wanted = [(np.array(w, order=order), v.copy()) for _ in range(2)]
        s, sums = accumulators(w, v), accumulators(w, v)
        settings = {"learning_rate": 0.3, "rng": 0, "adaptive": True, "batch_size": batch_size, **functions}
        cbackprop.fit(rows, t, *ours, accumulators=s, **settings)
        reference.fit(x, t, *wanted, accumulators=sums, **settings)
        close((*ours, *s), (*wanted, *sums))
    s, sums = accumulators(w, v), accumulators(w, v)
    one = Network.from_weights(np.array(w, order=order), v.copy(), accumulators=s, **functions)
    for n in range(N):
        one.learn_one_sparse(indices[n], values[n], t[n])
        reference.step(x[n], t[n], w, v, 0.1, accumulators=sums, **functions)
    close((one.w, one.v, *s), (w, v, *sums))


# --------------------------------------------------------------------------------------------------- the size of inputs


def test_the_size_of_an_error_does_not_matter_at_first(library):
    """The first update of a unit has the size α, whatever its gradient."""
    changes = []
    for size in (1e-3, 1, 1e3):
        w, v = cbackprop.init_weights(3, 4, 2, rng=0)
        before = v.copy()
        library.step([0.5, -1, 2], size * np.ones(2), w, v, 0.1, accumulators=accumulators(w, v), output="linear")
        changes.append(np.sqrt(((v - before) ** 2).mean(axis=1)))
    np.testing.assert_allclose(changes, 0.1, rtol=1e-3)  # 1e-10 beside a square of 1e-7


# ---------------------------------------------------------------------------------------------------- state of training


def test_networks_keep_their_accumulators(tmp_path, dtype):
    x, t, *_ = case((7, 4, 3), dtype, {"hidden": "sigmoid"})
    network = Network(7, 4, 3, adaptive=True, dtype=dtype, rng=0)
    assert network.adaptive
    assert repr(network) == f"Network(7, 4, 3, learning_rate=0.1, adaptive=True, dtype={dtype})"
    network.fit(x, t, rng=0)
    network.save(tmp_path / "a")
    copies = Network.load(tmp_path / "a"), pickle.loads(pickle.dumps(network)), copy.deepcopy(network)
    for other in (network, *copies):
        other.learn_one(x[0], t[0])
        other.fit(x, t, batch_size=4, rng=1)
    for other in copies:
        for ours, theirs in zip(
            (network.w, network.v, *network.accumulators), (other.w, other.v, *other.accumulators), strict=True
        ):
            assert ours.tobytes() == theirs.tobytes()
    assert not Network(7, 4, 3).adaptive
    assert Network(7, 4, 3).accumulators is None


# -------------------------------------------------------------------------------------------------------- bad arguments


def bad_accumulators():
    readonly = np.zeros(4)
    readonly.flags.writeable = False
    good = np.zeros(4), np.zeros(3)
    yield 3, TypeError, "accumulators is int; it must be a pair"
    yield (good[0],), TypeError, "accumulators is tuple; it must be a pair"
    yield (good[0].tolist(), good[1]), TypeError, r"accumulators\[0\] is a list"
    yield (good[0], good[0]), ValueError, r"accumulators\[1\] is float64 \(4,\); it must be float64 \(3,\)"
    yield (good[0].astype("f4"), good[1]), ValueError, r"accumulators\[0\] is float32 \(4,\)"
    yield (np.zeros(8)[::2], good[1]), ValueError, r"accumulators\[0\] has strides \(16,\)"
    yield (readonly, good[1]), ValueError, r"accumulators\[0\] is read-only"
    yield (np.full(4, np.nan), good[1]), ValueError, r"accumulators\[0\]\[0\] is nan; it must be finite"
    yield (good[0], np.full(3, -1.0)), ValueError, r"accumulators\[1\]\[0\] is -1.0; it must be a sum of squares"
    whole = np.zeros(6)
    yield (whole[:4], whole[3:]), ValueError, r"accumulators\[0\] and accumulators\[1\] overlap in memory"


@pytest.mark.parametrize(("value", "error", "message"), list(bad_accumulators()))
def test_bad_accumulators(refuse, value, error, message):
    x, t, w, v = case((7, 4, 3), np.dtype("float64"), {"hidden": "tanh"})
    calls = (
        lambda: cbackprop.fit(x, t, w, v, adaptive=True, accumulators=value),
        lambda: cbackprop.step(x[0], t[0], w, v, 0.1, accumulators=value),
        lambda: Network.from_weights(w, v, accumulators=value),
    )
    refuse(error, message, (w, v), *calls)


def test_other_bad_settings():
    x, t, w, v = case((7, 4, 3), np.dtype("float64"), {"hidden": "tanh"})
    s = accumulators(w, v)
    with pytest.raises(ValueError, match="accumulators are given and adaptive is False; it must be True"):
        cbackprop.fit(x, t, w, v, accumulators=s)
    with pytest.raises(ValueError, match=r"momentum is 0.5 and rates are adaptive; momentum must be 0"):
        cbackprop.fit(x, t, w, v, adaptive=True, momentum=0.5)
    with pytest.raises(TypeError, match="adaptive is 1"):
        cbackprop.fit(x, t, w, v, adaptive=1)
    with pytest.raises(ValueError, match=r"accumulators\[0\] overlaps x, t or sample_weight"):
        cbackprop.fit(
            s[0][:, np.newaxis], [0, 1, 2, 0], *cbackprop.init_weights(1, 4, 3), adaptive=True, accumulators=s
        )


@pytest.mark.parametrize("bad", [-1e3, np.nan, np.inf])
@pytest.mark.parametrize("layer", [0, 1])
def test_bad_accumulators_of_a_network(refuse, variant, dtype, layer, bad):
    network = Network(3, 4, 2, adaptive=True, dtype=dtype, rng=0)
    network.accumulators[layer][:] = bad
    calls = (
        lambda: network.learn_one(np.ones(3, dtype), 1),
        lambda: network.learn_one_sparse([0, 2], [1, 2], 1),
        lambda: cbackprop.step([1, 2, 3], 1, network.w, network.v, 0.1, accumulators=network.accumulators),
        lambda: network.fit(np.ones((4, 3), dtype), [0, 1, 0, 1]),
    )
    refuse((cbackprop.DivergenceError, ValueError), None, (network.w, network.v), *calls)


@pytest.mark.parametrize(("D", "rate"), [(1, 0.3), (10, 0.3), (24, 0.2), (99, 0.1)])
def test_automatic_rates(D, rate):
    x = np.random.default_rng(0).normal(size=(20, D))
    network = Network(D, 4, 3, learning_rate="auto", rng=0)
    assert network.learning_rate == pytest.approx(rate)
    twin = Network(D, 4, 3, learning_rate=network.learning_rate, adaptive=True, standardize=True, rng=0)
    for row in x:
        assert network.learn_one(row, 1) == twin.learn_one(row, 1)
    assert network.w.tobytes() == twin.w.tobytes()
    with pytest.raises(TypeError, match="learning_rate is 'fast'"):
        Network(D, 4, 3, learning_rate="fast")


def test_accumulators_that_change_shape():
    network = Network(2, 4, 3, adaptive=True)
    with warnings.catch_warnings(action="ignore"):  # by NumPy 2.5
        network.accumulators[0].shape = (2, 2)
    with pytest.raises(ValueError, match="accumulators now have shapes"):
        network.learn_one([1.0, 2.0], 0)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_sum_of_squares_that_overflows_diverges(refuse, engine, dtype, batch_size):
    x, t, w, v = case((7, 4, 3), dtype, {"hidden": "tanh"})
    x[0] = np.finfo(dtype).max / 100  # times 0, so that E_n is finite; not so the square of the gradient
    w[:, :-1], w[:, -1] = 0, 1
    s = accumulators(w, v)
    settings = {"hidden": "relu", "accumulators": s}
    fit = functools.partial(engine.fit, adaptive=True, batch_size=batch_size, shuffle=False, **settings)
    calls = lambda: fit(x, t, w, v), lambda: engine.library.step(x[0], t[0], w, v, 0.1, **settings)
    refuse(cbackprop.DivergenceError, None, (w, v, *s), *calls)


# ------------------------------------------------------------------------------------------------ losses of each sample


@pytest.mark.parametrize("M", [3, 8, 12])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_learn_after_a_sample_that_was_refused(dtype, M):
    network = cbackprop.Network(3, M, 2, adaptive=True, dtype=dtype, rng=0)
    twin = cbackprop.Network(3, M, 2, adaptive=True, dtype=dtype, rng=0)
    x = np.array([1, 2, 3], dtype)
    for _ in range(2):
        assert network.learn_one(x, 1) == twin.learn_one(x, 1)
        with pytest.raises(cbackprop.DivergenceError):
            network.learn_one(x * np.sqrt(np.finfo(dtype).max), 1)
    np.testing.assert_array_equal(network.w, twin.w)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 20])
def test_losses_of_each_sample(dtype, all_functions, adaptive, batch_size):
    module = _dispatch.kernels(dtype)
    classes = (module.DirectEngine, module.BlockedEngine)
    classes += (module.SamplesInLanesEngine if batch_size > 1 else module.LanesEngine,)
    for functions in all_functions:
        x, t, w, v = case((7, 13, 5), dtype, functions)
        weight, order = np.linspace(0, 2, 20).astype(dtype), np.random.default_rng(0).permutation(20)
        for kind in classes:
            engine = kind(7, 13, 5, batch_size, adaptive=adaptive, **functions)
            losses = np.full(20, np.nan)
            engine.load(w.copy(), v.copy())  # it may learn in them
            total = engine.learn(engine.samples(x, t, None, weight), order, 0.1, 1, losses)
            assert total == pytest.approx((weight[order] * losses).sum(), rel=ROUNDING[dtype.name])
            first = cbackprop.loss(x[order[:1]], t[order[:1]], w, v, **functions)
            assert losses[0] == pytest.approx(first, rel=ROUNDING[dtype.name])
        with pytest.raises(AssertionError):
            engine.learn(engine.samples(x, t), order, 0.1, 1, np.empty(3))


def test_engines_check_their_arguments():
    with pytest.raises(AssertionError):
        baseline_float64.DirectEngine(2, 3, 2, momentum=0.5, adaptive=True)
    engine = baseline_float64.DirectEngine(2, 3, 2, adaptive=True)
    w, v = np.zeros((3, 3)), np.zeros((2, 4))
    for shape in (2, 3), (3, 3):
        with pytest.raises(ValueError, match="the arrays have shapes"):
            engine.load(w, v, {"accumulators": (np.zeros(shape[0]), np.zeros(shape[1]))})
    with pytest.raises(AssertionError):
        engine.load(w, v, {"velocity": (w, v)})
