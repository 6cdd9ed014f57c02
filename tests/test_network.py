"""`Network`: the functions, bound to weights that stay the user's own."""

import copy
import inspect
import itertools
import pickle
import threading

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Ensemble, Network

SHAPES = [(1, 1, 1), (1, 1, 2), (2, 2, 3), (3, 1, 2), (7, 13, 5), (16, 17, 18), (150, 140, 10)]  # the last without GIL


def problem(shape, dtype, samples=40):
    D, M, K = shape
    rng = np.random.default_rng([D, M, K])
    x, t = rng.normal(size=(samples, D)).astype(dtype), rng.integers(K, size=samples)
    return x, t, *cbackprop.init_weights(D, M, K, dtype=dtype, rng=rng)


def bits(*arrays):
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("shape", SHAPES)
def test_one_sample_of_every_network(variant, dtype, targets, all_functions, shape):
    rate = 0.03 / shape[0]
    for functions in all_functions:
        x, labels, w, v = problem(shape, dtype, 20)
        t = targets(functions["output"], 20, shape[2], dtype, np.random.default_rng(1))
        if functions["hidden"] == "tanh" and functions["output"] == "softmax":
            t = labels
        network = Network.from_weights(w.copy(), v.copy(), learning_rate=rate, **functions)
        for x_n, t_n, weight in zip(x, t, itertools.cycle([1.0, 0.5, 3]), strict=False):
            wanted = cbackprop.step(x_n, t_n, w, v, rate, sample_weight=weight, **functions)
            assert network.learn_one(x_n, t_n, weight) == wanted
            assert bits(network.w, network.v) == bits(w, v)
        # a sample alone and in a batch: up to the order of sums
        y, predicted = cbackprop.forward(x, w, v, **functions).y, network.predict(x)
        bound = 4 * sum(shape) * np.finfo(dtype).eps * max(1, np.abs(y).max())
        one = [network.predict_one(x_n) for x_n in x]
        if functions["output"] == "linear":
            np.testing.assert_allclose(one, predicted, rtol=0, atol=bound)
            np.testing.assert_array_equal(predicted, y[:, 0] if shape[2] == 1 else y)
            continue
        np.testing.assert_array_equal(network.predict_proba(x), y)
        alone = np.array([network.predict_proba_one(x_n) for x_n in x])
        assert alone.dtype == dtype
        np.testing.assert_allclose(alone, y, rtol=0, atol=bound)
        if functions["output"] == "softmax":
            assert {type(each) for each in one} == {int}
            assert predicted.dtype == np.intp
            assert one == alone.argmax(axis=1).tolist()
            np.testing.assert_array_equal(predicted, y.argmax(axis=1))


KINDS = (np.array, list, lambda t: np.repeat(t, 2)[::2], lambda t: t.astype(float))
OF_ONE = (lambda t: float(t[0]), lambda t: t[0], np.squeeze)  # a single target is a number


@pytest.mark.parametrize("output", ["linear", "logistic"])
@pytest.mark.parametrize("shape", [(3, 4, 1), (3, 4, 5)])
def test_learn_one_takes_numbers_as_they_are_or_converts_them(variant, dtype, shape, output):
    x, _, w, v = problem(shape, dtype)
    t, kinds = np.random.default_rng(0).random((len(x), shape[2])).astype(dtype), KINDS + OF_ONE * (shape[2] == 1)
    networks = [Network.from_weights(w.copy(), v.copy(), output=output, learning_rate=0.1) for _ in kinds]
    for x_n, t_n in zip(x, t, strict=True):
        assert len({network.learn_one(x_n, kind(t_n)) for network, kind in zip(networks, kinds, strict=True)}) == 1
    network = networks[0]
    before = bits(network.w, network.v)
    assert all(bits(other.w, other.v) == before for other in networks)
    for bad in (np.nan, np.inf, *([1.5, -0.5] if output == "logistic" else [])):
        for make in (lambda t: t.astype(dtype), *[lambda t: float(t[0])] * (shape[2] == 1)):
            with pytest.raises(ValueError, match=r"^t\[0, \d\] is "):
                network.learn_one(x[0], make(np.append(t[0, :-1], bad)))
    for bad in (1e300 if dtype == np.float32 else -np.inf, "0.25", [0.25, 0.5]):
        with pytest.raises((ValueError, TypeError), match=r"^t"):
            network.learn_one(x[0], bad)
    network.v[0] = 0.5  # a target of any output
    with pytest.raises(ValueError, match="t overlaps the weights"):
        network.learn_one(x[0], network.v[0, : shape[2]])
    network.v[0] = networks[1].v[0]
    assert bits(network.w, network.v) == before
    assert network.learn_one(x[0], [1] * shape[2] if shape[2] > 1 else 1) > 0  # an integer is the number, not a class


