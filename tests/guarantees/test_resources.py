"""Resources: memory and time that do not grow, and no threads that were not requested."""

import contextlib
import gc
import itertools
import json
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Ensemble, Network

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")


def resident():
    """Resident bytes of this process, without mapped files."""
    return int(re.search(r"RssAnon:\s*(\d+)", Path("/proc/self/status").read_text())[1]) << 10


# ------------------------------------------------------------------------------------------------------------- leaks

D, M, K = 7, 5, 3
X, T = np.random.default_rng(0).normal(size=(20, D)), np.arange(20) % K
X_LIST, T_SOFT, STRIDED = X[0].tolist(), np.eye(K)[T], np.repeat(X, 2, axis=1)[:, ::2]
INDICES = np.array([0, 3])
NETWORK = Network(D, M, K, rng=0)
W, V = NETWORK.w, NETWORK.v
LARGE = np.full((K, M + 1), 1e308)
LINEAR = Network(D, M, 1, output="linear", hidden="relu", learning_rate=1e-3, rng=0)
LOGISTIC = Network(D, M, K, output="logistic", hidden="tanh", rng=0)
ENSEMBLE = Ensemble(D, M, K, learning_rates=[1e-3, 1e-4], adaptive=True, rng=0)
DIVERGING = Ensemble(D, M, K, learning_rates=[1e300, 1e300], output="linear", rng=0)

ENTRIES = {  # with good arguments, convertible ones and bad ones
    "init_weights": lambda: cbackprop.init_weights(D, M, K),
    "forward": lambda: cbackprop.forward(X, W, V),
    "forward, bad": lambda: cbackprop.forward(X[:, 1:], W, V),
    "loss": lambda: cbackprop.loss(STRIDED, T_SOFT, W, V),
    "loss, bad": lambda: cbackprop.loss(X, T + 1, W, V),
    "gradient": lambda: cbackprop.gradient(X, T, W, V),
    "numerical_gradient": lambda: cbackprop.numerical_gradient(X[:2, :1], T[:2], W[:1, :2].copy(), V[:, :2].copy()),
    "numerical_gradient, bad": lambda: cbackprop.numerical_gradient(X, T, W, V, epsilon=0),
    "step": lambda: cbackprop.step(X_LIST, 1, W, V, 1e-3),
    "step, bad": lambda: cbackprop.step(X[0], K, W, V, 0.1),
    "step, diverging": lambda: cbackprop.step(X[0], 1, W, LARGE, 0.1),
    "fit": lambda: cbackprop.fit(X, T, W, V, learning_rate=1e-3),
    "fit, in batches": lambda: cbackprop.fit(X, T_SOFT, W, V, learning_rate=1e-3, batch_size=16, method="direct"),
    "fit, with threads": lambda: cbackprop.fit(X, T, W, V, learning_rate=1e-3, n_threads=2, method="blocked"),
    "fit, bad": lambda: cbackprop.fit(X, T, W, V, callback=3),
    "fit, diverging": lambda: cbackprop.fit(X, T, W, LARGE, learning_rate=1e300),
    "Network": lambda: Network(D, M, K),
    "Network, bad": lambda: Network(D, M, K, learning_rate=-1),
    "from_weights": lambda: Network.from_weights(W, V),
    "from_weights, bad": lambda: Network.from_weights(W, W),
    "learn_one": lambda: NETWORK.learn_one(X[0], 1),
    "learn_one, converted": lambda: NETWORK.learn_one(X_LIST, T_SOFT[0]),
    "learn_one_sparse": lambda: NETWORK.learn_one_sparse(INDICES, X[0, :2], 1),
    "learn_one_sparse, bad": lambda: NETWORK.learn_one_sparse([D], [1], 1),
    "predict_one_sparse": lambda: NETWORK.predict_one_sparse(INDICES, X[0, :2]),
    "learn_one, bad": lambda: NETWORK.learn_one(X[0, 1:], 1),
    "predict_one": lambda: NETWORK.predict_one(X[0]),
    "predict_one, bad": lambda: NETWORK.predict_one(X[0] * np.nan),
    "predict_proba_one": lambda: NETWORK.predict_proba_one(X[0]),
    "predict": lambda: NETWORK.predict(X),
    "kernel_info": cbackprop.kernel_info,
    "logistic, loss, bad": lambda: cbackprop.loss(X, T_SOFT + 0.5, W, V, output="logistic", hidden="tanh"),
    "logistic, predict_one": lambda: LOGISTIC.predict_one(X[0]),
    "linear, fit": lambda: cbackprop.fit(X, T_SOFT, W, V, learning_rate=1e-3, output="linear", hidden="relu"),
    "linear, fit, diverging": lambda: cbackprop.fit(X, T_SOFT, W, V, learning_rate=1e300, output="linear"),
    "linear, learn_one": lambda: LINEAR.learn_one(X[0], 0.5, 0.5),
    "linear, learn_one, bad": lambda: LINEAR.learn_one(X[0], float("nan")),
    "fit, adaptive": lambda: cbackprop.fit(X, T, W, V, learning_rate=1e-3, adaptive=True),
    "Ensemble": lambda: Ensemble(D, M, K, learning_rates=[0.1, 0.2]),
    "Ensemble, bad": lambda: Ensemble(D, M, K, learning_rates=[0.1, -1]),
    "Ensemble.fit": lambda: ENSEMBLE.fit(X, T),
    "Ensemble.fit, bad": lambda: ENSEMBLE.fit(X, T + 1),
    "Ensemble.fit, diverging": lambda: DIVERGING.fit(X, T_SOFT),
    "Ensemble.learn_one": lambda: ENSEMBLE.learn_one(X[0], 1),
    "Ensemble.learn_one, bad": lambda: ENSEMBLE.learn_one(X[0], K),
    "Ensemble.learn_one_sparse": lambda: ENSEMBLE.learn_one_sparse(INDICES, X[0, :2], 1),
    "Ensemble.predict_one": lambda: ENSEMBLE.predict_one(X[0]),
    "linear, predict_proba_one, bad": lambda: LINEAR.predict_proba_one(X[0]),
}


