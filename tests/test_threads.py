"""Several threads: shared predictions (_threads.py) and the team of the blocked engine (kernels/threads.h).

Whatever the number of threads, requested or started, the results have the same bits and nothing hangs.
"""

import itertools
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import cbackprop
from cbackprop import _engines, _threads
from cbackprop._validation import Functions


def problem(D=6, M=40, K=4, samples=100):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(samples, D)), rng.integers(K, size=samples)
    return x, t, *cbackprop.init_weights(D, M, K, rng=1)


RULES = [{"batch_size": 1}, {"batch_size": 7}, {"batch_size": None}, {"batch_size": 30, "momentum": 0.5}]
RULES += [{"momentum": 0.5, "l2": 0.1}, {"l2": 0.1}, {"adaptive": True}, {"batch_size": 30, "adaptive": True}]


def results(n_threads, M=40, samples=100, functions=({},)):
    """The bits of all that uses threads: online learning, batches shorter and longer than a block, forward passes."""
    x, labels, w, v = problem(M=M, samples=samples)
    t, losses, settings = np.eye(4)[labels], [], {"learning_rate": 0.01, "epochs": 2, "method": "blocked", "rng": 0}
    for rule, names in zip(RULES, itertools.cycle(functions), strict=False):
        losses += cbackprop.fit(x, t, w, v, n_threads=n_threads, **settings, **rule, **names).losses
    return losses, [array.tobytes() for array in (w, v, *cbackprop.forward(x, w, v, n_threads=n_threads))]


# fewer panels of hidden units, or samples, than threads, and more
@pytest.mark.parametrize(("M", "samples"), [(1, 100), (5, 100), (40, 100), (40, 3)])
def test_bits_do_not_depend_on_the_number_of_threads(variant, forced_threads, all_functions, M, samples):
    wanted = results(1, M, samples, all_functions)
    for n_threads in (2, 5):
        assert results(n_threads, M, samples, all_functions) == wanted


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("shape", [(2, 2, 3), (30, [40, 1], 5), (100, 12, 4)])  # of the last, in narrower vectors
def test_bits_of_an_ensemble_do_not_depend_on_the_number_of_threads(forced_threads, dtype, shape, adaptive):
    x, t, *_ = problem(D=shape[0], K=shape[2], samples=40)
    learned = set()
    for n_threads in (1, 2, 3):
        ensemble = cbackprop.Ensemble(*shape, learning_rates=[0.01, 0.1], adaptive=adaptive, dtype=dtype, rng=0)
        losses = ensemble.fit(x, t, rng=0, n_threads=n_threads).losses
        arrays = ensemble.w, ensemble.v, losses, ensemble.weights, *(ensemble.accumulators or ())
        learned.add(tuple(part.tobytes() for array in arrays for part in array))
    assert len(learned) == 1


def test_every_sample_is_predicted_once(monkeypatch, forced_threads):
    # the shares of 1 to 8 threads are disjoint and leave out no sample
    x, _, w, v = problem(M=4, samples=13)
    by_rule = _engines.bulk_engine
    for n_threads in range(1, 9):
        rows = []

        def bulk_engine(*given, rows=rows):
            engine = by_rule(*given)

            def forward(samples, b, z, a, y):
                rows.append((len(samples), len(a), len(y)))
                return engine.forward(samples, b, z, a, y)

            return SimpleNamespace(samples=engine.samples, stop=engine.stop, forward=forward)

        with monkeypatch.context() as patch:
            patch.setattr(_engines, "bulk_engine", bulk_engine)
            predicted = cbackprop.forward(x, w, v, n_threads=n_threads).y
        assert len(rows) == n_threads
        assert all(n == of_a == of_y for n, of_a, of_y in rows)
        assert sum(n for n, *_ in rows) == len(x)
        np.testing.assert_array_equal(predicted, cbackprop.forward(x, w, v).y)


def test_one_non_finite_share_is_reported(forced_threads):
    x, _, w, v = problem()
    assert _threads.forward(x, w, v, Functions(), 4)[1]
    for row in (0, 30, 60, 99):
        broken = x.copy()
        broken[row, 0] = np.nan
        assert not _threads.forward(broken, w, v, Functions(), 4)[1]


class Engine:
    """Predicts until `stop` is called; the one in the main thread, until a signal handler raises."""

    active = 0

    def __init__(self):
        self.stopped = threading.Event()

    def samples(self, x):
        return x

    def stop(self):
        self.stopped.set()

    def forward(self, *arrays):
        Engine.active += 1
        try:
            assert self.stopped.wait(30), "nothing stops this engine"
        finally:
            Engine.active -= 1
        return True


@pytest.mark.skipif(sys.platform == "win32", reason="no process can send itself SIGINT there")
def test_ctrl_c_stops_all_threads(monkeypatch, forced_threads):
    monkeypatch.setattr(_engines, "bulk_engine", lambda *arguments: Engine())
    x, _, w, v = problem()

    def press():
        while Engine.active < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            _threads.forward(x, w, v, Functions(), 2)
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert Engine.active == 0


