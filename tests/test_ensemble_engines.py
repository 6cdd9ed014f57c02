"""The engines for ensembles, in lanes and side by side: against engines of the networks one by one.

Tolerances allow for some 50 updates, in which the order of sums differs: 4000 rounding errors of the largest number.
"""

import types

import numpy as np
import pytest

import cbackprop
from cbackprop import _engines
from cbackprop._ensemble_engines import SeparateEngines
from cbackprop._sparse import SparseRows
from cbackprop._training_lock import call_all
from cbackprop._validation import Functions

ROUNDING = {"float32": 4000 * 2**-24, "float64": 4000 * 2**-53}
SHAPES = [(2, 2, 3), (13, 9, 3), (5, 3, 1)]
N = 50


def networks(R, shape, dtype, functions):
    drawn = [cbackprop.init_weights(*shape, hidden=functions["hidden"], dtype=dtype, rng=r) for r in range(R)]
    return tuple(np.stack(layers) for layers in zip(*drawn, strict=True))


def data(shape, dtype, R, weights):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(N, shape[0])).astype(dtype), rng.dirichlet(np.ones(shape[2]), N).astype(dtype)
    if weights == "none":
        return x, t, None, None
    return x, t, None, (rng.random(N) if weights == "shared" else rng.integers(1, 3, (R, N))).astype(dtype)


def run(engine, w, v, samples, rates, adaptive, order):
    w, v = w.copy(), v.copy()
    s = np.zeros(w.shape[:2], w.dtype), np.zeros(v.shape[:2], w.dtype)
    states = {"accumulators": s} if adaptive else {}
    losses = np.empty((len(order), len(w)))
    engine.load(w, v, states)
    sums = engine.learn(samples, order, rates, losses)
    assert engine.finite().all()
    call_all(engine.stores(w, v, states, np.ones(len(w), bool)), [])
    return w, v, *s, losses, sums


def in_lanes(kernels, w, v, batch_size=1, **settings):
    return kernels.NetworksInLanesEngine(len(w), w.shape[2] - 1, w.shape[1], v.shape[1], batch_size, **settings)


def side_by_side(kernels, w, v, block=16, **settings):
    return kernels.NetworksSideBySideEngine(len(w), w.shape[2] - 1, w.shape[1], v.shape[1], block=block, **settings)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(("batch_size", "l2"), [(1, 0), (1, 0.1), (7, 0), (7, 0.1), (N, 0)])
@pytest.mark.parametrize("weights", ["none", "shared", "each"])
def test_networks_learn_as_they_do_alone(kernels, all_functions, weights, batch_size, l2, adaptive):
    dtype = kernels.DTYPE
    for functions in all_functions:
        for R, shape in zip((1, 3, 2 * kernels.LANES_IN_REGISTER + 1), SHAPES, strict=True):
            w, v = networks(R, shape, dtype, functions)
            rates, order = np.linspace(0.01, 0.05, R), np.random.default_rng(1).permutation(N)
            settings = {"l2": l2, "adaptive": adaptive}
            together = in_lanes(kernels, w, v, batch_size, **settings, **functions)
            alone = SeparateEngines(
                w,
                v,
                [Functions(**functions)] * R,
                batch_size,
                x=np.empty((N, shape[0]), dtype),
                method="direct",
                **settings,
            )
            x = data(shape, dtype, R, weights)
            ours, theirs = (
                run(engine, w, v, engine.samples(*x), rates, adaptive, order) for engine in (together, alone)
            )
            for one, other in zip(ours, theirs, strict=True):
                largest = max(1, np.abs(other).max())
                np.testing.assert_allclose(one, other, rtol=0, atol=ROUNDING[dtype.name] * largest)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weights", ["none", "shared", "each"])
