"""Two threads never train the same weights: the second is reported so at once, and the first is not disturbed."""

import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network
from cbackprop._training_lock import TrainingLock, run_finally

D, M, K, N = 3, 4, 2, 20
WORDS = "another thread is training these weights"
X = np.random.default_rng(0).normal(size=(N, D))
T = np.arange(N) % K


def weights(dtype="float64"):
    return cbackprop.init_weights(D, M, K, dtype=dtype, rng=0)


class Training:
    """`fit`, in a thread of its own, that has come to its callback and waits there."""

    def __init__(self, w, v):
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(cbackprop.fit, X, T, w, v, epochs=2, rng=0, callback=self.wait)

    def wait(self, epoch, loss):
        self.reached.set()
        assert self.go_on.wait(60)

    def __enter__(self):
        assert self.reached.wait(60)
        return self

    def __exit__(self, *exception):
        self.go_on.set()
        self.pool.shutdown()
        self.result.result()


WAYS = [
    lambda w, v: cbackprop.fit(X, T, w, v),
    lambda w, v: cbackprop.fit(X, T, w, v, batch_size=None),
    lambda w, v: cbackprop.step(X[0], 1, w, v, 0.1),
    lambda w, v: Network.from_weights(w, v).fit(X, T),
    lambda w, v: Network.from_weights(w, v).learn_one(X[0], 1),
    lambda w, v: Network.from_weights(w, v).learn_one(X[0].tolist(), [0.5, 0.5]),
]


def test_the_second_thread_is_refused(variant):
    w, v = weights()
    wanted = weights()
    cbackprop.fit(X, T, *wanted, epochs=2, rng=0)
    with Training(w, v):
        before = w.tobytes(), v.tobytes()
        for train in WAYS:
            with pytest.raises(RuntimeError, match=WORDS):
                train(w, v)
            assert (w.tobytes(), v.tobytes()) == before
            train(*weights())  # others are free
    np.testing.assert_equal((w, v), wanted)
    for train in WAYS:
        train(w, v)  # afterwards they are free, too


OVERLAPS = [  # w and v to be trained, made from those in training
    lambda w, v: (w, v.copy()),
    lambda w, v: (w.copy(), v),
    lambda w, v: (w[:], v[:]),
    lambda w, v: (w[1:3], np.ones((K, 3))),
    lambda w, v: (np.ones((3, 4)), w[:2]),
    lambda w, v: (v[:1, :].reshape(1, -1), np.ones((2, 2))),
]


def test_memory_counts_not_the_array():
    w, v = weights()
    with Training(w, v):
        for overlap in OVERLAPS:
            w_again, v_again = overlap(w, v)
            x = np.ones((5, w_again.shape[1] - 1))
            with pytest.raises(RuntimeError, match=WORDS):
                cbackprop.fit(x, [0] * 5, w_again, v_again)
            with pytest.raises(RuntimeError, match=WORDS):
                Network.from_weights(w_again, v_again).learn_one(x[0], 0)


MAPPINGS = {  # of a file with w, then v; the first row of v there is what the second thread trains as its w
    "twice": lambda mapped: (mapped(M, D + 1, 0), mapped(K, M + 1, M * (D + 1))),
    "a view": lambda mapped: (np.asarray(mapped(2, D + 1, 0))[1:], np.ones((K, 2))),
    "one number": lambda mapped: (mapped(2, D + 1, M * (D + 1) - 1), np.ones((K, 3))),
}


@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize("second", MAPPINGS.values(), ids=MAPPINGS)
def test_a_file_counts_not_the_memory(tmp_path, second, deleted):
    # of two mappings of a file, the addresses differ
    path = tmp_path / "weights"
    np.concatenate([array.ravel() for array in weights()]).tofile(path)
    w, v = (
        np.memmap(path, float, "r+", start, shape) for start, shape in ((0, (M, D + 1)), (8 * M * (D + 1), (K, M + 1)))
    )
    again = second(lambda rows, columns, start: np.memmap(path, float, "r+", 8 * start, (rows, columns)))
    if deleted:
        path.unlink()
    with Training(w, v):
        x = np.ones((5, again[0].shape[1] - 1))
        with pytest.raises(RuntimeError, match="these weights, or others in the same memory or file"):
            cbackprop.fit(x, [0] * 5, *again)
        with pytest.raises(RuntimeError, match=WORDS):
            Network.from_weights(*again).learn_one(x[0], 0)


