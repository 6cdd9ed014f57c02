"""Ensembles: each member is a network that learns as if it were alone, and the mixture predicts."""

import copy
import functools
import pickle
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import cbackprop
from cbackprop import (
    DivergenceError,
    Ensemble,
    Network,
    _engines,
    _ensemble_predictions,
    _ensemble_training,
    reference,
)
from cbackprop._mixture import Mixture
from cbackprop._one_sample import OneSampleOfAll
from cbackprop._validation import Functions
from cbackprop.files import model_file
from cbackprop.files.model_file import Model, load_model, save_model

D, M, K, N = 5, 7, 3, 60
RATES = [0.01, 0.1, 0.5]
MIXED = ["tanh", "relu", "sigmoid"]
OUTPUTS = ["softmax", "linear", "logistic"]
ADAPTIVE = [False, True]
WIDTHS = [40, M, 1]  # with engines of different kinds, and kernels of different vectors
of_any_width = pytest.mark.parametrize("n_hidden", [M, WIDTHS], ids=str)


def problem(output="softmax", dtype="float64", n=N):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, D)).astype(dtype)
    if output == "softmax":
        return x, (x[:, :2] > 0).sum(axis=1)
    t = np.tanh(x[:, :K])
    return x, t if output == "linear" else (t > 0).astype(dtype)


def make(output="softmax", dtype="float64", rates=RATES, rng=0, n_hidden=M, **settings):
    sources = [np.random.default_rng([rng, r]) for r in range(len(rates))]
    return Ensemble(D, n_hidden, K, learning_rates=rates, output=output, dtype=dtype, rng=sources, **settings)


def bits(ensemble):
    arrays = [ensemble.w, ensemble.v, *ensemble._mixture.arrays, *(ensemble.accumulators or ())]
    return [b"".join(part.tobytes() for part in array) for array in arrays]


def alone(ensemble, r):
    """Network r of its own."""
    return copy.deepcopy(ensemble[r])


def from_first(array, size):
    """Numbers in the memory of an array, from its first on."""
    start = (array.ctypes.data - array.base.ctypes.data) // array.itemsize
    return array.base[start : start + size]


# ----------------------------------------------------------------------------------------------------------- networks


def test_initial_weights_are_those_of_networks(dtype):
    seeds = [3, np.random.SeedSequence(5), None]
    ensemble = Ensemble(D, M, K, learning_rates=RATES, dtype=dtype, hidden="tanh", rng=seeds)
    for r in range(2):
        wanted = Network(D, M, K, dtype=dtype, hidden="tanh", rng=seeds[r])
        np.testing.assert_equal((ensemble.w[r], ensemble.v[r]), (wanted.w, wanted.v))
    generator = np.random.default_rng(0)
    for network in Ensemble(D, M, K, learning_rates=RATES, rng=0):
        np.testing.assert_array_equal(network.w, Network(D, M, K, rng=generator).w)


def test_networks_are_live():
    ensemble = make(adaptive=True)
    ensemble[1].learn_one(np.ones(D), 0)
    for r, used in enumerate((False, True, False)):
        assert [bool(array[r].all()) for array in ensemble.accumulators] == [used, used]
    assert len(ensemble) == len(list(ensemble)) == 3
    for r, network in enumerate(ensemble):
        assert network is ensemble[r]
        assert np.shares_memory(network.w, ensemble.w)
        assert np.shares_memory(network.v, ensemble.v)
        assert network.learning_rate == RATES[r]
    with pytest.raises(IndexError):
        ensemble[3]
    with pytest.raises(AttributeError):
        ensemble.learning_rate = 1
    assert ensemble[-1] is ensemble[2]
    ensemble[1].learning_rate = 2
    assert ensemble.learning_rates.tolist() == [0.01, 2, 0.5]
    ensemble.learning_rates = [1, 2, 3]
    assert [network.learning_rate for network in ensemble] == [1, 2, 3]
    with pytest.raises(ValueError, match="learning_rates has 2 entries; it must have 3"):
        ensemble.learning_rates = [1, 2]
    assert ensemble.w.shape == (3, M, D + 1)
    assert ensemble.v.shape == (3, K, M + 1)


@pytest.mark.parametrize("adaptive", ADAPTIVE)
def test_networks_of_different_widths_and_functions(dtype, adaptive):
    ensemble = make(dtype=dtype, n_hidden=np.array(WIDTHS), hidden=MIXED, adaptive=adaptive)
    assert (ensemble.n_hidden, ensemble.hidden, ensemble.dtype) == (tuple(WIDTHS), tuple(MIXED), dtype)
    assert repr(ensemble).startswith("Ensemble(5, (40, 7, 1), 3, learning_rates=[0.01, 0.1, 0.5], ")
    for r, network in enumerate(ensemble):
        wanted = Network(D, WIDTHS[r], K, hidden=MIXED[r], dtype=dtype, rng=np.random.default_rng([0, r]))
        assert network.hidden == MIXED[r]
        for layer in "wv":
            ours = getattr(ensemble, layer)[r]
            np.testing.assert_array_equal(ours, getattr(wanted, layer))
            assert np.shares_memory(ours, getattr(network, layer))
        if adaptive:
            assert [array[r].shape for array in ensemble.accumulators] == [(WIDTHS[r],), (K,)]
            assert np.shares_memory(network.accumulators[0], ensemble.accumulators[0][r])
    ensemble = make(n_hidden=[M, M, M], hidden=["tanh"] * 3)
    assert (ensemble.n_hidden, ensemble.hidden) == (M, "tanh")
    assert ensemble.w.shape == (3, M, D + 1)
    assert bits(ensemble) == bits(make(hidden="tanh"))


def test_repr():
    assert repr(make()) == "Ensemble(5, 7, 3, learning_rates=[0.01, 0.1, 0.5], dtype=float64)"
    ensemble = make("linear", "float32", [1.0], hidden="tanh", share=0, adaptive=True)
    assert repr(ensemble) == (
        "Ensemble(5, 7, 3, learning_rates=[1.0], hidden='tanh', output='linear', adaptive=True, share=0.0, "
        "dtype=float32)"
    )
    ensemble = make(hidden=MIXED, eta=2)
    assert (ensemble.eta, make().eta) == (2, None)
    assert repr(ensemble) == (
        "Ensemble(5, 7, 3, learning_rates=[0.01, 0.1, 0.5], hidden=('tanh', 'relu', 'sigmoid'), eta=2.0, dtype=float64)"
    )
    assert repr(make(hidden=np.array(MIXED), eta=2)) == repr(ensemble)  # strings of NumPy are names