def call(entry):
    with contextlib.suppress(TypeError, ValueError, DivergenceError):
        entry()


def growth(entry, repetitions):
    """Bytes that a call leaks: the least of some measurements, since memory use settles."""
    grown = []
    while len(grown) < 6 and min(grown[1:], default=1) > 0:  # the first only warms up
        gc.collect()
        before = resident()
        for _ in range(repetitions // 3):
            call(entry)
        gc.collect()
        grown.append((resident() - before) / (repetitions // 3))
    return min(grown[1:])


@linux
@pytest.mark.guarantee("no leaks", slice=1200, full=100_000)
def test_calls_leak_nothing(repetitions, record_property):
    grown = {name: growth(entry, repetitions) for name, entry in ENTRIES.items()}
    name = max(grown, key=grown.get)
    record_property("largest growth", f"{grown[name]:.2f} bytes a call, {name}")
    assert grown[name] < 16  # the smallest object


@linux
@pytest.mark.guarantee("no leaks: files", slice=600, full=100_000)
def test_files_leak_nothing(repetitions, tmp_path, record_property):
    good, bad = tmp_path / "good", tmp_path / "bad"
    NETWORK.save(good)
    bad.write_bytes(good.read_bytes()[:-1])
    entries = {
        "save": lambda: NETWORK.save(good),
        "load": lambda: Network.load(good),
        "load, bad": lambda: Network.load(bad),
        "checkpoint": lambda: cbackprop.fit(X, T, W, V, learning_rate=1e-3, checkpoint=tmp_path / "checkpoint"),
    }
    grown = {name: growth(entry, repetitions) for name, entry in entries.items()}
    record_property("largest growth", f"{max(grown.values()):.2f} bytes a call")
    assert max(grown.values()) < 16


VALGRIND = """
import sys
sys.path.insert(0, {folder!r})
import test_resources as resources
for _ in range({rounds}):
    for entry in resources.ENTRIES.values():
        resources.call(entry)
"""


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.guarantee("no leaks: valgrind", slice=0, full=20)
@pytest.mark.timeout(600)
def test_valgrind(repetitions, python, tmp_path, record_property):
    # Python itself leaks a little at startup; calls must add nothing to it, and no error has library code in its stack
    lost = []
    for rounds in (1, repetitions):
        code = VALGRIND.format(folder=str(Path(__file__).parent), rounds=rounds)
        under = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite", "--log-file=log"]
        result = python(code, under=under, CBACKPROP_KERNEL="baseline", PYTHONMALLOC="malloc")
        assert result.returncode == 0, result.stderr
        log = (tmp_path / "log").read_text()
        lost.append(re.search("definitely lost: (.*)", log)[1])
        assert "Invalid" not in log
        assert re.findall(r"(?:by|at) 0x.*cbackprop.*", log) == []
    record_property("definitely lost", f"{lost[0]} after 1 round of calls, {lost[1]} after {repetitions}")
    assert lost[0] == lost[1]


# --------------------------------------------------------------------------------------------------------- streaming


@linux
@pytest.mark.guarantee("streaming", slice=450_000, full=9_900_000)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_streaming(repetitions, dtype, all_functions, record_property):
    x, t = np.random.default_rng(0).normal(size=(1000, 20)).astype(dtype), [n % 2 for n in range(1000)]
    softmax, other = list(zip(x, t, strict=True)), list(zip(x, map(float, t), strict=True))
    streams = []
    for functions in all_functions:
        K, samples = (2, softmax) if functions["output"] == "softmax" else (1, other)
        network = Network(20, 10, K, learning_rate=1e-3, dtype=dtype, rng=0, **functions)
        streams.append((network.learn_one, samples))
    times = np.ones(repetitions, np.int32)  # ones: the memory is resident from the start
    clock, before = time.perf_counter_ns, resident()
    n = 0
    for learn_one, samples in itertools.islice(itertools.cycle(streams), repetitions // 1000):
        for x_n, t_n in samples:
            start = clock()
            learn_one(x_n, t_n)
            times[n] = clock() - start
            n += 1
    grown = resident() - before
    first, last = (np.median(part) for part in (times[: n // 10], times[-n // 10 :]))  # of all networks
    record_property(f"{dtype}: median", f"{np.median(times):.0f} ns")
    record_property(f"{dtype}: p99.9", f"{np.percentile(times, 99.9) / 1000:.1f} µs")
    record_property(f"{dtype}: growth", f"{grown / 1024:.0f} kB")
    assert grown < 1 << 20
    assert last < 2 * first  # for the same work, on a machine that others may use


# ---------------------------------------------------------------------------------------------- threads and OpenMP

FRESH = """
import json, re, time
from pathlib import Path
import numpy as np

def threads():
    return int(re.search(r"Threads:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

np.ones((300, 300)) @ np.ones((300, 300))  # NumPy has threads of its own
alone = threads()
import cbackprop
rng = np.random.default_rng(0)
x, t = rng.normal(size=(2000, 300)), rng.integers(3, size=2000)
w, v = cbackprop.init_weights(300, 200, 3, rng=0)
network = cbackprop.Network.from_weights(w, v)
seen = []
for method in ("direct", "blocked"):
    for batch_size in (1, 64, None):
        during = lambda *_: seen.append(threads())
        cbackprop.fit(x, t, w, v, method=method, batch_size=batch_size, callback=during)
for use in (lambda: network.learn_one(x[0], 1), lambda: network.predict(x), lambda: network.gradient(x, t)):
    use()
    seen.append(threads())
cbackprop.fit(x, t, w, v, n_threads=2)  # these live no longer than the call
cbackprop.forward(x, w, v, n_threads=2)
end = time.monotonic() + 10
while threads() > alone and time.monotonic() < end:
    time.sleep(0.01)
seen.append(threads())
maps = Path("/proc/self/maps").read_text()
print(json.dumps([alone, seen, sorted(set(re.findall(r"lib(?:gomp|omp|iomp)[^/\\s]*", maps)))]))
"""


@linux
@pytest.mark.guarantee("no threads and no OpenMP unless asked for")
def test_no_threads_and_no_openmp(python):
    result = python(FRESH)
    assert result.stderr == ""
    alone, seen, openmp = json.loads(result.stdout)
    assert openmp == []
    assert set(seen) == {alone}


# ----------------------------------------------------------------------------------------------- memory of training

PEAK = """
import itertools, json, re, sys
from pathlib import Path
import numpy as np, cbackprop
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS

networks = itertools.cycle({"output": output, "hidden": hidden} for output in OUTPUTS for hidden in HIDDEN_FUNCTIONS)

def memory(name):
    return int(re.search(name + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

def peak(D, M, K, dtype, momentum=0, checkpoint=None, **keywords):
    # memory taken, in copies of what is learned
    x, t, functions = np.zeros((20, D), dtype), np.eye(K, dtype=dtype)[np.arange(20) % K], next(networks)
    w, v = np.full((M, D + 1), 0.1, dtype), np.full((K, M + 1), 0.1, dtype)
    velocity = (np.zeros_like(w), np.zeros_like(v)) if momentum else None
    learned = (w.nbytes + v.nbytes) * (2 if momentum else 1)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory("VmRSS")
    cbackprop.fit(
        x, t, w, v, momentum=momentum, velocity=velocity, checkpoint=checkpoint, learning_rate=1e-6, rng=0,
        **functions, **keywords,
    )
    return (memory("VmHWM") - before - (1 << 20)) / learned

peak(2000, 2, 3, "f8", checkpoint="warm_up")
peaks, with_checkpoint = {}, {}
for shape in ((2000, 1000, 3), (300_000, 1, 2), (200_000, 3, 2), (100_000, 5, 2), (40_000, 17, 2), (2, 200_000, 1)):
    for dtype in ("f4", "f8"):
        for batch_size in (1, 10, None):
            case = f"{'-'.join(map(str, shape))} {dtype}, batches of {batch_size}"
            for method in ("auto", "direct"):
                peaks[f"{case}, {method}"] = peak(*shape, dtype, batch_size=batch_size, method=method, n_threads=2)
            if batch_size != 1:
                peaks[f"{case}, momentum"] = peak(*shape, dtype, momentum=0.5, batch_size=batch_size)
                with_checkpoint[f"{case}, momentum"] = peak(
                    *shape, dtype, momentum=0.5, batch_size=batch_size, checkpoint="saved"
                )
            with_checkpoint[case] = peak(*shape, dtype, batch_size=batch_size, checkpoint="saved")
print(json.dumps([peaks, with_checkpoint]))
"""


@linux
@pytest.mark.guarantee("training takes at most 4 copies of the weights and 1 MiB")
def test_memory_of_training(python, record_property):
    result = python(PEAK)
    assert result.stderr == ""
    for copies, limit, name in zip(json.loads(result.stdout), (4, 7), ("most", "with a checkpoint"), strict=True):
        largest = max(copies, key=copies.get)
        record_property(name, f"{copies[largest]:.2f} copies ({largest})")
        assert copies[largest] <= limit, largest


MAPPED = """
import re, tracemalloc
from pathlib import Path
import numpy as np, cbackprop

def resident():
    return int(re.search(r"RssAnon:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) << 10

D = {columns}
x = np.memmap("x", np.float64, "r", shape=({size} // 8 // D, D))
t = np.arange(len(x)) % 2
w, v = cbackprop.init_weights(D, 2048 // D or 1, 2, rng=0)
before, peak = resident(), 0
tracemalloc.start()
def callback(epoch, loss):
    global peak
    peak = resident()
cbackprop.fit(x, t, w, v, callback=callback, rng=0, checkpoint="checkpoint")
print(max(max(peak, resident()) - before, tracemalloc.get_traced_memory()[1]))
"""


@linux
@pytest.mark.guarantee("training from 2 GiB mapped into memory takes less than 200 MiB")
@pytest.mark.parametrize(("columns", "size"), [(512, 2**31), (2**18, 2**29)])
def test_mapped_inputs(python, tmp_path, columns, size, record_property):
    with open(tmp_path / "x", "wb") as file:
        file.truncate(size)  # zeros that take no space on the disk
    result = python(MAPPED.format(columns=columns, size=size))
    assert result.stderr == ""
    record_property(f"taken, {columns} columns", f"{int(result.stdout) / 2**20:.0f} MiB")
    assert int(result.stdout) < 200 << 20
