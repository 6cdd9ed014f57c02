"""What other code does to arrays while they are learned from: hooks, callbacks, threads. Nothing outside is touched."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network, _engines, _threads, reference


def problem(dtype=np.float64, D=6, M=8, K=4, samples=40):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(samples, D)).astype(dtype), rng.integers(K, size=samples)
    return x, t, *cbackprop.init_weights(D, M, K, dtype=dtype, rng=1)


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_labels_changed_by_a_callback_are_those_of_the_beginning(engine, batch_size):
    x, t, w, v = problem()
    wanted = w.copy(), v.copy()
    settings = {"epochs": 3, "batch_size": batch_size, "rng": 0}
    engine.fit(x, t.copy(), *wanted, **settings)
    engine.fit(x, t, w, v, callback=lambda epoch, loss: t.fill(2**40), **settings)
    np.testing.assert_array_equal(w, wanted[0])
    np.testing.assert_array_equal(v, wanted[1])


class Hook:
    """Becomes an array, or a number, and gives another one a new shape meanwhile."""

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


HOOKED = {
    "step, x": lambda x, t, w, v: cbackprop.step(Hook(x[0], w), 1, w, v, 0.1),
    "step, t": lambda x, t, w, v: cbackprop.step(x[0], Hook(np.eye(4)[0], v), w, v, 0.1),
    "step, rate": lambda x, t, w, v: cbackprop.step(x[0], 1, w, v, rate(w)),
    "gradient, t": lambda x, t, w, v: cbackprop.gradient(x, Hook(t, w), w, v),
    "few samples, t": lambda x, t, w, v: cbackprop.gradient(x[:2], Hook(t[:2], w), w, v),
    "cross_entropy, t": lambda x, t, w, v: cbackprop.cross_entropy(x, Hook(t, v), w, v),
    "forward, x": lambda x, t, w, v: cbackprop.forward(Hook(x, w), w, v),
    "fit, x": lambda x, t, w, v: cbackprop.fit(Hook(x, w), t, w, v),
    "fit, rate": lambda x, t, w, v: cbackprop.fit(x, t, w, v, learning_rate=rate(v), batch_size=None),
    "learn_one, x": lambda x, t, w, v: Network.from_weights(w, v).learn_one(Hook(x[0], w), 0),
    "learn_one, t": lambda x, t, w, v: Network.from_weights(w, v).learn_one(x[0], Hook(np.eye(4)[0], w)),
}


@pytest.mark.parametrize("use", HOOKED.values(), ids=HOOKED.keys())
def test_weights_that_an_argument_reshapes_are_refused(variant, use):
    x, t, w, v = problem()
    before = w.tobytes(), v.tobytes()
    with pytest.raises(ValueError, match=r"shape|columns|must be \(K"):
        use(x, t, w, v)
    assert (w.tobytes(), v.tobytes()) == before


@pytest.mark.parametrize("what", ["w", "v", "x", "rows"])
def test_arrays_that_a_callback_reshapes_are_refused(compiled, what):
    x, t, w, v = problem()
    arrays = {"x": x, "rows": np.eye(4)[t], "w": w, "v": v}

    def callback(epoch, loss):
        Hook(None, arrays[what]).reshape()

    with pytest.raises(ValueError, match="shape"):
        compiled.fit(*arrays.values(), epochs=3, callback=callback)


def test_engines_refuse_fewer_samples_than_they_are_to_take(kernels):
    x, t, w, v = problem(kernels.DTYPE, samples=5)
    M, K, D = len(w), len(v), x.shape[1]
    samples = x, None, t, None, np.arange(6), 0.1
    side_by_side = kernels.SideBySideEngine(D, M, K, 6)
    engines = kernels.DirectEngine(D, M, K, 1), kernels.BlockedEngine(D, M, K, 1, 8), side_by_side
    for engine in engines:
        engine.load(w, v)
    learns = [engine.learn for engine in engines]
    for learn in (*learns, lambda *samples: side_by_side.learn_epochs(*samples, np.zeros(2))):
        with pytest.raises(ValueError, match="another shape"):
            learn(*samples)


def test_weights_of_another_type_are_refused(variant):
    network = Network(2, 3, 2, rng=0)
    for weights in (network.w, network.v):
        weights.__setstate__((1, weights.shape, np.dtype(np.int64), False, weights.tobytes()))
    for use in (lambda: network.learn_one([0.0, 1.0], 0), lambda: network.predict_one([0.0, 1.0])):
        with pytest.raises(TypeError, match="i8"):
            use()


@pytest.mark.parametrize("way", ["step", "learn_one"])
def test_an_update_that_would_overflow_is_not_made(library, dtype, way):
    big = float(np.finfo(dtype).max)
    w, v = np.zeros((1, 2), dtype), np.zeros((2, 2), dtype)
    x = np.array([big**0.8], dtype)  # b = 0, whatever x is
    v[:, 0] = 1, -1
    before = w.tobytes(), v.tobytes()
    network = Network.from_weights(w, v, learning_rate=big**0.4)
    with pytest.raises(DivergenceError, match="weight would not be finite"):
        network.learn_one(x, 1) if way == "learn_one" else library.step(x, 1, w, v, big**0.4)
    assert (w.tobytes(), v.tobytes()) == before


def test_every_weight_that_would_overflow_is_seen(library, dtype):
    big = float(np.finfo(dtype).max)
    D, M, K = 2, 2, 3

    def refuse(x, label, w, v, learning_rate):
        before = w.tobytes(), v.tobytes()
        with pytest.raises(DivergenceError, match="weight would not be finite"):
            library.step(x, label, w, v, learning_rate)
        assert (w.tobytes(), v.tobytes()) == before

    for j, i in np.ndindex(M, D):  # by a large input, of the one unit that has an error
        x, w, v = np.zeros(D, dtype), np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
        x[i], v[0, j], v[1, j] = big**0.8, 1, -1
        refuse(x, 1, w, v, big**0.4)
        w[j] = 0.9 * big, -0.9 * big, 0  # b = 0 again: one of the two grows, whichever class it is
        for label in (0, 1):
            refuse(np.ones(D, dtype), label, w, v, big)
    for k in range(K):  # two classes are equally probable
        w, v = np.zeros((M, D + 1), dtype), np.zeros((K, M + 1), dtype)
        v[k, M] = v[k - 1, M] = big
        refuse(np.zeros(D, dtype), k, w, v, big**0.95)


def test_a_large_update_that_fits_is_made(library, dtype):
    big = float(np.finfo(dtype).max)
    w, v = np.zeros((1, 2), dtype), np.zeros((2, 2), dtype)
    v[:, 0] = 1, -1
    library.step(np.array([big / 4], dtype), 1, w, v, 1)
    assert np.isfinite(w).all()
    assert abs(w[0, 0]) > big / 20


# ----------------------------------------------------------------------------------------------------- several threads


class Engine:
    """Learns, or predicts, until it is told to stop."""

    def __init__(self, failure=None):
        self.failure, self.stopped, self.at_work = failure, threading.Event(), 0

    def set_threads(self, threads):
        pass

    load = set_threads

    def stop(self):
        self.stopped.set()

    def learn(self, thread):
        if self.failure:
            raise self.failure
        self.at_work += 1
        assert self.stopped.wait(30), "nobody stops this engine"
        self.at_work -= 1

    def forward(self, *arrays):
        return self.learn(0)


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ValueError, match="no good"):
        _threads.learn_together(Engine(ValueError("no good")), 2)


@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
@pytest.mark.parametrize("work", ["learn", "forward"])
def test_ctrl_c_stops_all_threads(monkeypatch, forced_threads, work):
    engines = [Engine(), Engine()]
    made = iter(engines)
    monkeypatch.setattr(_engines, "whole_pass", lambda *arguments: next(made))
    x, _, w, v = problem()
    to = np.empty((len(x), 4))
    uses = {
        "learn": lambda: _threads.learn_together(engines[0], 2),
        "forward": lambda: _threads.forward_together(x, w, v, None, None, to, to, 2),
    }

    def press():
        while sum(engine.at_work for engine in engines) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            uses[work]()
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert all(engine.at_work == 0 for engine in engines)


@pytest.mark.parametrize(("batch_size", "momentum"), [(1, 0), (7, 0), (200, 0), (1, 0.5), (7, 0.5), (200, 0.5)])
@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_who_is_told_to_stop_has_learned_whole_batches(variant, method, batch_size, momentum):
    x, t, *start = problem(samples=200)
    w, v = (array.copy() for array in start)
    engine = _engines.learner(w, v, batch_size, method, momentum=momentum)
    engine.load(w, v)
    engine.stop()
    engine.learn(x, None, t, None, np.arange(len(x)), 0.1)
    engine.store(w, v)

    def learned(n):
        weights = [array.copy() for array in start]
        if n:
            settings = {"learning_rate": 0.1, "batch_size": batch_size, "momentum": momentum, "shuffle": False}
            reference.fit(x[:n], t[:n], *weights, **settings)
        # the same sums in another order
        return all(np.allclose(now, then, rtol=0, atol=1e-12) for now, then in zip((w, v), weights, strict=True))

    assert any(learned(n) for n in range(0, len(x), batch_size))


@pytest.mark.parametrize("method", ["direct", "blocked"])
def test_who_is_told_to_stop_predicts_no_more(variant, method):
    x, _, w, v = problem(samples=200)
    engine = _engines.learner(w, v, 50, method)
    engine.load(w, v)
    a, y = np.full((2, len(x), len(v)), np.nan)
    engine.stop()
    engine.forward(x, None, None, a, y)
    wanted = reference.forward(x, w, v).y
    written = np.isfinite(y).all(axis=1)
    assert not written[-1]
    np.testing.assert_allclose(y[written], wanted[written], rtol=1e-12)