@of_any_width
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("adaptive", ADAPTIVE)
@pytest.mark.parametrize("output", OUTPUTS)
def test_learning_one_sample_is_that_of_each_network(dtype, output, adaptive, sparse, n_hidden):
    ensemble, dense = (make(output, dtype, adaptive=adaptive, hidden=MIXED, n_hidden=n_hidden) for _ in range(2))
    networks, mixture = [alone(ensemble, r) for r in range(3)], Mixture(3, K, output, 0.01)
    x, t = problem(output, dtype)
    indices, learn = np.array([1, 3]), "learn_one_sparse" if sparse else "learn_one"
    x[:, ::2] *= not sparse
    for n, (x_n, t_n) in enumerate(zip(x, t, strict=True)):
        s_n, row = [1.0, 0.5, 0.0][n % 3], (x_n,)
        if sparse:
            row = (indices.tolist(), x_n[indices].tolist()) if x_n[1] > 0 else (indices, x_n[indices])
        losses = getattr(ensemble, learn)(*row, t_n, s_n)
        assert losses.tolist() == [getattr(network, learn)(*row, t_n, s_n) for network in networks]
        mixture.see(np.atleast_2d(t_n))
        mixture.update(losses[np.newaxis], np.array([s_n]))
        if sparse:
            dense.learn_one(x_n, t_n, s_n)
            np.testing.assert_allclose(ensemble.predict_one_sparse(*row), dense.predict_one(x_n), rtol=1e-4, atol=1e-4)
            if output != "linear":
                y = ensemble.predict_proba_one_sparse(*row)
                np.testing.assert_allclose(y, dense.predict_proba_one(x_n), rtol=1e-4)
    for r in range(3):
        np.testing.assert_array_equal(ensemble.w[r], networks[r].w)
        np.testing.assert_array_equal(ensemble.v[r], networks[r].v)
    np.testing.assert_array_equal(ensemble.weights, mixture.weights)
    assert ensemble.weights.sum() == pytest.approx(1)
    assert ensemble.best == ensemble.weights.argmax()


BATCHES = [{"batch_size": 7}, {"batch_size": None}, {"batch_size": 8, "l2": 0.01}]
SETTINGS = [{}, {"l2": 0.01}, {"shuffle": False}, *BATCHES]
# as in online bagging: each network has its own weights of samples, and all have one vote in the mixture
OWN_WEIGHTS = [{"sample_weight": np.random.default_rng(n).poisson(1, (3, N)), "batch_size": n} for n in (1, 7, 20)]


@pytest.mark.parametrize(("n_hidden", "sparse"), [(M, False), (WIDTHS, False), (WIDTHS, True)], ids=str)
@pytest.mark.parametrize("adaptive", ADAPTIVE)
@pytest.mark.parametrize(("settings", "output"), list(zip(SETTINGS + OWN_WEIGHTS, OUTPUTS * 3, strict=True)))
def test_each_network_learns_as_if_it_were_alone(dtype, output, settings, adaptive, monkeypatch, n_hidden, sparse):
    if not sparse:  # whose penalty depends on the chunks, up to rounding
        monkeypatch.setattr(_ensemble_training, "CHUNK", 1)  # many chunks
    x, t = problem(output, dtype)
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    ensemble = make(output, dtype, adaptive=adaptive, hidden=MIXED, n_hidden=n_hidden)
    networks = [alone(ensemble, r) for r in range(3)]
    history = ensemble.fit(rows, t, epochs=3, rng=4, **settings)
    # networks of different widths learn the same bits
    tolerance = 0 if n_hidden is WIDTHS else 1e-11 if dtype == np.float64 else 1e-4
    for r, network in enumerate(networks):
        own = {name: value[r] if name == "sample_weight" else value for name, value in settings.items()}
        wanted = network.fit(rows, t, epochs=3, rng=4, **own)
        np.testing.assert_allclose(history.losses[:, r], wanted.losses, rtol=tolerance)
        np.testing.assert_allclose(ensemble.w[r], network.w, rtol=0, atol=tolerance)
        np.testing.assert_allclose(ensemble.v[r], network.v, rtol=0, atol=tolerance)
        for ours, theirs in zip(ensemble.accumulators or (), network.accumulators or (), strict=True):
            np.testing.assert_allclose(ours[r], theirs, rtol=tolerance)
    assert history[1:] == (3, 3 * N, {})
    assert ensemble.weights.min() > 0


@pytest.mark.parametrize("adaptive", ADAPTIVE)
@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"batch_size": None}], ids=str)
def test_what_a_network_learns_does_not_depend_on_the_others(dtype, settings, adaptive):
    x, t = problem(dtype=dtype)
    rates = [0.1, 0.3, np.finfo(dtype).max, *np.geomspace(0.01, 1, 13)]  # one diverges
    learned = []
    for R in (1, 3, 16):
        ensemble = make(dtype=dtype, rates=rates[:R], adaptive=adaptive)
        losses = ensemble.fit(x, t, epochs=2, rng=1, **settings).losses
        for x_n, t_n in zip(x, t.tolist(), strict=True):
            ensemble.learn_one(x_n, t_n)
        learned.append((ensemble.w[0].tobytes(), ensemble.v[0].tobytes(), losses[:, 0].tobytes()))
    assert len(set(learned)) == 1


@of_any_width
@pytest.mark.parametrize("settings", [{}, {"l2": 0.01}, {"batch_size": 4}], ids=str)
def test_chunks_make_no_difference(dtype, settings, monkeypatch, n_hidden):
    x, t = problem("linear", dtype)
    results, weights = [], []
    for chunk in (1, 17, 1000):
        monkeypatch.setattr(_ensemble_training, "CHUNK", chunk)
        ensemble = make("linear", dtype, n_hidden=n_hidden)
        ensemble.fit(x, t, epochs=2, rng=0, **settings)
        results.append(bits(ensemble)[:2])
        weights.append(ensemble.weights)
    assert results[0] == results[1] == results[2]
    np.testing.assert_allclose(weights[1:], weights[:2], rtol=1e-12)  # logarithms are taken for each chunk


CASES = [(1, "sigmoid", None, False, M, np.float64), (1, MIXED, None, True, WIDTHS, np.float32)]
CASES += [(7, MIXED, 0.3, True, M, np.float64)]


