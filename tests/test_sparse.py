"""Sparse rows: the updates of the dense engine without the terms that are 0, on the user's own weights."""

import functools
import re

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network, _sparse, reference

sparse = pytest.importorskip("scipy.sparse")

ROUNDING = {"float32": 2e-5, "float64": 1e-12}
SHAPES = [(1, 1, 1, 5), (7, 3, 2, 9), (30, 16, 2, 20), (40, 17, 3, 12), (9, 5, 9, 4), (12, 67, 5, 8)]  # D, M, K, N


@pytest.fixture(params="CF")
def order(request):
    """The order of w in memory."""
    return request.param


def rows(N, D, dtype, *, index=np.int32, density=0.3, seed=0):
    """Rows in CSR format: unsorted, with duplicates, explicit zeros and, but for the first, empty rows."""
    rng = np.random.default_rng([seed, N, D])
    counts = rng.binomial(D + 1, density, N)
    counts[0], counts[N // 2] = D + 1, 0
    indptr = np.concatenate([[0], counts.cumsum()])
    data = rng.normal(size=indptr[-1]).astype(dtype)
    data[::5] = 0
    x = sparse.csr_array((N, D), dtype=dtype)
    x.data, x.indices, x.indptr = data, rng.integers(D, size=len(data)).astype(index), indptr.astype(index)
    return x


def problem(shape, dtype, targets, output="softmax", hidden="sigmoid", order="F"):
    D, M, K, N = shape
    x = rows(N, D, dtype)
    t = targets(output, N, K, dtype, np.random.default_rng(1))
    w, v = cbackprop.init_weights(D, M, K, hidden=hidden, dtype=dtype, order=order, rng=2)
    v[:, -1] = 0.1
    return x, t, w, v


def copies(*arrays):
    return [array.copy("K") for array in arrays]


def accumulators(w, v):
    return np.zeros(len(w), w.dtype), np.zeros(len(v), v.dtype)


def close(got, wanted, dtype, times=1):
    for one, other in zip(got, wanted, strict=True):
        assert one.dtype == other.dtype == dtype
        assert (np.abs(one - other) <= times * ROUNDING[dtype.name] * max(1, np.abs(other).max())).all()


# ------------------------------------------------------------------------------------- the same numbers as dense rows


@pytest.mark.parametrize("shape", SHAPES)
def test_activations_loss_and_gradient(variant, dtype, order, shape, targets):
    x, t, w, v = problem(shape, dtype, targets, order=order)
    before, dense = copies(w, v), x.toarray()
    close(cbackprop.forward(x, w, v), reference.forward(dense, w, v), dtype)
    assert cbackprop.loss(x, t, w, v) == pytest.approx(reference.loss(dense, t, w, v), rel=ROUNDING[dtype.name])
    dw, dv = cbackprop.gradient(x, t, w, v)
    assert dw.flags.f_contiguous if order == "F" else dw.flags.c_contiguous
    close((dw, dv), reference.gradient(dense, t, w, v), dtype)
    assert all(map(np.array_equal, before, (w, v)))


@pytest.fixture
def check(reference_fit):
    """A function that fits sparse rows and compares weights and losses with those of the reference for dense rows."""

    def fit(x, t, w, v, **settings):
        wanted, losses = reference_fit(x.toarray(), t, w, v, epochs=2, rng=0, **settings)
        s = accumulators(w, v) if settings.get("adaptive") else ()
        history = cbackprop.fit(x, t, w, v, epochs=2, rng=0, accumulators=s or None, **settings)
        close((w, v, *s), wanted, w.dtype, 20)
        assert history.losses == pytest.approx(losses, rel=100 * ROUNDING[w.dtype.name])

    return fit


@pytest.mark.parametrize("rule", [{}, {"adaptive": True, "l2": 0.01}], ids=str)
@pytest.mark.parametrize(("batch_size", "order"), [(1, "C"), (1, "F"), (4, "F"), (None, "C")])
def test_fit_with_all_functions(variant, check, dtype, order, functions, batch_size, rule, targets):
    arguments = problem((12, 19, 3, 10), dtype, targets, **functions, order=order)
    check(*arguments, batch_size=batch_size, sample_weight=np.arange(10) / 4, **functions, **rule)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_fit_with_all_shapes(variant, check, dtype, order, shape, batch_size, targets):
    check(*problem(shape, dtype, targets, order=order), batch_size=batch_size)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_kind_of_csr_gives_the_same_bits(make, index, order, targets):
    x, t, w, v = problem((30, 17, 3, 20), np.dtype("float32"), targets, order=order)
    results = []
    for kind in (x, make(x, shape=x.shape)):
        kind.indices, kind.indptr = kind.indices.astype(index), kind.indptr.astype(index)
        arrays = copies(w, v)
        cbackprop.fit(kind, t, *arrays, rng=0)
        results.append([*arrays, *cbackprop.forward(kind, *arrays)])
    assert all(map(np.array_equal, *results))


@pytest.mark.parametrize("kind", ["float64", "int8", "bool", ">f4", "strided", "read-only", "too many"])
def test_arrays_that_need_a_conversion(kind, targets):
    x, _t, w, v = problem((6, 5, 2, 8), np.dtype("float32"), targets)
    x.data = np.rint(x.data)
    if kind == "bool":
        x.data = (x.data != 0).astype(np.float32)
    wanted = cbackprop.forward(x.toarray(), w, v).y
    if kind == "strided":
        x.data, x.indices, x.indptr = (np.repeat(array, 2)[::2] for array in (x.data, x.indices, x.indptr))
    elif kind == "read-only":
        for array in (x.data, x.indices, x.indptr):
            array.flags.writeable = False
    elif kind == "too many":  # scipy allows more room than non-zeros
        x.data, x.indices = np.append(x.data, np.nan), np.append(x.indices, np.int32(99))
    else:
        x.data = x.data.astype(kind)
    np.testing.assert_allclose(cbackprop.forward(x, w, v).y, wanted, atol=1e-6)


def test_threads(variant, forced_threads, targets):
    x, _t, w, v = problem((30, 17, 3, 50), np.dtype("float64"), targets)
    for one, other in zip(cbackprop.forward(x, w, v), cbackprop.forward(x, w, v, n_threads=3), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("scheme", ["central", "forward", "complex"])
def test_numerical_gradient(scheme, order, targets):
    x, t, w, v = problem((4, 3, 2, 6), np.dtype("float64"), targets, order=order)
    numerical = cbackprop.numerical_gradient(x, t, w, v, scheme=scheme)
    for one, other in zip(numerical, cbackprop.gradient(x, t, w, v), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# ------------------------------------------------------------------------------------------------- the order of w


def test_orders_have_the_same_numbers():
    of_columns, of_rows = (cbackprop.init_weights(50, 7, 3, order=order, rng=0) for order in "FC")
    assert all(map(np.array_equal, of_columns, of_rows))
    assert not of_columns[0].flags.c_contiguous
    with pytest.raises(ValueError, match="order is 'A'; it must be one of 'C', 'F'"):
        cbackprop.init_weights(2, 3, 2, order="A")


@pytest.mark.parametrize("shape", [(9, 3, 2, 20), (40, 20, 5, 40)])
def test_dense_rows_with_w_in_fortran_order(engine, shape, dtype, targets):
    """All public functions take both orders, with the same bits but for one sample at a time."""
    x, t, w, v = problem(shape, dtype, targets, order="F")
    x = x.toarray()
    C, F = (np.ascontiguousarray(w), v.copy()), (w, v)
    for function, arguments in (("forward", (x,)), ("gradient", (x, t))):
        results = [getattr(engine.library, function)(*arguments, *weights) for weights in (C, F)]
        close(*results, dtype)
    assert engine.library.loss(x, t, *F) == pytest.approx(engine.library.loss(x, t, *C), rel=1e-6)
    for settings in ({}, {"batch_size": 4}):
        histories = [engine.fit(x, t, *weights, rng=0, **settings) for weights in (C, F)]
        assert histories[0].losses == pytest.approx(histories[1].losses)
        close(F, C, dtype)
    for weights in (C, F):
        engine.library.step(x[0], t[0], *weights, 0.1)
    close(F, C, dtype)


@pytest.mark.parametrize("array", ["w", "v", "both"])
def test_strides_that_are_neither(array):
    w, v = np.ones((4, 6)), np.ones((3, 5))
    if array != "v":
        w = np.ones((4, 12))[:, ::2]
    if array != "w":
        v = np.asfortranarray(v)
    with pytest.raises(ValueError, match=f"^{'v' if array == 'v' else 'w'} has strides .*; it must be C-contiguous"):
        cbackprop.forward(np.ones((2, 5)), w, v)


# ---------------------------------------------------------------------------------------------------- one sample


@pytest.mark.parametrize("adaptive", [False, True])
def test_one_sample(variant, dtype, order, functions, targets, adaptive):
    N, bound = 6, 50 * ROUNDING[dtype.name]
    x, t, w, v = problem((40, 18, 3, N), dtype, targets, **functions, order=order)
    s, of_network = (accumulators(w, v) if adaptive else None for _ in range(2))
    network = Network.from_weights(*copies(w, v), accumulators=of_network, **functions)
    for n, x_n in enumerate(x.toarray()):
        begin, end = x.indptr[n : n + 2]
        indices, values = x.indices[begin:end], x.data[begin:end]
        if n % 3 == 0:
            indices, values = indices.tolist(), values.tolist()
        elif n % 3 == 1:
            indices = indices.astype(np.int64)
        E_n = reference.step(x_n, t[n], w, v, 0.1, sample_weight=0.5, accumulators=s, **functions)
        assert network.learn_one_sparse(indices, values, t[n], 0.5) == pytest.approx(E_n, rel=bound)
        y = reference.forward(x_n[np.newaxis], w, v, **functions).y[0]
        prediction = network.predict_one_sparse(indices, values)
        if functions["output"] == "linear":
            np.testing.assert_allclose(prediction, y, atol=bound * max(1, abs(y).max()))
            with pytest.raises(ValueError, match="output is 'linear', which has no probabilities"):
                network.predict_proba_one_sparse(indices, values)
            continue
        np.testing.assert_allclose(network.predict_proba_one_sparse(indices, values), y, atol=bound)
        assert np.array_equal(prediction, y.argmax() if functions["output"] == "softmax" else y >= 0.5)
    close((network.w, network.v, *(of_network or ())), (w, v, *(s or ())), dtype, 50)


def test_one_row_of_a_matrix(order):
    x = rows(5, 12, "float64")
    networks = [Network(12, 3, 2, order=order, rng=0) for _ in range(3)]
    for n in range(5):
        networks[0].learn_one(x[[n]], 1)
        networks[1].learn_one(x.toarray()[n], 1)
        cbackprop.step(x[[n]], 1, networks[2].w, networks[2].v, 0.1)
        assert networks[0].predict_one(x[[n]]) == networks[1].predict_one(x.toarray()[n])
    for network in networks[1:]:
        close((network.w, network.v), (networks[0].w, networks[0].v), np.dtype("float64"))


@pytest.mark.parametrize(("indices", "changed"), [([7, 50, 7], [7, 50, 100]), ([], [100])])
def test_only_the_weights_of_the_row_change(order, indices, changed):
    network = Network(100, 5, 2, order=order, rng=0)
    before = network.w.copy()
    network.learn_one_sparse(indices, np.arange(1.0, len(indices) + 1), 1)
    assert np.flatnonzero((network.w != before).any(axis=0)).tolist() == changed  # with the bias


@pytest.mark.parametrize(
    ("indices", "values", "error", "message"),
    [
        ([0, 10], [1, 2], ValueError, "the row has index 10; it must lie in 0..9, since w has 10 + 1 columns"),
        ([-1], [1], ValueError, "the row has index -1; it must lie in 0..9"),
        (np.array([3, 10**9], np.int32), np.ones(2), ValueError, "the row has index 1000000000; it must lie in 0..9"),
        (np.array([2**62]), np.ones(1), ValueError, "the row has index 4611686018427387904; it must"),
        (np.array([2**64 - 1], np.uint64), [1], ValueError, "the row has index 9223372036854775807; it must"),
        ([10**30], [1], TypeError, "indices has dtype object; it must hold integers"),
        ([0.5], [1], TypeError, "indices has dtype float64; it must hold integers"),
        ([True], [1], TypeError, "indices has dtype bool; it must hold integers"),
        (None, [1], TypeError, "Argument 'indices' must not be None"),
        ([1], [np.nan], ValueError, "the row has nan at index 1; it must be finite in float64"),
        (np.array([1]), np.array([np.inf]), ValueError, "the row has inf at index 1; it must be finite in float64"),
        ([1], ["a"], TypeError, "values has dtype <U1; it must hold real numbers"),
        ([1], [1j], TypeError, "values has dtype complex128; it must hold real numbers"),
        ([1, 2], [1], ValueError, "indices and values have 2 and 1 entries; they must have as many"),
        ([[1]], [1], ValueError, "indices has 2 dimensions; it must have 1"),
        ([1], [[1]], ValueError, "values has 2 dimensions; it must have 1"),
        ([1], np.ma.masked_array([1.0], [True]), TypeError, "values is a MaskedArray, whose masked values"),
    ],
)
def test_bad_samples(refuse, indices, values, error, message, order):
    network = Network(10, 3, 2, order=order, rng=0)
    predict = (network.predict_one_sparse, network.predict_proba_one_sparse)
    calls = [functools.partial(call, indices, values) for call in predict]
    calls.append(functools.partial(network.learn_one_sparse, indices, values, 1))
    refuse(error, r"^" + re.escape(message), (network.w, network.v), *calls)


@pytest.mark.parametrize("part", ["w", "v"])
def test_a_sample_that_shares_memory_with_the_weights(part):
    network = Network(10, 16, 2, order="F", rng=0)
    values = network.w[:3, 0] if part == "w" else network.v[0, :3]
    with pytest.raises(ValueError, match=r"^values overlaps the weights in memory"):
        network.learn_one_sparse(np.array([1, 2, 3]), values, 1)
    network.predict_one_sparse(np.array([1, 2, 3]), values)


def test_read_only_weights(refuse):
    w, v = cbackprop.init_weights(10, 3, 2, order="F")
    w.flags.writeable = False
    network = Network.from_weights(w, v)
    network.predict_one_sparse([1], [2])
    network.predict(rows(3, 10, "float64"))
    calls = lambda: network.learn_one_sparse([1], [2], 1), lambda: network.fit(rows(2, 10, "float64"), [0, 1])
    refuse(ValueError, r"^w is read-only", (w, v), *calls)


# ------------------------------------------------------------------------------------------- an L2 penalty; divergence


@pytest.mark.parametrize("settings", [(0.5, 0.1), (0.5, 1.9), (0.1, 10.0), (0.25, 1e-6)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_l2(variant, check, dtype, order, settings, batch_size, targets):
    """The weights are scaled down to less than 1e-6 within an epoch, or to 0 at once: the reference decays each one."""
    learning_rate, l2 = settings
    arguments = problem((20, 17, 3, 40), dtype, targets, order=order)
    check(*arguments, learning_rate=learning_rate, l2=l2, batch_size=batch_size)


def test_l2_is_exact_after_many_updates():
    """A common factor in float32 would have lost 3 digits after 20,000 updates."""
    x = sparse.csr_array(np.tile([[1.0, 0.0]], (20_000, 1)).astype(np.float32))
    w, v = np.ones((1, 3), np.float32, order="F"), np.zeros((2, 2), np.float32)
    v[:] = 0  # no error reaches w
    cbackprop.fit(x, np.full((20_000, 2), 0.5, np.float32), w, v, learning_rate=0.1, l2=1e-4)
    decay = 1 - float(np.float32(0.1) * np.float32(1e-4))
    assert w[0, 1] == pytest.approx(decay**20_000, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_l2_that_overshoots(refuse, batch_size, order):
    w, v = cbackprop.init_weights(4, 3, 2, order=order, rng=0)
    settings = {"learning_rate": 0.5, "l2": 5, "batch_size": batch_size}
    fit = functools.partial(cbackprop.fit, rows(6, 4, "float64"), [0, 1] * 3, w, v, **settings)
    refuse(DivergenceError, "learning diverged in epoch 1", (w, v), fit)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"t": sparse.csr_array(np.eye(2))},
            TypeError,
            r"t is a sparse csr_array; it must be dense: use t.toarray\(\)$",
        ),
        ({"momentum": 0.5}, ValueError, "momentum is 0.5 and x is sparse; it must be 0, because"),
        ({"method": "blocked"}, ValueError, "method is 'blocked' and x is sparse; it must be 'auto' or 'direct'"),
    ],
)
def test_settings_that_need_dense_rows(settings, error, message):
    w, v = cbackprop.init_weights(4, 3, 2, rng=0)
    with pytest.raises(error, match=f"^{message}"):
        cbackprop.fit(w=w, v=v, **{"x": rows(2, 4, "float64"), "t": [0, 1]} | settings)


@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize("batch_size", [1, 2, None])
@pytest.mark.parametrize("huge", [1e30, 3e38])
def test_divergence(variant, order, output, batch_size, huge):
    """Updates that would overflow are not made: all weights stay finite, whatever was learned before."""
    x = sparse.csr_array(np.float32([[1, 0, 2], [0, huge, 0], [huge, huge, huge], [0, 0, huge]] * 2))
    t = np.float32([[1, 0], [0, 1]] * 4) if output == "softmax" else np.full((8, 2), 1e30, np.float32)
    for scale in (1.0, 1e30):
        w, v = cbackprop.init_weights(3, 18, 2, dtype="float32", order=order, hidden="relu", rng=0)
        v *= np.float32(scale)
        try:
            history = cbackprop.fit(
                x, t, w, v, output=output, hidden="relu", learning_rate=1e8, batch_size=batch_size, epochs=3, rng=0
            )
        except DivergenceError:
            pass
        else:
            assert np.isfinite(history.losses).all()
        assert np.isfinite(w).all()
        assert np.isfinite(v).all()


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_weight_that_is_not_finite(refuse, order, value):
    network = Network(10, 3, 2, order=order, rng=0)
    network.w[1, 4] = value
    network.learn_one_sparse([3], [1.0], 1)  # does not touch it
    calls = (
        lambda: network.learn_one_sparse([3, 4], [1.0, 1.0], 1),
        lambda: cbackprop.step(sparse.csr_array(np.eye(10)[[4]]), 1, network.w, network.v, 0.1),
    )
    refuse(ValueError, rf"w\[1, 4\] is {value}; weights must be finite", (network.w, network.v), *calls)


def test_duplicates_that_overflow_together(order):
    """Each of the updates is finite, their sum is not."""
    w, v = np.zeros((1, 3), order=order), np.ones((1, 2))
    x = sparse.csr_array((np.full(40, 1e298), np.zeros(40, np.int32), np.array([0, 40])), shape=(1, 2))
    with pytest.raises(DivergenceError):
        cbackprop.fit(x, [[1e5]], w, v, output="linear", hidden="tanh", learning_rate=1e6)
    assert not w.any()


# ------------------------------------------------------------------------------------------------------------ state


def test_resume_is_exact(tmp_path, order):
    x, t, path = rows(40, 30, "float32"), np.arange(40) % 3, tmp_path / "checkpoint.safetensors"
    wanted = cbackprop.init_weights(30, 17, 3, dtype="float32", order=order, rng=0)
    expected = cbackprop.fit(x, t, *wanted, epochs=5, rng=1, l2=1e-3)
    w, v = cbackprop.init_weights(30, 17, 3, dtype="float32", order=order, rng=0)
    cbackprop.fit(x, t, w, v, epochs=2, rng=1, l2=1e-3, checkpoint=path)
    assert Network.load(path).w.flags.c_contiguous == (order == "C")
    w, v = cbackprop.init_weights(30, 17, 3, dtype="float32", order=order, rng=0)
    assert cbackprop.fit(x, t, w, v, epochs=5, rng=1, l2=1e-3, checkpoint=path, resume=True) == expected
    assert all(map(np.array_equal, (w, v), wanted))
    other = x.copy()
    other.data[0] += 1
    with pytest.raises(ValueError, match=r"^data is .*; it must stay"):
        cbackprop.fit(other, t, w, v, epochs=5, rng=1, l2=1e-3, checkpoint=path, resume=True)


def test_a_checkpoint_of_rows_without_non_zeros(tmp_path):
    w, v = cbackprop.init_weights(4, 3, 2, rng=0)
    cbackprop.fit(sparse.csr_array((6, 4)), [0, 1] * 3, w, v, checkpoint=tmp_path / "checkpoint.safetensors")


# -------------------------------------------------------------------------------------------------- malformed matrices


def replaced(place, value):
    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


BAD = {  # a part, its change, and the error
    "index too large": ("indices", replaced(12, 8), ValueError, r"x\[\d\] has index 8; it must lie in 0..7"),
    "negative index": ("indices", replaced(0, -1), ValueError, r"x\[0\] has index -1; it must lie in 0..7"),
    "float indices": ("indices", lambda a: a * 1.0, TypeError, "x.indices has dtype float64; it must be int"),
    "unsigned indices": ("indices", lambda a: a.astype("u4"), TypeError, "x.indices has dtype uint32"),
    "foreign indices": ("indices", lambda a: a.astype(">i4"), TypeError, "x.indices has dtype >i4"),
    "object indices": ("indices", lambda a: a.astype(object), TypeError, "x.indices has dtype object"),
    "few indices": ("indices", lambda a: a[:-1], ValueError, r"x.indptr has \d+ and \d+ for row \d"),
    "few values": ("data", lambda a: a[:-1], ValueError, r"x.indptr has \d+ and \d+ for row \d"),
    "no values": ("data", lambda a: None, ValueError, "x.data has 0 dimensions; it must have 1"),
    "nan": ("data", replaced(0, np.nan), ValueError, r"x\[0\] has nan at index \d; it must be finite"),
    "inf": ("data", replaced(-1, np.inf), ValueError, r"x\[5\] has inf at index \d; it must be finite"),
    "complex": ("data", lambda a: a * 1j, TypeError, "x.data has dtype complex128; it must hold real"),
    "two dimensions": ("data", lambda a: a[:, None], ValueError, "x.data has 2 dimensions; it must have 1"),
    "masked": ("data", np.ma.masked_array, TypeError, "x.data is a MaskedArray"),
    "short indptr": ("indptr", lambda a: a[:-1], ValueError, "x.indptr has 6 entries; it must have 7"),
    "empty indptr": ("indptr", lambda a: a[:0], ValueError, "x.indptr has 0 entries; it must have 7"),
    "float indptr": ("indptr", lambda a: a * 1.0, TypeError, "x.indptr has dtype float64"),
    "falling": ("indptr", replaced(2, 99), ValueError, r"x.indptr has \d+ and \d+ for row [12]; it must start"),
    "negative": ("indptr", replaced(1, -5), ValueError, "x.indptr has 0 and -5 for row 0; it must start at 0"),
    "from 1": ("indptr", replaced(0, 1), ValueError, "x.indptr has 1 and 9 for row 0; it must start at 0"),
    "huge": ("indptr", replaced(6, 2**31 - 1), ValueError, "x.indptr has .* and 2147483647 for row 5"),
}


@pytest.mark.parametrize(("part", "change", "error", "message"), BAD.values(), ids=BAD)
def test_malformed_matrices(refuse, part, change, error, message):
    x = rows(6, 8, "float64")
    setattr(x, part, change(getattr(x, part)))
    w, v = cbackprop.init_weights(8, 3, 2, rng=0)
    calls = (functools.partial(call, x, [0, 1] * 3) for call in (cbackprop.loss, cbackprop.gradient, cbackprop.fit))
    calls = (functools.partial(call, w=w, v=v) for call in (*calls, functools.partial(cbackprop.forward, x)))
    refuse(error, r"^" + message, (w, v), *calls)


@pytest.mark.parametrize("kind", ["csc_array", "coo_matrix", "lil_array", "dok_array", "dia_matrix", "bsr_array"])
def test_other_formats_name_the_remedy(kind):
    w, v = cbackprop.init_weights(8, 3, 2, rng=0)
    x = getattr(sparse, kind)(rows(6, 8, "float64"))
    with pytest.raises(ValueError, match=f"^x is a {kind}; a sparse x must be in CSR format: use x.tocsr()"):
        cbackprop.forward(x, w, v)
    cbackprop.forward(x.tocsr(), w, v)


def test_shapes():
    w, v = cbackprop.init_weights(8, 3, 2, rng=0)
    for x, message in [
        (rows(6, 9, "float64"), r"x has 9 columns; it must have 8, since w has 8 \+ 1"),
        (sparse.csr_array((0, 8)), r"x has shape \(0, 8\); it must not be empty"),
        (sparse.coo_array(np.ones(8)), "x is a coo_array of 1 dimension; it must have 2: for one row, use x.reshape"),
    ]:
        with pytest.raises(ValueError, match=r"^" + message):
            cbackprop.forward(x, w, v)
    with pytest.raises(ValueError, match=r"^x_n has 6 rows; it must have 1"):
        cbackprop.step(rows(6, 8, "float64"), 1, w, v, 0.1)


@pytest.mark.parametrize("part", ["data", "indices"])
def test_rows_that_share_memory_with_the_weights(part):
    w, v = np.asfortranarray(np.ones((3, 9))), np.ones((2, 4))
    memory = w.reshape(-1, order="A")[:6]
    memory[:] = 0
    x = sparse.csr_array((np.ones(6), np.zeros(6, np.int64), np.arange(7)), shape=(6, 8))
    setattr(x, part, memory.view(x.indices.dtype) if part == "indices" else memory)
    with pytest.raises(ValueError, match=rf"^x\.{part} overlaps the weights in memory"):
        cbackprop.fit(x, [0, 1] * 3, w, v)


# --------------------------------------------------------------------------------------------------------- the engine


def sparse_rows(kernels, **parts):
    good = {
        "data": np.ones(3, kernels.DTYPE),
        "indices": np.array([0, 4, 1], np.int32),
        "indptr": np.array([0, 2, 3]),
        "shape": (2, 5),
    }
    return _sparse.SparseRows(**good | parts)


def test_bindings_check_row_pointers(kernels):
    for parts in (
        {"indptr": np.array([0, 2, 4])},
        {"indptr": np.array([0, 3, 2])},
        {"indptr": np.array([-1, 2, 3])},
        {"indptr": np.array([0, 3])},
        {"data": np.ones(2, kernels.DTYPE)},
        {"shape": (3, 5)},
        {"shape": (0, 5), "indptr": np.array([0])},
        {"shape": (2, 0)},
        {"data": np.ones(3, np.int8)},
        {"indices": np.ones(3)},
    ):
        with pytest.raises((AssertionError, ValueError)):
            kernels.Samples(sparse_rows(kernels, **parts), labels=np.array([0, 1]))


def test_gradients_of_weights_in_another_layout(kernels):
    samples, results = kernels.Samples(sparse_rows(kernels), labels=np.array([0, 1])), []
    engine = kernels.SparseEngine(5, 3, 2, block=5)
    for order in "CF":
        w, v = cbackprop.init_weights(5, 3, 2, dtype=kernels.DTYPE, order=order, rng=0)
        engine.load(w, v)
        results.append((np.zeros_like(w), np.zeros_like(v)))
        engine.gradient(samples, *results[-1])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=10 * np.finfo(kernels.DTYPE).eps)  # sums in another order


def test_engines_take_their_own_kind_of_rows(refuse, kernels):
    w, v = np.ones((3, 6), kernels.DTYPE), np.ones((2, 4), kernels.DTYPE)
    dense, rows = (
        kernels.Samples(x, labels=np.array([0, 1])) for x in (np.ones((2, 5), kernels.DTYPE), sparse_rows(kernels))
    )
    engine, direct = kernels.SparseEngine(5, 3, 2, block=2), kernels.DirectEngine(5, 3, 2)
    one_row, unloaded = kernels.SparseEngine(5, 3, 2, block=1), kernels.SparseEngine(5, 3, 2, block=2)
    for loaded in (engine, direct, one_row):
        loaded.load(w, v)
    pairs = (engine, dense), (direct, rows), (one_row, rows), (unloaded, rows)
    refuse(AssertionError, None, (w, v), *(functools.partial(each.loss, samples) for each, samples in pairs))
    refuse(AssertionError, None, (), lambda: kernels.SparseEngine(5, 3, 2, momentum=0.5))
    w.flags.writeable = False
    engine.load(w, v)
    refuse(ValueError, r"^w or v is read-only", (w, v), lambda: engine.learn(rows, np.arange(2), 0.1))
    bad = (functools.partial(engine.load, array, v) for array in (w.T, w[:, 1:].copy(), w[:2].copy(), None))
    refuse((ValueError, AttributeError), None, (w, v), *bad)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_an_index_that_changes_after_validation(kernels, batch_size):
    """Kernels check every index again: they never write elsewhere, and report a result that is not finite."""
    x = sparse_rows(kernels)
    samples = kernels.Samples(x, labels=np.array([0, 1]))
    for wrong in (5, -1, 2**31 - 1):
        x.indices[2] = wrong
        w, v = np.ones((3, 6), kernels.DTYPE, order="F"), np.ones((2, 4), kernels.DTYPE)
        engine = kernels.SparseEngine(5, 3, 2, batch_size, block=2)
        engine.load(w, v)
        assert np.isnan(engine.learn(samples, np.arange(2), 0.1))
        assert np.isfinite(w).all()
        assert np.isnan(engine.loss(samples))
        a, y = np.empty((2, 2), kernels.DTYPE), np.empty((2, 2), kernels.DTYPE)
        assert not engine.forward(samples, None, None, a, y)