SAMPLES = {
    "tuple": tuple,
    **{name: lambda x, name=name: x.astype(name) for name in ("f8", "f4", "f2", "i8", "u1", "?")},
    "subclass": lambda x: x.view(np.memmap),
    "array interface": lambda x: type("Column", (), {"__array_interface__": x.__array_interface__, "kept": x})(),
}


TARGETS = [np.int8(1), np.uint64(1), np.intp(1), np.array(1), True, np.True_, [0, 1, 0], (0.0, 1.0, 0.0)]
TARGETS += [np.array([0, 1, 0], name) for name in ("u1", "f4")]


def test_samples_of_any_layout_and_type(dtype, layout):
    x = np.array([1, 0, 1, 1, 0], dtype)  # the same number in every type
    for make in (layout, *SAMPLES.values()):
        wanted, network = (Network(5, 4, 3, dtype=dtype, rng=0) for _ in range(2))
        np.testing.assert_array_equal(network.predict_proba_one(make(x)), wanted.predict_proba_one(x))
        assert network.predict_one(make(x)) == wanted.predict_one(x)
        assert network.learn_one(make(x), 1) == wanted.learn_one(x, 1)
        assert bits(network.w, network.v) == bits(wanted.w, wanted.v)


@pytest.mark.parametrize("t", TARGETS, ids=repr)
def test_targets_of_any_kind(dtype, t):
    x = np.ones(5, dtype)
    usual = 1 if np.ndim(t) == 0 else np.array([0, 1, 0], dtype)
    by_index, wanted, network = (Network(5, 4, 3, dtype=dtype, rng=0) for _ in range(3))
    E_n = network.learn_one(x, t)
    assert E_n == wanted.learn_one(x, usual)
    assert bits(network.w, network.v) == bits(wanted.w, wanted.v)
    rounding = 16 * np.finfo(dtype).eps  # of sums in another order
    np.testing.assert_allclose(E_n, by_index.learn_one(x, 1), rounding)


def test_methods_are_the_functions(dtype):
    x, t, w, v = problem((7, 13, 5), dtype)
    network = Network.from_weights(w, v)
    assert network.loss(x, t) == cbackprop.loss(x, t, w, v)
    np.testing.assert_equal(network.gradient(x, t), cbackprop.gradient(x, t, w, v))
    ours, theirs = (inspect.signature(f).parameters for f in (Network.fit, cbackprop.fit))
    own = ("w", "v", "output", "hidden", "learning_rate", "adaptive", "accumulators")
    assert [ours[name] for name in ours if name != "self"] == [theirs[name] for name in theirs if name not in own]
    calls, settings = [], {"epochs": 3, "batch_size": 7, "rng": 4, "l2": 0.1, "momentum": 0.5, "method": "blocked"}
    other = Network.from_weights(w.copy(), v.copy(), learning_rate=0.25)
    history = other.fit(x, t, **settings, callback=lambda epoch, loss: calls.append(epoch))
    assert history == cbackprop.fit(x, t, w, v, learning_rate=0.25, **settings)
    assert calls == [1, 2, 3]
    assert bits(other.w, other.v) == bits(w, v)


