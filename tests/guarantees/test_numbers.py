"""Numbers: accurate gradients and losses, reproducible bits, and errors instead of NaN, on every processor."""

import functools
import hashlib
import itertools
import json
import math
import re
import shutil
import signal
import sys
import threading
from pathlib import Path

import mpmath
import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, _dispatch
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS

VARIANTS = _dispatch.available_variants()
DTYPES = tuple(map(np.dtype, ("float32", "float64")))


@pytest.fixture
def network(targets):
    """A function that draws x, t, w, v, of order 1, for a kind of output."""

    def draw(rng, shape, samples, dtype, output):
        D, M, K = shape
        x, t = rng.normal(size=(samples, D)), targets(output, samples, K, dtype, rng)
        w, v = rng.normal(size=(M, D + 1)) / math.sqrt(D), rng.normal(size=(K, M + 1))
        return [array.astype(dtype) for array in (x, t, w, v)]

    return draw


# for code that runs in an interpreter of its own; t holds rows of 0 and 1, which suit every output
CYCLE = """
import itertools
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
networks = itertools.cycle({"output": output, "hidden": hidden} for output in OUTPUTS for hidden in HIDDEN_FUNCTIONS)
"""


# --------------------------------------------------------------------------------------------------------- gradients


IN_DIGITS = {
    name: np.frompyfunc(of, 1, 1) for name, of in (("exp", mpmath.exp), ("log", mpmath.log), ("real", mpmath.re))
}
to_digits = np.frompyfunc(mpmath.mpmathify, 1, 1)


@pytest.mark.guarantee("gradients", slice=27, full=540)
def test_gradients(repetitions, use_variant, complex_step, network, all_functions, record_property):
    # Tolerances, some 500 and 80 roundings, are relative to the largest derivative of a layer: y_k - t_k may cancel.
    # With ReLU, E has kinks, where it has no derivatives: the numbers that this seed draws are farther from them than
    # roundings reach.
    rng, (derivative, gradient) = np.random.default_rng(1), complex_step
    bounds, worst = {"float64": 1e-13, "float32": 1e-5}, {"float64": 0.0, "float32": 0.0}
    cases = itertools.cycle(itertools.product((1, 3, 20), all_functions))  # many samples take another engine
    for samples, functions in itertools.islice(cases, repetitions):
        shape = tuple(map(int, rng.integers((1, 1, 2), (24, 40, 9))))
        for dtype in DTYPES:
            x, t, w, v = network(rng, shape, samples, dtype, functions["output"])
            wide = [array.astype(np.float64) for array in (x, t, w, v)]
            exact = gradient(*wide, **functions)
            largest = [np.abs(layer).max() for layer in exact]
            if samples == 1:  # the reference itself, against 50 digits
                places = [np.unravel_index(rng.integers(array.size), array.shape) for array in (w, v)]
                arrays, size = list(map(to_digits, wide)), mpmath.mpf(10) ** -40
                for layer, place in enumerate(places):
                    with mpmath.workdps(50):
                        wanted = derivative(layer, place, *arrays, **functions, size=size, **IN_DIGITS)
                    assert abs(exact[layer][place] - wanted) <= 1e-14 * largest[layer]
            for variant in VARIANTS:
                use_variant(variant)
                for layer, ours in enumerate(cbackprop.gradient(x, t, w, v, **functions)):
                    error = float(np.abs(ours - exact[layer]).max())
                    assert error <= bounds[dtype.name] * largest[layer], (shape, samples, functions, variant)
                    worst[dtype.name] = max(worst[dtype.name], error / (largest[layer] or 1))  # ReLUs may all be at 0
    record_property("largest error, float64", f"{worst['float64']:.1e}")
    record_property("float32", f"{worst['float32']:.1e}")


# -------------------------------------------------------------------------------------------------------------- loss