def test_networks_side_by_side_learn_as_blocks_do(kernels, all_functions, weights, adaptive):
    """With the same bits: the sums are the same."""
    dtype = kernels.DTYPE
    for functions in all_functions:
        for R, shape in ((1, (13, 9, 3)), (4, (7, 33, 19))):
            w, v = networks(R, shape, dtype, functions)
            rates, order = np.linspace(0.001, 0.01, R), np.random.default_rng(1).permutation(N)
            x, t, _labels, weight = data(shape, dtype, R, weights)
            together = side_by_side(kernels, w, v, adaptive=adaptive, **functions)
            ours = run(together, w, v, together.samples(x, t, None, weight), rates, adaptive, order)
            for r in range(R):
                alone = kernels.BlockedEngine(*shape, block=16, adaptive=adaptive, **functions)
                one = w[r].copy(), v[r].copy()
                states = {"accumulators": (np.zeros_like(w[r, :, 0]), np.zeros_like(v[r, :, 0]))} if adaptive else {}
                losses = np.empty(N)
                alone.load(*one, states)
                samples = alone.samples(x, t, None, weight[r] if weights == "each" else weight)
                total = alone.learn(samples, order, rates[r], 1, losses)
                alone.store(*one, states)
                assert ours[0][r].tobytes() == one[0].tobytes()
                assert ours[1][r].tobytes() == one[1].tobytes()
                assert ours[4][:, r].tobytes() == losses.tobytes()
                assert ours[5][r] == total
                if adaptive:
                    assert ours[2][r].tobytes() == states["accumulators"][0].tobytes()
                    assert ours[3][r].tobytes() == states["accumulators"][1].tobytes()


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_network_does_not_depend_on_the_others(kernels, batch_size, adaptive):
    functions, shape = {"hidden": "tanh", "output": "softmax"}, (4, 5, 3)
    w, v = networks(40, shape, kernels.DTYPE, functions)
    x, rates, order = data(shape, kernels.DTYPE, 40, "shared"), np.linspace(0.1, 0.5, 40), np.arange(N)
    w[3] = np.nan  # diverged
    results = []
    for members in (range(1), range(3), (2, 1, 0), range(40)):
        chosen = list(members)
        engine = in_lanes(kernels, w[chosen], v[chosen], batch_size, adaptive=adaptive, **functions)
        states = {"accumulators": (np.zeros((len(chosen), 5), w.dtype), np.zeros((len(chosen), 3), w.dtype))}
        ours = w[chosen].copy(), v[chosen].copy()
        engine.load(*ours, states)
        engine.learn(engine.samples(*x), order, rates[chosen])
        np.testing.assert_array_equal(engine.finite(), np.array(chosen) != 3)
        call_all(engine.stores(*ours, states, np.ones(len(chosen), bool)), [])
        results.append([array[chosen.index(0)].tobytes() for array in (*ours, *states["accumulators"])])
    assert results[0] == results[1] == results[2] == results[3]


@pytest.mark.parametrize("make", [in_lanes, side_by_side])
def test_networks_without_a_rate(kernels, make):
    functions, shape = {"hidden": "relu", "output": "linear"}, (2, 2, 3)
    w, v = networks(3, shape, kernels.DTYPE, functions)
    engine = make(kernels, w, v, **functions)
    engine.load(w, v)
    losses = np.empty((N, 3))
    sums = engine.learn(engine.samples(*data(shape, kernels.DTYPE, 3, "none")), np.arange(N), [0.01, 0, 0.01], losses)
    assert np.isinf(sums).tolist() == [False, True, False]
    assert np.isinf(losses).all(axis=0).tolist() == [False, True, False]
    ours = w.copy(), v.copy()
    call_all(engine.stores(*ours, {}, np.array([True, True, False])), [])
    assert (ours[0] != w).any(axis=(1, 2)).tolist() == [True, False, False]


@pytest.mark.parametrize(("shape", "lanes", "expected"), [
    ((2, 2, 3), 16, True), ((10, 16, 2), 16, True), ((10, 16, 2), 8, False), ((64, 32, 10), 16, False),
    ((2, 2, 3), 2, False), ((2, 2, 3), 1, False),
])  # fmt: skip
def test_the_rule(shape, lanes, expected, monkeypatch):
    monkeypatch.setattr(_engines, "kernels", lambda dtype: types.SimpleNamespace(LANES_IN_REGISTER=lanes))
    assert _engines.networks_in_lanes(*cbackprop.init_weights(*shape)) is expected