@pytest.mark.parametrize("order", ["F", "C"])
def test_first_of_equal_classes(variant, dtype, order):
    for K in (1, 2, 5, 20):
        network = Network.from_weights(*cbackprop.init_weights(2, 3, K, dtype=dtype, order=order, rng=0))
        network.w[:] = network.v[:] = 1
        assert network.predict_one([1, 2]) == 0
        assert network.predict([[1, 2]]).tolist() == [0]
        network.v[K // 2 :] = 2
        assert network.predict_one([1, 2]) == K // 2
        assert network.predict([[1, 2]] * 20).tolist() == [K // 2] * 20
        network.v[:], network.v[-1, -1] = 0, 1e-20  # y round to equal numbers
        assert network.predict([[1, 2]]).tolist() == [network.predict_one([1, 2])] == [K - 1]


# ----------------------------------------------------------------------------------------------------------- the arrays


def test_from_weights_shares_memory(dtype):
    x, t, w, v = problem((3, 4, 3), dtype)
    addresses = w.ctypes.data, v.ctypes.data
    network = Network.from_weights(w, v)
    assert network.w is w
    assert network.v is v
    for learn in (lambda: network.learn_one(x[0], int(t[0])), lambda: network.fit(x, t)):
        before = bits(w, v)
        learn()
        assert network.w is w
        assert network.v is v
        assert (w.ctypes.data, v.ctypes.data) == addresses
        assert all(new != old for new, old in zip(bits(w, v), before, strict=True))


def test_weights_stay_live(variant, dtype):
    # what is written to the arrays counts at the next call
    x, t, w, v = problem((3, 4, 3), dtype)
    network = Network.from_weights(w, v)
    before = network.predict_proba_one(x[0])
    w[:] = 0
    v[:] = 0
    np.testing.assert_allclose(network.predict_proba_one(x[0]), 1 / 3, rtol=4 * np.finfo(dtype).eps)
    assert (network.predict_proba_one(x[0]) != before).any()
    v[2, -1] = 50
    assert network.predict_one(x[0]) == 2
    w[:] = np.random.default_rng(0).normal(size=w.shape)
    w_wanted, v_wanted = w.copy(), v.copy()
    network.learn_one(x[0], int(t[0]))
    cbackprop.step(x[0], t[0], w_wanted, v_wanted, 0.1)
    assert bits(w, v) == bits(w_wanted, v_wanted)


def test_learning_rate_may_be_changed(dtype):
    x, t, w, v = problem((3, 4, 3), dtype)
    network = Network.from_weights(w.copy(), v.copy())
    assert network.learning_rate == 0.1
    for rate in (0.5, np.float32(0.25), 1):
        network.learning_rate = rate
        assert network.learning_rate == float(rate)
        network.learn_one(x[0], int(t[0]))
        cbackprop.step(x[0], t[0], w, v, rate)
        network.fit(x, t, rng=0)
        cbackprop.fit(x, t, w, v, learning_rate=rate, rng=0)
        assert bits(network.w, network.v) == bits(w, v)


def test_new_network(dtype):
    network = Network(3, 4, 2, learning_rate=0.5, dtype=dtype, rng=7)
    assert bits(network.w, network.v) == bits(*cbackprop.init_weights(3, 4, 2, dtype=dtype, rng=7))
    assert network.dtype == network.w.dtype == network.v.dtype == dtype
    assert network.learning_rate == 0.5
    assert repr(network) == f"Network(3, 4, 2, learning_rate=0.5, dtype={dtype})"
    network.learning_rate = 1e-3
    assert "0.001" in repr(network)
    assert Network(3, 4, 2).dtype == np.float64
    for name in ("w", "v"):
        with pytest.raises(AttributeError):
            setattr(network, name, np.ones((3, 3)))


class Named(Network):
    """A subclass with something of its own."""


@pytest.mark.parametrize("order", ["F", "C"])
def test_copies(dtype, order, out_of_band):
    network, buffers = Named(3, 4, 2, learning_rate=0.3, adaptive=True, dtype=dtype, order=order, rng=0), []
    network.name = "of its own"
    network.learn_one([1, 2, 3], 0)
    pickled, apart = pickle.dumps(network), pickle.dumps(network, 5, buffer_callback=buffers.append)
    assert b"kernels" not in pickled  # a network pickled on one machine is one on another
    copies = [copy.deepcopy(network), pickle.loads(pickled), pickle.loads(apart, buffers=buffers)]
    copies += [out_of_band(network, offset) for offset in range(9)]
    shallow, arrays = copy.copy(network), [network.w, network.v, *network.accumulators]
    assert [each is array for each, array in zip((shallow.w, shallow.v), arrays, strict=False)] == [True, True]
    for again in (*copies, shallow):
        assert (type(again), again.name, repr(again)) == (Named, "of its own", repr(network))
        assert bits(again.w, again.v, *again.accumulators) == bits(*arrays)
    loss = network.learn_one([1, 2, 3], 1)
    for again in copies:  # each with memory of its own
        assert again.learn_one([1, 2, 3], 1) == loss
        assert bits(again.w, again.v, *again.accumulators) == bits(*arrays)
    network.w.flags.writeable = False
    pickle.loads(pickle.dumps(network)).learn_one([1, 2, 3], 0)
    assert type(Named.from_weights(network.w, network.v)) is Named


def test_weights_mapped_from_a_file_stay_there(tmp_path):
    network = Network(3, 4, 2, rng=0)
    for name in "wv":
        np.save(tmp_path / name, getattr(network, name))
    mapped = Network.from_weights(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "wv"))
    assert copy.copy(mapped).w is mapped.w


# --------------------------------------------------------------------------------------------------- when it goes wrong


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_wherever_it_is(variant, dtype, number):
    for n in (0, 21, 39):
        x, t, w, v = problem((7, 13, 5), dtype)
        network = Network.from_weights(w, v)
        x[n, 3] = number
        for use in (network.predict, network.predict_proba, lambda x, t=t, network=network: network.fit(x, t)):
            with pytest.raises(ValueError, match=rf"x\[{n}, 3\] is {number}"):
                use(x)


def test_learning_that_diverges_leaves_the_weights(library, dtype):
    big = np.finfo(dtype).max
    w, v = np.zeros((1, 2), dtype), np.array([[big, big], [0, 0]], dtype)  # a_0 = 1.5 times the largest number
    network = Network.from_weights(w, v)
    before = bits(w, v)
    for learn, given in (
        (library.step, ([0], 1, w, v, 0.1)),
        (network.learn_one, ([0], 1)),
        (network.fit, ([[0]], [1])),
    ):
        with pytest.raises(DivergenceError, match=r"smaller learning_rate.*scale the inputs"):
            learn(*given)
        assert bits(w, v) == before


@pytest.mark.parametrize("kind", ["network", "ensemble"])
def test_large_networks_in_two_threads_raise_or_wait(dtype, kind):
    # while one call works without the GIL, another thread's call is refused, or comes before or after it: no sample is
    # half learned, and the numbers stay finite
    def large():
        if kind == "network":
            return Network(400, 400, 10, dtype=dtype, rng=0)
        return Ensemble(400, 100, 10, learning_rates=[0.01, 0.1, 1], dtype=dtype, rng=0)

    model, x, errors, learned = large(), np.random.default_rng(0).normal(size=400).astype(dtype), [], []

    def work():
        for _ in range(50):
            try:
                learned.append(np.sum(model.learn_one(x, 3)))
                model.predict_one(x)
            except RuntimeError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(errors) <= {"this network is in use by another thread"}
    wanted = large()
    assert sorted(learned) == sorted(np.sum(wanted.learn_one(x, 3)) for _ in learned)
    assert bits(model.w, model.v) == bits(wanted.w, wanted.v)


def test_an_overflow_of_one_class_among_many_is_found(variant, dtype):
    # the error of class 0 is 99 times that of every other class, and only its update overflows
    largest = np.finfo(dtype).max
    w, v = np.array([[0, 100], [0, 100]], dtype), np.zeros((100, 3), dtype)
    v[0, :2] = largest, -largest  # the logits are 0
    network = Network.from_weights(w, v, learning_rate=float(largest * np.finfo(dtype).eps / 2))
    before = bits(w, v)
    with pytest.raises(DivergenceError):
        network.learn_one([0], 0)
    assert bits(w, v) == before


# ---------------------------------------------------------------------------------------------- hidden and output


def test_shapes_of_predictions():
    x = np.zeros((4, 3))
    assert Network(3, 2, 1, output="linear").predict(x).shape == (4,)
    assert Network(3, 2, 2, output="linear").predict(x).shape == (4, 2)
    assert Network(3, 2, 2, output="linear").predict_one(x[0]).shape == (2,)
    assert type(Network(3, 2, 1, output="linear").predict_one(x[0])) is float
    undecided = Network.from_weights(np.zeros((2, 4)), np.zeros((2, 3)), output="logistic")
    labels = undecided.predict(x)
    assert labels.tolist() == [[1, 1]] * 4  # a probability of 1/2 is enough
    assert labels.dtype == np.intp
    assert undecided.predict_one(x[0]).tolist() == [1, 1]
    undecided.v[:, -1] = -1e-20  # y rounds to 1/2
    assert undecided.predict(x).tolist() == [undecided.predict_one(x[0]).tolist()] * 4 == [[1, 1]] * 4
    assert Network(3, 2, 1, output="logistic").predict_one(x[0]) in (0, 1)
    linear = Network(3, 2, 1, output="linear")
    for call, given in ((linear.predict_proba, x), (linear.predict_proba_one, x[0])):
        with pytest.raises(ValueError, match="output is 'linear', which has no probabilities: use predict"):
            call(given)


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "1", None])
def test_bad_weight_of_a_sample(dtype, weight):
    network = Network(2, 3, 2, dtype=dtype, rng=0)
    before = network.w.copy()
    with pytest.raises((ValueError, TypeError), match="sample_weight is"):
        network.learn_one([0.5, -1], 1, sample_weight=weight)
    with pytest.raises((ValueError, TypeError), match="sample_weight is"):
        cbackprop.step([0.5, -1], 1, network.w, network.v, 0.1, sample_weight=weight)
    np.testing.assert_array_equal(network.w, before)