def loss_in_digits(output, t, a):
    """E_n in 50 digits: log1p, since what it adds to a logit may be below 10^-300."""
    with mpmath.workdps(50):
        t, a = to_digits(t.astype(float)), to_digits(a.astype(float))
        if output == "linear":
            return mpmath.fsum((a - t) ** 2) / 2
        if output == "logistic":
            return mpmath.fsum(
                mpmath.log1p(mpmath.exp(-abs(a_k))) + (max(a_k, 0) - t_k * a_k) for t_k, a_k in zip(t, a, strict=True)
            )
        below = a - a.max()
        rest = mpmath.fsum(mpmath.exp(difference) for k, difference in enumerate(below) if k != a.argmax())
        return mpmath.log1p(rest) - mpmath.fsum(t * below)


LARGE = {  # scales of logits up to ±1e308 in float64, at which E_n, which with softmax is a difference, stays finite
    "softmax": lambda largest: (largest / 400, largest / 4),
    "linear": lambda largest: (largest**0.5 / 1000,),
    "logistic": lambda largest: (largest / 10_000,),
}


@pytest.mark.guarantee("accurate loss")
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_loss(use_variant, targets, dtype, output, record_property):
    # logits are the biases, exactly, whatever the hidden function; a mean adds roundings of its own
    rng, hidden = np.random.default_rng(2), itertools.cycle(HIDDEN_FUNCTIONS)
    worst, largest = {1: 0.0, 20: 0.0}, float(np.finfo(dtype).max)
    for classes in (2, 3, 5, 10, 31, 100):
        for scale in (0.1, 1, 10, 30, 1e4, *LARGE[output](largest)):
            for _ in range(5):
                normal = rng.normal(size=classes).clip(-1.72, 2.24) * rng.choice([-1, 1])
                a = (normal * scale).astype(dtype)
                a[rng.integers(classes, size=classes // 3)] = a[0]
                w, v = np.zeros((1, 2), dtype), np.zeros((classes, 2), dtype)
                v[:, 1] = a
                rows = targets(output, 1, classes, dtype, rng)
                if output == "softmax":
                    rows = np.eye(classes, dtype=dtype)[list({0, classes - 1, int(a.argmax()), int(a.argmin())})]
                for t in rows:
                    wanted = loss_in_digits(output, t, a)
                    tiny = float(np.finfo(dtype).tiny)
                    # losses below the smallest normal number may be 0
                    unit = tiny if wanted < tiny else float(np.spacing(dtype.type(float(wanted))))
                    for variant in VARIANTS:
                        use_variant(variant)
                        for samples in (1, 20) if scale < largest / 20 else (1,):  # sums of 20 stay finite
                            functions = {"output": output, "hidden": next(hidden)}
                            got = cbackprop.loss(np.zeros((samples, 1)), [t] * samples, w, v, **functions)
                            worst[samples] = max(worst[samples], float(abs(got - wanted) / unit))
    record_property(f"largest error, {output}, {dtype}", f"{worst[1]:.2f} ULP, in the mean of 20 {worst[20]:.2f} ULP")
    assert worst[1] <= 4
    assert worst[20] <= 4 + 19 / 2


# --------------------------------------------------------------------------------------------------------- same bits


RULES = ({}, {"momentum": 0.5}, {"adaptive": True})


def learned(arrays, functions, batch_size, method, rule, n_threads):
    """SHA-256 of the weights and losses after some epochs."""
    x, t, w, v = arrays
    settings = {"batch_size": batch_size, "method": method, "n_threads": n_threads} | rule | functions
    history = cbackprop.fit(x, t, w, v, learning_rate=0.005, epochs=3, rng=4, **settings)
    return hashlib.sha256(w.tobytes() + v.tobytes() + np.array(history.losses).tobytes()).hexdigest()


def in_a_thread(work):
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.guarantee("same bits", slice=45, full=999)
def test_same_bits(repetitions, use_variant, network, all_functions, displaced, in_a_fork):
    settings = list(itertools.product(VARIANTS, DTYPES, (1, 7, None), ("direct", "blocked", "auto"), RULES))
    places = (lambda work: work(), in_a_thread, in_a_fork)
    rng = np.random.default_rng(5)
    for functions in itertools.islice(itertools.cycle(all_functions), repetitions):
        variant, dtype, *setting = settings[rng.integers(len(settings))]
        use_variant(variant)
        arrays = network(np.random.default_rng(3), (13, 37, 5), 70, dtype, functions["output"])
        elsewhere = [displaced(array, int(rng.integers(64))) for array in arrays]
        n_threads, place = rng.choice([1, 2, 3, 4, 8]), places[rng.integers(3)]
        work = functools.partial(learned, elsewhere, functions, *setting, n_threads)
        assert place(work) == learned(arrays, functions, *setting, 1)


SHAPES = ((4, 8, 2), (13, 37, 5), (100, 12, 4), (200, 5, 3))  # with vectors of both widths


def learned_together(x, t, count, shape, settings, batch_size, l2, n_threads=1):
    """SHA-256 of what the first two networks of an ensemble have learned, and of the weights of the mixture."""
    rates = [0.001, 0.003, 0.01][:count]
    ensemble = cbackprop.Ensemble(*shape, learning_rates=rates, rng=[0, 1, 2][:count], dtype=x.dtype, **settings)
    history = ensemble.fit(x, t, epochs=2, batch_size=batch_size, l2=l2, rng=4, n_threads=n_threads)
    learned = ensemble.w, ensemble.v, *(ensemble.accumulators or ()), history.losses.T
    parts = b"".join(array[:2].tobytes() for array in learned), ensemble.weights.tobytes()
    return " ".join(hashlib.sha256(part).hexdigest() for part in parts)


@pytest.mark.guarantee("same bits", slice=32, full=640)
def test_same_bits_of_ensembles(repetitions, use_variant, forced_threads, network, all_functions, displaced, in_a_fork):
    # nor do the other networks; half of the trainings have the kernels of a variant, half those that the sizes suggest
    cases = itertools.cycle(itertools.product(SHAPES, DTYPES, (False, True)))
    places = (lambda work: work(), in_a_thread, in_a_fork)
    rng = np.random.default_rng(6)
    for number, (shape, dtype, adaptive) in enumerate(itertools.islice(cases, repetitions)):
        if number == repetitions // 2:
            use_variant(VARIANTS[rng.integers(len(VARIANTS))])
        functions = all_functions[number % len(all_functions)]
        x, t, *_ = network(np.random.default_rng(3), shape, 70, dtype, functions["output"])
        given = shape, functions | {"adaptive": adaptive}, rng.choice([1, 1, 7, 70]), rng.choice([0, 0, 0.01])
        wanted = learned_together(x, t, 3, *given)
        assert learned_together(x, t, 2, *given).split()[0] == wanted.split()[0]
        elsewhere = [displaced(array, int(rng.integers(64))) for array in (x, t)]
        work = functools.partial(learned_together, *elsewhere, 3, *given, n_threads=int(rng.choice([2, 3, 5])))
        assert places[rng.integers(3)](work) == wanted


# ----------------------------------------------------------------------------------------------------- variants agree


@pytest.mark.guarantee("variants agree")
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-12), ("float32", 6e-5)])
def test_variants_agree(use_variant, all_functions, dtype, bound, record_property):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(1000, 21)), np.eye(5)[rng.integers(5, size=1000)]
    worst = 0.0
    for functions, method in itertools.product(all_functions, ("direct", "blocked")):
        settings, results = {"learning_rate": 0.01 if functions["output"] == "linear" else 0.1, "rng": 0}, []
        for variant in VARIANTS:
            use_variant(variant)
            w, v = cbackprop.init_weights(21, 19, 5, dtype=dtype, rng=0, hidden=functions["hidden"])
            cbackprop.fit(x, t, w, v, method=method, **settings, **functions)
            results.append(np.concatenate([w.ravel(), v.ravel()], dtype=float))
        apart = np.abs(np.array(results) - results[-1]).max() / np.abs(results[-1]).max()
        worst = max(worst, float(apart))
    record_property(dtype, f"{worst:.1e}")
    assert worst <= bound


