"""Ordinary data never make a kernel underflow, and subnormal numbers cost what others do: they are zero to kernels."""

import ctypes
import platform
import struct
import sys
from functools import partial

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, _engines

linux_x86 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="flags of x86's SSE, read by glibc"
)
UNDERFLOW, SUBNORMAL_OPERAND = 0x10, 0x02
MXCSR = 28  # its place in glibc's floating-point environment


def flags_of(work):
    """The exception flags that `work` sets; NumPy's functions would clear them."""
    libm, environment = ctypes.CDLL("libm.so.6"), ctypes.create_string_buffer(64)
    libm.fegetenv(environment)
    (control,) = struct.unpack_from("<I", environment, MXCSR)
    struct.pack_into("<I", environment, MXCSR, control & ~0x3F)
    libm.fesetenv(environment)
    work()
    libm.fegetenv(environment)
    return struct.unpack_from("<I", environment, MXCSR)[0] & 0x3F


# off the multiples of the lanes, and on them
SHAPES = [(2, 2, 3), (4, 8, 2), (13, 9, 3), (63, 32, 10), (64, 32, 16), (37, 53, 7), (5, 7, 1)]
ENGINES = {
    "direct": ("DirectEngine", 1, {}),
    "direct-batches": ("DirectEngine", 7, {"momentum": 0.5}),
    "lanes": ("LanesEngine", 1, {}),
    "samples-in-lanes": ("SamplesInLanesEngine", 7, {}),
    "blocked": ("BlockedEngine", 1, {"block": 16}),
    "blocked-batches": ("BlockedEngine", 7, {"block": 16}),
    "blocked-accumulates": ("BlockedEngine", 40, {"block": 16, "l2": 0.1}),
}


@linux_x86
@pytest.mark.parametrize(("name", "batch_size", "settings"), ENGINES.values(), ids=ENGINES.keys())
def test_no_underflow_on_ordinary_data(kernels, functions, name, batch_size, settings):
    # nor, of subnormal inputs, take such operands
    rng, smallest = np.random.default_rng(0), np.finfo(kernels.DTYPE).smallest_subnormal
    for D, M, K in SHAPES:
        if name == "LanesEngine" and max(M, 2 * K) > _engines.MAX_VECTORS * kernels.LANES_IN_REGISTER:
            continue
        engine = getattr(kernels, name)(D, M, K, batch_size, **settings, **functions)
        w, v = cbackprop.init_weights(D, M, K, dtype=kernels.DTYPE, rng=0)
        engine.load(w, v)
        x = rng.normal(size=(50, D)).astype(kernels.DTYPE)
        rows = rng.dirichlet(np.ones(K), 50).astype(kernels.DTYPE)
        order, dw, dv = np.arange(50), np.zeros_like(w), np.zeros_like(v)
        activations = [np.zeros((50, size), kernels.DTYPE) for size in (M, M, K, K)]
        targets = [{"t": rows}] + ([{"labels": rows.argmax(axis=1)}] if functions["output"] == "softmax" else [])
        for samples in (kernels.Samples(x, **each) for each in targets):
            works = [partial(engine.learn, samples, order, 0.01)]
            if "forward" in engine.supports:
                works += [partial(engine.loss, samples), partial(engine.forward, samples, *activations)]
            if "gradient" in engine.supports:
                works += [partial(engine.gradient, samples, dw, dv)]
            for work in works:
                assert not flags_of(work) & (UNDERFLOW | SUBNORMAL_OPERAND), (D, M, K)
        samples = kernels.Samples(np.full_like(x, smallest), rows)
        assert not flags_of(partial(engine.learn, samples, order, 0.01)) & SUBNORMAL_OPERAND, (D, M, K)


@linux_x86
def test_calls_with_one_sample_compute_with_no_subnormal_numbers(variant, dtype):
    network, x = Network(21, 18, 5, dtype=dtype, rng=0), np.full(21, np.finfo(dtype).smallest_subnormal)
    for work in (lambda: network.learn_one(x, 1), lambda: network.predict_one(x)):
        assert not flags_of(work) & SUBNORMAL_OPERAND


@pytest.fixture(params=["inputs", "weights", "saturated"])
def tiny(request, dtype):
    """Samples and weights that involve subnormal numbers: x, t, w, v."""
    rng = np.random.default_rng(0)
    w, v = cbackprop.init_weights(21, 18, 5, dtype=dtype, rng=0)
    x, t = rng.normal(size=(40, 21)).astype(dtype), rng.integers(5, size=40)
    tiny = np.finfo(dtype).tiny
    if request.param == "inputs":
        x *= tiny / 8
    elif request.param == "weights":
        w *= tiny / 8
        v *= tiny / 8
    else:
        x *= 200 if dtype == np.float32 else 1600
    return x, t, w, v


def test_subnormal_numbers_are_zero_or_nearly(compiled, reference_fit, tiny):
    # a number below the smallest normal one, or 0 in its place, makes no difference to a sum of ordinary ones
    x, t, *start = tiny
    bound = 1e-4 if x.dtype == np.float32 else 1e-11
    for batch_size in (1, 16):
        settings = {"learning_rate": 0.01, "epochs": 2, "batch_size": batch_size, "shuffle": False}
        wanted, losses = reference_fit(x, t, *start, **settings)
        weights = [array.copy() for array in start]
        np.testing.assert_allclose(compiled.fit(x, t, *weights, **settings).losses, losses, rtol=bound)
        for ours, theirs in zip(weights, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound * max(1, np.abs(theirs).max()))


def test_same_bits_one_by_one(variant, tiny):
    x, t, w, v = tiny
    network = Network.from_weights(w.copy(), v.copy(), learning_rate=0.01)
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        network.learn_one(x_n, t_n)
    cbackprop.fit(x, t, w, v, learning_rate=0.01, shuffle=False, method="direct")
    assert (network.w.tobytes(), network.v.tobytes()) == (w.tobytes(), v.tobytes())
