"""The exported C: it compiles without warnings, computes what the library does, refuses the same, and comes back."""

import ctypes
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cbackprop import DivergenceError, Ensemble, Network, export_c, reference
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop.kernels import baseline_float64 as kernels

C99 = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wconversion", "-Wdouble-promotion"]
COMPILERS = [] if os.name == "nt" else [os.environ.get("CC", ""), "cc", "gcc", "clang"]
COMPILER = next(filter(shutil.which, COMPILERS), None)
EXAMPLE = Path(__file__).parents[1] / "examples" / "cortex_m4"

SIZES = {"small": (13, 9, 3), "one": (1, 1, 1), "many": (6, 17, 7)}  # "one" for outputs of which there may be one


class Case(NamedTuple):
    """A network to export."""

    output: str
    hidden: str
    dtype: str
    adaptive: bool
    sizes: str

    @property
    def name(self):
        return "_".join([*self[:3], "adaptive" if self.adaptive else "constant", self.sizes])

    @property
    def real(self):
        return "float" if self.dtype == "float32" else "double"

    def network(self):
        output, hidden, dtype, adaptive, sizes = self
        network = Network(
            *SIZES[sizes], output=output, hidden=hidden, dtype=dtype, adaptive=adaptive, learning_rate=0.1, rng=1
        )
        if adaptive:
            for array in network.accumulators:
                array[:] = np.linspace(0, 0.3, len(array))
        return network


DTYPES = ("float32", "float64")
CASES = [
    *(Case(*case, "small") for case in itertools.product(OUTPUTS, HIDDEN_FUNCTIONS, DTYPES, (False, True))),
    *(Case(output, "sigmoid", "float64", True, "one") for output in ("linear", "logistic")),
    *(Case(output, "tanh", "float64", True, "many") for output in OUTPUTS),
]
EXACT = [case for case in CASES if case.dtype == "float64" and case.sizes != "many"]


class Exported:
    """The functions of an exported network, and its state."""

    def __init__(self, library, case):
        self.library, self.case, self.dtype = library, case, np.dtype(case.dtype)
        self.real = ctypes.c_float if self.dtype == np.float32 else ctypes.c_double
        D, M, K = SIZES[case.sizes]
        shapes = {"w": (M, D + 1), "v": (K, M + 1)} | ({"s_w": (M,), "s_v": (K,)} if case.adaptive else {})
        self.state = {
            name: np.ctypeslib.as_array((self.real * int(np.prod(shape))).in_dll(library, f"{case.name}_{name}"))
            for name, shape in shapes.items()
        }
        self.state = {name: array.reshape(shapes[name]) for name, array in self.state.items()}

    def set(self, network):
        for name, array in state_of(network).items():
            self.state[name][...] = array

    def function(self, name, result):
        function = getattr(self.library, f"{self.case.name}_{name}")
        function.restype = result
        return function

    def pointer(self, numbers):
        return np.ascontiguousarray(numbers, self.dtype).ctypes.data_as(ctypes.POINTER(self.real))

    def predict(self, x):
        y = np.zeros(SIZES[self.case.sizes][2], self.dtype)
        self.function("predict", None)(self.pointer(x), self.pointer(y))
        return y

    def learn(self, x, t, rate=0.1):
        return self.function("learn", self.real)(self.pointer(x), self.pointer(t), self.real(rate))

    def save(self):
        buffer = ctypes.create_string_buffer(10_000)
        size = self.function("save", ctypes.c_size_t)(buffer)
        return buffer.raw[:size]


def state_of(network):
    arrays = {"w": network.w, "v": network.v}
    return arrays | dict(zip(("s_w", "s_v"), network.accumulators or (), strict=False))


def in_rows(network):
    """The same network on C-ordered copies, with which `learn_one` is the direct engine."""
    return Network.from_weights(
        network.w.copy("C"),
        network.v.copy("C"),
        learning_rate=network.learning_rate,
        accumulators=network.accumulators and tuple(array.copy() for array in network.accumulators),
        **network.functions._asdict(),
    )


