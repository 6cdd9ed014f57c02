"""Calls from C: what they compute is what `learn_one` does, and the network is locked meanwhile."""

import ctypes
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from cbackprop import Network, c_api
from cbackprop.c_api import Handle


def function(name, result, *arguments):
    """A function of the module's C interface, which is in a capsule whose name is its signature."""
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    signature = ctypes.pythonapi.PyCapsule_GetName
    signature.restype, signature.argtypes = ctypes.c_char_p, [ctypes.py_object]
    capsule = c_api.__pyx_capi__[name]
    return ctypes.CFUNCTYPE(result, *arguments)(address(capsule, signature(capsule)))


POINTER = ctypes.c_void_p
learn = function("learn", ctypes.c_double, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_double)
predict = function("predict", ctypes.c_ssize_t, POINTER, POINTER, POINTER)


def pointer(array):
    return array.ctypes.data


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("M", [5, 300])  # in lanes, and too many for them
def test_learns_with_the_bits_of_learn_one(functions, targets, dtype, order, M):
    called, twin = (Network(7, M, 3, **functions, adaptive=True, dtype=dtype, order=order, rng=0) for _ in range(2))
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 7)).astype(dtype), targets(functions["output"], 20, 3, dtype, rng)
    y = np.zeros(3, dtype)
    with Handle(called) as handle:
        for n in range(20):
            largest = predict(handle.address, pointer(x[n]), pointer(y))
            np.testing.assert_array_equal(y, one(twin, x[n]))
            assert largest == y.argmax() or functions["output"] != "softmax"
            assert learn(handle.address, pointer(x[n]), pointer(t[n]), -1, 0.5) == twin.learn_one(x[n], t[n], 0.5)
    np.testing.assert_array_equal(called.w, twin.w)
    np.testing.assert_array_equal(called.v, twin.v)


def one(network, x):
    """y of one sample."""
    return network.predict_one(x) if network.output == "linear" else network.predict_proba_one(x)


def test_class_indices_and_rates(dtype):
    called, twin = (Network(2, 3, 2, dtype=dtype, rng=0) for _ in range(2))
    x = np.ones(2, dtype)
    with Handle(called) as handle:
        called.learning_rate = twin.learning_rate = 0.7
        for label in (0, 1):
            assert learn(handle.address, pointer(x), None, label, 1) == twin.learn_one(x, label)
        before = called.w.copy()
        for label in (-1, 2):
            assert learn(handle.address, pointer(x), None, label, 1) == -1
        for value in (np.nan, np.inf):
            assert learn(handle.address, pointer(np.array([1, value], dtype)), None, 0, 1) == -1
            assert predict(handle.address, pointer(np.array([value, 1], dtype)), pointer(np.zeros(2, dtype))) == -1
        called.learning_rate = float(np.finfo(dtype).max)
        assert learn(handle.address, pointer(x), None, 0, 1) == np.inf
    np.testing.assert_array_equal(called.w, before)
    np.testing.assert_array_equal(called.w, twin.w)


def test_a_network_is_locked_while_a_handle_is_open():
    network = Network(2, 3, 2, rng=0)
    same_weights = Network.from_weights(network.w, network.v)
    with ThreadPoolExecutor(1) as other, suppress(ZeroDivisionError), Handle(network) as handle:
        for call in (network.learn_one, same_weights.learn_one):
            with pytest.raises(RuntimeError, match="another thread"):
                other.submit(call, [1, 2], 0).result()
        for call in (network.predict_one, lambda x: Handle(network).__enter__()):
            with pytest.raises(RuntimeError, match="in use"):
                call([1, 2])
        with pytest.raises(RuntimeError, match="in use"), handle:
            pass
        with pytest.raises(RuntimeError, match="in use"):
            handle.__init__(network)
        1 / 0  # noqa: B018
    with pytest.raises(RuntimeError, match="only in a with statement"):
        handle.address  # noqa: B018
    network.learn_one([1, 2], 0)
    with Handle(network):
        pass


def test_bad_networks():
    with pytest.raises(TypeError, match="network is of type int; it must be a Network"):
        Handle(3)
    w, v = np.zeros((3, 3)), np.zeros((2, 4))
    w.flags.writeable = False
    with pytest.raises(ValueError, match="w is read-only"), Handle(Network.from_weights(w, v)):
        pass


@pytest.mark.slow  # compiles by Cython and by numba
def test_page_prints_what_it_says(run_page):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    pytest.importorskip("numba")
    if not shutil.which("cc") or "LD_PRELOAD" in os.environ:
        pytest.skip("no compiler cc, or one that would be checked by a sanitizer")
    run_page("reference/c_api.md")


def test_networks_that_standardize_are_refused():
    with pytest.raises(ValueError, match="standardizes its inputs, which the functions of c_api do not"):
        Handle(Network(2, 3, 2, standardize=True)).__enter__()
