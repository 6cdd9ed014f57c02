"""Code that runs during a call: hooks of arguments, callbacks, interrupts.

No memory outside arrays is touched, and weights are those after a whole number of updates.
"""

import functools
import itertools
import warnings

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Ensemble, Network, _engines, _ensemble_training, reference
from cbackprop._dispatch import kernels as kernels_of
from cbackprop._validation import Functions


def problem(dtype=np.float64, D=6, M=8, K=4, samples=40):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(samples, D)).astype(dtype), rng.integers(K, size=samples)
    return x, t, *cbackprop.init_weights(D, M, K, dtype=dtype, rng=1)


class Hook:
    """Converts to an array, or a number, and reshapes another one while it does."""

    def __init__(self, value, victim):
        self.value, self.victim = value, victim

    def reshape(self):
        rows, columns = self.victim.shape
        self.victim.resize((rows * columns // 2, 2), refcheck=False)
        return self.value

    def __array__(self, dtype=None, copy=None):
        return self.reshape()


class Rate(float):
    def __float__(self):
        return self.hook.reshape()


def rate(victim):
    number = Rate(0.1)
    number.hook = Hook(0.1, victim)
    return number


HOOKED = [
    lambda x, t, w, v: cbackprop.step(Hook(x[0], w), 1, w, v, 0.1),
    lambda x, t, w, v: cbackprop.step(x[0], Hook(np.eye(4)[0], v), w, v, 0.1),
    lambda x, t, w, v: cbackprop.step(x[0], 1, w, v, rate(w)),
    lambda x, t, w, v: cbackprop.gradient(x, Hook(t, w), w, v),
    lambda x, t, w, v: cbackprop.gradient(x[:2], Hook(t[:2], w), w, v),
    lambda x, t, w, v: cbackprop.loss(x, Hook(t, v), w, v),
    lambda x, t, w, v: cbackprop.forward(Hook(x, w), w, v),
    lambda x, t, w, v: cbackprop.fit(Hook(x, w), t, w, v),
    lambda x, t, w, v: cbackprop.fit(x, t, w, v, learning_rate=rate(v), batch_size=None),
    lambda x, t, w, v: Network.from_weights(w, v).learn_one(Hook(x[0], w), 0),
    lambda x, t, w, v: Network.from_weights(w, v).learn_one(x[0], Hook(np.eye(4)[0], w)),
]


def test_weights_that_an_argument_reshapes_are_refused(refuse, variant):
    for use in HOOKED:
        x, t, w, v = problem()
        refuse(ValueError, r"shape|columns|must be \(K", (w, v), functools.partial(use, x, t, w, v))


@pytest.mark.parametrize("weights", ["w", "v"])
def test_weights_that_a_callback_reshapes_are_refused(compiled, weights):
    x, t, w, v = problem()

    def callback(epoch, loss):
        Hook(None, {"w": w, "v": v}[weights]).reshape()

    with pytest.raises(ValueError, match=r"shape|broadcast|mismatch|matmul"):
        compiled.fit(x, t, w, v, epochs=3, callback=callback)


@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize("what", ["x", "rows", "labels"])
def test_samples_that_a_callback_changes_are_still_learned_from(compiled, what, batch_size):
    # engines hold memoryviews, which keep the shape and the memory of the beginning; labels are copied
    x, t, *weights = problem()
    arrays, settings = {"x": x, "rows": np.eye(4)[t], "labels": t}, {"epochs": 3, "batch_size": batch_size, "rng": 0}
    targets, wanted = arrays[what if what == "labels" else "rows"], [array.copy() for array in weights]
    compiled.fit(x, targets.copy(), *wanted, **settings)

    def callback(epoch, loss):
        if what == "labels":
            t.fill(2**40)
        elif epoch == 1:
            reshape(arrays[what], arrays[what].size // 2, 2)

    compiled.fit(x, targets, *weights, callback=callback, **settings)
    np.testing.assert_equal(weights, wanted)


@pytest.mark.parametrize("what", ["x", "t", "labels", "sample_weight"])
def test_arrays_of_samples_cannot_be_freed(kernels, what):
    # no array that samples refer to can be resized, and they outlive the names of the arrays
    x, labels, w, v = problem(kernels.DTYPE)
    arrays = {"x": x, "t": np.eye(4, dtype=kernels.DTYPE)[labels], "labels": labels, "sample_weight": x[:, 0].copy()}
    if what != "t":
        del arrays["t"]
    engine = kernels.DirectEngine(x.shape[1], len(w), len(v))
    engine.load(w, v)
    samples = kernels.Samples(**arrays)
    wanted = engine.loss(samples)
    with pytest.raises(ValueError, match="resize"):
        arrays[what].resize(1000 * arrays[what].size)
    del arrays, x, labels
    assert engine.loss(samples) == wanted


def test_weights_of_another_type_are_refused(variant):
    network = Network(2, 3, 2, rng=0)
    for weights in (network.w, network.v):
        weights.__setstate__((1, weights.shape, np.dtype(np.int64), False, weights.tobytes()))
    for use in (lambda: network.learn_one([0.0, 1.0], 0), lambda: network.predict_one([0.0, 1.0])):
        with pytest.raises(TypeError, match="i8"):
            use()


def test_every_weight_that_would_overflow_is_found(refuse, library, dtype):
    big = float(np.finfo(dtype).max)
    D, M, K = 2, 2, 3

    def diverge(x, label, w, v, learning_rate):
        network = Network.from_weights(w, v, learning_rate=learning_rate)
        calls = lambda: library.step(x, label, w, v, learning_rate), lambda: network.learn_one(x, label)
        refuse(DivergenceError, "weight would not be finite", (w, v), *calls)

    for j, i in np.ndindex(M, D):  # by a large input, of the one unit that has an error
        x, w, v = np.zeros(D, dtype), np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
        x[i], v[0, j], v[1, j] = big**0.8, 1, -1
        diverge(x, 1, w, v, big**0.4)
        w[j] = 0.9 * big, -0.9 * big, 0  # b = 0 again: one of the two grows, whichever class it is
        for label in (0, 1):
            diverge(np.ones(D, dtype), label, w, v, big)
    for k in range(K):  # two classes are equally probable
        w, v = np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
        v[k, M] = v[k - 1, M] = big
        diverge(np.zeros(D, dtype), k, w, v, big**0.95)


def test_an_update_that_is_too_large_is_refused(library, dtype):
    # one that may overflow beside the largest weight counts as infinite
    w, v = np.zeros((1, 2), dtype), np.zeros((2, 2), dtype)
    v[:, 0] = 1, -1
    largest = float(np.finfo(dtype).max)
    limit = largest * {"float32": 2.0**-26, "float64": 2.0**-55}[np.dtype(dtype).name]  # the change of w is x_i / 4
    library.step(np.array([2 * limit], dtype), 1, w, v.copy(), 1)
    assert limit / 4 < abs(w[0, 0]) < limit
    with pytest.raises(DivergenceError, match="weight would not be finite"):
        library.step(np.array([5 * limit], dtype), 1, np.zeros_like(w), v, 1)


# -------------------------------------------------------------------------------------------------------- interrupts


@pytest.mark.parametrize(("batch_size", "momentum"), [(1, 0), (7, 0), (200, 0), (1, 0.5), (7, 0.5), (200, 0.5)])
@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_a_stopped_engine_has_learned_whole_batches(variant, method, batch_size, momentum):
    x, t, *start = problem(samples=200)
    w, v, *velocity = (array.copy() for array in (*start, *map(np.zeros_like, start)))
    states = {"velocity": tuple(velocity)} if momentum else {}
    engine = _engines.make_engine(w, v, Functions(), batch_size, method, momentum=momentum)
    engine.load(w, v, states)
    engine.stop()
    engine.learn(kernels_of(w.dtype).Samples(x, labels=t), np.arange(len(x)), 0.1)
    # the only batch of an epoch is discarded, with a velocity that is not that of the weights: then fit stores neither
    engine.store(w, v, states if batch_size < len(x) else None)

    def learned(n):
        weights = [array.copy() for array in start]
        changes = [np.zeros_like(array) for array in start]
        if n:
            settings = {"learning_rate": 0.1, "batch_size": batch_size, "momentum": momentum, "shuffle": False}
            reference.fit(x[:n], t[:n], *weights, velocity=tuple(changes) if momentum else None, **settings)
        # the same sums in another order
        arrays = zip((w, v, *velocity), (*weights, *changes), strict=True)
        return all(np.allclose(now, then, rtol=0, atol=1e-12) for now, then in arrays)

    assert any(learned(n) for n in range(0, len(x), batch_size))


@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_a_stopped_engine_predicts_no_more(variant, method):
    x, _, w, v = problem(samples=200)
    engine = _engines.make_engine(w, v, Functions(), 50, method)
    engine.load(w, v)
    a, y = np.full((2, len(x), len(v)), np.nan)
    engine.stop()
    engine.forward(kernels_of(w.dtype).Samples(x), None, None, a, y)
    wanted = reference.forward(x, w, v).y
    written = np.isfinite(y).all(axis=1)
    assert not written[-1]
    np.testing.assert_allclose(y[written], wanted[written], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, None])
@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_an_interrupt_at_any_opcode_leaves_weights_and_velocity_of_the_same_update(interrupt, method, batch_size):
    x, t, *start = problem(D=2, M=5, K=3, samples=6)
    t = t % 3
    arrays = [*(array.copy() for array in start), *map(np.zeros_like, start)]
    size, epochs = batch_size or 6, 3
    settings = {"momentum": 0.5, "shuffle": False, "method": method, "batch_size": batch_size}

    def fit(x, t, epochs):
        cbackprop.fit(x, t, *arrays[:2], velocity=tuple(arrays[2:]), epochs=epochs, **settings)

    updates = [[array.tobytes() for array in arrays]]
    for first in [*range(0, 6, size)] * epochs:
        fit(x[first : first + size], t[first : first + size], 1)
        updates.append([array.tobytes() for array in arrays])
    reached = set()
    for n in itertools.count(1):
        for array, first in zip(arrays, (*start, 0, 0), strict=True):
            array[...] = first
        interrupted = interrupt(n, ("fit", "_run", "epochs", "_learn", "learn", "store", "_close"), fit, x, t, epochs)
        now = [array.tobytes() for array in arrays]
        assert now in updates, n
        reached.add(updates.index(now))
        if not interrupted:
            break
    assert n > 300  # there were some
    assert reached == set(range(0, len(updates), 6 // size))  # after each epoch


class Disturbed:
    """An engine with something that happens before and after it learns."""

    def __init__(self, engine, before, after):
        self.engine, self.before, self.after = engine, before, after

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def learn(self, *arguments):
        self.before(self.engine)
        sums = self.engine.learn(*arguments)
        self.after()
        return sums


@pytest.fixture
def disturb(monkeypatch):
    """A function that has something happen before and after each engine learns."""
    make = _engines.make_engine

    def use(before, after):
        monkeypatch.setattr(
            _engines, "make_engine", lambda *given, **more: Disturbed(make(*given, **more), before, after)
        )

    return use


def press_ctrl_c():
    raise KeyboardInterrupt


@pytest.mark.parametrize("batch_size", [1, 7, 200])
@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_an_interrupt_within_a_batch_leaves_weights_and_velocity_of_the_same_update(disturb, method, batch_size):
    # the blocked engine finishes the first batch, but discards it if it is the only one; the direct one does not begin
    x, t, *start = problem(samples=200)
    wanted, (w, v) = [array.copy() for array in start], [array.copy() for array in start]
    velocities = [tuple(np.full_like(array, 0.01) for array in start) for _ in range(2)]
    settings = {"momentum": 0.5, "shuffle": False, "method": method, "batch_size": batch_size}
    if method == "blocked" and batch_size < 200:
        cbackprop.fit(x[:batch_size], t[:batch_size], *wanted, velocity=velocities[0], **settings)
    disturb(lambda engine: engine.stop(), press_ctrl_c)  # at the first sample
    with pytest.raises(KeyboardInterrupt):
        cbackprop.fit(x, t, w, v, velocity=velocities[1], **settings)
    for got, same in zip((w, v, *velocities[1]), (*wanted, *velocities[0]), strict=True):
        np.testing.assert_allclose(got, same, rtol=0, atol=1e-14)


# ---------------------------------------------------------------------------------------------------------- ensembles


def arrays_of(ensemble):
    """All that networks learn, network by network."""
    arrays = ensemble.w, ensemble.v, *(ensemble.accumulators or ())
    return [tuple(array[r].tobytes() for array in arrays) for r in range(len(ensemble))]


@pytest.mark.parametrize(("n_hidden", "batch_size"), [([40, 3], 1), (40, 4)], ids=str)
def test_an_interrupt_at_any_opcode_leaves_whole_chunks_of_an_ensemble(interrupt, monkeypatch, n_hidden, batch_size):
    monkeypatch.setattr(_ensemble_training, "CHUNK", 1)  # block or batch
    size = 4 if batch_size == 4 else _engines.LANES_BLOCK
    x, t, *_ = problem(D=30, M=40, K=5, samples=2 * size)

    def ensemble():
        return Ensemble(30, n_hidden, 5, learning_rates=[0.01, 0.1], hidden=["tanh", "relu"], adaptive=True, rng=0)

    learner = ensemble()
    states = [arrays_of(learner)]
    for part in (slice(size), slice(size, 2 * size)):
        learner.fit(x[part], t[part], batch_size=batch_size, shuffle=False)
        states.append(arrays_of(learner))
    reached = set()
    fit = functools.partial(Ensemble.fit, x=x, t=t, batch_size=batch_size, shuffle=False)
    for n in itertools.count(1, 11):
        learner = ensemble()
        names = ("epochs", "_learn", "learn", "store", "_calls", "finish", "_commit")
        interrupted = interrupt(n, names, fit, learner)
        for now, *of_network in zip(arrays_of(learner), *states, strict=True):
            assert now in of_network, n
            reached.add(of_network.index(now))
        assert learner.weights.sum() == pytest.approx(1)
        if not interrupted:
            break
    assert reached == set(range(len(states)))
    learner.learn_one(x[0], 0)  # nothing is locked


def test_a_signal_handler_in_which_a_network_diverges(disturb):
    # while the other one does in the call that is interrupted: then none is left
    x, t, *_ = problem()
    ensemble = Ensemble(6, 8, 4, learning_rates=[1e-3, 1e200], output="linear", rng=0)

    def handler():
        ensemble.learning_rates = 1e308, 1e-3
        ensemble.learn_one(x[0], np.full(4, 1e3))
        assert ensemble.diverged.tolist() == [True, False]
        ensemble.w[1], ensemble.v[1] = start

    start = ensemble.w[1].copy(), ensemble.v[1].copy()
    disturb(lambda engine: None, handler)
    with pytest.raises(DivergenceError, match="all networks"):
        ensemble.fit(x, np.eye(4)[t], batch_size=2)  # engines in place run no handlers
    assert ensemble.weights.tolist() == [0, 1]
    assert np.isfinite(ensemble.w).all()


@pytest.mark.parametrize(
    ("shape", "batch_size"), [((2, 2, 3), 1), ((2, 2, 3), 7), ((30, 40, 5), 1), ((30, 40, 5), None)], ids=str
)
def test_what_a_callback_does_to_the_arrays_of_an_ensemble(variant, shape, batch_size):
    D, M, K = shape
    x, t, *_ = problem(D=D, M=M, K=K)

    def learn(t, callback=None):
        ensemble = Ensemble(D, M, K, learning_rates=[0.01, 0.1], adaptive=True, rng=0)
        ensemble.fit(x, t, epochs=3, batch_size=batch_size, rng=0, callback=callback and callback(ensemble))
        return arrays_of(ensemble)

    labels = t.copy()
    assert learn(t, lambda ensemble: lambda epoch, losses: t.fill(2**40)) == learn(labels)  # labels are copied
    for name in ("w", "v"):
        with pytest.raises(ValueError, match="the arrays have shapes"):
            learn(labels, lambda ensemble, name=name: lambda epoch, losses: reshape(getattr(ensemble[1], name)))
    with pytest.raises(ValueError, match="the arrays have shapes"):
        learn(labels, lambda ensemble: lambda epoch, losses: reshape(ensemble[1].accumulators[0]))


def reshape(array, *shape):
    with warnings.catch_warnings(action="ignore"):  # by NumPy 2.5
        array.shape = shape or (1, *array.shape)  # padded arrays have no shape of fewer dimensions