# --------------------------------------------------------------------------------------------------------- divergence


@pytest.mark.guarantee("divergence")
@pytest.mark.parametrize("method", ["direct", "blocked", "auto"])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_divergence(use_variant, network, functions, batch_size, method):
    # an epoch ends with finite weights and a finite loss, or with an error that names it and the weights before it
    refused = 0
    for variant, dtype in itertools.product(VARIANTS, DTYPES):
        use_variant(variant)
        rates, scales = (0.1, 1e3, 1e6, float(np.finfo(dtype).max) / 4), (1, 1e4, 1e30)
        shapes = itertools.cycle([(3, 2, 3), (5, 9, 4)])
        for (rate, scale), shape in zip(itertools.product(rates, scales), shapes, strict=False):
            x, t, w, v = network(np.random.default_rng(7), shape, 40, dtype, functions["output"])
            x, kept = x * dtype.type(scale), [(w.tobytes(), v.tobytes())]
            w_alone, v_alone = w.copy(), v.copy()

            def keep(epoch, loss, kept=kept, w=w, v=v):
                assert math.isfinite(loss)
                kept.append((w.tobytes(), v.tobytes()))

            settings = {"learning_rate": rate, "epochs": 3, "batch_size": batch_size, "method": method, "rng": 1}
            settings |= functions | {"adaptive": rate == 1e3}
            for weights, callback in (((w, v), keep), ((w_alone, v_alone), None)):
                epochs = 3
                try:
                    cbackprop.fit(x, t, *weights, callback=callback, **settings)
                except DivergenceError as error:
                    epochs = int(re.search(r"epoch (\d)", str(error))[1]) - 1
                    refused += 1
                assert tuple(array.tobytes() for array in weights) == kept[epochs]
                assert all(np.isfinite(array).all() for array in weights)
    assert refused > 0


