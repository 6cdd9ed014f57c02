"""Training as a whole: `fit`, `step` and `Network.learn_one` match the reference, and stop or diverge as documented.

Two libraries that do the same arithmetic in another order drift apart by a few eps a step, and at these rates errors do
not grow. Measured after 200 steps: up to 20 eps, for weights of order 1; allowed are 100.

Where a test has many settings, those that are independent of each other are paired, not multiplied: see `paired`.
"""

import functools
import math
import re
import signal
import sys
import tracemalloc

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, History, Network, _dispatch, _training, init_weights, reference

DRIFT = 100  # eps
BATCHES = {  # batch_size, N, epochs: up to 200 steps; whole and long ones take several blocks each
    "online": (1, 200, 1),
    "batch": (None, 17, 100),
    "mini-batches": (7, 50, 15),
    "whole blocks": (90, 200, 20),
    "long batches": (150, 290, 20),
}
DTYPES = ("float32", "float64")

# D, M, K; a string counts from the numbers in a register
SHAPES = [(1, 1, 1), (1, 1, 2), (2, 2, 3), (3, 3, 3), (13, 7, 5), (67, 37, 3), (5, 67, 2)]
SHAPES += [("-1", "+0", "+1"), ("+0", "+1", "-1"), ("+1", "-1", "+0")]


def paired(first, second, third=DTYPES):
    """Every pair of two settings, with the third in turn, so that it comes with each value of both."""
    return [(one, other, third[(n + m) % len(third)]) for n, one in enumerate(first) for m, other in enumerate(second)]


def resolve(shape, dtype):
    lanes = _dispatch.kernels(dtype).LANES_IN_REGISTER
    return tuple(max(1, lanes + int(size)) if isinstance(size, str) else size for size in shape)


def problem(shape, samples, dtype):
    D, M, K = shape
    rng = np.random.default_rng([D, M, K, samples])
    x, t = rng.normal(size=(samples, D)).astype(dtype), rng.integers(K, size=samples)
    return x, t, *cbackprop.init_weights(D, M, K, dtype=dtype, rng=rng)


def rate(shape):
    """As large as is stable: steps are of order 1, and errors still do not grow."""
    return min(0.5, 4 / shape[0])


@pytest.fixture
def check(compiled, reference_fit):
    """A function that fits with each engine and compares weights and losses with those of the reference."""

    def fit(x, t, w, v, **settings):
        wanted, losses = reference_fit(x, t, w, v, **settings)
        history = compiled.fit(x, t, w, v, **settings)
        assert_close((w, v), wanted)
        np.testing.assert_allclose(history.losses, losses, rtol=DRIFT * np.finfo(w.dtype).eps, atol=0)

    return fit


def assert_close(got, wanted, bound=DRIFT):
    for weights, other in zip(got, wanted, strict=True):
        assert np.abs(weights - other).max() <= bound * np.finfo(weights.dtype).eps * max(1, np.abs(other).max())