@pytest.mark.parametrize(("batch_size", "hidden", "eta", "adaptive", "n_hidden", "dtype"), CASES, ids=str)
@pytest.mark.parametrize("output", OUTPUTS)
def test_fit_matches_the_reference(dtype, output, batch_size, hidden, eta, adaptive, n_hidden):
    x, t = problem(output, dtype)
    ensemble = make(output, dtype, adaptive=adaptive, hidden=hidden, eta=eta, n_hidden=n_hidden)
    w, v = ([array.copy() for array in layer] for layer in (ensemble.w, ensemble.v))
    losses = np.empty((N, 3))
    for r, (network, name) in enumerate(zip(ensemble, MIXED if hidden == MIXED else [hidden] * 3, strict=True)):
        functions = {"output": output, "hidden": name}
        settings = functions | {"learning_rate": network.learning_rate, "adaptive": adaptive, "batch_size": None}
        settings["accumulators"] = copy.deepcopy(network.accumulators)
        for start in range(0, N, batch_size):
            batch = range(start, min(start + batch_size, N))
            losses[batch, r] = [reference.loss(x[[n]], t[[n]], w[r], v[r], **functions) for n in batch]
            reference.fit(x[batch], t[batch], w[r], v[r], **settings)
    log_weights, scale = np.full(3, -np.log(3)), np.zeros(2)
    mixture = Mixture(3, K, output, ensemble.share, eta)
    reference.mixture_weights(log_weights, scale, losses, mixture.rate, mixture.relative, ensemble.share)
    history = ensemble.fit(x, t, shuffle=False, batch_size=batch_size)
    tolerance = 1e-11 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(history.losses[0], losses.mean(axis=0), rtol=tolerance)
    for r, network in enumerate(ensemble):
        np.testing.assert_allclose(network.w, w[r], rtol=0, atol=tolerance)
        np.testing.assert_allclose(network.v, v[r], rtol=0, atol=tolerance)
    np.testing.assert_allclose(ensemble.weights, np.exp(log_weights), rtol=100 * tolerance)


@pytest.mark.parametrize("output", ["softmax", "linear"])
def test_the_mixture_learns_in_the_first_epoch_of_fit(output):
    x, t = problem(output)
    weight = np.arange(N) % 3.0
    for sample_weight in (None, weight):
        ensemble, wanted = make(output), make(output)
        ensemble.fit(x, t, shuffle=False, sample_weight=sample_weight)
        if output == "linear":
            wanted._mixture.see(t)  # all targets of a call are known before
        for n in range(N):
            wanted.learn_one(x[n], t[n], 1.0 if sample_weight is None else weight[n])
        np.testing.assert_allclose(ensemble.weights, wanted.weights, rtol=1e-9)
        before = ensemble.weights
        more = make(output)
        more.fit(x, t, shuffle=False, epochs=5, sample_weight=sample_weight)
        np.testing.assert_array_equal(more.weights, before)
        more.fit(x, t)
        assert (more.weights != before).any()


