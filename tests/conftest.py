"""What the tests share: the compiled kernels one by one, the public functions on each of them, and their NumPy twin."""

import functools
import importlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

import cbackprop
from cbackprop import _dispatch, _engines, reference

VARIANTS = _dispatch.available_variants()
DTYPES = ("float32", "float64")


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(params=[f"{variant}_{dtype}" for variant in VARIANTS for dtype in DTYPES])
def kernels(request):
    """The compiled module of every variant that runs here, in both precisions."""
    return importlib.import_module(f"cbackprop.kernels.{request.param}")


@pytest.fixture(params=VARIANTS)
def kernels64(request):
    """The compiled module of every variant that runs here, in double precision."""
    return importlib.import_module(f"cbackprop.kernels.{request.param}_float64")


def use(variant, monkeypatch, n_threads=1):
    modules = {np.dtype(name): importlib.import_module(f"cbackprop.kernels.{variant}_{name}") for name in DTYPES}
    monkeypatch.setattr(_dispatch, "_MODULES", modules)
    if n_threads > 1:
        use_threads(monkeypatch)


def use_threads(monkeypatch):
    """As many threads as are asked for, where small networks and few processors would do without."""
    monkeypatch.setattr(_engines, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(_engines, "processors", lambda: 1000)


@pytest.fixture
def use_variant(monkeypatch):
    """A function that makes everything public run on the kernels of a variant, with all threads that are asked for."""
    return functools.partial(use, monkeypatch=monkeypatch, n_threads=2)


@pytest.fixture(params=VARIANTS)
def variant(request, monkeypatch):
    """Makes everything public run on the kernels of one variant after the other; its name."""
    use(request.param, monkeypatch)
    return request.param


@pytest.fixture
def forced_threads(monkeypatch):
    use_threads(monkeypatch)


@pytest.fixture(params=[*VARIANTS, "reference"])
def library(request, monkeypatch):
    """`cbackprop` on one variant after the other, and `cbackprop.reference`: the public functions."""
    if request.param == "reference":
        return reference
    use(request.param, monkeypatch)
    return cbackprop


METHODS = ("direct", "blocked", "auto")
ENGINES = [(variant, method, n_threads) for variant in VARIANTS for method in METHODS for n_threads in (1, 2)]


class Engine(NamedTuple):
    """A library and one way to run its `fit`."""

    library: ModuleType
    method: str
    n_threads: int

    def fit(self, *arguments, **keywords):
        return self.library.fit(*arguments, method=self.method, n_threads=self.n_threads, **keywords)


@pytest.fixture(params=ENGINES, ids=lambda engine: "-".join(map(str, engine)))
def compiled(request, monkeypatch):
    """`cbackprop` on every variant, with every method, on one thread and on two."""
    variant, method, n_threads = request.param
    use(variant, monkeypatch, n_threads)
    return Engine(cbackprop, method, n_threads)


@pytest.fixture(params=[*ENGINES, ("reference", "auto", 1)], ids=lambda engine: "-".join(map(str, engine)))
def engine(request, monkeypatch):
    """All of those, and `cbackprop.reference`, which has one engine only."""
    variant, method, n_threads = request.param
    if variant == "reference":
        return Engine(reference, method, n_threads)
    use(variant, monkeypatch, n_threads)
    return Engine(cbackprop, method, n_threads)


@pytest.fixture
def displaced():
    """A function that copies an array to so many bytes after a multiple of 64, aligned for its numbers."""

    def copy_to(array, offset):
        offset -= offset % array.itemsize
        room = np.empty(array.nbytes + 128, np.uint8)
        start = -room.ctypes.data % 64 + offset
        copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    return copy_to


@pytest.fixture
def out_of_band():
    """A function that pickles an object and restores it from read-only memory so many bytes after a multiple of 64."""

    def restored(thing, offset):
        buffers = []
        data = pickle.dumps(thing, 5, buffer_callback=buffers.append)
        places = []
        for buffer in buffers:
            raw = buffer.raw()
            room = np.empty(raw.nbytes + 128, np.uint8)
            start = -room.ctypes.data % 64 + offset
            room[start : start + raw.nbytes] = np.frombuffer(raw, np.uint8)
            places.append(memoryview(room)[start : start + raw.nbytes].toreadonly())
        return pickle.loads(data, buffers=places)

    return restored


@pytest.fixture
def python(tmp_path):
    """Runs code in a fresh interpreter that finds the same cbackprop; its exit status and what it wrote."""

    def run(code, *, under=(), text=True, timeout=120, **environment):
        return subprocess.run(
            [*under, sys.executable, "-P", "-W", "error", "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(cbackprop.__file__).parents[1])} | environment,
            capture_output=True,
            text=text,
            timeout=timeout,
        )

    return run


@pytest.fixture
def interrupt():
    """Calls something with Ctrl-C at the n-th instruction of our functions of such names; whether it came to that.

    Python looks at signals at some of its instructions, and each version at others. A tracer can raise at all of them.
    """

    def run(n, names, call, *arguments):
        seen = 0

        def trace(frame, event, argument):
            nonlocal seen
            if frame.f_code.co_name not in names or not frame.f_globals["__name__"].startswith("cbackprop."):
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                seen += 1
                if seen == n:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            call(*arguments)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    return run


@pytest.fixture(scope="module")
def other_thread():
    with ThreadPoolExecutor(1) as pool:
        yield lambda *call: pool.submit(*call).result()