@pytest.mark.parametrize(("shape", "batches", "dtype"), paired(SHAPES, BATCHES))
def test_fit_matches_the_reference(check, compiled, dtype, shape, batches):
    dtype = np.dtype(dtype)
    batch_size, samples, epochs = BATCHES[batches]
    shape = resolve(shape, dtype)
    x, t, w, v = problem(shape, samples, dtype)
    start = w.copy(), v.copy()
    epochs = epochs if compiled.n_threads == 1 else math.ceil(epochs / 4)  # threads are started for each epoch
    check(x, t, w, v, learning_rate=rate(shape), epochs=epochs, batch_size=batch_size, rng=5)
    if shape[2] > 1:  # a single class has nothing to learn; the others change far more than the bound
        assert np.abs(w - start[0]).max() > 0.001
        assert np.abs(v - start[1]).max() > 0.001


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_match_the_reference(variant, reference_fit, dtype, shape):
    # and so do those of Network.learn_one, which are the same: test_network.py
    shape = resolve(shape, dtype)
    x, t, w, v = problem(shape, 80, dtype)
    wanted, (loss,) = reference_fit(x, t, w, v, learning_rate=rate(shape), rng=5)
    order = np.random.default_rng(5).permutation(80)
    losses = [cbackprop.step(x[n], t[n], w, v, rate(shape)) for n in order]
    assert_close((w, v), wanted)
    assert np.mean(losses) == pytest.approx(loss, rel=float(DRIFT * np.finfo(dtype).eps), abs=0)


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 5, 3)])
def test_a_batch_of_zero_weight_changes_nothing(engine, dtype, shape):
    x, t, *weights = problem(shape, 32, dtype)
    wanted, settings = [array.copy() for array in weights], {"batch_size": 16, "shuffle": False}
    losses = engine.fit(x[16:], t[16:], *wanted, **settings).losses
    assert engine.fit(x, t, *weights, sample_weight=np.arange(32) // 16, **settings).losses == losses
    np.testing.assert_equal(weights, wanted)


@pytest.mark.parametrize(
    ("way", "batch_size", "dtype"), paired([("direct", 1), ("blocked", 1), ("blocked", 2)], [1, None])
)
def test_a_large_network_matches_the_reference(variant, reference_fit, dtype, batch_size, way):
    # w is larger than a second-level cache; two threads have enough to do without being forced to
    x, t, w, v = problem((700, 403, 11), 75, np.dtype(dtype))
    before, (method, n_threads) = w.copy(), way
    settings = {"learning_rate": 0.005 if batch_size == 1 else 0.3, "rng": 1, "batch_size": batch_size}
    wanted, losses = reference_fit(x, t, w, v, **settings)
    history = cbackprop.fit(x, t, w, v, **settings, method=method, n_threads=n_threads)
    assert_close((w, v), wanted)
    np.testing.assert_allclose(history.losses, losses, rtol=DRIFT * np.finfo(dtype).eps)
    assert np.abs(w - before).max() > 1e-4


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_huge_inputs_match_the_reference(check, dtype, batch_size):
    # their squares overflow, their sums do not: saturated units stay as they are, and v learns
    x, t, w, v = problem((3, 5, 4), 60, dtype)
    before = v.copy()
    check(x * dtype.type(1e20 if dtype == np.float32 else 1e160), t, w, v, rng=1, batch_size=batch_size)
    assert np.abs(v - before).max() > 0.01


OPTIONS = {  # besides plain (17)
    "weighted": {"sample_weight": True},
    "l2": {"l2": 0.5},
    "momentum": {"momentum": 0.9},
    "all": {"sample_weight": True, "l2": 0.5, "momentum": 0.5},
}


def options(name, samples):
    """Keywords of `fit`; sample weights are 0 for some samples, and for a whole batch."""
    if "sample_weight" not in OPTIONS[name]:
        return OPTIONS[name]
    weights = np.random.default_rng(3).integers(0, 4, samples)
    weights[:14] = 0
    return OPTIONS[name] | {"sample_weight": weights}


SHAPE_AND_DTYPE = [((2, 2, 3), "float64"), ((13, 7, 5), "float32"), ((5, 67, 2), "float64")]
SHAPE_AND_DTYPE += [((2, 2, 3), "float32"), ((13, 7, 5), "float64"), ((5, 67, 2), "float32")]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("batch_size", [1, 7, 150, None])
@pytest.mark.parametrize("name", OPTIONS)
def test_fit_with_options_matches_the_reference(check, name, batch_size, number):
    # all shapes with each name and batch_size, half of them in one precision and half in the other
    place = list(OPTIONS).index(name) + [1, 7, 150, None].index(batch_size)
    shape, dtype = SHAPE_AND_DTYPE[number + 3 * (place % 2)]
    epochs, rate = (1, 0.02) if batch_size == 1 else (8, 0.1)
    settings = {"learning_rate": rate, "epochs": epochs, "batch_size": batch_size, "shuffle": False}
    check(*problem(shape, 160, np.dtype(dtype)), **settings, **options(name, 160))


@pytest.mark.parametrize(
    ("shape", "factor"), [((3, 5, 2), 0.99999), ((13, 37, 5), 0.95), ((3, 5, 2), 0), ((13, 37, 5), -0.5)]
)
def test_a_penalty_shrinks_all_weights_but_biases_at_each_sample(check, shape, factor):
    # to nothing, too, and beyond; sample weights are factors of the errors alone
    settings = {"learning_rate": 0.1, "l2": (1 - factor) / 0.1, "shuffle": False, "sample_weight": np.arange(150) % 3}
    check(*problem(shape, 150, np.dtype("float64")), **settings)


@pytest.mark.parametrize(("batch_size", "dtype"), [(1, "float32"), (7, "float64"), (None, "float32")])
def test_a_given_velocity_continues_from_call_to_call(engine, dtype, batch_size):
    x, t, w, v = problem((5, 9, 3), 20, np.dtype(dtype))
    settings = {"batch_size": batch_size, "shuffle": False, "momentum": 0.9, "l2": 0.1, "learning_rate": 0.05}
    at_once, velocity = (w.copy(), v.copy()), (np.zeros_like(w), np.zeros_like(v))
    engine.fit(x, t, *at_once, epochs=3, **settings)
    for _ in range(3):
        engine.fit(x, t, w, v, velocity=velocity, **settings)
    np.testing.assert_equal((w, v), at_once)
    assert all(each.any() for each in velocity)


def test_weights_count_like_repeated_samples(library, dtype):
    x, t, w, v = problem((5, 9, 3), 20, dtype)
    counts = np.random.default_rng(0).integers(0, 3, 20)
    repeated = w.copy(), v.copy()
    library.fit(x.repeat(counts, axis=0), t.repeat(counts), *repeated, batch_size=None, epochs=20)
    library.fit(x, t, w, v, batch_size=None, epochs=20, sample_weight=counts)
    assert_close((w, v), repeated)


@pytest.mark.parametrize(
    ("settings", "batch_size", "dtype"), paired([{}, {"l2": 0.1}, {"momentum": 0.5}, {"adaptive": True}], [None, 5])
)
def test_a_batch_of_a_single_sample_counts_like_one_given_twice(engine, dtype, settings, batch_size):
    x, t, w, v = problem((5, 9, 3), 1, np.dtype(dtype))
    twice = w.copy(), v.copy()
    settings = {"epochs": 3, "batch_size": batch_size, **settings}
    engine.fit(x.repeat(2, axis=0), t.repeat(2), *twice, sample_weight=[2.5, 2.55], **settings)
    losses = engine.fit(x, t, w, v, sample_weight=[5.05], **settings).losses
    assert_close((w, v), twice)
    assert losses[2] < losses[0] / 1.01


def test_online_weights_are_factors_of_the_learning_rate(library, dtype):
    x, t, w, v = problem((5, 9, 3), 20, dtype)
    weighted = w.copy(), v.copy()
    library.fit(x, t, w, v, learning_rate=0.25, shuffle=False)
    library.fit(x, t, *weighted, learning_rate=0.125, shuffle=False, sample_weight=np.full(20, 2.0))
    np.testing.assert_equal(weighted, (w, v))


@functools.cache
def of_scikit_learn(batch_size, name):
    """Initial weights, a problem, our settings, and scikit-learn's classifier after 5 epochs."""
    neural_network = pytest.importorskip("sklearn.neural_network")
    D, M, K, N = 5, 4, 3, 40
    x, t, w, v = problem((D, M, K), N, np.float64)
    t[:K] = range(K)  # every class is there
    own = dict(OPTIONS.get(name, {}))
    weights = {}
    if own.pop("sample_weight", False):
        weights = {"sample_weight": np.random.default_rng(3).integers(1, 4, N)}
    other = neural_network.MLPClassifier(
        hidden_layer_sizes=(M,),
        activation="logistic",
        solver="sgd",
        batch_size=batch_size or N,
        momentum=own.get("momentum", 0),
        nesterovs_momentum=False,
        alpha=own.get("l2", 0),
        shuffle=False,
        learning_rate="constant",
        learning_rate_init=0.3,
    )
    other.partial_fit(x, t, classes=np.arange(K))  # allocates the arrays, which then get our weights
    for layer, ours in enumerate((w, v)):
        other.coefs_[layer][...] = ours[:, :-1].T
        other.intercepts_[layer][...] = ours[:, -1]
    for array in other._optimizer.velocities:
        array[...] = 0
    for _ in range(5):
        other.partial_fit(x, t, **weights)
    return (w, v), (x, t), own | weights, other


@pytest.mark.parametrize(
    ("batch_size", "name"),
    # sample by sample, scikit-learn divides each gradient by its weight
    [(size, name) for size in (1, 7, None) for name in ("plain", *OPTIONS) if size != 1 or name in ("l2", "momentum")],
)
def test_scikit_learn_arrives_at_the_same_weights(library, batch_size, name):
    (w, v), (x, t), own, theirs = of_scikit_learn(batch_size, name)
    w, v = w.copy(), v.copy()
    settings = {"learning_rate": 0.3, "epochs": 5, "batch_size": batch_size, "shuffle": False}
    library.fit(x, t, w, v, **settings, **own)
    for layer, ours in enumerate((w, v)):
        np.testing.assert_allclose(ours[:, :-1].T, theirs.coefs_[layer], rtol=0, atol=1e-10)
        np.testing.assert_allclose(ours[:, -1], theirs.intercepts_[layer], rtol=0, atol=1e-10)


# -------------------------------------------------------------------------------------------------------------- order


@functools.cache
def descended(shuffle, batch_size, N, epochs):
    """Where (17) leads by the reference's `gradient`, the loss of each epoch, and the generator after the orders."""
    x, t, w, v = problem((3, 4, 3), N, np.float64)
    rng, losses = np.random.default_rng(11), []
    for _ in range(epochs):
        order = rng.permutation(N) if shuffle and batch_size < N else np.arange(N)
        total = 0.0
        for first in range(0, N, batch_size):
            n = order[first : first + batch_size]
            total += reference.loss(x[n], t[n], w, v) * len(n)
            dw, dv = reference.gradient(x[n], t[n], w, v)
            w -= 0.5 * dw
            v -= 0.5 * dv
        losses.append(total / N)
    return (w, v), losses, rng


@pytest.mark.parametrize("batch_size", [1, 7, 1000, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_order_of_samples(engine, shuffle, batch_size):
    N, epochs, given = 30, 4, np.random.default_rng(11)
    wanted, losses, rng = descended(shuffle, batch_size or N, N, epochs)
    x, t, w, v = problem((3, 4, 3), N, np.float64)
    settings = {"learning_rate": 0.5, "epochs": epochs, "batch_size": batch_size, "shuffle": shuffle}
    addresses = w.ctypes.data, v.ctypes.data
    history = engine.fit(x, t, w, v, rng=given, **settings)
    assert_close((w, v), wanted)
    assert (w.ctypes.data, v.ctypes.data) == addresses
    np.testing.assert_allclose(history.losses, losses, rtol=DRIFT * np.finfo(float).eps)
    assert (type(history), type(history.losses[0])) == (History, float)
    assert (history.epochs, history.samples) == (epochs, epochs * N)
    # nothing more was drawn from the generator than those orders
    assert given.bit_generator.state == rng.bit_generator.state


def test_shuffling_matters_and_leaves_x_alone(library):
    x, t, w, v = problem((3, 4, 3), 30, np.float64)
    before, learned = (x.tobytes(), t.tobytes()), set()
    for rng in (1, 2, None, None):
        weights = w.copy(), v.copy()
        library.fit(x, t, *weights, rng=rng)
        learned.add(weights[0].tobytes())
    assert len(learned) == 4
    assert (x.tobytes(), t.tobytes()) == before


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_same_seed_same_bits_for_any_alignment_of_arrays(compiled, displaced, dtype, batch_size):
    results = set()
    for offset in (0, 4, 8, 16, 24, 32, 44, 56):
        x, t, w, v = (displaced(array, offset) for array in problem((13, 21, 5), 60, dtype))
        rng = {8: np.random.default_rng(7), 16: np.int64(7)}.get(offset, 7)
        history = compiled.fit(x, t, w, v, epochs=2, learning_rate=0.5, rng=rng, batch_size=batch_size)
        results.add((w.tobytes(), v.tobytes(), tuple(history.losses)))
    assert len(results) == 1


# ---------------------------------------------------------------------------------------------------- results of fit


@pytest.mark.parametrize("batch_size", [1, 7])
def test_shuffling_copies_no_inputs(compiled, batch_size):
    # an index array of 8 bytes a sample, against 400 bytes of inputs
    x, t = np.ones((4000, 50)), np.zeros(4000, int)
    w, v = cbackprop.init_weights(50, 2, 2)
    tracemalloc.start()
    try:
        compiled.fit(x, t, w, v, epochs=2, rng=0, batch_size=batch_size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 4


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer here")
@pytest.mark.parametrize("epochs", [10**12, sys.maxsize, 10**400], ids=["10**12", "largest index", "10**400"])
def test_more_epochs_than_losses_fit_into_memory(epochs):
    def ring(number, frame):
        raise TimeoutError

    x, t, w, v = problem((3, 3, 3), 40, np.float64)
    before, handler = w.tobytes(), signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(TimeoutError):
            cbackprop.fit(x, t, w, v, epochs=epochs, batch_size=None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert w.tobytes() != before
    assert cbackprop.fit(x, t, w, v, epochs=epochs, batch_size=None, callback=lambda *_: True).epochs == 1


@pytest.mark.parametrize("per_call", [1, 3, 7, 8])
def test_epochs_in_several_calls(monkeypatch, per_call):
    # of the kernels that run all epochs by themselves
    x, t, *weights = problem((2, 2, 3), 40, np.float64)
    w_wanted, v_wanted = (array.copy() for array in weights)
    wanted = cbackprop.fit(x, t, w_wanted, v_wanted, epochs=7, batch_size=None)
    monkeypatch.setattr(_training, "EPOCHS_PER_CALL", per_call)
    assert cbackprop.fit(x, t, *weights, epochs=7, batch_size=None) == wanted
    np.testing.assert_equal(weights, [w_wanted, v_wanted])


# ----------------------------------------------------------------------------------------------------------- callback


class CallbackError(Exception):
    pass


@pytest.fixture(params=[("direct", 1), ("blocked", 7), ("auto", 1), ("auto", 7), ("auto", None)], ids=str)
def fit(request):
    """`fit` by each engine, on one variant; by the last, all epochs in one call of the kernels."""
    method, batch_size = request.param
    return functools.partial(cbackprop.fit, method=method, batch_size=batch_size)


def test_callback_sees_each_epoch(fit):
    # and changes nothing, and what it writes to the arrays counts: training continues from there
    x, t, *weights = problem((2, 2, 3), 40, np.float64)
    plain, by_epoch, calls, rng = *([array.copy() for array in weights] for _ in range(2)), [], np.random.default_rng(3)

    def callback(*arguments, **keywords):
        assert keywords == {}
        assert list(map(type, arguments)) == [int, float]
        calls.append(arguments)
        fit(x, t, *by_epoch, rng=rng)
        np.testing.assert_equal(weights, by_epoch)  # the user's arrays hold the weights of this epoch already
        if arguments[0] == 4:
            weights[0] *= 0.5
            by_epoch[0] *= 0.5

    wanted = fit(x, t, *plain, epochs=4, rng=3).losses
    history = fit(x, t, *weights, epochs=6, rng=3, callback=callback)
    assert calls == list(enumerate(history.losses, 1))
    assert history.losses[:4] == wanted


@pytest.mark.parametrize(
    ("answer", "epochs"), [(True, 2), (np.True_, 2), (None, 5), (False, 5), (np.False_, 5), (1, 5), (CallbackError, 2)]
)
def test_callback_stops(fit, answer, epochs):
    x, t, *weights = problem((2, 2, 3), 40, np.float64)
    wanted = [array.copy() for array in weights]
    fit(x, t, *wanted, epochs=epochs, rng=3)

    def callback(epoch, loss):
        if epoch == 2 and answer is CallbackError:
            raise CallbackError
        return answer if epoch == 2 else None

    try:
        history = fit(x, t, *weights, epochs=5, rng=3, callback=callback)
    except CallbackError:
        assert answer is CallbackError
    else:
        assert (history.epochs, history.samples, len(history.losses)) == (epochs, 40 * epochs, epochs)
    np.testing.assert_equal(weights, wanted)


# --------------------------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_divergence_at_once(engine, dtype, batch_size):
    # hidden units near 1/2 learn at rate 1e6 from inputs of 1e30 and large v: their next sums are not finite
    x, t, w, v = problem((3, 4, 3), 30, dtype)
    x, w[:], v[:] = x * dtype.type(1e30), w * 0, v / np.abs(v).max() * np.finfo(dtype).max / 1e30
    before = w.tobytes(), v.tobytes()
    with pytest.raises(DivergenceError, match=r"epoch 1\b.*smaller learning_rate.*scale the inputs"):
        engine.fit(x, t, w, v, learning_rate=1e6, epochs=3, batch_size=batch_size, rng=0)
    assert (w.tobytes(), v.tobytes()) == before


@pytest.mark.parametrize(
    ("blown_up", "batch_size", "dtype"), paired([(0, "infinity"), (1, "infinity"), (1, "max")], (1, 7, None))
)
def test_divergence_later(compiled, dtype, batch_size, blown_up):
    (layer, number), dtype = blown_up, np.dtype(dtype)
    # a callback makes a layer huge after epoch 3: nothing of epoch 4 stays. Large v have infinite sums; large w are
    # harmless, since a sigmoid saturates
    x, t, *weights = problem((3, 4, 3), 30, dtype)
    kept = {}

    def callback(epoch, loss):
        if epoch == 3:
            weights[layer][:] = np.inf if number == "infinity" else np.finfo(dtype).max
        kept[epoch] = [array.tobytes() for array in weights]

    with pytest.raises(DivergenceError, match=r"epoch 4\b"):
        compiled.fit(x * 8, t, *weights, epochs=9, batch_size=batch_size, rng=0, callback=callback)
    assert sorted(kept) == [1, 2, 3]
    assert [array.tobytes() for array in weights] == kept[3]


@pytest.mark.parametrize("samples", [1, 40])
def test_divergence_by_a_weight_alone(engine, dtype, samples):
    # E_n, from before the update, and the gradient are finite, and a weight is close to overflow
    big = np.finfo(dtype).max
    x, t, w, v = np.full((samples, 2), (1, -1), dtype), [1] * samples, np.zeros((1, 3), dtype), np.zeros((2, 2), dtype)
    w[0, :2], v[0], v[1] = 0.9 * big, 8, -8  # b = 0; the derivatives to w are 4 and -4
    before = w.tobytes(), v.tobytes()
    with pytest.raises(DivergenceError, match=r"epoch 1\b"):
        engine.fit(x, t, w, v, learning_rate=float(big) / 16, batch_size=None)
    assert (w.tobytes(), v.tobytes()) == before


@pytest.mark.parametrize("shape", [(2, 2, 3), (2, 5, 3)])
def test_divergence_without_a_callback(engine, dtype, shape):
    # rates near the largest number: v grows until sums overflow. Which epoch is the first to overflow depends on the
    # order of the sums; the weights must be those of the epochs before it
    epochs = set()
    for rate in np.finfo(dtype).max * np.array([0.02, 0.2, 0.9]):
        x, t, *weights = problem(shape, 40, dtype)
        wanted, settings = [array.copy() for array in weights], {"learning_rate": rate, "batch_size": None}
        try:
            engine.fit(x, t, *weights, epochs=40, **settings)
        except DivergenceError as error:
            (epoch,) = map(int, re.findall(r"epoch (\d+)", str(error)))
            if epoch > 1:
                assert np.isfinite(engine.fit(x, t, *wanted, epochs=epoch - 1, **settings).losses).all()
            np.testing.assert_equal(weights, wanted)
            epochs.add(epoch)
        assert all(np.isfinite(array).all() for array in weights)
    assert max(epochs) > 1


# A difference in the last bit, from a unit with other arithmetic, would grow until units are not alike
@pytest.mark.parametrize(("hidden", "batch_size", "dtype"), paired((2, 3, 5, 13, 33), (1, 7, None)))
def test_equal_hidden_units_stay_equal(compiled, dtype, hidden, batch_size):
    dtype = np.dtype(dtype)
    x, t, *_ = problem((2, hidden, 3), 60, dtype)
    fitted, network = (Network.from_weights(np.ones((hidden, 3), dtype), np.ones((3, hidden + 1), dtype)) for _ in "12")
    compiled.fit(x, t, fitted.w, fitted.v, epochs=5, batch_size=batch_size, rng=0)
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        network.learn_one(x_n, t_n)
    for each in (fitted, network):
        assert (each.w == each.w[0]).all()
        assert (each.v[:, :-1] == each.v[:, :1]).all()
        assert (each.w != 1).any()


def lopsided_sums(dtype):
    """v whose second sum is NaN, though all weights are finite: an infinite part and its negative."""
    lanes = _dispatch.kernels(dtype).LANES_IN_REGISTER
    M = 2 * lanes
    w, v = np.zeros((M, 2), dtype), np.zeros((3, M + 1), dtype)
    w[:, -1] = 1e4  # z = 1
    v[1, :M] = np.finfo(dtype).max * np.where(np.arange(M) % lanes < max(1, lanes // 2), 1, -1)
    return w, v


@pytest.mark.parametrize("t", [0, 1, 2, [0.5, 0.25, 0.25]])
def test_a_sum_that_is_nan_is_never_learned_from(variant, dtype, t):
    w, v = lopsided_sums(dtype)
    before = w.tobytes(), v.tobytes()
    network = Network.from_weights(w, v)
    for learn in (
        lambda: cbackprop.step([0], t, w, v, 0.1),
        lambda: network.learn_one([0], t),
        lambda: network.fit([[0]], [t], method="direct"),
        lambda: network.fit([[0]] * 20, [t] * 20, method="blocked"),
        lambda: network.fit([[0]] * 20, [t] * 20, batch_size=None),
    ):
        try:
            learn()
        except DivergenceError:
            assert (w.tobytes(), v.tobytes()) == before
        else:  # the order of the sum may avoid the overflow
            assert np.isfinite(w).all()
            assert np.isfinite(v).all()
        w[:], v[:] = lopsided_sums(dtype)


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize("classes", [1, 2, 9])
def test_weights_that_are_not_finite_are_not_learned_with(variant, dtype, layer, classes):
    # E_n and all derivatives may be finite: the hidden unit is saturated, or the class has the probability 0
    for number in (np.inf, -np.inf, np.nan):
        weights = {"w": np.zeros((5, 3), dtype), "v": np.zeros((classes, 6), dtype)}
        weights[layer][-1, 0] = number
        w, v = weights.values()
        before, network = (w.tobytes(), v.tobytes()), Network.from_weights(w, v)
        for learn, given in ((cbackprop.step, (w, v, 0.1)), (network.learn_one, ())):
            with pytest.raises(ValueError, match=rf"{layer}\[\d, 0\] is {number}; weights must be finite"):
                learn([1, 1], 0, *given)
            assert (w.tobytes(), v.tobytes()) == before


# --------------------------------------------------------------------------------------------- other outputs and h


@pytest.mark.parametrize(
    ("sizes", "N", "batch_size", "momentum"),
    [((6, 3, 2), 30, 1, 0.0), ((6, 3, 1), 30, 8, 0.0), ((9, 20, 7), 60, 1, 0.0), ((9, 20, 7), 60, 16, 0.5)],
)
def test_fit_of_every_network_matches_the_reference(
    compiled, reference_fit, targets, functions, sizes, N, batch_size, momentum
):
    (D, M, K), rng = sizes, np.random.default_rng(N)
    # half of the networks of each size in either precision
    dtype = np.dtype(("float32", "float64")[(len("".join(functions.values())) + M + batch_size) % 2])
    x, t = rng.normal(size=(N, D)).astype(dtype), targets(functions["output"], N, K, dtype, rng)
    weights = init_weights(D, M, K, hidden=functions["hidden"], dtype=dtype, rng=1)
    settings = {"learning_rate": 0.05, "epochs": 3, "batch_size": batch_size, "momentum": momentum} | functions
    wanted, losses = reference_fit(x, t, *weights, rng=2, **settings)
    tolerance = 300 * float(np.finfo(dtype).eps)  # 3 epochs of updates, each rounded
    np.testing.assert_allclose(compiled.fit(x, t, *weights, rng=2, **settings).losses, losses, rtol=tolerance)
    for mine, other in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)