@pytest.mark.parametrize("of_each", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_batch_of_a_single_sample_has_its_mean_gradient(sparse, of_each):
    x, t = problem(n=1)
    x = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    weighted, plain = make(), make()
    weighted.fit(x, t, batch_size=None, sample_weight=np.full((3, 1), 5.05) if of_each else [5.05])
    plain.fit(x, t, batch_size=None)
    # the weight is multiplied and divided again
    np.testing.assert_allclose(weighted.w, plain.w, rtol=1e-14)
    np.testing.assert_allclose(weighted.v, plain.v, rtol=1e-14)


@of_any_width
@pytest.mark.parametrize("adaptive", ADAPTIVE)
def test_sparse_rows(adaptive, n_hidden):
    sparse = pytest.importorskip("scipy.sparse")
    x, t = problem()
    x[x < 0.5] = 0
    dense, rows = make(adaptive=adaptive, n_hidden=n_hidden), make(adaptive=adaptive, n_hidden=n_hidden)
    dense.fit(x, t, epochs=2, rng=0)
    rows.fit(sparse.csr_array(x), t, epochs=2, rng=0)
    for ours, theirs in zip(rows.w, dense.w, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    np.testing.assert_allclose(rows.weights, dense.weights, rtol=1e-9)
    np.testing.assert_allclose(rows.predict_proba(sparse.csr_array(x)), dense.predict_proba(x), rtol=1e-9)
    losses = dense.learn_one(x[0], int(t[0]))
    np.testing.assert_allclose(rows.learn_one(sparse.csr_array(x[:1]), int(t[0])), losses)


# -------------------------------------------------------------------------------------------------------- predictions


@of_any_width
@pytest.mark.parametrize("output", OUTPUTS)
def test_predictions_are_those_of_the_mixture(dtype, output, n_hidden):
    x, t = problem(output, dtype)
    ensemble = make(output, dtype, hidden=MIXED, n_hidden=n_hidden)
    ensemble.fit(x, t, rng=0)
    members = [cbackprop.forward(x, e.w, e.v, output=output, hidden=e.hidden).y for e in ensemble]
    members = np.array(members).astype(np.float64)
    if output == "linear":
        members = np.clip(members, t.min(axis=0), t.max(axis=0))
    wanted = np.einsum("r,rnk->nk", ensemble.weights, members)
    tolerance = 1e-13 if dtype == np.float64 else 1e-5
    if output == "linear":
        np.testing.assert_allclose(ensemble.predict(x), wanted, atol=tolerance)
        np.testing.assert_allclose([ensemble.predict_one(x_n) for x_n in x], wanted, atol=tolerance)
        with pytest.raises(ValueError, match="no probabilities"):
            ensemble.predict_proba(x)
        with pytest.raises(ValueError, match="no probabilities"):
            ensemble.predict_proba_one(x[0])
    else:
        for y in (ensemble.predict_proba(x), np.array([ensemble.predict_proba_one(x_n) for x_n in x])):
            assert y.dtype == dtype
            np.testing.assert_allclose(y, wanted, atol=tolerance)
        predicted = wanted.argmax(axis=1) if output == "softmax" else (wanted >= 0.5).astype(int)
        np.testing.assert_array_equal(ensemble.predict(x), predicted)
        np.testing.assert_array_equal([ensemble.predict_one(x_n) for x_n in x], predicted)
    E = {
        "softmax": lambda: -np.log(wanted[np.arange(N), t]).mean(),
        "linear": lambda: ((wanted - t) ** 2).sum(axis=1).mean() / 2,
        "logistic": lambda: -np.log(np.where(t, wanted, 1 - wanted)).sum(axis=1).mean(),
    }[output]()
    assert ensemble.loss(x, t) == pytest.approx(E, rel=float(100 * np.finfo(dtype).eps))


def test_single_outputs():
    x = np.linspace(-1, 1, 20)[:, np.newaxis]
    for output, t in (("linear", x[:, 0]), ("logistic", x[:, 0] > 0)):
        ensemble = Ensemble(1, 4, 1, learning_rates=RATES, output=output, rng=0)
        ensemble.fit(x, t, epochs=3, rng=0)
        assert ensemble.predict(x).shape == (20,)
        assert type(ensemble.predict_one(x[0])) is (float if output == "linear" else int)


def test_loss_of_certain_predictions_is_finite():
    ensemble = Ensemble(1, 1, 2, learning_rates=[1, 1], rng=0)
    ensemble.v[:, 0, -1] = 5000  # all but certain of class 0
    assert ensemble.loss([[0.0]], [1]) == pytest.approx(5000, rel=0.01)
    assert ensemble.predict_proba([[0.0]]).tolist() == [[1, 0]]
    labels = Ensemble(1, 1, 1, learning_rates=[1, 1], output="logistic", rng=0)
    labels.v[:, 0, -1] = 5000
    assert labels.loss([[0.0]], [0]) == pytest.approx(5000, rel=0.01)


def of_logits(logits, weights, output="softmax", dtype="float64"):
    """An ensemble whose networks have these logits, shape (R, K), for any input."""
    ensemble = Ensemble(1, 1, logits.shape[1], learning_rates=[1] * len(logits), output=output, dtype=dtype)
    ensemble.v[:] = 0
    ensemble.v[:, :, -1] = logits
    ensemble._mixture.log_weights[:] = np.log(weights)
    return ensemble


def exact_loss(ensemble, t):
    """E_n of the mixture of networks with constant logits, for a row of targets."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(40 + int(np.abs(ensemble.v).max())):  # the smallest probability is e^-a or more
        number, exp, log = (np.vectorize(f, otypes=[object]) for f in (mpmath.mpf, mpmath.exp, mpmath.log))
        a, p, t = number(ensemble.v[:, :, -1]), number(ensemble.weights), number(t)
        p /= p.sum()
        if ensemble.output == "softmax":
            return float(-(t * log(p @ (exp(a) / exp(a).sum(axis=1, keepdims=True)))).sum())
        return float(-(t * log(p @ (1 / (1 + exp(-a)))) + (1 - t) * log(p @ (1 / (1 + exp(a))))).sum())


def logits_of_all_sizes(R, K):
    rng = np.random.default_rng(0)
    for size in 10.0 ** np.linspace(-3, 2.5, 6):
        yield size * rng.normal(size=(R, K))
        yield size * rng.normal(size=K) * (1 + 1e-5 * rng.normal(size=(R, 1)))  # almost alike
    yield np.array([[50.0, 0, 0]] * R)
    yield np.array([[30.0, 0, 0], [30.0, 1, -1]] * R)[:R]


@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [1e-9, 1 - 2e-9, 1e-9]], ids=str)
@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_loss_of_the_mixture_is_accurate(output, weights):
    # about ten roundings and functions, each within 1 ULP, of which few are at their worst together
    for logits in logits_of_all_sizes(3, 3):
        ensemble = of_logits(logits, weights, output)
        rows = np.eye(3)
        if output == "softmax":
            for k in range(3):
                wanted = exact_loss(ensemble, rows[k])
                assert abs(ensemble.loss([[0.0]], [k]) - wanted) <= 4 * np.spacing(wanted)
        for row in (*rows, [0.25, 0.5, 0.25]):
            wanted = exact_loss(ensemble, row)
            assert abs(ensemble.loss([[0.0]], [row]) - wanted) <= 4 * np.spacing(wanted)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_loss_of_one_network_is_that_of_the_network(dtype, output):
    x, t = problem(output, dtype)
    ensemble = make(output, dtype, rates=[0.5])
    ensemble.fit(x, t, epochs=20)
    # that of the network is computed in its dtype, with logits that are summed in another order
    assert ensemble.loss(x, t) == pytest.approx(ensemble[0].loss(x, t), rel=20 * float(np.finfo(dtype).eps))


def test_loss_may_be_infinite():
    ensemble = of_logits(np.array([[1.5e308, -1.5e308]] * 2), [0.5, 0.5])
    assert ensemble.loss([[0.0]], [1]) == ensemble[0].loss([[0.0]], [1]) == np.inf
    assert ensemble.loss([[0.0]], [0]) == 0


def test_a_large_loss_beside_a_network_that_overflows():
    ensemble = of_logits(np.array([[0.0, 3000]] * 2), [0.5, 0.5])
    ensemble.v[1, 0] = 1.7e308  # times 1/2 and 1
    assert ensemble.loss([[0.0]], [0]) == pytest.approx(3000)


def test_loss_takes_memory_of_samples_and_classes(monkeypatch):
    n_classes, n = 2000, 50
    ensemble = Ensemble(1, 1, n_classes, learning_rates=[0.1, 1], rng=0)
    x, t = np.linspace(-1, 1, n)[:, np.newaxis], np.arange(n)
    monkeypatch.setattr(_ensemble_predictions, "CHUNK", 5 * n_classes)
    tracemalloc.start()
    E = ensemble.loss(x, t)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20 * 5 * n_classes * 8  # some arrays of a chunk, where a matrix of all classes would take 400
    rows = np.zeros((n, n_classes))
    rows[np.arange(n), t] = 1
    assert ensemble.loss(x, rows) == pytest.approx(E, rel=1e-14)
    monkeypatch.undo()
    assert ensemble.loss(x, t) == pytest.approx(E, rel=1e-14)


# ----------------------------------------------------------------------------------------------------------- overflow


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_network_that_overflows_is_left_out(dtype, output, sparse):
    x, t = problem(output, dtype)
    x[:, 0] = np.where(np.arange(N) < 20, 4, -1)
    ensemble, others, all_three = (make(output, dtype, hidden="relu") for _ in range(3))
    for each in (ensemble, others, all_three):
        each._mixture.log_weights[:] = np.log([0.7, 0.1, 0.2])
    others._mixture.drop(np.array([False, True, False]))
    for each in (ensemble, all_three):
        each.w[1], each.v[1] = 0, 0
    ensemble.w[1, :, 0] = np.finfo(dtype).max / 2  # overflows for the first 20 samples, and for others is 0
    before = bits(ensemble)
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    with pytest.raises(ValueError, match="w and v are too large for x"):
        ensemble[1].predict(rows)
    for name in ("predict", "predict_proba")[: 1 if output == "linear" else 2]:
        first, last = (getattr(each, name)(rows) for each in (others, all_three))
        # sums of numbers up to 4, which are divided by the sum of the weights before or after they are formed
        wanted = np.concatenate([first[:20], last[20:]])
        np.testing.assert_allclose(getattr(ensemble, name)(rows), wanted, rtol=0, atol=8 * float(np.finfo(dtype).eps))
    single = [ensemble.predict_one(rows[[n]] if sparse else x[n]) for n in (0, 19, 20, N - 1)]
    several = ensemble.predict(rows)[[0, 19, 20, N - 1]]
    np.testing.assert_allclose(single, several, rtol=0, atol=8 * float(np.finfo(dtype).eps))
    wanted = (20 * others.loss(rows[:20], t[:20]) + 40 * all_three.loss(rows[20:], t[20:])) / N
    assert ensemble.loss(rows, t) == pytest.approx(wanted, rel=20 * float(np.finfo(dtype).eps))
    assert bits(ensemble) == before


def test_networks_that_all_overflow_are_an_error():
    ensemble = make("linear", rates=[0.1, 1, 1], hidden="relu")
    ensemble.w[:2], ensemble.w[:2, :, 0], ensemble.v[:2] = 0, 1e308, 1
    x, t = problem("linear")
    x[:, 0] = -1
    x[7, 0] = 4
    ensemble.predict(x)
    ensemble._mixture.log_weights[:] = [np.log(0.5), np.log(0.5), -np.inf]  # the third has no weight
    for call in (lambda: ensemble.predict(x), lambda: ensemble.predict_one(x[7]), lambda: ensemble.loss(x, t)):
        with pytest.raises(ValueError, match="w and v are too large for x: sums overflow float64"):
            call()
    ensemble.w[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match=r"w\[2, 3\] is nan; weights must be finite"):
        ensemble.predict(x)


# --------------------------------------------------------------------------------------------------------- divergence


@of_any_width
@pytest.mark.parametrize("learn", ["fit", "batches", "batches without weight", "one", "sparse"])
def test_a_network_that_diverges_is_left_out(learn, n_hidden):
    x, t = problem("linear")
    rates = [0.01, 1e200, 0.02]
    ensemble, others = make("linear", rates=rates, n_hidden=n_hidden), make("linear", rates=rates, n_hidden=n_hidden)
    others._mixture.drop(np.array([False, True, False]))
    if learn == "one":
        for x_n, t_n in zip(x, t, strict=True):
            losses = ensemble.learn_one(x_n, t_n)
            others.learn_one(x_n, t_n)
        assert losses[1] == np.inf
    else:
        rows = pytest.importorskip("scipy.sparse").csr_array(x) if learn == "sparse" else x
        settings = {"epochs": 3, "rng": 0, "batch_size": 9 if learn.startswith("batches") else 1}
        if learn == "batches without weight":
            settings |= {"sample_weight": np.vstack([np.arange(N) % 30 > 20, np.ones((2, N))]), "shuffle": False}
        history = ensemble.fit(rows, t, **settings)
        others.fit(rows, t, **settings)
        assert history.diverged == {1: 1}
        assert history.losses[:, 1].tolist() == [np.inf] * 3
        assert np.isfinite(history.losses[:, [0, 2]]).all()
    assert ensemble.diverged.tolist() == [False, True, False]
    np.testing.assert_array_equal(ensemble.weights, others.weights)
    assert ensemble.weights[1] == 0
    assert all(np.isfinite(layer).all() for network in ensemble for layer in (network.w, network.v))
    for r in (0, 2):
        np.testing.assert_array_equal(ensemble.w[r], others.w[r])
    assert ensemble.weights.sum() == pytest.approx(1)
    assert np.isfinite(ensemble.predict(x)).all()
    frozen = ensemble.w[1].tobytes()
    ensemble.fit(x, t)
    assert ensemble.w[1].tobytes() == frozen


@pytest.mark.parametrize(
    ("hidden", "sparse", "first"), [("tanh", False, 1), (["tanh", "relu", "tanh"], True, 14)], ids=str
)
def test_an_interrupt_at_any_instruction_of_fit_leaves_a_number_of_samples(interrupt, hidden, sparse, first):
    """The networks and their mixture are as after one and the same number of epochs, though one diverges."""
    x, t = problem("linear")
    x, t = x[:5], t[:5]
    rows = pytest.importorskip("scipy.sparse").csr_array(x) if sparse else x
    ensemble = make("linear", rates=[0.01, 1e200, 0.02], hidden=hidden)
    states, reached, n = [bits(ensemble)], set(), first
    for epochs in (1, 2):
        after = copy.deepcopy(ensemble)
        after.fit(rows, t, epochs=epochs, shuffle=False)
        states.append(bits(after))
    while interrupt(
        n, None, functools.partial((each := copy.deepcopy(ensemble)).fit, epochs=2, shuffle=False), rows, t
    ):
        assert bits(each) in states
        reached.add(states.index(bits(each)))
        each.learn_one(x[0], t[0])  # nothing is locked
        n += 29
    assert reached == {0, 1, 2}


def test_all_networks_that_diverge_are_an_error():
    x, t = problem("linear")
    ensemble = make("linear", rates=[1e200, 1e300])
    before = bits(ensemble)[:4]
    with pytest.raises(DivergenceError, match="of the last in epoch 1: try a smaller learning_rate"):
        ensemble.fit(x, t)
    assert bits(ensemble)[:4] == before
    ensemble = make("linear", rates=[1e300, 1e300])
    ensemble.v[:] = 1e300
    before = bits(ensemble)
    with pytest.raises(DivergenceError):
        ensemble.learn_one(x[0], t[0])
    assert bits(ensemble) == before
    ensemble.learning_rates, ensemble.v[:] = [0.01, 0.02], 0.1
    assert np.isfinite(ensemble.fit(x, t).losses).all()


def test_huge_inputs_whose_products_overflow():
    # as for a network alone: the direct order of the arithmetic has no Gram matrix
    x, t = problem()
    x[3] *= 1e155
    ensemble = Ensemble(D, 16, K, learning_rates=[0.1, 0.2], rng=0)
    ensemble.w[:, :, :D] *= 1e-150
    networks = [alone(ensemble, r) for r in range(2)]
    assert ensemble.fit(x, t, shuffle=False).diverged == {}
    for r, network in enumerate(networks):
        network.fit(x, t, shuffle=False)
        np.testing.assert_allclose(ensemble.w[r], network.w, rtol=1e-9)


# -------------------------------------------------------------------------------------------------- files and copies


@of_any_width
@pytest.mark.parametrize(("output", "adaptive"), [("softmax", True), ("linear", False), ("logistic", True)])
def test_files_and_copies(tmp_path, dtype, output, adaptive, n_hidden, out_of_band):
    x, t = problem(output, dtype)
    settings = {"hidden": MIXED, "eta": 0.1} if adaptive else {"hidden": "tanh"}
    ensemble = make(output, dtype, [0.1, 1e38, 0.3], share=0.125, adaptive=adaptive, **settings, n_hidden=n_hidden)
    ensemble.fit(x, t, rng=0)
    ensemble.save(tmp_path / "e")
    copies = [Ensemble.load(tmp_path / "e"), copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))]
    copies += [out_of_band(ensemble, n) for n in (0, 1)]
    before = bits(ensemble)
    for other in copies:
        assert (bits(other), repr(other)) == (before, repr(ensemble))
        assert other.learning_rates.tolist() == ensemble.learning_rates.tolist()
        other.learn_one(x[0], t[0])
    assert bits(ensemble) == before
    ensemble.learn_one(x[0], t[0])
    for each in (ensemble, *copies):
        each.fit(x, t, rng=1)
        assert bits(each) == bits(ensemble)
        np.testing.assert_array_equal(each.predict(x), ensemble.predict(x))
    ensemble.name = "of its own"
    shared = copy.copy(ensemble)
    assert (shared.w is ensemble.w, shared.name) == (True, "of its own")
    shared.learn_one(x[0], t[0])
    assert bits(shared) == bits(ensemble) != bits(copies[0])


def test_files_of_many_networks(tmp_path, monkeypatch):
    # their names are not in the header, the length of which is limited
    monkeypatch.setattr(model_file, "MAX_HEADER", 1 << 14)
    R, path = 4000, tmp_path / "e"
    mixture = Mixture(R, 1, "logistic", 0.01)
    rates, hidden = np.linspace(0.1, 1, R), MIXED * R
    model = Model(
        np.ones((R, 1, 2)), np.ones((R, 1, 2)), rates, losses=np.ones((2, R)), states=mixture.states, share=0.01,
        training={"settings": {"l2": 0.5}, "rng": {}}, functions=Functions(output="logistic"), hidden=hidden[:R],
    )  # fmt: skip
    save_model(path, model)
    again = load_model(path, ensemble=True)
    assert list(again.hidden) == hidden[:R]
    assert again.learning_rate.tolist() == rates.tolist()
    assert again.training == model.training
    model.training["rng"]["state"] = [0] * 10_000
    with pytest.raises(ValueError, match="the settings, take more than 16,384 bytes"):
        save_model(path, model)


def test_files_of_networks_and_ensembles_are_different(tmp_path):
    make().save(tmp_path / "e")
    Network(2, 3, 2).save(tmp_path / "n")
    with pytest.raises(ValueError, match=r"it holds an ensemble: use Ensemble\.load"):
        Network.load(tmp_path / "e")
    with pytest.raises(ValueError, match=r"it holds a network: use Network\.load"):
        Ensemble.load(tmp_path / "n")


def saved(path, ensemble):
    """The arrays of the file of an ensemble, and its metadata."""
    ensemble.save(path)
    hidden = ensemble.hidden if isinstance(ensemble.hidden, str) else ",".join(ensemble.hidden)
    metadata = {"format": "cbackprop", "format_version": "1", "share": "0.01", "hidden": hidden}
    return load_file(path), metadata | {"output": ensemble.output}


def limits(place, value):
    def change(array):
        array[place] = value
        return array

    return change


WRONG = [  # tensors of networks of different widths
    *(("w", change) for change in (lambda a: a[:2], lambda a: np.concatenate([a, a]), lambda a: a[0])),
    *(("v", change) for change in (lambda a: a[:, :2], lambda a: a[:, 1:], lambda a: a[0])),
    ("hidden", lambda a: a + 1),
    ("learning_rates", lambda a: -a),
    ("log_weights", lambda a: a + 1),
    ("dropped", lambda a: a + 1),
    ("mean_loss", lambda a: a - 1),
    ("accumulators_w", lambda a: a - 1),
    ("accumulators_w", lambda a: a[1:]),
    ("accumulators_v", lambda a: a[:1]),
    ("widths", lambda a: a[1:]),
    ("widths", lambda a: a + np.array([0.5, -0.5, 0])),
    ("widths", lambda a: a + np.array([1, 0, -1])),
    ("widths", lambda a: a * np.nan),
    ("widths", lambda a: a.astype(np.float32)),
    ("limits", lambda a: a * np.nan),
    *(("limits", limits(*each)) for each in (((0, 1), np.inf), ((1, 1), -np.inf), ((0, 1), 2), ((1, 1), np.inf))),
]


@pytest.mark.parametrize(("name", "change"), WRONG)
def test_files_with_wrong_content(tmp_path, name, change):
    path, ensemble = tmp_path / "e", make("linear", n_hidden=WIDTHS, adaptive=True)
    ensemble.fit(*problem("linear"))
    tensors, metadata = saved(path, ensemble)
    assert [(key, tensors[key].shape) for key in ("w", "v", "widths")] == [
        ("w", (sum(WIDTHS), D + 1)), ("v", (K, sum(WIDTHS) + 3)), ("widths", (3,)),
    ]  # fmt: skip
    save_file(tensors, path, metadata)
    assert bits(Ensemble.load(path)) == bits(ensemble)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name].copy()))}, path, metadata)
    with pytest.raises(ValueError, match="is not a model file of this library: "):
        Ensemble.load(path)
    del tensors[name]
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=f"{name}|it holds a network"):
        Ensemble.load(path)


@pytest.mark.parametrize("changed", [{"hidden": "tanh,none"}, {"share": "2"}, {"eta": "0"}, {"eta": '"1"'}])
def test_files_with_wrong_metadata(tmp_path, changed):
    path = tmp_path / "e"
    tensors, metadata = saved(path, make(hidden=MIXED, eta=0.5))
    metadata["eta"] = "0.5"
    save_file(tensors, path, metadata)
    assert Ensemble.load(path).hidden == tuple(MIXED)
    save_file(tensors, path, metadata | changed)
    with pytest.raises(ValueError, match=f"is not a model file of this library: {next(iter(changed))}"):
        Ensemble.load(path)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    ensemble = make()
    ensemble.w[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="nan"):
        ensemble.save(tmp_path / "e")
    assert not (tmp_path / "e").exists()


class StoppedError(Exception):
    pass


@of_any_width
@pytest.mark.parametrize(
    ("settings", "rates", "adaptive"),
    [
        ({}, RATES, False),
        ({"batch_size": 7}, [0.01, 1e38, 0.1], True),
        ({"sample_weight": np.ones((3, N))}, RATES, True),
    ],
    ids=["plain", "batches", "weights"],
)
def test_resumed_training_ends_with_the_same_bits(tmp_path, dtype, settings, rates, adaptive, n_hidden):
    x, t = problem("linear", dtype)
    usual = {"output": "linear", "dtype": dtype, "rates": rates, "adaptive": adaptive, "n_hidden": n_hidden}
    wanted, cut, resumed = make(**usual), make(**usual), make(**usual, rng=1)
    history = wanted.fit(x, t, epochs=5, rng=0, **settings)

    def stop(epoch, losses):
        if epoch == 2:
            raise StoppedError

    saved = {"epochs": 5, "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(StoppedError):
        cut.fit(x, t, rng=0, callback=stop, **saved, **settings)
    saved["resume"] = True
    with pytest.raises(ValueError, match="l2 is"):
        resumed.fit(x, t, **saved, **(settings | {"l2": 0.1}))
    again = resumed.fit(x, t, rng=7, **saved, **settings)
    assert again.losses.tolist() == history.losses.tolist()
    assert again[1:] == history[1:]
    assert bits(resumed) == bits(wanted) == bits(Ensemble.load(saved["checkpoint"]))
    settings = settings if settings.get("sample_weight") is None else {}
    narrow = M if n_hidden == M else WIDTHS[:2]
    for changed, message in (
        ({"hidden": MIXED}, "hidden is .*; it must stay"),
        ({"eta": 1.0}, "eta is .*; it must stay"),
        ({"rates": [0.1, 0.2, 0.3]}, "learning_rates is .*; it must stay"),
        ({"rates": [0.1, 0.2], "n_hidden": narrow}, "learning_rates is .*; it must stay"),
        ({"n_hidden": [M, 1, 40]}, r"n_hidden is '7,1,40'; it must stay '\d+,7,\d', as in "),
    ):
        with pytest.raises(ValueError, match=message):
            make(**usual | changed).fit(x, t, **saved, **settings)


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"learning_rates": []}, ValueError, "learning_rates is .*; it must hold at least one number"),
        ({"learning_rates": 0.1}, TypeError, "learning_rates is 0.1; it must be a sequence"),
        ({"learning_rates": "auto"}, TypeError, "learning_rates is 'auto'; it must be a sequence"),
        ({"learning_rates": [0.1, -1]}, ValueError, r"learning_rates\[1\] is -1; it must be positive"),
        ({"learning_rates": [0.1, "1"]}, TypeError, r"learning_rates\[1\] is '1'; it must be a number"),
        ({"learning_rates": [1e300], "dtype": "float32"}, ValueError, "finite in float32"),
        ({"share": 1.5}, ValueError, r"share is 1.5; it must lie in 0\.\.1"),
        ({"share": None}, TypeError, "share is None"),
        ({"adaptive": 1}, TypeError, "adaptive is 1"),
        ({"n_hidden": 0}, ValueError, "n_hidden is 0; it must be at least 1"),
        ({"n_hidden": "3"}, TypeError, "n_hidden is '3'; it must be an integer"),
        ({"n_hidden": [3]}, ValueError, "n_hidden has 1 entries; it must have 2, one per learning rate"),
        ({"n_hidden": [3, 0]}, ValueError, r"n_hidden\[1\] is 0; it must be at least 1"),
        ({"n_hidden": (3, 2.0)}, TypeError, r"n_hidden\[1\] is 2.0; it must be an integer"),
        ({"hidden": "none"}, ValueError, "hidden is 'none'; it must be one of"),
        ({"hidden": ["tanh"]}, ValueError, "hidden has 1 entries; it must have 2, one per learning rate"),
        ({"hidden": ("tanh", 3)}, ValueError, r"hidden\[1\] is 3; it must be one of 'sigmoid'"),
        ({"eta": 0}, ValueError, "eta is 0; it must be positive and finite"),
        ({"eta": float("nan")}, ValueError, "eta is nan; it must be positive and finite"),
        ({"eta": 10**400}, ValueError, "it must be positive and finite"),
        ({"eta": "1"}, TypeError, "eta is '1'; it must be a number"),
        ({"rng": [1, 2, 3]}, ValueError, "rng has 3 entries; it must have 2, one per learning rate"),
        ({"rng": "1"}, TypeError, "rng is '1'"),
        ({"rng": [0, -1]}, ValueError, r"rng\[1\] is -1; it must be"),
        ({"dtype": int}, TypeError, "dtype is int64"),
        ({"n_outputs": 1}, ValueError, "n_outputs is 1"),
        ({"output": "none"}, ValueError, "output is 'none'"),
    ],
)
def test_bad_arguments(settings, error, message):
    sizes = {"n_inputs": 2, "n_hidden": 3, "n_outputs": 2, "learning_rates": [0.1, 1]}
    with pytest.raises(error, match=message):
        Ensemble(**(sizes | settings))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"x": np.ones((N, 4))}, ValueError, "x has 4 columns; it must have 5"),
        ({"x": np.full((N, D), np.nan)}, ValueError, r"x\[0, 0\] is nan"),
        ({"t": np.full(N, 3)}, ValueError, r"t\[0\] is 3"),
        ({"epochs": 0}, ValueError, "epochs is 0"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"l2": -1}, ValueError, "l2 is -1"),
        ({"shuffle": 1}, TypeError, "shuffle is 1"),
        ({"callback": 1}, TypeError, "callback is 1"),
        ({"resume": True}, ValueError, "resume is True and checkpoint is None"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight has 3 entries; it must have 60"),
        ({"sample_weight": np.ones((2, N))}, ValueError, "sample_weight has 2 rows; it must have 3, one per network"),
        ({"sample_weight": -np.eye(3, N)}, ValueError, r"in row 0, sample_weight\[0\] is -1"),
        ({"sample_weight": np.eye(4, N)[1:] * 0}, ValueError, "in row 0, sample_weight is 0 everywhere"),
    ],
)
def test_bad_arguments_of_fit(settings, error, message):
    ensemble = make()
    before = bits(ensemble)
    x, t = problem()
    with pytest.raises(error, match=message):
        ensemble.fit(**({"x": x, "t": t} | settings))
    assert bits(ensemble) == before


def test_bad_samples_change_nothing():
    ensemble = make()
    x, t = problem()
    before = bits(ensemble)
    for bad in ((x[0, :3], 0), (x[0] * np.nan, 0), (x[0], 3), (x[0], [0.5, 0.5]), (x[0], 0, -1.0)):
        with pytest.raises(ValueError, match=r"must|weights"):
            ensemble.learn_one(*bad)
    for bad in (([0, D], [1, 1]), ([0], [1, 1]), ([0], [np.nan])):
        with pytest.raises(ValueError, match="must"):
            ensemble.learn_one_sparse(*bad, t[0])
        with pytest.raises(ValueError, match="must"):
            ensemble.predict_one_sparse(*bad)
    with pytest.raises(TypeError, match="indices"):
        ensemble.learn_one_sparse(None, [1], t[0])
    assert bits(ensemble) == before
    ensemble.w[2, 1, 1] = np.inf
    before = bits(ensemble)
    with pytest.raises(ValueError, match=r"in network 2, w\[1, 1\] is inf"):
        ensemble.fit(x, t)
    assert bits(ensemble) == before
    assert ensemble.learn_one(x[0], 0)[2] == np.inf
    assert ensemble.diverged.tolist() == [False, False, True]
    ensemble.w[:2, 1, 1] = np.inf
    before = bits(ensemble)
    with pytest.raises(ValueError, match=r"w\[1, 1\] is inf"):
        ensemble.learn_one(x[0], 0)
    assert bits(ensemble) == before


@of_any_width
def test_samples_in_the_memory_of_networks(n_hidden):
    x, t = problem("linear")
    ensemble = make("linear", n_hidden=n_hidden)
    before = bits(ensemble)
    inside = [(from_first(network.w, D), from_first(network.v, K)) for network in ensemble]
    for x_n, t_n in [*inside, (ensemble.w[0].base[-D:], ensemble.v[0].base[-K:])]:  # the last are no weights
        for learn, given in (
            (ensemble.learn_one, (x_n, t[0])),
            (ensemble.learn_one, (x[0], t_n)),
            (ensemble.learn_one_sparse, (np.arange(D), x_n, t[0])),
            (ensemble.fit, (x_n[np.newaxis], t[:1])),
            (ensemble.fit, (x[:1], t_n[np.newaxis])),
        ):
            with pytest.raises(ValueError, match="overlaps the weights"):
                learn(*given)
    (ensemble.v if n_hidden == M else ensemble.v[2]).flags.writeable = False
    for learn, given in ((ensemble.learn_one, (x[0], t[0])), (ensemble.fit, (x, t))):
        with pytest.raises(ValueError, match="v is read-only"):
            learn(*given)
    assert bits(ensemble) == before


def test_callbacks():
    x, t = problem()
    ensemble = make()
    seen = []

    def stop(epoch, losses):
        seen.append((epoch, losses.tolist()))
        return epoch == 3

    history = ensemble.fit(x, t, epochs=9, callback=stop)
    assert history.epochs == 3
    assert seen == [(n + 1, losses) for n, losses in enumerate(history.losses.tolist())]


@of_any_width
def test_other_threads_cannot_train_meanwhile(other_thread, n_hidden):
    x, t = problem()
    ensemble = make(n_hidden=n_hidden, adaptive=True)
    others = [
        Network.from_weights(np.ones((4, D + 1)), np.ones((K, 5)), accumulators=(np.ones(4), s_v))
        for s_v in ensemble.accumulators[1]
    ]

    def train(epoch, losses):
        for call in (
            lambda: ensemble.learn_one(x[0], 0),
            lambda: ensemble.fit(x, t),
            *(functools.partial(network.fit, x, t) for network in [*ensemble, *others]),
        ):
            with pytest.raises(RuntimeError, match="another thread is training these weights"):
                other_thread(call)

    ensemble.fit(x, t, callback=train)


@pytest.mark.parametrize("name", ["log_weights", "dropped", "limits", "scale"])
def test_calls_with_one_sample_check_the_arrays_of_the_mixture(name):
    ensemble, mixture = make("linear"), Mixture(3, K, "linear", 0.01)
    module = _engines.kernels_for(ensemble.w[0], ensemble.v[0], 1)
    good = getattr(mixture, name)
    for wrong in (good[:1], good.astype(np.float32), good[..., np.newaxis], np.repeat(good, 2, -1)[..., ::2], None):
        setattr(mixture, name, wrong)
        with pytest.raises(ValueError, match="an array of the mixture has shape"):
            OneSampleOfAll(list(ensemble), module, mixture)
    setattr(mixture, name, good)
    OneSampleOfAll(list(ensemble), module, mixture)
    with pytest.raises(ValueError, match="networks must have the same inputs, outputs and dtype"):
        OneSampleOfAll([ensemble[0], make("linear", dtype="float32")[0]], module, mixture)


def test_calls_with_one_sample_for_a_single_unit_in_fortran_order():
    """Weights of one unit are in both orders; those of the others need scratch memory."""
    x, t = problem()
    networks = [Network(D, M, K, order="F", rng=M) for M in (1, 3)]
    alone = [copy.deepcopy(network) for network in networks]
    module = _engines.kernels_for(networks[0].w, networks[0].v, 1)
    together = OneSampleOfAll(networks, module, Mixture(2, K, "softmax", 0.01))
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        assert together.learn_one(x_n, t_n).tolist() == [network.learn_one(x_n, t_n) for network in alone]
