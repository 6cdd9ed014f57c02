"""Ctrl-C, other threads and forks: weights are those after complete samples, and nothing hangs."""

import copy
import functools
import hashlib
import itertools
import math
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import cbackprop
from cbackprop import Ensemble, Network, _dispatch, _engines, _ensemble_training

VARIANTS = _dispatch.available_variants()


def problem(D, M, K, N, output="softmax", hidden="sigmoid"):
    """A problem whose output K - 1 is above its target, so that its bias falls with every sample and counts them."""
    rng = np.random.default_rng([D, M, K, N])
    x, t = rng.normal(size=(N, D)), rng.integers(K - 1, size=N)
    if output != "softmax":
        t = np.eye(K)[t]
    if output == "linear":
        t[:, -1] = -100
    return x, t, *cbackprop.init_weights(D, M, K, hidden=hidden, rng=rng)


# ------------------------------------------------------------------------------------------------------------ Ctrl-C

LARGE, SMALL = ((300, 200, 5, 12_000), (2, 2, 3, 30_000))  # several polls per epoch, and several epochs per poll
LONG = (20, 50, 5, 300_000)  # several polls within a batch
MOMENTUM = (300, 200, 5, 100_000)  # the shape of networks that learn with momentum
ENGINES = [  # shape, method, batch_size, n_threads
    (LARGE, "direct", 1, 1),
    (LARGE, "blocked", 1, 1),
    (LARGE, "blocked", 1, 2),
    (LARGE, "direct", 50, 1),
    (LARGE, "blocked", 50, 1),
    (LARGE, "blocked", 50, 2),
    (SMALL, "direct", 1, 1),
    (SMALL, "auto", 100, 1),  # samples in lanes
    ((2, 2, 3, 1000), "auto", None, 1),  # the same, many epochs in one call
    ((2, 2, 3, 2_000_000), "auto", None, 1),
    (LONG, "direct", None, 1),
    (LONG, "blocked", None, 1),
    (LONG, "blocked", None, 2),
    *((MOMENTUM, "direct", batch_size, 1) for batch_size in (1, 50, None)),
    *((MOMENTUM, "blocked", batch_size, n_threads) for batch_size, n_threads in ((50, 1), (50, 2), (None, 1))),
]  # 19, so that each comes with all functions
RATES = {"softmax": 0.01, "linear": 1e-8, "logistic": 0.01}


def press_ctrl_c(call, wait):
    """Press Ctrl-C `wait` seconds after the start of a call; return the seconds until it returned.

    They are the smaller of elapsed and processor time, since other processes may keep the machine busy.
    """
    sent = []

    def press():
        time.sleep(wait)
        sent.append((time.perf_counter(), time.process_time()))
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    caught = time.perf_counter(), time.process_time()
    presser.join()
    return min(after - at for after, at in zip(caught, sent[0], strict=True))


def interrupted(x, t, *changing, wait, callback=True, output="softmax", states="velocity", **settings):
    """Press Ctrl-C after `wait` seconds; return the states before each epoch, and the seconds until fit returned."""
    w, v, *state = changing
    before = [[array.copy() for array in changing]]

    def keep(epoch, loss):
        before.append([array.copy() for array in changing])

    settings |= {"callback": keep if callback else None, states: state or None, "output": output}
    settings |= {"learning_rate": RATES[output], "epochs": 10**9, "rng": 2}
    return before, press_ctrl_c(functools.partial(cbackprop.fit, x, t, w, v, **settings), wait)


def walk(x, t, *changing, order, batch_size, target, states, **settings):
    """Learn in that order until the bias that only falls reaches `target`; return the number of batches."""
    w, v, *state = changing
    settings |= {"learning_rate": RATES[settings["output"]], "shuffle": False, "batch_size": batch_size}
    learn = functools.partial(cbackprop.fit, **settings | {"method": "direct", states: state or None})
    done = 0
    for stride in (256, 16, 1) if len(x) < 100_000 else (1,):
        while True:
            kept = [array.copy() for array in changing]
            if batch_size is None:  # each epoch is a batch
                learn(x, t, w, v, epochs=stride)
                learned = stride
            else:
                n = order[done * batch_size :][: stride * batch_size]
                learned = len(n) // batch_size
                if learned:
                    learn(x[n], t[n], w, v)
            if not learned or v[-1, -1] < target - 1e-10:
                for array, old in zip(changing, kept, strict=True):
                    array[:] = old
                break
            done += learned
    return done