def define(names):
    """C that includes headers, twice, and defines their networks: many in one program."""
    includes = "".join(f'#include "{name}.h"\n' for name in names)
    return includes + "".join(f"#define {name.upper()}_IMPLEMENTATION\n" for name in names) + includes


@pytest.fixture(scope="session")
def headers(tmp_path_factory):
    """A folder with the headers of all cases, and files that define them."""
    folder = tmp_path_factory.mktemp("export")
    for case in CASES:
        export_c(case.network(), folder / f"{case.name}.h", name=case.name)
        if not case.adaptive:
            export_c(case.network(), folder / f"{case.name}_fixed.h", name=f"{case.name}_fixed", predict_only=True)
    names = sorted(path.stem for path in folder.glob("*.h"))
    for suffix in ("c", "cpp"):
        (folder / f"all.{suffix}").write_text(define(names))
    return folder


def compile_file(compiler, *arguments):
    if not (compiler and shutil.which(compiler)):
        pytest.skip(f"no compiler {compiler or 'of C'}")
    done = subprocess.run([compiler, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]


def load_all(folder):
    """The networks of `all.c` of a folder."""
    path = folder / "all.so"
    compile_file(COMPILER, *C99, "-O1", "-shared", "-fPIC", "-o", path, folder / "all.c", "-lm")
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="session")
def library(headers):
    return load_all(headers)


@pytest.fixture
def exported(request, library):
    """An exported network as it was, and its case."""
    result = Exported(library, request.param)
    result.set(request.param.network())
    return result


def each(cases):
    return pytest.mark.parametrize("exported", cases, indirect=True, ids=[case.name for case in cases])


def samples(case, targets, N, seed=0):
    D, _, K = SIZES[case.sizes]
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, D)).astype(case.dtype), targets(case.output, N, K, case.dtype, rng)


@pytest.mark.parametrize(("compiler", "suffix"), [("clang", "c"), ("c++", "cpp"), ("clang++", "cpp")])
def test_compiles_without_warnings(headers, compiler, suffix):
    standard = C99 if suffix == "c" else ["-std=c++17", *C99[1:]]
    compile_file(compiler, *standard, "-fsyntax-only", headers / f"all.{suffix}")


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or kernels.LANES_IN_REGISTER != 2,
    reason="the baseline kernels have another order of sums here, or fuse products and sums",
)
@each(EXACT)
def test_learns_with_the_bits_of_the_direct_engine(exported, use_variant, targets):
    use_variant("baseline")
    network = in_rows(exported.case.network())
    for x_n, t_n in zip(*samples(exported.case, targets, 300), strict=True):
        y = network.predict_one(x_n) if exported.case.output == "linear" else network.predict_proba_one(x_n)
        np.testing.assert_array_equal(exported.predict(x_n), np.atleast_1d(y))
        assert exported.learn(x_n, t_n) == network.learn_one(x_n, t_n)
    for name, array in state_of(network).items():
        np.testing.assert_array_equal(exported.state[name], array, name)


STANDARDIZED = [
    Case(output, "tanh", *case, "small") for output, *case in itertools.product(OUTPUTS, DTYPES, (False, True))
]


@pytest.fixture(scope="session")
def standardized(tmp_path_factory, targets):
    """Networks that have seen 50 of 200 samples, x and t, by their names; and their exports."""
    folder, learned = tmp_path_factory.mktemp("standardized"), {}
    for case in STANDARDIZED:
        output, hidden, dtype, adaptive, _ = case
        settings = {"output": output, "hidden": hidden, "dtype": dtype, "adaptive": adaptive}
        settings["missing"] = "mean" if adaptive else "error"
        network = Network(*SIZES["small"], **settings, standardize=True, learning_rate=0.02, rng=1)
        x, t = samples(case, targets, 200)
        x = (x * [500, 1, *[1e-3] * 11] + [101325, 0, *[7] * 11]).astype(dtype)
        x[100:, 4] *= 1e5  # limited
        if output == "linear":
            t = (1000 * t + 5000).astype(dtype)
        network.fit(x[:50], t[:50], shuffle=False)
        for name, predict_only in ((case.name, False), (f"{case.name}_fixed", True)):
            export_c(network, folder / f"{name}.h", name=name, predict_only=predict_only)
        learned[case.name] = network, x, t
    (folder / "all.c").write_text(define(sorted(path.stem for path in folder.glob("*.h"))))
    return learned, load_all(folder)