# --------------------------------------------------------------------------------------------- more than 2^31 numbers


INPUTS = """
import numpy as np, cbackprop
N, D = 2**16 + 8, 2**15 + 8
x, t = np.zeros((N, D), np.float32), np.zeros(N, int)  # the system maps zeros to one page until they are written to
x[-1], t[-1] = np.random.default_rng(0).normal(size=D), 1
for M in (1, 5):
    w, v = cbackprop.init_weights(D, M, 2, dtype=np.float32, rng=0)
    for of_all, last in zip(cbackprop.forward(x, w, v), cbackprop.forward(x[-1:], w, v)):
        # of the largest, since sums of 32,776 terms may cancel; their order differs, and depends on the kernels
        atol = 1e-4 * np.abs(last[0]).max()
        np.testing.assert_allclose(of_all[-1], last[0], rtol=1e-4, atol=atol)
    dw, dv = cbackprop.gradient(x, t, w, v)
    last, _ = cbackprop.gradient(x[-1:], [1], w, v)  # all others are zeros
    np.testing.assert_allclose(dw[:, :-1], last[:, :-1] / N, rtol=1e-3, atol=1e-12)
    before = w[:, :-1].copy()
    cbackprop.fit(x, t, w, v, shuffle=False)
    assert (w[:, :-1] != before).any()
"""

