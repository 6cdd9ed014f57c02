"""The NumPy reference: the same public functions as `cbackprop`, and none of its compiled kernels.

That training matches is in test_training.py.
"""

import ast
import inspect
import types

import numpy as np
import pytest

import cbackprop
from cbackprop import Activations, reference

SIGNATURES = {
    "init_weights": "n_inputs, n_hidden, n_outputs, *, hidden='sigmoid', dtype=<class 'numpy.float64'>, order='C', "
    "rng=None",
    "forward": "x, w, v, *, output='softmax', hidden='sigmoid', n_threads=1",
    "loss": "x, t, w, v, *, output='softmax', hidden='sigmoid'",
    "gradient": "x, t, w, v, *, output='softmax', hidden='sigmoid'",
    "numerical_gradient": "x, t, w, v, *, output='softmax', hidden='sigmoid', epsilon=None, scheme='central'",
    "step": "x_n, t_n, w, v, learning_rate, *, sample_weight=1.0, accumulators=None, output='softmax', "
    "hidden='sigmoid'",
    "fit": "x, t, w, v, *, output='softmax', hidden='sigmoid', learning_rate=0.1, epochs=1, batch_size=1, "
    "shuffle=True, rng=None, method='auto', n_threads=1, callback=None, sample_weight=None, l2=0.0, momentum=0.0, "
    "velocity=None, adaptive=False, accumulators=None, checkpoint=None, checkpoint_every=1, resume=False",
}
LEFT_OUT = ("method", "n_threads", "callback", "checkpoint", "checkpoint_every", "resume")  # by the reference


def signature(function, without=()):
    parameters = inspect.signature(function).parameters.values()
    kept = [each.replace(annotation=each.empty) for each in parameters if each.name not in without]
    return str(inspect.Signature(kept))[1:-1]


def test_signatures():
    functions = {name: getattr(cbackprop, name) for name in set(cbackprop.__all__) - {"kernel_info", "export_c"}}
    functions = {name: function for name, function in functions.items() if inspect.isfunction(function)}
    assert {name: signature(function) for name, function in functions.items()} == SIGNATURES
    for name in SIGNATURES:
        assert signature(getattr(reference, name)) == signature(functions[name], LEFT_OUT)


def test_imports_are_numpy_and_modules_without_equations():
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(reference))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module} if node.module else {alias.name for alias in node.names}
    assert imported == {"functools", "typing", "numpy", "_catalog", "_differences", "_initial_weights", "_results"}
    for value in vars(reference).values():
        if isinstance(value, types.FunctionType):
            assert value.__module__ == "cbackprop.reference" or value is cbackprop.init_weights


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


# in few samples and in many, by both engines; each shape with half of the numbers of samples
SHAPES = [(1, 1, 1), (2, 2, 3), (5, 7, 3), (17, 33, 18), (31, 100, 2)]
SIZES = [(1, 7, 9, 200), (2, 8, 65)]


@pytest.mark.parametrize(("shape", "samples"), [(D, N) for n, D in enumerate(SHAPES) for N in SIZES[n % 2]])
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


@pytest.mark.parametrize(
    ("hidden", "limit"), [("sigmoid", 4 * (6 / 360) ** 0.5), ("tanh", (6 / 360) ** 0.5), ("relu", 0.1**0.5)]
)
def test_initial_weights_suit_the_hidden_function(dtype, hidden, limit):
    D, M, K = 60, 300, 200
    w, v = cbackprop.init_weights(D, M, K, hidden=hidden, dtype=dtype, rng=0)
    assert (w.shape, v.shape) == ((M, D + 1), (K, M + 1))
    assert w.dtype == v.dtype == dtype
    assert not w[:, -1].any()  # biases
    assert not v[:, -1].any()
    for weights, bound in ((w[:, :-1], limit), (v[:, :-1], np.sqrt(6 / (M + K)))):
        assert 0.999 * bound < np.abs(weights).max() <= bound * (1 + np.finfo(dtype).eps)
        # uniform: mean 0 and standard deviation bound / sqrt(3), by five times the error of such an estimate
        assert abs(weights.mean()) < 5 * bound / np.sqrt(3 * weights.size)
        assert weights.std() == pytest.approx(bound / np.sqrt(3), rel=5 / np.sqrt(2 * weights.size))


def test_initial_weights_by_seed():
    def draw(rng, **keywords):
        return b"".join(array.tobytes() for array in cbackprop.init_weights(3, 4, 2, rng=rng, **keywords))

    assert draw(1) == draw(1) == draw(np.random.default_rng(1)) == draw(np.int64(1))
    assert draw(1) != draw(2)
    assert draw(None) != draw(None)
    generator = np.random.default_rng(1)
    assert draw(generator) != draw(generator)  # its state advances
    # both precisions are the same numbers, rounded
    np.testing.assert_array_equal(
        cbackprop.init_weights(3, 4, 2, rng=1)[0].astype(np.float32),
        cbackprop.init_weights(3, 4, 2, rng=1, dtype=np.float32)[0],
    )


@pytest.mark.parametrize("given", ["float32", np.float32, np.dtype("f4"), "=f4"])
def test_dtype_may_be_anything_numpy_accepts(given):
    w, v = cbackprop.init_weights(np.int8(2), 3, np.uint64(2), dtype=given)
    assert w.dtype == v.dtype == np.float32
    assert w.flags.c_contiguous
    assert v.flags.c_contiguous
    assert not np.shares_memory(w, v)