def test_an_error_in_a_thread_is_raised(monkeypatch, forced_threads):
    main, raised, by_rule = threading.get_ident(), threading.Event(), _engines.bulk_engine

    def bulk_engine(*arguments):
        if threading.get_ident() != main:
            raised.set()
            raise MemoryError("from a helper")
        assert raised.wait(30)
        return by_rule(*arguments)

    monkeypatch.setattr(_engines, "bulk_engine", bulk_engine)
    x, _, w, v = problem()
    with pytest.raises(MemoryError, match="from a helper"):
        cbackprop.forward(x, w, v, n_threads=3)


def test_threads_run_no_tracer(variant, forced_threads):
    def hook(frame, event, argument):
        raise ValueError("from a tracer")

    wanted = results(1)
    threading.setprofile(hook)
    threading.settrace(hook)
    try:
        assert results(3) == wanted
    finally:
        threading.setprofile(None)
        threading.settrace(None)


# ------------------------------------------------------------------------------------------- in a process of their own


# All that uses threads, with as many as requested
ALONE = """
import hashlib, os, signal, sys, threading, time, warnings
import numpy as np
import cbackprop
from cbackprop import _engines
_engines.MIN_WORK_PER_THREAD, _engines.processors = 1, lambda: 1000
x, t = np.random.default_rng(0).normal(size=(1000, 60)), np.arange(1000) % 5

def results(n_threads):
    w, v = cbackprop.init_weights(60, 100, 5, rng=0)
    cbackprop.fit(x, t, w, v, rng=0, n_threads=n_threads, epochs=3)
    cbackprop.fit(x, t, w, v, rng=0, n_threads=n_threads, batch_size=200)
    y = cbackprop.forward(x, w, v, n_threads=n_threads).y
    return hashlib.sha256(w.tobytes() + v.tobytes() + y.tobytes()).hexdigest()
"""


@pytest.mark.parametrize("first", [True, False])
def test_threads_are_not_greenlets(python, first):
    # greenlets take turns: two of them would never pass a barrier
    pytest.importorskip("gevent")
    patch = "import warnings\nwith warnings.catch_warnings(action='ignore'):\n"
    patch += "    from gevent.monkey import patch_all\n    patch_all()\n"
    done = python((patch + ALONE if first else ALONE + patch) + "print(results(1) == results(3))")
    assert done.stdout == "True\n", done.stderr


def test_threads_after_the_main_thread_has_ended(python):
    done = python(
        ALONE + "def late():\n"
        "    threading.main_thread().join()\n"
        "    time.sleep(0.1)\n"
        "    print(results(1) == results(3))\n"
        "threading.Thread(target=late).start()"
    )
    assert done.stdout == "True\n", done.stderr


LIMITED = """
import resource
STACK, ROOM = 1 << 30, {room}
go_on = threading.Event()
wanted = results(1)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + ROOM * STACK + STACK // 2, resource.RLIM_INFINITY))
started = []
try:
    for _ in range(5):
        thread = threading.Thread(target=go_on.wait)
        thread.start()
        started.append(thread)
except RuntimeError:
    pass
go_on.set()
for thread in started:
    thread.join()
print(len(started), all(results(n) == wanted for n in (2, 3, 5, 8)))
"""


@pytest.mark.parametrize("room", [0, 2])
def test_bits_do_not_depend_on_how_many_threads_can_be_started(python, room):
    # the address space has room for the stacks of so many threads; the team continues with those that started
    pytest.importorskip("resource")
    if not sys.platform.startswith("linux"):
        pytest.skip("the size of stacks follows another rule here")
    done = python(
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_STACK, (1 << 30, resource.getrlimit(resource.RLIMIT_STACK)[1]))\n"
        f"os.execv(sys.executable, [sys.executable, '-P', '-c', {ALONE + LIMITED.format(room=room)!r}])\n",
        OPENBLAS_NUM_THREADS="1",
        MALLOC_ARENA_MAX="1",  # each thread would reserve an arena of its own
    )
    if done.stdout == "5 True\n":
        pytest.skip("nothing limits the address space here")
    assert done.stdout == f"{room} True\n", done.stderr


FORKING = """
warnings.simplefilter("ignore")
children = []
def fork(number, frame):
    children.append(os.fork())
    if not children[-1]:
        signal.alarm(60)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 60)
    else:
        signal.setitimer(signal.ITIMER_REAL, 0.01)  # not before: a fork may take longer
bits = wanted = results(1)
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.01)
start = time.perf_counter()
while len(children) < 20 and time.perf_counter() < start + 60 and 0 not in children:
    bits = results(2)
signal.signal(signal.SIGALRM, signal.SIG_IGN)  # no more children from here on
if 0 in children:
    os._exit(bits != wanted)
statuses = {os.waitpid(child, 0)[1] for child in children}
print(bits == wanted, statuses, len(children) >= 20)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_signal_handler_that_forks_among_threads(python):
    # the child continues alone, and both end with the same bits
    done = python(ALONE + FORKING)
    assert done.stdout == "True {0} True\n", (done.stdout, done.stderr)