WEIGHTS = """
import numpy as np, cbackprop
M, D = 2**16 + 8, 2**15 + 8
w, v = np.zeros((M, D + 1), np.float32), np.zeros((2, M + 1), np.float32)
rng = np.random.default_rng(0)
w[-1], v[:, -2], x = rng.normal(size=D + 1) / D, (-1, 1), rng.normal(size=D).astype(np.float32)
w_last, v_last = w[-1:].copy(), v[:, -2:].copy()  # the only unit with weights
big, small = cbackprop.Network.from_weights(w, v), cbackprop.Network.from_weights(w_last, v_last)
np.testing.assert_allclose(big.predict_proba_one(x), small.predict_proba_one(x), rtol=1e-6)
if {learn}:
    assert abs(big.learn_one(x, 1) - small.learn_one(x, 1)) < 1e-6
    np.testing.assert_allclose(w[-1:], w_last, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(v[:, -2:], v_last, rtol=1e-5)
    assert not w[:-1].any()

K, M = 2**16 + 8, 2**15 + 8
w, v = np.zeros((M, 2), np.float32), np.zeros((K, M + 1), np.float32)
v[-1, -2] = 1
network = cbackprop.Network.from_weights(w, v)
assert network.predict_one([1]) == K - 1
"""


def memory_available():
    return int(re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) << 10


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is known to map zeros to one page")


@linux
@pytest.mark.guarantee("more than 2^31 numbers", slice=1, full=2)
@pytest.mark.parametrize("code", [INPUTS, WEIGHTS], ids=["inputs", "weights"])
def test_many_numbers(python, repetitions, code):
    learn = code is WEIGHTS and repetitions == 2  # writes all of them
    if learn and memory_available() < 12 << 30:
        pytest.skip("12 GiB of memory are not available")
    result = python(code.replace("{learn}", str(learn)))
    assert (result.returncode, result.stderr) == (0, "")


# ---------------------------------------------------------------------------------------------- floating-point state

STATE = """
import ctypes, functools, json, signal, struct, sys

def control():
    # rounding, traps and subnormal numbers: control bits of the x87 unit and, without the status flags, of SSE
    environment = ctypes.create_string_buffer(64)
    libm.fegetenv(environment)
    x87, = struct.unpack_from("<H", environment, 0)
    mxcsr, = struct.unpack_from("<I", environment, 28)
    return [x87, mxcsr & 0xFFC0]

def small():
    numbers = [float("5e-324"), float("2.5e-308")]
    return [numbers[0] * 1.0 > 0, numbers[1] / 4 > 0, numbers[0] + numbers[0] > numbers[0]]

linux_x86 = "linux" in sys.platform and {x86}
if linux_x86:
    libm = ctypes.CDLL("libm.so.6")
    environment = ctypes.create_string_buffer(64)
    libm.fegetenv(environment)
    struct.pack_into("<I", environment, 28, 0x1F80 | {flushed})
    libm.fesetenv(environment)

import numpy as np
from threading import Thread
states = []
def look(*_):
    states.append((control() if linux_x86 else None, small(),
                   bool(np.array([1e-45], "f4")[0] * np.float32(1) > 0)))
def look_everywhere():
    look()
    thread = Thread(target=look)
    thread.start()
    thread.join()
look_everywhere()
import cbackprop
look_everywhere()
rng = np.random.default_rng(0)
for dtype in ("float32", "float64"):
    x, t = rng.normal(size=(300, 200)), np.eye(5)[rng.integers(5, size=300)]
    w, v = cbackprop.init_weights(200, 150, 5, dtype=dtype, rng=0)
    fit = functools.partial(cbackprop.fit, x, t, w, v, n_threads=2, learning_rate=1e-4, callback=look)
    for method in ("direct", "blocked"):
        for batch_size in (1, 32, None):
            fit(method=method, batch_size=batch_size, **next(networks))
    for functions in itertools.islice(networks, 9):
        cbackprop.Network(200, 150, 5, dtype=dtype, learning_rate=1e-4, **functions).learn_one(x[0], t[0])
        cbackprop.gradient(x[:20], t[:20], w, v, **functions)
        cbackprop.forward(x[:20], w, v, **functions)
        for shape in ((2, 2, 5), (200, 150, 5)):
            ensemble = cbackprop.Ensemble(*shape, learning_rates=[1e-4, 1e-5], adaptive=True, dtype=dtype, **functions)
            ensemble.fit(x[:50, :shape[0]], t[:50], callback=look)
            ensemble.learn_one(x[0, :shape[0]], t[0])
            ensemble.predict_one(x[0, :shape[0]])
look_everywhere()
if hasattr(signal, "setitimer"):  # handlers that run within a kernel
    signal.signal(signal.SIGALRM, look)
    x, t = np.tile(x, (20, 1)), np.tile(t, (20, 1))
    ensemble = cbackprop.Ensemble(200, 150, 5, learning_rates=[1e-4, 1e-5])
    fits = [functools.partial(cbackprop.fit, w=w, v=v, method=method, n_threads=2) for method in ("direct", "blocked")]
    for fit in (*fits, ensemble.fit):
        before = len(states)
        while len(states) == before:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            fit(x, t)
print(json.dumps(states))
"""