def test_other_places_in_memory_and_in_a_file_are_free(tmp_path):
    np.ones(3 * M * (D + 1)).tofile(tmp_path / "w")
    (tmp_path / "other").write_bytes((tmp_path / "w").read_bytes())
    first, second, copied = (
        np.memmap(tmp_path / "w", float, mode, 8 * start, (M, D + 1))
        for mode, start in (("r+", 0), ("r+", M * (D + 1)), ("c", 0))
    )
    others = [np.memmap(tmp_path / "other", float, "r+", 0, (M, D + 1)), np.memmap.copy(first)]
    with tempfile.TemporaryFile() as file:  # without a name
        others.append(np.memmap(file, float, "w+", 0, (M, D + 1)))
    v, both = np.ones((K, M + 1)), np.ones((2 * M, D + 1))
    with Training(first, v):
        for w in (second, copied, *others):
            cbackprop.fit(X, T, w, v.copy())
    with Training(both[:M], v):
        cbackprop.fit(X, T, both[M:], v.copy())


def test_a_velocity_is_in_training_too():
    (w, v), velocity = weights(), weights()
    settings = {"velocity": velocity, "momentum": 0.5}

    def callback(epoch, loss):
        if epoch == 1:
            with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match=WORDS):
                pool.submit(cbackprop.fit, X, T, *weights(), **settings).result()
            with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match=WORDS):
                pool.submit(cbackprop.fit, X, T, *velocity).result()

    cbackprop.fit(X, T, w, v, epochs=2, callback=callback, **settings)


def test_weights_in_training_may_be_read():
    w, v = weights()
    network = Network.from_weights(w, v)
    alone = weights()
    cbackprop.fit(X, T, *alone, rng=0)  # one epoch: what the other thread has learned when it waits
    other = Network.from_weights(*alone)
    with Training(w, v):
        assert network.predict_one(X[0]) == other.predict_one(X[0])
        assert network.predict_proba_one(X[0]).tolist() == other.predict_proba_one(X[0]).tolist()
        assert network.predict(X).tolist() == other.predict(X).tolist()
        assert network.loss(X, T) == other.loss(X, T)
        np.testing.assert_array_equal(network.gradient(X, T)[0], other.gradient(X, T)[0])
        differences = (cbackprop.numerical_gradient(X, T, *layers)[0] for layers in ((w, v), alone))
        np.testing.assert_array_equal(*differences)


def test_a_callback_may_train_on():
    w, v = weights()
    network = Network.from_weights(w, v)

    def callback(epoch, loss):
        network.learn_one(X[0], 0)
        cbackprop.step(X[0], 0, w, v, 0.1)
        cbackprop.fit(X, T, w, v)

    cbackprop.fit(X, T, w, v, epochs=2, callback=callback)


