"""Shared fixtures: the kernels of every variant, the public functions on each engine, and the NumPy reference."""

import doctest
import functools
import hashlib
import importlib
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

import cbackprop
from cbackprop import _dispatch, _engines, reference
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._sparse import SparseRows

VARIANTS = _dispatch.available_variants()
DTYPES = ("float32", "float64")


def pytest_addoption(parser):
    if not find_spec("pytest_timeout"):  # its setting, which pytest would reject, has no effect
        parser.addini("timeout", "seconds for a test")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Run all tests on all processors, if pytest-xdist is installed: `pytest` alone, not `pytest FILE`."""
    all_tests = config.args_source is config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput")
    if all_tests and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses = "logical"


class SkipDoctests:
    """Skips an example in a docstring where a package that it needs is missing."""

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector):
        report = yield
        if report.skipped and Path(cbackprop.__file__).parent in collector.path.parents:
            # pytest keeps what it could import of a module and of its package
            *_, package, module = collector.path.with_suffix("").parts
            for name in (module, package, f"{package}.{module}"):
                sys.modules.pop(f"cbackprop.{name}", None)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        try:
            return (yield)
        except doctest.UnexpectedException as error:
            missing = error.exc_info[1]
            if not isinstance(missing, ModuleNotFoundError) or str(missing.name).startswith("cbackprop"):
                raise
            return pytest.skip(str(missing))


def pytest_configure(config):
    config.pluginmanager.register(SkipDoctests())  # also for what is outside this folder


@pytest.fixture(params=DTYPES)
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(params=[f"{variant}_{dtype}" for variant in VARIANTS for dtype in DTYPES])
def kernels(request):
    """The compiled module of every variant that runs here, in both precisions."""
    return importlib.import_module(f"cbackprop.kernels.{request.param}")


def use(variant, monkeypatch, n_threads=1):
    modules = {np.dtype(name): importlib.import_module(f"cbackprop.kernels.{variant}_{name}") for name in DTYPES}
    monkeypatch.setattr(_dispatch, "_MODULES", modules)
    monkeypatch.setattr(_engines, "narrow_kernels", _dispatch.kernels)
    if n_threads > 1:
        use_threads(monkeypatch)


def use_threads(monkeypatch):
    """Use as many threads as requested, however small the network and however few the processors."""
    monkeypatch.setattr(_engines, "MIN_WORK_PER_THREAD", 1)
    monkeypatch.setattr(_engines, "processors", lambda: 1000)


@pytest.fixture
def use_variant(monkeypatch):
    """A function that makes the public functions use the kernels of a variant, and as many threads as requested."""
    return functools.partial(use, monkeypatch=monkeypatch, n_threads=2)


@pytest.fixture(params=VARIANTS)
def variant(request, monkeypatch):
    """Makes the public functions use the kernels of each variant in turn; its name."""
    use(request.param, monkeypatch)
    return request.param


@pytest.fixture
def forced_threads(monkeypatch):
    """Makes the public functions use as many threads as requested."""
    use_threads(monkeypatch)


@pytest.fixture(params=[*VARIANTS, "reference"])
def library(request, monkeypatch):
    """The public functions: of `cbackprop` on each variant in turn, and of `cbackprop.reference`."""
    if request.param == "reference":
        return reference
    use(request.param, monkeypatch)
    return cbackprop


METHODS = {  # every engine: method and n_threads of `fit`. Threads make a difference to the blocked engine only
    "direct": ("direct", 1),
    "blocked-1": ("blocked", 1),
    "blocked-2": ("blocked", 2),
    "lanes": ("auto", 1),  # units in lanes or, of batches, samples in lanes, whatever the cost: see use_engine
}
# a second thread changes no bits, on any variant (test_threads.py): here the best variant is enough
ENGINES = [f"{variant}-{method}" for variant in VARIANTS for method in METHODS]
ENGINES = [name for name in ENGINES if not name.endswith("-2") or name.startswith(VARIANTS[0])]


class Engine(NamedTuple):
    """A library and one way to run its `fit`."""

    library: ModuleType
    method: str
    n_threads: int

    def fit(self, *arguments, **keywords):
        if self.library is not reference:
            keywords |= {"method": self.method, "n_threads": self.n_threads}
        return self.library.fit(*arguments, **keywords)


def use_engine(name, monkeypatch):
    """The engine of that name; in place of the cost rule, "lanes" has what lies in lanes for all updates."""
    if name == "reference":
        return Engine(reference, "auto", 1)
    variant, _, method = name.partition("-")
    use(variant, monkeypatch, METHODS[method][1])
    if method == "lanes":
        by_rule = _engines.make_engine

        def make_engine(w, v, functions, batch_size, method, *, x=None, **settings):
            if method != "auto" or isinstance(x, SparseRows):
                return by_rule(w, v, functions, batch_size, method, x=x, **settings)
            module, sizes = _dispatch.kernels(w.dtype), (w.shape[1] - 1, len(w), len(v))
            lanes = module.LANES_IN_REGISTER
            many = len(w) > _engines.MAX_VECTORS * lanes or len(v) > _engines.MAX_OUTPUT_VECTORS * lanes
            if settings.get("momentum") or (many if batch_size == 1 else settings.get("l2")):
                pytest.skip("no engine in lanes learns such a network with such a rule")
            kind = module.LanesEngine if batch_size == 1 else module.SamplesInLanesEngine
            return kind(*sizes, batch_size, **settings, **functions._asdict())

        monkeypatch.setattr(_engines, "make_engine", make_engine)
    return Engine(cbackprop, *METHODS[method])


@pytest.fixture(params=ENGINES)
def compiled(request, monkeypatch):
    """`cbackprop` with every engine of every variant."""
    return use_engine(request.param, monkeypatch)


@pytest.fixture(params=[*ENGINES, "reference"])
def engine(request, monkeypatch):
    """The same, and `cbackprop.reference`, which has one engine only."""
    return use_engine(request.param, monkeypatch)


@pytest.fixture(scope="session")
def reference_fit():
    """`reference.fit` on copies of the weights, once for the same arguments.

    It returns (w, v), with adaptive rates (w, v, s_w, s_v), and the losses.
    """
    known = {}

    def fit(x, t, w, v, **settings):
        key = hashlib.sha256(pickle.dumps((x, t, w, v, settings))).digest()
        if key not in known:
            w, v = w.copy(), v.copy()
            sums = (np.zeros(len(w), w.dtype), np.zeros(len(v), w.dtype)) if settings.get("adaptive") else ()
            losses = reference.fit(x, t, w, v, accumulators=sums or None, **settings).losses
            known[key] = (w, v, *sums), losses
        return known[key]

    return fit


@pytest.fixture
def refuse():
    """A function that checks that calls raise an error, of a message or none, and leave arrays as they were."""

    def check(error, message, arrays, *calls):
        before = [array.tobytes() for array in arrays]
        for call in calls:
            with pytest.raises(error, match=message):
                call()
            assert [array.tobytes() for array in arrays] == before

    return check


FUNCTIONS = [{"output": output, "hidden": hidden} for output in OUTPUTS for hidden in HIDDEN_FUNCTIONS]


@pytest.fixture(params=FUNCTIONS, ids=lambda functions: "-".join(functions.values()))
def functions(request):
    """The functions of a network, as keyword arguments: every output with every hidden function."""
    return request.param


@pytest.fixture
def all_functions():
    """All of them, for a loop."""
    return FUNCTIONS


@pytest.fixture(scope="session")
def targets():
    """A function that draws targets for N samples and K outputs of a kind."""

    def draw(output, N, K, dtype, rng):
        if OUTPUTS[output].exclusive:
            return (rng.multinomial(16, np.full(K, 1 / K), N) / 16).astype(dtype)  # sum to 1 in both precisions
        if OUTPUTS[output].limits is None:
            return rng.normal(size=(N, K)).astype(dtype)
        return np.where(rng.uniform(size=(N, K)) < 0.5, rng.integers(2, size=(N, K)), rng.uniform(size=(N, K))).astype(
            dtype
        )

    return draw


H = {
    "sigmoid": lambda b, exp, real: 1 / (1 + exp(-b)),
    "tanh": lambda b, exp, real: 2 / (1 + exp(-2 * b)) - 1,
    "relu": lambda b, exp, real: np.where(real(b) > 0, b, 0),
}
ERRORS = {  # the terms of the sum over k
    "softmax": lambda t, a, exp, log: t * (log(exp(a).sum(axis=1, keepdims=True)) - a),
    "linear": lambda t, a, exp, log: (a - t) * (a - t) / 2,
    "logistic": lambda t, a, exp, log: log(1 + exp(a)) - t * a,
}


@pytest.fixture(scope="session")
def mean_error():
    """A function for (2) in plain NumPy, for real and complex weights or, by other functions, those of mpmath."""

    def E(x, t, w, v, output="softmax", hidden="sigmoid", exp=np.exp, log=np.log, real=np.real):
        one = np.ones((len(x), 1))
        z = H[hidden](np.dot(np.hstack([x, one]), w.T), exp, real)
        return ERRORS[output](t, np.dot(np.hstack([z, one]), v.T), exp, log).sum() / len(x)

    return E


@pytest.fixture(scope="session")
def complex_step(mean_error):
    """Functions for one derivative and for all: Im E(w + i size) / size, in which nothing cancels."""

    def derivative(layer, place, x, t, w, v, output, hidden, size=1e-30, **arithmetic):
        weights = [w, v]
        weights[layer] = weights[layer].astype(object if arithmetic else complex)
        weights[layer][place] += 1j * size
        return float(mean_error(x, t, *weights, output, hidden, **arithmetic).imag / size)

    def gradient(x, t, w, v, output, hidden):
        every = (
            [derivative(layer, place, x, t, w, v, output, hidden) for place in np.ndindex(weights.shape)]
            for layer, weights in enumerate((w, v))
        )
        return [np.reshape(derivatives, weights.shape) for derivatives, weights in zip(every, (w, v), strict=True)]

    return derivative, gradient


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {  # the same numbers
    "list": np.ndarray.tolist,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "fortran": np.asfortranarray,
    "backwards": lambda array: array[::-1].copy()[::-1],
    "read-only": read_only,
    "swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "misaligned": lambda array: np.frombuffer(b"0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape),
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS.keys())
def layout(request):
    """A function that gives an array another layout in memory."""
    return request.param


def memory_at(offset, size):
    """`size` bytes that start `offset` bytes past a multiple of 64."""
    memory = np.empty(size + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + size]


@pytest.fixture
def displaced():
    """A function that copies an array to `offset` bytes past a multiple of 64, rounded down to whole numbers."""

    def copy_to(array, offset):
        memory = memory_at(offset - offset % array.itemsize, array.nbytes)
        copy = memory.view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    return copy_to


@pytest.fixture
def out_of_band():
    """A function that pickles an object and restores it from read-only memory `offset` bytes past a multiple of 64."""

    def restored(thing, offset):
        buffers, places = [], []
        data = pickle.dumps(thing, 5, buffer_callback=buffers.append)
        for raw in (buffer.raw() for buffer in buffers):
            places.append(memory_at(offset, raw.nbytes))
            places[-1][:] = np.frombuffer(raw, np.uint8)
        return pickle.loads(data, buffers=[memoryview(place).toreadonly() for place in places])

    return restored


@pytest.fixture
def python(tmp_path):
    """A function that runs code in a new interpreter with the same cbackprop; the completed process."""

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
def shell(tmp_path):
    """A function that runs commands, in which `python` is this one, in a new folder; what they print."""

    def run(commands):
        paths = {"PATH": [str(Path(sys.executable).parent), os.environ["PATH"]]}
        paths["PYTHONPATH"] = [str(Path(cbackprop.__file__).parents[1])]
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=tmp_path,
            env=os.environ | {name: os.pathsep.join(folders) for name, folders in paths.items()},
            capture_output=True,
            encoding="utf-8",
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def run_page(tmp_path, shell):
    """A function that writes the files of a page of the docs and runs its commands, which print what it says."""

    def run(page):
        path = Path(__file__).parents[1] / "docs" / page
        if not path.exists():
            pytest.skip("an installed package has no pages")
        text, flags = path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        for name, code in re.findall(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", text, flags):
            (tmp_path / name).write_text(code, encoding="utf-8")
        commands = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", text, flags)
        assert len(commands) == text.count("\n```sh\n")
        for command, printed in commands:
            assert shell(command) == printed

    return run


@pytest.fixture
def interrupt():
    """A function that calls another one, with KeyboardInterrupt at the n-th opcode of cbackprop's functions `names`.

    Without names, those of all its functions count. Returns whether there was an n-th. Python handles signals at some
    opcodes, which differ by version; a tracer can raise at each of them.
    """

    def run(n, names, call, *arguments):
        seen = 0

        def trace(frame, event, argument):
            nonlocal seen
            ours = frame.f_globals.get("__name__", "").startswith("cbackprop.")
            if not ours or (names and frame.f_code.co_name not in names):
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
    """A function that calls another one in a second thread; its result."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda *call: pool.submit(*call).result()