@pytest.fixture
def check_delays(request, record_property):
    """A function for seconds until training ended: as promised in full, on an idle machine; else ten times as many."""

    def check(name, delays):
        record_property(f"{name}, largest", f"{1000 * max(delays):.0f} ms")
        assert max(delays) < (0.1 if request.config.getoption("full") else 1)

    return check


@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
@pytest.mark.guarantee("Ctrl-C", slice=19, full=1140)
def test_ctrl_c(repetitions, check_delays, use_variant, all_functions, ctrl_c, record_property):
    rng = np.random.default_rng(0)
    delays, amid = [], 0
    for number in range(repetitions):
        shape, method, batch_size, n_threads = ENGINES[number % len(ENGINES)]
        use_variant(VARIANTS[number // 2 % len(VARIANTS)])
        functions, N = all_functions[number % len(all_functions)], shape[-1]
        x, t, w, v = problem(*shape, **functions)
        changing, epoch_is_a_batch = [w, v], batch_size is None
        rule = {"states": "accumulators"} | functions
        if shape == MOMENTUM:
            changing += [np.zeros_like(w), np.zeros_like(v)]
            rule |= {"momentum": 0.5, "states": "velocity"}
        elif number % 2 and not epoch_is_a_batch:
            changing += [np.zeros(len(w)), np.zeros(len(v))]
            rule["adaptive"] = True
        settings = {"method": method, "batch_size": batch_size, "n_threads": n_threads} | rule
        settings |= {"callback": shape == MOMENTUM or not epoch_is_a_batch}
        # the validation of the largest inputs may take some hundredths of a second
        before, delay = interrupted(x, t, *changing, wait=rng.uniform(0.05, 0.3), **settings)
        delays.append(delay)
        if shape == MOMENTUM and epoch_is_a_batch:  # it is discarded
            before[-1] = before[-1][:2]
        else:
            order = np.random.default_rng(2)
            orders = [order if epoch_is_a_batch else order.permutation(N) for _ in before]
            walked = {"order": orders[-1], "batch_size": batch_size, "target": v[-1, -1]} | rule
            done = walk(x, t, *before[-1], **walked)
            amid += batch_size is not None and 0 < done < N // batch_size
        # the same sums in another order, with some thousand roundings; a sample moves the bias by more than 1e-6
        tolerance = 0 if method == "direct" else 1e-10
        for then, now in zip(before[-1], changing, strict=False):
            np.testing.assert_allclose(then, now, rtol=tolerance, atol=tolerance)
    check_delays("to KeyboardInterrupt", delays)
    record_property("median", f"{1000 * float(np.median(delays)):.0f} ms")
    record_property("amid an epoch", f"{amid} of {repetitions}")
    assert amid > repetitions / 3


@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
@pytest.mark.guarantee("Ctrl-C", slice=3, full=50)
def test_ctrl_c_while_inputs_are_converted(repetitions, check_delays, ctrl_c):
    x, w, v = np.broadcast_to(np.float32(1), (120_000, 1000)), *cbackprop.init_weights(1000, 2, 2, rng=0)
    before, delays = (w.copy(), v.copy()), []
    for number in range(repetitions):
        after, delay = interrupted(x, np.zeros(len(x), int), w, v, wait=0.02 + 0.1 * number / repetitions)
        delays.append(delay)
        assert len(after) == 1  # no epoch has ended
    np.testing.assert_array_equal(w, before[0])
    check_delays("while inputs are converted", delays)


ENSEMBLES = [  # shape, N, batch_size, n_threads
    ((2, 2, 3), 30_000, 1, 1),
    ((4, 8, 2), 30_000, 100, 1),
    ((4, 8, 2), 300_000, None, 1),
    ((64, 32, 10), 12_000, 1, 1),
    ((64, 32, 10), 12_000, 50, 1),
    ((300, 200, 5), 3000, 1, 2),
]


@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
@pytest.mark.guarantee("Ctrl-C", slice=6, full=240)
def test_ctrl_c_in_an_ensemble(repetitions, check_delays, use_variant, all_functions, ctrl_c, tmp_path):
    # all networks have learned the same chunks of samples; the checkpoint holds the last epoch
    rng, delays, amid, path = np.random.default_rng(1), [], 0, tmp_path / "checkpoint"
    for number in range(repetitions):
        (D, M, K), N, batch_size, n_threads = ENSEMBLES[number % len(ENSEMBLES)]
        use_variant(VARIANTS[(number + number // len(ENSEMBLES)) % len(VARIANTS)])
        functions = all_functions[number % len(all_functions)]
        x, t, w, v = problem(D, M, K, N, **functions)
        adaptive = number // len(VARIANTS) % 2 == 1
        rates = RATES[functions["output"]] * np.array([1, 0.5, 0.1, 0.3])
        ensemble = Ensemble(D, M, K, learning_rates=rates, adaptive=adaptive, rng=0, **functions)
        before = [copy.deepcopy(ensemble)]
        path.unlink(missing_ok=True)
        files = {"checkpoint": path, "checkpoint_every": 10**9}
        settings = {"epochs": 10**9, "batch_size": batch_size, "n_threads": n_threads, "rng": 2} | files

        def keep(epoch, losses, before=before, ensemble=ensemble):
            before.append(copy.deepcopy(ensemble))

        fit = functools.partial(ensemble.fit, x, t, callback=keep, **settings)
        delays.append(press_ctrl_c(fit, rng.uniform(0.05, 0.3)))
        assert ensemble.weights.sum() == pytest.approx(1)
        if path.exists():
            assert digest(Ensemble.load(path)) in map(digest, before[-2:])
        order, size = np.random.default_rng(2), batch_size or N
        orders = [order.permutation(N) if batch_size else np.arange(N) for _ in before]
        step = size if size > 1 else math.lcm(_engines.LANES_BLOCK, _engines.block_length(w, v, 1))
        chunk, learner, wanted = step * max(1, _ensemble_training.CHUNK // step), before[-1], digest(ensemble)
        for start in range(0, N, chunk):
            if digest(learner) == wanted:
                amid += start > 0
                break
            n = orders[-1][start : start + chunk]
            learner.fit(x[n], t[n], batch_size=min(size, len(n)), shuffle=False, n_threads=n_threads)
        assert digest(learner) == wanted
        ensemble.fit(x[:10], t[:10])  # nothing is locked
    check_delays("in an ensemble", delays)
    assert amid > repetitions / 4


def digest(ensemble):
    arrays = ensemble.w, ensemble.v, *(ensemble.accumulators or ())
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


# ----------------------------------------------------------------------------------------------------------- threads


@pytest.mark.guarantee("two threads, the same weights", slice=200, full=10_000)
@pytest.mark.parametrize("kind", ["network", "ensemble"])
def test_two_threads_train_the_same_weights(repetitions, kind, record_property):
    # meanwhile every function that learns raises in the other thread, and changes nothing
    x, t, w, v = problem(30, 20, 3, 2000)
    ensemble = Ensemble(30, 20, 3, learning_rates=[0.01, 0.1], adaptive=True, rng=0)
    network = Network.from_weights(w, v)
    if kind == "ensemble":
        network, w, v = ensemble[1], ensemble.w[1], ensemble.v[1]
    learner = ensemble if kind == "ensemble" else network
    alone = copy.deepcopy(learner)
    started, enough = threading.Event(), threading.Event()
    shared = (w if w.flags.c_contiguous else w.T)[:1, :4], np.ones((3, 2))  # other weights, in the same memory
    attempts = [
        lambda: cbackprop.fit(x, t, w, v),
        lambda: cbackprop.fit(x[:, :3], t, *shared),
        lambda: cbackprop.step(x[0], 1, w, v, 0.1),
        lambda: network.fit(x, t, batch_size=None),
        lambda: network.learn_one(x[0], 1),
        lambda: learner.fit(x, t),
        lambda: learner.learn_one(x[0], 1),
    ]

    def train():
        def callback(epoch, loss):
            started.set()
            return enough.is_set()

        results.append(learner.fit(x, t, epochs=10**9, rng=3, callback=callback))

    results = []
    trainer = threading.Thread(target=train)
    trainer.start()
    started.wait()
    try:
        for attempt in itertools.islice(itertools.cycle(attempts), repetitions):
            with pytest.raises(RuntimeError, match="another thread"):
                attempt()
    finally:
        enough.set()
        trainer.join()
    alone.fit(x, t, epochs=results[0].epochs, rng=3)
    np.testing.assert_equal((learner.w, learner.v), (alone.w, alone.v))
    for attempt in attempts:  # afterwards they succeed
        attempt()
    record_property(f"{kind}, during", f"{results[0].epochs:,} epochs")


@pytest.mark.guarantee("two threads, different weights", slice=1, full=20)
@pytest.mark.parametrize("learn", ["fit", "learn_one", "forward"])
def test_threads_with_separate_weights_run_concurrently(repetitions, learn):
    # calls of some tenths of a second release the GIL: other threads run Python, and calls of their own
    x, t, w, v = problem(2000, 2000, 3, 200)
    networks = [Network.from_weights(w.copy(), v.copy()) for _ in range(2)]
    calls = {
        "fit": lambda network: network.fit(x, t, shuffle=False),
        "learn_one": lambda network: [network.learn_one(x[n], int(t[n])) for n in range(50)],
        "forward": lambda network: cbackprop.forward(x, network.w, network.v),
    }
    for _ in range(repetitions):
        spans = [[], []]

        def work(number, spans=spans):
            start = time.perf_counter()
            calls[learn](networks[number])
            spans[number] = start, time.perf_counter()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
        ticks = 0
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            ticks += 1
            time.sleep(0.001)
        assert ticks > 3  # this thread got the GIL during the calls
        (first, end), (second, other_end) = spans
        assert max(first, second) < min(end, other_end)  # the calls overlapped
    np.testing.assert_equal((networks[0].w, networks[0].v), (networks[1].w, networks[1].v))


# -------------------------------------------------------------------------------------------------------------- fork


@pytest.mark.guarantee("fork", slice=10, full=200)
def test_fork_after_training_with_two_threads(repetitions, use_variant, all_functions, in_a_fork):
    use_variant(VARIANTS[0])
    for functions in itertools.islice(itertools.cycle(all_functions), repetitions):
        x, t, w, v = problem(40, 30, 5, 500, **functions)

        def learn(n_threads, functions=functions, x=x, t=t, w=w, v=v):
            rate = RATES[functions["output"]]
            cbackprop.fit(x, t, w, v, learning_rate=rate, method="blocked", n_threads=n_threads, rng=0, **functions)
            return hashlib.sha256(w.tobytes() + v.tobytes()).hexdigest()

        learn(2)
        in_the_child = in_a_fork(lambda: learn(2))
        assert in_the_child == learn(1)


@pytest.mark.guarantee("fork", slice=10, full=200)
def test_fork_amid_calls_of_another_thread(repetitions, in_a_fork):
    # the child has no such thread, so the network and its weights are unlocked there
    x, _, w, v = problem(1000, 1000, 3, 10)
    network, over = Network.from_weights(w, v, learning_rate=1e-3), threading.Event()

    def learn():
        while not over.is_set():
            network.learn_one(x[0], 1)

    thread = threading.Thread(target=learn)
    thread.start()
    try:
        for _ in range(repetitions):
            assert in_a_fork(lambda: f"{network.predict_one(x[1])} {network.learn_one(x[1], 0) > 0}")[2:] == "True"
    finally:
        over.set()
        thread.join()