def test_weights_are_free_after_an_error():
    w, v = weights()

    def callback(epoch, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cbackprop.fit(X, T, w, v, callback=callback)
    with pytest.raises(DivergenceError):
        cbackprop.fit(X * 1e30, T, w * 0, v * 1e277, learning_rate=1e6, epochs=3)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(cbackprop.fit, X, T, w, v).result()


@pytest.mark.parametrize("hidden", [4, 1500])  # the larger one learns a single sample without the GIL
@pytest.mark.parametrize("ways", [("fit", "fit"), ("fit", "learn_one"), ("learn_one", "learn_one"), ("step", "fit")])
def test_threads_in_a_race(hidden, ways):
    # each call adds the same update: whoever came first, the weights must be those after that many calls
    x = np.random.default_rng(1).normal(size=(3, 20))
    train = {
        "fit": lambda w, v: cbackprop.fit(x[:1], [0], w, v, learning_rate=0.01),
        "step": lambda w, v: cbackprop.step(x[0], 0, w, v, 0.01),
        "learn_one": lambda w, v: Network.from_weights(w, v, learning_rate=0.01).learn_one(x[0], 0),
    }
    w, v = cbackprop.init_weights(20, hidden, 2, rng=0)
    w_wanted, v_wanted = w.copy(), v.copy()
    together, refused = threading.Barrier(2), []

    def work(way):
        together.wait(60)
        try:
            train[way](w, v)
        except RuntimeError as error:
            refused.append(str(error))
            return 0
        return 1

    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            learned = sum(pool.map(work, ways))
            assert learned >= 1
            for _ in range(learned):
                train["step"](w_wanted, v_wanted)
            # another order of the arithmetic, rounded anew each time
            np.testing.assert_allclose(w, w_wanted, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(v, v_wanted, rtol=1e-12, atol=1e-12)
            w[:], v[:] = w_wanted, v_wanted
    assert all(WORDS in message for message in refused)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_no_other_threads(python):
    done = python(
        "import os, threading, numpy as np, cbackprop\n"
        "x, t = np.ones((4, 3)), [0, 1, 0, 1]\n"
        "w, v = cbackprop.init_weights(3, 4, 2)\n"
        "reached, go_on = threading.Event(), threading.Event()\n"
        "def wait(epoch, loss):\n"
        "    reached.set(); go_on.wait(60)\n"
        "thread = threading.Thread(target=cbackprop.fit, args=(x, t, w, v), kwargs={'callback': wait})\n"
        "thread.start(); reached.wait(60)\n"
        "def fork(epoch, loss):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        cbackprop.fit(x, t, w, v)\n"
        "        os._exit(7)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "cbackprop.fit(x, t, w.copy(), v.copy(), callback=fork)\n"
        "go_on.set(); thread.join()\n"
    )
    assert done.stdout == "7\n", done.stderr


@pytest.mark.slow
def test_an_interrupt_at_any_instruction_of_fit(interrupt, other_thread, tmp_path):
    (w, v), velocity, path = weights(), weights(), tmp_path / "checkpoint"
    ends, start = [], [array.copy() for array in (w, v, *velocity)]

    def fit(callback):
        for array, first in zip((w, v, *velocity), start, strict=True):
            array[:] = first
        settings = {"momentum": 0.5, "velocity": velocity, "checkpoint": path, "checkpoint_every": 2}
        cbackprop.fit(X, T, w, v, epochs=3, rng=0, batch_size=N, callback=callback, **settings)

    fit(lambda epoch, loss: ends.append((w.copy(), v.copy())))
    n = 1
    while True:
        path.unlink(missing_ok=True)
        epochs = []
        if not interrupt(
            n,
            ("fit", "_run", "epochs", "_learn", "learn", "store", "_close", "write"),
            fit,
            lambda epoch, loss, epochs=epochs: epochs.append(epoch),
        ):
            break
        other_thread(TrainingLock(w, v).run, TrainingLock(*velocity).run, int)
        # the state after the latest epoch that was over; it may have been amid its end
        states = ends[max(0, len(epochs) - 2) : len(epochs)]
        if path.exists():
            saved = Network.load(path)
            assert any((saved.w == w).all() and (saved.v == v).all() for w, v in states), n
        else:
            assert len(epochs) < 2, n
        n += 1
    assert n > 300  # there were some


def test_an_interrupt_at_any_instruction_of_step(interrupt, other_thread):
    w, v = weights()
    n = 1
    while interrupt(n, ("step", "learn"), cbackprop.step, X[0], 1, w, v, 0.1):
        other_thread(TrainingLock(w, v).run, int)
        n += 1
    assert n > 20


@pytest.mark.parametrize("failure", [None, ValueError("from work"), KeyboardInterrupt()])
def test_what_has_to_follow_follows_run_finally_the_work(failure):
    reported = []

    def work():
        if failure:
            raise failure
        return "done"

    def interrupted(error):
        reported.append(error)
        if len(reported) == 1:
            raise KeyboardInterrupt("amid the end")

    with pytest.raises(KeyboardInterrupt, match="amid the end"):
        run_finally(work, interrupted)
    assert reported == [failure, failure]
    if failure:
        with pytest.raises(type(failure)):
            run_finally(work, reported.append)
    else:
        assert run_finally(work, reported.append) == "done"
    assert reported == [failure] * 3
    with pytest.raises(OSError, match="disk"):
        run_finally(work, failing)


def failing(error):
    raise OSError("disk")


def test_import_without_the_gil_is_refused(python):
    done = python("import sys; sys._is_gil_enabled = lambda: False; import cbackprop")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: cbackprop needs the GIL, on which its locks rely")
