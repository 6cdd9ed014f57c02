"""The NumPy reference: the same public functions as `cbackprop`, and none of its compiled kernels.

That it raises the same errors is in test_validation.py, that training matches in test_training.py.
"""

import ast
import inspect
import types

import numpy as np
import pytest

import cbackprop
from cbackprop import Activations, reference

FUNCTIONS = sorted(
    name for name in cbackprop.__all__ if inspect.isfunction(getattr(cbackprop, name)) and name != "kernel_info"
)


def test_public_functions():
    assert FUNCTIONS == ["fit", "forward", "gradient", "init_weights", "loss", "numerical_gradient", "step"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_agree(name):
    ours, others = (inspect.signature(getattr(module, name)).parameters for module in (cbackprop, reference))
    left_out = {"method", "n_threads", "callback", "checkpoint", "checkpoint_every", "resume"}
    assert list(others) == [name for name in ours if name not in left_out]
    for name, other in others.items():
        assert (other.kind, other.default) == (ours[name].kind, ours[name].default)


SIGNATURES = {
    "init_weights": "n_inputs n_hidden n_outputs *hidden *dtype *order *rng",
    "forward": "x w v *output *hidden *n_threads",
    "loss": "x t w v *output *hidden",
    "gradient": "x t w v *output *hidden",
    "numerical_gradient": "x t w v *output *hidden *epsilon *scheme",
    "step": "x_n t_n w v learning_rate *sample_weight *accumulators *output *hidden",
    "fit": "x t w v *output *hidden *learning_rate *epochs *batch_size *shuffle *rng *method *n_threads *callback "
    "*sample_weight *l2 *momentum *velocity *adaptive *accumulators *checkpoint *checkpoint_every *resume",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_names_of_arguments(name):
    parameters = inspect.signature(getattr(cbackprop, name)).parameters.values()
    written = [("*" if parameter.kind is parameter.KEYWORD_ONLY else "") + parameter.name for parameter in parameters]
    assert written == SIGNATURES[name].split()


def test_defaults():
    def defaults(name):
        parameters = inspect.signature(getattr(cbackprop, name)).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not each.empty}

    functions = {"output": "softmax", "hidden": "sigmoid"}
    assert defaults("fit") == functions | {
        "learning_rate": 0.1,
        "epochs": 1,
        "batch_size": 1,
        "shuffle": True,
        "rng": None,
        "method": "auto",
        "n_threads": 1,
        "callback": None,
        "sample_weight": None,
        "l2": 0.0,
        "momentum": 0.0,
        "velocity": None,
        "adaptive": False,
        "accumulators": None,
        "checkpoint": None,
        "checkpoint_every": 1,
        "resume": False,
    }
    assert defaults("init_weights") == {"hidden": "sigmoid", "dtype": np.float64, "order": "C", "rng": None}
    assert defaults("numerical_gradient") == functions | {"epsilon": None, "scheme": "central"}


def test_imports_are_numpy_and_modules_without_mathematics():
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(reference))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module} if node.module else {alias.name for alias in node.names}
    without_mathematics = {"_catalog", "_differences", "_results", "_settings", "_sparse", "_validation"}
    assert imported <= {"typing", "numpy", "numpy.typing", *without_mathematics}
    for value in vars(reference).values():
        if isinstance(value, types.FunctionType):
            assert value.__module__ == "cbackprop.reference"


def test_results_without_kernels_are_the_same(monkeypatch):
    x, t = np.eye(3), [0, 1, 0]

    def results():
        w, v = reference.init_weights(3, 4, 2, rng=0)
        arrays = [*reference.forward(x, w, v), *reference.gradient(x, t, w, v)]
        for scheme in ("central", "forward", "complex"):
            arrays += reference.numerical_gradient(x, t, w, v, scheme=scheme)
        numbers = [reference.loss(x, t, w, v), reference.step(x[0], t[0], w, v, 0.1)]
        numbers += reference.fit(x, t, w, v, rng=0, momentum=0.5).losses
        return numbers, [array.tobytes() for array in (*arrays, w, v)]

    wanted = results()
    monkeypatch.setattr("cbackprop._dispatch._MODULES", {})
    with pytest.raises(KeyError):
        cbackprop.forward(x, *reference.init_weights(3, 4, 2))
    assert results() == wanted


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 65, 200])  # in few and in many, by both engines
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (5, 7, 3), (17, 33, 18), (31, 100, 2)])
def test_forward(variant, dtype, shape, samples):
    D, M, K = shape
    rng = np.random.default_rng([*shape, samples])
    x, w, v = (rng.normal(size=size).astype(dtype) for size in ((samples, D), (M, D + 1), (K, M + 1)))
    got, wanted = cbackprop.forward(x, w, v), reference.forward(x, w, v)
    assert isinstance(got, Activations)
    assert got._fields == ("y", "a", "z", "b")
    # sums of D + 1 and M + 1 terms of order 1; the errors of the first enter the second
    bound = 4 * (D + M) * np.finfo(dtype).eps
    for name in got._fields:
        ours, other = getattr(got, name), getattr(wanted, name)
        assert ours.dtype == other.dtype == dtype
        assert ours.shape == (samples, M if name in "zb" else K)
        np.testing.assert_allclose(ours, other, rtol=0, atol=bound)
    np.testing.assert_allclose(got.y.sum(axis=1), 1, rtol=K * np.finfo(dtype).eps)
    t = rng.integers(K, size=samples)
    loss = reference.loss(x, t, w, v)
    assert cbackprop.loss(x, t, w, v) == pytest.approx(loss, rel=float(bound), abs=float(bound))
    np.testing.assert_allclose(loss, -np.log(wanted.y[np.arange(samples), t].astype(float)).mean(), atol=4 * bound)


