"""Weights with padding: made by the library, taken in place by all functions, kept by copies and files."""

import copy
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file

import cbackprop
from cbackprop import Ensemble, Network, _layout, _validation

sparse = pytest.importorskip("scipy.sparse")

SHAPES = [(9, 3, 2), (20, 17, 5), (3, 70, 1), (4, 1, 3)]  # D, M, K: none of M and M + 1 fills lines
N = 20


def problem(shape, dtype, order="F"):
    D, M, K = shape
    rng = np.random.default_rng(1)
    w, v = cbackprop.init_weights(D, M, K, dtype=dtype, order=order, rng=0)
    v[:, -1] = 0.1
    return rng.normal(size=(N, D)).astype(dtype), rng.normal(size=(N, K)).astype(dtype), w, v


def bare(w, v):
    """The same weights in the same order, without padding."""
    return np.array(w, order="C" if w.flags.c_contiguous else "F"), v.copy()


def paddings(w, v):
    return [_layout.padding(rows) for rows in ((v,) if len(w) == 1 else (w.T, v))]


def equal(*pairs):
    return all(np.array_equal(a, b) for a, b in pairs)


# --------------------------------------------------------------------------------------------------------- the layout


@pytest.mark.parametrize("shape", SHAPES)
def test_inputs_and_outputs_begin_lines(dtype, shape):
    _x, _t, w, v = problem(shape, dtype)
    lines = [v] if shape[1] == 1 else [w.T, v]
    for rows in lines:
        assert rows.strides[1] == dtype.itemsize
        assert rows.strides[0] % _layout.LINE == rows.ctypes.data % _layout.LINE == 0
        padding = _layout.padding(rows)
        assert padding.shape == (len(rows), rows.strides[0] // dtype.itemsize - rows.shape[1])
        assert padding.size
        assert not padding.any()
    assert equal(*zip(bare(w, v), problem(shape, dtype, "C")[2:], strict=True))


def test_strides_of_many_lines_and_of_few_units():
    w, v = cbackprop.init_weights(3, 512, 2, order="F")
    assert w.strides[1] // _layout.LINE == v.strides[0] // _layout.LINE == 65  # no multiple of many lines
    w, v = cbackprop.init_weights(100_000, 3, 2, order="F", dtype="float32")
    assert w.flags.fnc  # lines would take five times as much
    assert v.strides[0] == _layout.LINE
    ensemble = Ensemble(100_000, 3, 2, learning_rates=[0.1, 1], dtype="float32")
    assert [network.w.flags.fnc for network in ensemble] == [True, True]
    assert [network.w.ctypes.data % _layout.LINE for network in ensemble] == [0, 0]


def test_networks_have_it_by_default(dtype):
    for order, network in (("F", Network(9, 3, 2, dtype=dtype, rng=0)), ("C", Network(9, 3, 2, order="C", rng=0))):
        wanted = cbackprop.init_weights(9, 3, 2, dtype=network.dtype, order=order, rng=0)
        for array, like in zip((network.w, network.v), wanted, strict=True):
            assert array.strides == like.strides
            assert equal((array, like))


# ------------------------------------------------------------------------------------------------------ all functions


# the last ones are not for all engines
SETTINGS = [{"batch_size": 4}, {"adaptive": True, "batch_size": None}, {}, {"momentum": 0.5, "l2": 0.01}]


@pytest.mark.parametrize("shape", SHAPES)
def test_functions_take_padded_weights_as_others(compiled, shape):
    for settings, dtype in zip(SETTINGS, ("float32", "float64") * 2, strict=True):
        x, t, *padded = problem(shape, np.dtype(dtype))
        results = []
        for weights in (padded, bare(*padded), problem(shape, np.dtype(dtype), "C")[2:]):
            compiled.fit(x, t, *weights, output="linear", learning_rate=0.01, rng=0, **settings)
            activations = cbackprop.forward(x, *weights, output="linear")
            gradient = cbackprop.gradient(x, t, *weights, output="linear")
            results.append([*weights, *activations, *gradient, cbackprop.loss(x, t, *weights, output="linear")])
        for other in results[1:]:
            assert equal(*zip(results[0], other, strict=True))
        assert not any(padding.any() for padding in paddings(*padded))


@pytest.mark.parametrize(("adaptive", "dtype"), [(False, np.dtype("f4")), (True, np.dtype("f8"))])
@pytest.mark.parametrize("shape", SHAPES)
def test_single_samples_and_sparse_rows(variant, dtype, shape, adaptive):
    x, t, *padded = problem(shape, dtype)
    x[:, 1:3] = 0
    rows, learned = sparse.csr_array(x), []
    accumulators = [_validation.new_accumulators(*padded) if adaptive else None for _ in range(2)]
    for weights, sums in zip((padded, bare(*padded)), accumulators, strict=True):
        network = Network.from_weights(*weights, output="linear", accumulators=sums)
        results = [network.learn_one(x[0], t[0]), network.predict_one(x[1])]
        results += [network.learn_one_sparse([0, 0], [0.5, 1], t[1]), network.predict_one_sparse([0], [1])]
        for each in (x[2], rows[[3]]):
            results.append(cbackprop.step(each, t[3], *weights, 0.01, output="linear", accumulators=sums))
        for batch_size in (1, 4):
            history = network.fit(rows, t, batch_size=batch_size, l2=0.01, rng=0)
            results += [history.losses, network.predict(rows), network.loss(rows, t), *network.gradient(rows, t)]
        learned.append([*results, *weights, *(sums or ())])
    for one, other in zip(*learned, strict=True):  # without padding, single samples have sums of another order
        bound = 100 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(one, other, rtol=bound, atol=bound * np.abs(other).max())
    assert not any(padding.any() for padding in paddings(*padded))


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_gradients_have_no_padding(dtype, shape):
    x, t, w, v = problem(shape, dtype)
    for rows in (x, sparse.csr_array(x)):
        dw, dv = cbackprop.gradient(rows, t, w, v, output="linear")
        assert dw.flags.f_contiguous
        assert dv.flags.c_contiguous


def test_velocities_of_any_layout(compiled):
    x, t, w, v = problem((9, 3, 2), np.dtype(float))
    results = []
    for velocity in (None, _layout.zeros_like(w, v), (np.zeros(w.shape), np.zeros(v.shape))):
        weights = _layout.copies(w, v)
        compiled.fit(x, t, *weights, output="linear", rng=0, momentum=0.5, velocity=velocity, learning_rate=0.01)
        results.append([*weights, *(velocity or ())])
    for result in results[1:]:
        assert equal(*zip(results[0], result[:2], strict=True), *zip(result[2:], results[1][2:], strict=True))
    assert not any(padding.any() for padding in paddings(*results[1][2:]))


@pytest.mark.parametrize("layer", ["w", "v"])
def test_the_place_of_a_weight_that_is_not_finite(dtype, layer):
    x, t, w, v = problem((20, 17, 5), dtype)
    bad, later = (w, (0, 5)) if layer == "w" else (v, (4, 0))
    bad[3, 4] = bad[later] = np.inf  # the first one in memory is told
    with pytest.raises(ValueError, match=rf"^{layer}\[3, 4\] is inf; weights must be finite"):
        cbackprop.fit(x, t, w, v, output="linear")
    velocity = w, v
    with pytest.raises(ValueError, match=rf"^velocity\[{'wv'.index(layer)}\]\[3, 4\] is inf"):
        cbackprop.fit(x, t, *problem((20, 17, 5), dtype)[2:], output="linear", momentum=0.5, velocity=velocity)


# ---------------------------------------------------------------------------------------------------------- refusals


def in_memory(rows, columns, stride, memory):
    """Rows of a stride in numbers, which begin where the memory begins."""
    return np.ndarray((rows, columns), float, memory, strides=(stride * 8, 8))


def columns_of_a_larger_array(w):
    larger = np.ones((len(w) + 2, w.shape[1]), order="F")
    larger[: len(w)] = w
    return larger[: len(w)]


BAD = {  # from weights of contiguous rows; in w, these are columns
    "numbers in between": (lambda a: columns_of_a_larger_array(a.T).T, "has 1.0 between its"),
    "NaN in between": (lambda a: columns_of_a_larger_array(a.T * np.nan).T, "has 1.0 between its"),
    "overlapping": (lambda a: in_memory(*a.shape, a.shape[1] - 1, np.zeros(1000)), "has strides"),
    "memory that ends": (lambda a: in_memory(*a.shape, 8, np.zeros(8 * len(a) - 1)), "has strides"),
    "of others": (lambda a: in_memory(*a.shape, 8, bytearray(64 * len(a))), "has strides"),
}


@pytest.mark.parametrize("layer", ["w", "v"])
@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_what_is_no_padding(layer, make, message):
    x, t, w, v = problem((9, 3, 2), np.dtype(float))
    if layer == "w":
        w = make(w.T).T
    else:
        v = make(v)
    bad = w if layer == "w" else v
    before = bad.copy()
    remedy = "use np.ascontiguousarray or np.asfortranarray" if layer == "w" else "use np.ascontiguousarray"
    for call in (
        lambda: cbackprop.forward(x, w, v),
        lambda: cbackprop.fit(x, t, w, v, output="linear"),
        lambda: cbackprop.step(x[0], t[0], w, v, 0.1, output="linear"),
        lambda: Network.from_weights(w, v),
    ):
        with pytest.raises(ValueError, match=rf"^{layer} {message}.*: {remedy}$"):
            call()
    assert np.array_equal(bad, before, equal_nan=True)


def test_zeros_in_the_memory_of_an_array_are_padding():
    x, t, w, v = problem((9, 3, 2), np.dtype(float))
    room_w, room_v = np.zeros((5, 10), order="F"), np.zeros((2, 6))
    room_w[:3], room_v[:, :4] = w, v
    for weights in ((room_w[:3], room_v[:, :4]), (w, v)):
        cbackprop.fit(x, t, *weights, output="linear", learning_rate=0.01, rng=0)
    assert equal((room_w[:3], w), (room_v[:, :4], v))
    assert not room_w[3:].any()
    assert not room_v[:, 4:].any()


def test_a_single_row_may_have_any_stride():
    x, t, w, v = problem((9, 3, 1), np.dtype(float))
    room = np.ones((5, 4))
    room[:1] = v
    for weights in ((w.copy("K"), room[::5]), (w, v)):
        network = Network.from_weights(*weights, output="linear")
        network.learn_one(x[0], t[0])
        network.fit(x, t, rng=0)
    assert equal((room[:1], v))
    assert (room[1:] == 1).all()


def test_arrays_in_the_padding():
    w, v = cbackprop.init_weights(3, 4, 2, order="F")
    network = Network.from_weights(w, v)
    x = _layout.padding(w.T)[-1][:3]  # behind the last weight
    with pytest.raises(ValueError, match=r"^x_n overlaps the weights in memory"):
        cbackprop.step(x, 1, w, v, 0.1)
    with pytest.raises(ValueError, match=r"^x overlaps the weights in memory"):
        network.learn_one(x, 1)
    network.predict_one(x)  # reading does no harm
    memory = np.zeros(48)
    w = in_memory(4, 3, 8, memory).T
    with pytest.raises(ValueError, match=r"^w and v overlap in memory"):
        Network.from_weights(w, memory[27:31].reshape(1, 4))


def test_locks_reach_to_the_last_column(other_thread):
    x, t, w, v = problem((9, 3, 2), np.dtype(float))
    last = Network.from_weights(w[:, 8:], v.copy(), output="linear")  # behind the size of w without padding
    calls = []

    def learn_the_same(epoch, loss):
        with pytest.raises(RuntimeError, match=r"^another thread is training these weights"):
            other_thread(last.learn_one, x[0, :1], t[0])
        calls.append(epoch)

    cbackprop.fit(x, t, w, v, output="linear", learning_rate=0.01, callback=learn_the_same)
    assert calls == [1]


def test_strides_that_change():
    w, v = np.ones((3, 5)), np.ones((2, 4))
    network = Network.from_weights(w, v)
    w.__setstate__((1, w.shape, w.dtype, True, w.tobytes()))
    assert w.flags.fnc
    for use in (lambda: network.learn_one(np.ones(4), 0), lambda: network.predict_one(np.ones(4))):
        with pytest.raises(ValueError, match=r"^w and v now have shapes .* or other strides"):
            use()


def test_bindings_check_strides(kernels):
    w, v = np.zeros((8, 12), kernels.DTYPE), np.zeros((2, 10), kernels.DTYPE)
    engine = kernels.SparseEngine(5, 4, 2)
    for wrong in ((w[::2, ::2], v[:, :5]), (w[:4, :6], v[:, ::2]), (None, v[:, :5]), (w[:4, :6], None)):
        with pytest.raises((AssertionError, AttributeError)):
            engine.load(*wrong)
    engine.load(w[:4, :6], v[:, :5])


# ------------------------------------------------------------------------------------------------- copies and files


def ways(path):
    return {
        "deep copy": copy.deepcopy,
        "shallow copy": copy.copy,
        **{f"protocol {p}": lambda n, p=p: pickle.loads(pickle.dumps(n, p)) for p in (0, 2, 5)},
        "file": lambda network: (network.save(path), type(network).load(path))[1],
    }


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("way", ways(None))
def test_copies_keep_the_layout(tmp_path, way, order):
    for (D, M, K), dtype in zip(SHAPES[:3], ("float32", "float64", "float32"), strict=True):
        network = Network(D, M, K, output="linear", dtype=dtype, order=order, rng=0)
        again = ways(tmp_path / "model")[way](network)
        for array, like in ((again.w, network.w), (again.v, network.v)):
            assert array.strides == like.strides
            assert array.flags.writeable
            assert equal((array, like))
            assert order == "C" or array.ctypes.data % _layout.LINE == 0
            assert np.shares_memory(array, like) == (way == "shallow copy")
        x, t = np.linspace(-1, 1, D, dtype=dtype), np.linspace(-1, 1, K, dtype=dtype)
        if way != "shallow copy":
            assert again.learn_one(x, t) == network.learn_one(x, t)
            assert equal((again.w, network.w), (again.v, network.v))


@pytest.mark.parametrize("n_hidden", [1, 3, [40, 7, 1]], ids=str)
@pytest.mark.parametrize("way", ["itself", *ways(None)])
def test_networks_of_ensembles_have_it(tmp_path, way, n_hidden):
    settings = {"output": "linear", "learning_rates": [0.01] * 3, "adaptive": True, "dtype": "float32", "rng": 0}
    ensemble = Ensemble(9, n_hidden, 2, **settings)
    again = (ways(tmp_path / "ensemble") | {"itself": lambda it: it})[way](ensemble)
    x, t = np.linspace(-1, 1, 9), np.ones(2)
    again.learn_one(x, t)
    again.fit(x[np.newaxis], t[np.newaxis])
    for r, network in enumerate(again):
        wanted = cbackprop.init_weights(9, len(network.w), 2, order="F", dtype="float32")
        for array, like, all_of_them in zip((network.w, network.v), wanted, (again.w, again.v), strict=True):
            assert np.shares_memory(array, all_of_them[r])
            assert array.strides == like.strides or len(array) == 1  # a single row may have any stride
            assert array.ctypes.data % _layout.LINE == 0
        assert not any(padding.any() for padding in paddings(network.w, network.v))


def test_files_do_not_depend_on_padding(tmp_path):
    w, v = cbackprop.init_weights(9, 3, 2, order="F", rng=0)
    for weights in ((w, v), bare(w, v)):
        Network.from_weights(*weights).save(tmp_path / "model")
        tensors = load_file(tmp_path / "model")
        assert equal((tensors.pop("w"), w), (tensors.pop("v"), v))
        assert not tensors
        assert Network.load(tmp_path / "model").w.strides == w.strides


def test_checkpoints_do_not_depend_on_padding(tmp_path):
    x, t, w, v = problem((9, 3, 2), np.dtype(float))
    settings = {"output": "linear", "learning_rate": 0.01, "momentum": 0.5, "rng": 0}
    wanted = _layout.copies(w, v)
    cbackprop.fit(x, t, *wanted, epochs=4, **settings)
    cbackprop.fit(x, t, *_layout.copies(w, v), epochs=2, checkpoint=tmp_path / "state", **settings)
    for weights in ((w, v), bare(w, v), [np.ascontiguousarray(array) for array in (w, v)]):
        (tmp_path / "again").write_bytes((tmp_path / "state").read_bytes())
        cbackprop.fit(x, t, *weights, epochs=4, checkpoint=tmp_path / "again", resume=True, **settings)
        assert equal(*zip(weights, wanted, strict=True))


def test_networks_that_grow_have_it():
    model = pytest.importorskip("cbackprop.river").BackpropClassifier(n_hidden=5, seed=0)
    for n in range(12):
        model.learn_one({f"feature {i}": 1.0 for i in range(n + 1)}, f"class {n % 3}")
        for padding in paddings(model.network.w, model.network.v):
            assert padding.size
            assert not padding.any()