@pytest.mark.parametrize("case", STANDARDIZED, ids=[case.name for case in STANDARDIZED])
def test_goes_on_with_running_statistics(standardized, case):
    """Those of inputs and linear targets, in float64 whatever the dtype; a sample that is refused leaves them."""
    learned, library = standardized
    (network, x, t), exported = learned[case.name], Exported(library, case)
    output, _, dtype, adaptive, _ = case
    missing = "mean" if adaptive else "error"
    predict = network.predict_one if output == "linear" else network.predict_proba_one
    if missing == "mean":
        x[50::3, 1] = np.nan
    bound = 1e-3 if dtype == "float32" else 1e-10  # rounding, which tanh amplifies from update to update
    for x_n, t_n in zip(x[50:], t[50:], strict=True):
        np.testing.assert_allclose(exported.predict(x_n), predict(x_n), rtol=bound, atol=bound)
        assert exported.learn(x_n, t_n, 0.02) == pytest.approx(network.learn_one(x_n, t_n), rel=bound, abs=bound)
    saved = exported.save()
    wrong = [
        (np.where(np.arange(13) == 5, number, x[1]), t[1]) for number in [np.inf] + [np.nan] * (missing == "error")
    ]
    for x_n, t_n in [*wrong, (x[1], t[1] * np.nan)]:
        assert np.isnan(exported.learn(x_n, t_n, 0.02))
        assert exported.save() == saved
    again = Network.load(saved)
    assert repr(again) == repr(network)
    for found, wanted in zip(again._standardization.statistics, network._standardization.statistics, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    np.testing.assert_allclose(again.w, network.w, rtol=bound, atol=bound)


LONG = [case for case in CASES if case.hidden == "sigmoid" and case.sizes == "small" and not case.adaptive]
LONG += [case for case in CASES if case[:2] == ("softmax", "sigmoid") and case.sizes == "small" and case.adaptive]
LONG = [pytest.param(case, 10_000, marks=pytest.mark.slow, id=f"{case.name}-10000") for case in LONG]


@pytest.mark.parametrize(
    ("exported", "N"), [*(pytest.param(case, 100, id=case.name) for case in CASES), *LONG], indirect=["exported"]
)
def test_agrees_with_library_and_reference(exported, targets, N):
    # rounding, in float32 after some hundred operations; tanh and ReLU amplify it from update to update
    case = exported.case
    bound = 1e-6 if case.dtype == "float32" else 1e-14
    network = case.network()
    w, v = network.w.copy("C"), network.v.copy("C")
    accumulators = network.accumulators and tuple(array.copy() for array in network.accumulators)
    names = network.functions._asdict()
    x, t = samples(case, targets, N)
    predicted = np.array([exported.predict(x_n) for x_n in x[:100]])
    predict = network.predict if case.output == "linear" else network.predict_proba
    for y in (predict(x[:100]), reference.forward(x[:100], w, v, **names).y):
        np.testing.assert_allclose(predicted, y.reshape(predicted.shape), rtol=bound, atol=bound)
    rule = {"learning_rate": 0.1, "shuffle": False, "adaptive": case.adaptive, "accumulators": accumulators}
    (mean_loss,) = reference.fit(x, t, w, v, **rule, **names).losses
    ours, theirs = (
        [learn(*sample) for sample in zip(x, t, strict=True)] for learn in (exported.learn, network.learn_one)
    )
    np.testing.assert_allclose(ours, theirs, rtol=100 * bound, atol=100 * bound)
    assert np.mean(ours) == pytest.approx(mean_loss, rel=100 * bound)
    wanted = {"w": w, "v": v} | dict(zip(("s_w", "s_v"), accumulators or (), strict=False))
    for arrays in (wanted, state_of(network)):
        for name, array in arrays.items():
            np.testing.assert_allclose(exported.state[name], array, rtol=100 * bound, atol=100 * bound)


SOME = [case for case in CASES if case.sizes == "small" and case.hidden == "tanh"]


@each(SOME)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_change_nothing(exported, targets, value):
    (x,), (t,) = samples(exported.case, targets, 1)
    before = exported.save()
    for bad in (0, len(x) - 1):
        x_bad = np.where(np.arange(len(x)) == bad, value, x)
        assert np.isnan(exported.predict(x_bad)).all()
        assert np.isnan(exported.learn(x_bad, t))
    for bad in (0, len(t) - 1):
        assert np.isnan(exported.learn(x, np.where(np.arange(len(t)) == bad, value, t)))
    assert np.isnan(exported.learn(x, t, value))
    assert exported.save() == before
    assert exported.learn(x, t) > 0
    assert exported.save() != before


LARGE = {  # what multiplies x, t, w and v, and the rate: powers of a number near the largest
    "the rate": (0, 0, 0, 0, 1),
    "the inputs": (1, 0, 0, 0, 0),
    "inputs and rate": (0.6, 0, 0, 0, 0.6),
    "the hidden error": (0, 0, 0, 0.97, 0),
    "the output error": (0, 0, 0, -1, 1),
    "nothing": (0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("powers", LARGE.values(), ids=LARGE)
@each([case for case in CASES if case.output != "logistic" and (case.hidden, case.sizes) == ("sigmoid", "small")])
def test_updates_that_diverge_change_nothing(exported, targets, powers):
    case = exported.case
    (x,), (t,) = samples(case, targets, 1)
    largest = 1e38 if case.dtype == "float32" else 1e307
    factors = (largest ** np.array(powers)).astype(case.dtype)
    x, t, network = factors[0] * x, factors[1] * t, in_rows(case.network())
    network.w[...] *= factors[2]
    network.v[...] *= factors[3]
    network.learning_rate = float(factors[4])
    exported.set(network)
    before = exported.save()
    try:
        E_n = network.learn_one(x, t)
    except (DivergenceError, ValueError):
        E_n = np.nan
    np.testing.assert_allclose(exported.learn(x, t, network.learning_rate), E_n, rtol=1e-5)
    assert (exported.save() == before) == np.isnan(E_n)
    if powers == LARGE["nothing"]:
        assert np.isfinite(E_n)


@each([Case("softmax", "sigmoid", "float64", False, "small")])
def test_a_class_with_a_target_of_0_adds_nothing(exported):
    # although the difference of its logit from the largest, by which the target is multiplied, is infinite
    network = in_rows(exported.case.network())
    network.v[...] = 0
    network.v[:, -1] = [1e308, -1e308, 9e307]
    network.learning_rate = 1e-300
    exported.set(network)
    E_n = network.learn_one(np.ones(13), [0, 0, 1])
    assert exported.learn(np.ones(13), [0, 0, 1], 1e-300) == E_n == pytest.approx(1e307)


@each([Case(output, "sigmoid", "float64", False, "small") for output in OUTPUTS])
def test_outputs_are_nan_if_a_sum_overflows(exported, targets):
    (x,), (t,) = samples(exported.case, targets, 1)
    exported.state["v"][1] = 1.7e308
    before = exported.save()
    assert np.isnan(exported.predict(x)).all()
    assert np.isnan(exported.learn(x, t))
    assert exported.save() == before


def parts(content):
    """The header of a safetensors file, whose names have no order, and the numbers."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


@each(CASES)
def test_saves_the_file_of_the_library_and_comes_back(exported, targets, tmp_path):
    case, path = exported.case, tmp_path / "model.safetensors"
    case.network().save(path)
    assert parts(exported.save()) == parts(path.read_bytes())
    x, t = samples(case, targets, 20)
    for x_n, t_n in zip(x, t, strict=True):
        exported.learn(x_n, t_n)
    path.write_bytes(exported.save())
    network = Network.load(path)
    assert repr(network) == repr(case.network())
    for name, array in state_of(network).items():
        np.testing.assert_array_equal(exported.state[name], array, name)
    network.learn_one(x[0], t[0])


@each([case for case in CASES if not case.adaptive and case.sizes == "small"])
def test_predict_only_predicts_the_same(exported, library, headers, targets):
    x, _ = samples(exported.case, targets, 10)
    fixed = Exported(library, exported.case)
    fixed.function = lambda name, result: exported.function(f"fixed_{name}", result)
    for x_n in x:
        np.testing.assert_array_equal(fixed.predict(x_n), exported.predict(x_n))
    text = (headers / f"{exported.case.name}_fixed.h").read_text()
    assert f"extern const {exported.case.real} {exported.case.name}" in text
    assert not re.search("_learn|_save|_log1p|sqrt", text)


def fuzz(path, case):
    """Learn from numbers of any size, most of them finite, with weights of any size in half of the rounds."""
    exported, rng, (D, _, K) = Exported(ctypes.CDLL(str(path)), case), np.random.default_rng(0), SIZES[case.sizes]

    def draw(size, any_number=False):
        numbers = np.frombuffer(rng.bytes(4 * size * exported.dtype.itemsize), exported.dtype)
        return numbers[:size] if any_number else numbers[np.isfinite(numbers)][:size]

    for n in range(300):
        for name in "wv":
            numbers = exported.state[name]
            numbers[...] = (rng.normal(size=numbers.size) if n % 2 else draw(numbers.size)).reshape(numbers.shape)
        x, t, (rate,) = (draw(size, n % 3 == 0) for size in (D, K, 1))
        before = exported.save()
        exported.predict(x)
        E_n = exported.learn(x, t, rate)
        assert not np.isinf(E_n), n
        assert np.isnan(E_n) or np.isfinite([*x, *t, rate]).all(), n
        assert exported.save() == before or not np.isnan(E_n), n
        assert all(np.isfinite(exported.state[name]).all() for name in "wv"), n


def test_any_numbers_are_defined_and_leave_weights_finite(headers):
    cases = [case for case in CASES if case.adaptive == (case.dtype == "float64") and case.sizes == "small"]
    trap = ["-fsanitize=undefined,float-divide-by-zero,float-cast-overflow", "-fsanitize-undefined-trap-on-error"]
    (headers / "fuzz.c").write_text(define([case.name for case in cases]))
    compile_file(COMPILER, "-O1", *trap, "-shared", "-fPIC", "-o", headers / "fuzz.so", headers / "fuzz.c", "-lm")
    with ProcessPoolExecutor(1, get_context("fork")) as process:  # which a trap would end
        for case in cases:
            process.submit(fuzz, headers / "fuzz.so", case).result()


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponential_and_logarithm(headers, dtype):
    mpmath = pytest.importorskip("mpmath")
    softmax, tanh = Case("softmax", "sigmoid", dtype, False, "small"), Case("linear", "tanh", dtype, False, "small")
    functions = {"exp": f"{softmax.name}_exp", "log1p": f"{softmax.name}_log1p", "tanh": f"{tanh.name}_h"}
    path, T = headers / f"elementary_{dtype}.c", softmax.real
    calls = (f"{T} test_{name}({T} x);\n{T} test_{name}({T} x) {{ return {f}(x); }}\n" for name, f in functions.items())
    path.write_text(define([softmax.name, tanh.name]) + "".join(calls))
    compile_file(COMPILER, "-std=c99", "-O1", "-shared", "-fPIC", "-o", path.with_suffix(".so"), path, "-lm")
    compiled = ctypes.CDLL(str(path.with_suffix(".so")))
    rng = np.random.default_rng(0)
    small, limit = 2.0 ** rng.uniform(-60, 0, 500), 87 if dtype == "float32" else 708
    arguments = {
        "exp": np.concatenate([rng.uniform(-limit, limit, 2000), small, -small, [0]]),
        "log1p": np.concatenate([rng.uniform(0, 3, 2000), small, 2.0 ** rng.uniform(0, 20, 500), [0]]),
        "tanh": np.concatenate([rng.normal(0, 3, 2000), small, -small, [0, 30, -700]]),
    }
    for name, x in arguments.items():
        function = getattr(compiled, f"test_{name}")
        function.argtypes, function.restype = [c := np.ctypeslib.as_ctypes_type(dtype)], c
        x = x.astype(dtype)
        with mpmath.workdps(40):
            for x_n in x.tolist():
                wanted = getattr(mpmath, name)(x_n)
                ulp = float(np.spacing(np.dtype(dtype).type(abs(float(wanted)))))
                assert abs(function(x_n) - wanted) <= 4 * ulp, (name, x_n)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": Ensemble(2, 3, 2, learning_rates=[0.1, 0.2])}, TypeError, r"Ensemble.* ensemble\[r\]"),
        ({"network": None}, TypeError, "NoneType"),
        ({"name": "2nd"}, ValueError, "'2nd'; it must be a C identifier"),
        ({"name": "größe"}, ValueError, "identifier"),
        ({"name": "a b"}, ValueError, "identifier"),
        ({"name": "a__b"}, ValueError, "single underscores"),
        ({"name": "_a"}, ValueError, "identifier"),
        ({"name": ""}, ValueError, "identifier"),
        ({"name": "a\n"}, ValueError, "identifier"),
        ({"name": "while"}, ValueError, "no keyword"),
        ({"name": "class"}, ValueError, "no keyword"),
        ({"name": 1}, TypeError, "name is 1"),
        ({"predict_only": 1}, TypeError, "predict_only is 1; it must be True or False"),
        ({"path": "no/such/folder.h"}, FileNotFoundError, "its folder does not exist"),
        ({"path": "."}, IsADirectoryError, "a folder"),
        ({"path": 1.5}, TypeError, "path"),
    ],
)
def test_bad_arguments_write_nothing(tmp_path, monkeypatch, change, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        export_c(**{"network": Network(2, 3, 2, rng=0), "path": "network.h"} | change)
    assert list(tmp_path.iterdir()) == []


def test_the_same_network_gives_the_same_bytes(tmp_path):
    # in safetensors, the names of a header have another order at every call
    for name in "ab":
        export_c(Network(2, 3, 2, rng=0), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("predict_only", [False, True])
def test_weights_that_are_not_finite_are_refused(tmp_path, predict_only):
    network, path = Network(2, 3, 2, rng=0), tmp_path / "network.h"
    path.write_text("old")
    network.v[1, 2] = np.inf
    with pytest.raises(ValueError, match=r"v\[1, 2\] is inf; weights must be finite"):
        export_c(network, path, predict_only=predict_only)
    assert path.read_text() == "old"


def test_guide_prints_what_it_says(run_page):
    if not shutil.which("cc"):
        pytest.skip("no compiler cc")
    run_page("guides/device.md")


@pytest.mark.skipif(not EXAMPLE.exists(), reason="an installed package has no examples")
def test_a_microcontroller_learns(tmp_path, shell):
    tools = {"make": "make", "arm-none-eabi-gcc": "gcc-arm-none-eabi", "qemu-system-arm": "qemu-system-arm"}
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    find = ["arm-none-eabi-gcc", "-print-file-name=picolibc.specs"]
    if missing or subprocess.run(find, capture_output=True, text=True).stdout.strip() == "picolibc.specs":
        pytest.skip(f"needs {', '.join(missing) or 'picolibc-arm-none-eabi'}")
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    printed = shell("make run 2>&1; make table")  # QEMU prints to standard error
    before, after = map(float, re.search(r"predictions: ([\d.]+) before learning, ([\d.]+) after", printed).groups())
    assert after < before / 5
    # what the guide says, but for another version of the compiler
    row = re.search(r"exported C, float \| ([\d.]+) kB \| ([\d.]+) kB \| ([\d,]+) \|", printed)
    flash, memory, instructions = (float(number.replace(",", "")) for number in row.groups())
    assert memory == 1.7  # the weights
    assert memory + 0.5 < flash < 3.5
    assert 5_000 < instructions < 10_000


@pytest.mark.skipif(not EXAMPLE.exists(), reason="an installed package has no examples")
def test_the_table_of_the_guide_is_what_the_example_prints():
    text = (EXAMPLE.parents[1] / "docs/guides/device.md").read_text(encoding="utf-8")
    source = (EXAMPLE / "table.py").read_text(encoding="utf-8")
    assert re.search(r'print\("(\| \|.*)"\)', source)[1] in text
    assert re.findall(r": \"(.*, \w+)\"", source) == re.findall(r"^\| (\w+.*?, \w+) \|", text, re.M)