@pytest.mark.parametrize("shape", [(2, 3, 3), (5, 7, 3), (17, 33, 18)])
def test_forward_has_the_same_bits_on_any_number_of_threads(variant, forced_threads, dtype, shape):
    D, M, K = shape
    rng = np.random.default_rng(0)
    x, w, v = (rng.normal(size=size).astype(dtype) for size in ((203, D), (M, D + 1), (K, M + 1)))
    network = cbackprop.Network.from_weights(w, v)
    alone = cbackprop.forward(x, w, v)
    for n_threads in (2, 3, 7):
        for ours, wanted in zip(cbackprop.forward(x, w, v, n_threads=n_threads), alone, strict=True):
            np.testing.assert_array_equal(ours, wanted)
        np.testing.assert_array_equal(network.predict_proba(x, n_threads=n_threads), alone.y)
        np.testing.assert_array_equal(network.predict(x, n_threads=n_threads), alone.a.argmax(axis=1))


def test_results_belong_to_the_caller(variant, dtype):
    # new arrays at each call, to which nothing else writes
    w, v = cbackprop.init_weights(3, 8, 2, dtype=dtype, rng=0)
    x, t = np.ones((20, 3), dtype), np.zeros(20, int)
    first = [*cbackprop.forward(x, w, v), *cbackprop.gradient(x, t, w, v)]
    kept = [array.copy() for array in first]
    second = [*cbackprop.forward(x * 2, w, v), *cbackprop.gradient(x * 2, t, w, v)]
    for one, other, copy in zip(first, second, kept, strict=True):
        assert not np.shares_memory(one, other)
        np.testing.assert_array_equal(one, copy)
        assert one.flags.c_contiguous
        assert one.flags.writeable


# ----------------------------------------------------------------------------------------------------- initial weights


def test_initial_weights_are_glorot_uniform(library, dtype):
    D, M, K = 60, 300, 200
    w, v = library.init_weights(D, M, K, dtype=dtype, rng=0)
    assert (w.shape, v.shape) == ((M, D + 1), (K, M + 1))
    assert w.dtype == v.dtype == dtype
    assert not w[:, -1].any()  # biases
    assert not v[:, -1].any()
    for weights, bound in ((w[:, :-1], 4 * np.sqrt(6 / (D + M))), (v[:, :-1], np.sqrt(6 / (M + K)))):
        assert np.abs(weights).max() <= bound * (1 + np.finfo(dtype).eps)
        assert np.abs(weights).max() > 0.999 * bound
        # uniform: mean 0 and standard deviation bound / sqrt(3), by five times the error of such an estimate
        assert abs(weights.mean()) < 5 * bound / np.sqrt(3 * weights.size)
        assert weights.std() == pytest.approx(bound / np.sqrt(3), rel=5 / np.sqrt(2 * weights.size))


def test_initial_weights_by_seed(library):
    def draw(rng, **keywords):
        return b"".join(array.tobytes() for array in library.init_weights(3, 4, 2, rng=rng, **keywords))

    assert draw(1) == draw(1) == draw(np.random.default_rng(1)) == draw(np.int64(1))
    assert draw(1) != draw(2)
    assert draw(None) != draw(None)
    generator = np.random.default_rng(1)
    assert draw(generator) != draw(generator)  # its state advances
    # both precisions are the same numbers, rounded
    np.testing.assert_array_equal(
        library.init_weights(3, 4, 2, rng=1)[0].astype(np.float32),
        library.init_weights(3, 4, 2, rng=1, dtype=np.float32)[0],
    )


def test_initial_weights_are_those_of_the_reference(variant):
    for ours, other in zip(cbackprop.init_weights(5, 6, 7, rng=3), reference.init_weights(5, 6, 7, rng=3), strict=True):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize("given", ["float32", np.float32, np.dtype("f4"), "=f4"])
def test_dtype_may_be_anything_numpy_accepts(library, given):
    w, v = library.init_weights(np.int8(2), 3, np.uint64(2), dtype=given)
    assert w.dtype == v.dtype == np.float32
    assert w.flags.c_contiguous
    assert v.flags.c_contiguous
    assert not np.shares_memory(w, v)