@pytest.mark.guarantee("floating-point state")
@pytest.mark.parametrize("flushed", [0, 0x8040], ids=["computed", "flushed"])  # by default, and by another library
@pytest.mark.parametrize("variant", VARIANTS)
def test_floating_point_state_stays(python, variant, flushed):
    x86 = _dispatch._CPU.get("SSE2", False)
    linux_x86 = "linux" in sys.platform and x86
    code = STATE.replace("{x86}", str(x86)).replace("{flushed}", str(flushed))
    result = python(code.replace("import cbackprop\n", f"import cbackprop\n{CYCLE}"), CBACKPROP_KERNEL=variant)
    assert result.returncode == 0, result.stderr
    states = json.loads(result.stdout)
    assert len(states) >= 6 + 12 + 2 * hasattr(signal, "setitimer")
    assert all(state == states[0] for state in states)
    if linux_x86:
        assert states[0][0] == [0x37F, 0x1F80 | flushed]
    if not (linux_x86 and flushed):
        assert states[0][1:] == [[True, True, True], True]


# ---------------------------------------------------------------------------------------------------------- old CPUs

SMOKE = """
import numpy as np, cbackprop, cbackprop.reference
info = cbackprop.kernel_info()
assert info["variant"] == "{variant}", info
rng = np.random.default_rng(0)
x, t = rng.normal(size=(60, 20)), np.eye(3)[rng.integers(3, size=60)]
for dtype in ("float32", "float64"):
    for M in (2, 17):
        for batch_size, functions in zip((1, 32, None), networks):
            w, v = cbackprop.init_weights(20, M, 3, dtype=dtype, rng=0, hidden=functions["hidden"])
            wanted, settings = (w.copy(), v.copy()), dict(batch_size=batch_size, rng=0, learning_rate=0.01, **functions)
            cbackprop.fit(x, t, w, v, n_threads=2, **settings)
            cbackprop.reference.fit(x, t, *wanted, **settings)
            assert np.abs(w - wanted[0]).max() < (1e-4 if dtype == "float32" else 1e-12)
            network = cbackprop.Network.from_weights(w, v, **functions)
            network.learn_one(x[0], t[0])
            np.testing.assert_allclose(network.predict_one(x[0]), network.predict(x[:1])[0], rtol=1e-4)
            network.gradient(x, t), network.loss(x, t)
"""


@pytest.mark.guarantee("old CPUs")
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="qemu-user is not installed")
@pytest.mark.parametrize(("cpu", "variant"), [("Nehalem", "baseline"), ("Haswell", "avx2")])
def test_old_cpu(python, cpu, variant):
    code = CYCLE + SMOKE.replace("{variant}", variant)
    result = python(code, under=["qemu-x86_64", "-cpu", cpu], OPENBLAS_CORETYPE=cpu, CBACKPROP_KERNEL="")
    assert result.returncode == 0, result.stderr