def test_bad_calls(kernels):
    functions, shape = {"hidden": "tanh", "output": "softmax"}, (4, 5, 3)
    w, v = networks(3, shape, kernels.DTYPE, functions)
    x, t, _labels, _weight = data(shape, kernels.DTYPE, 3, "none")
    with pytest.raises(ValueError, match="they must be at least 1"):
        kernels.NetworksInLanesEngine(0, 4, 5, 3)
    for sizes in ((1 << 60, 4, 5, 3), (3, 1 << 40, 1 << 20, 3)):
        with pytest.raises(MemoryError, match="no memory for"):
            kernels.NetworksInLanesEngine(*sizes)
    for settings in ({"batch_size": 2}, {"l2": 0.1}):
        with pytest.raises(ValueError, match="side by side they must be 1 and 0"):
            kernels.NetworksSideBySideEngine(3, 4, 5, 3, **settings)
    with pytest.raises(ValueError, match="hidden is 'sine'"):
        kernels.NetworksInLanesEngine(3, 4, 5, 3, hidden="sine")
    few = kernels.NetworksInLanesEngine(2, *shape).samples(x, t, None, np.ones((2, N), w.dtype))
    engine = in_lanes(kernels, w, v)
    engine.load(w, v)
    with pytest.raises(ValueError, match="samples have weights for 2 networks; there are 3"):
        engine.learn(few, np.arange(N), np.full(3, 0.1))
    engine = in_lanes(kernels, w, v, adaptive=True)
    samples, order, rates = engine.samples(x, t), np.arange(N), np.full(3, 0.1)
    states = {"accumulators": (np.zeros((3, 5), w.dtype), np.zeros((3, 3), w.dtype))}
    for call in (
        engine.finite,
        lambda: engine.learn(samples, order, rates),
        lambda: engine.store(w, v, states, np.ones(3, bool)),
    ):
        with pytest.raises(RuntimeError, match="load them first"):
            call()
    for wrong in (
        (w[:2], v, states),
        (w, v[:, :2], states),
        (w, v, {"accumulators": (states["accumulators"][1], states["accumulators"][0])}),
    ):
        with pytest.raises(ValueError, match="w, v and accumulators have shapes"):
            engine.load(*(np.ascontiguousarray(array) for array in wrong[:2]), wrong[2])
    engine.load(w, v, states)
    with pytest.raises(ValueError, match=r"learning_rates has 2 elements"):
        engine.learn(samples, order, rates[:2])
    with pytest.raises(ValueError, match="losses have shape"):
        engine.learn(samples, order, rates, np.empty((N, 2)))
    with pytest.raises(ValueError, match=r"order\[0\] is 50"):
        engine.learn(samples, order + N, rates)
    with pytest.raises(RuntimeError, match="does not support threads"):
        engine.learn(samples, order, rates, None, 2)
    with pytest.raises(ValueError, match="they must be dense, with t or labels"):
        engine.learn(engine.samples(x), order, rates)
    with pytest.raises(ValueError, match="members has 2 elements"):
        call_all(engine.stores(w, v, states, np.ones(2, bool)), [])
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2, 50\)"):
        engine.samples(x, t, None, np.ones((2, N), w.dtype))
    with pytest.raises(ValueError, match="samples are sparse"):
        engine.samples(SparseRows.of_row(x[0]), None, None, None)
    other = side_by_side(kernels, w, v)
    other.load(w, v)
    with pytest.raises(RuntimeError, match="does not support threads"):
        other.learn(samples, order, rates, None, 2)
    with pytest.raises(ValueError, match="samples have 3 inputs"):
        engine.learn(engine.samples(np.ascontiguousarray(x[:, :3]), t), order, rates)