def test_functions_are_fixed_copied_and_shown(functions):
    network = Network(3, 2, 2, rng=0, **functions)
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network), eval(repr(network), {}, CONTEXT)):
        assert (other.output, other.hidden) == (functions["output"], functions["hidden"])
    with pytest.raises(AttributeError):
        network.output = "linear"


CONTEXT = {"Network": Network, "float64": np.float64}


def test_outputs_that_overflow_with_either_sign(variant, dtype):
    # and without a warning, which would be an error here
    v = np.full((2, 2), np.finfo(dtype).max, dtype) * [[1], [-1]]
    w, v = np.zeros((1, 2), dtype), v.astype(dtype)
    for call in (
        lambda: cbackprop.forward([[0.0]], w, v, output="linear"),
        lambda: Network.from_weights(w, v, output="linear").predict_one([0.0]),
    ):
        with pytest.raises(ValueError, match="w and v are too large for x"):
            call()


def test_a_single_softmax_output_is_refused():
    for output, K in (("softmax", 2), ("logistic", 1), ("linear", 1)):
        assert len(Network(6, 16, K, output=output).v) == K
    with pytest.raises(ValueError, match=r"n_outputs is 1.*always 1; for two classes, write output='logistic'"):
        Network(6, 16, 1)
    w, v = cbackprop.init_weights(6, 16, 1)
    assert Network.from_weights(w, v).predict_one(np.zeros(6)) == 0  # a stream may begin with a single class


@pytest.mark.parametrize("t", [1.0, "1", None])
def test_a_class_index_is_an_int(t):
    with pytest.raises(TypeError, match=r"it must be a class index, an int in 0\.\.2, or a row of 3 that sums to 1"):
        cbackprop.Network(2, 4, 3).learn_one([1, 2], t)
