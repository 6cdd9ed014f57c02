"""Networks and ensembles that standardize their samples: the twins, without it, of what a scaler in NumPy makes."""

import copy
import io
import pickle
import signal

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Ensemble, Network, _training

MEANING = {"softmax": 3, "linear": 2, "logistic": 2}  # K of each output
MODELS = pytest.mark.parametrize("kind", [Network, Ensemble])


def samples(output="linear", N=60, D=3, seed=0):
    """Inputs of several scales, one of them the air pressure in Pa, and targets of another."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D))
    t = (x[:, :1] - x[:, 1:2]) * [20, 0.01] + [5000, 1]
    x = x * ([500, 1e-4] + [3] * (D - 2)) + ([101325, 0] + [-7] * (D - 2))
    x[N // 2 :: 9, 1] *= 1e6  # gross errors
    if output == "softmax":
        return x, (t[:, 0] > 5000).astype(int) + (t[:, 0] > 5020)
    return (x, t) if output == "linear" else (x, (t > [5000, 1]).astype(float))


def running(x, statistics):
    """Rows standardized by the statistics that include them, and the statistics after them: the formulas, in NumPy."""
    z, (m, q, n) = [], statistics
    for row in x:
        known, row = np.isfinite(row), np.nan_to_num(row)
        k = np.minimum(n + 1, 1000)
        s = np.sqrt(q)
        d = np.where(s > 1e-12 * np.abs(m), np.clip(row - m, -5 * s, 5 * s), row - m)
        m, q, n = np.where(
            known, [m + d / k, q + (d**2 * (1 - 1 / k) - q) / k, n + 1], [m, q, n]
        )  # fmt: skip
        s = np.sqrt(q)
        varies = known & (s > 1e-12 * np.abs(m))
        z.append(np.where(varies, np.clip((row - m) / np.where(varies, s, 1), -5, 5), 0))
    return np.array(z), np.array([m, q, n])


def new(kind=Network, output="linear", D=3, **settings):
    settings = {"standardize": True, "rng": 0, "hidden": "tanh", **settings}
    if kind is Ensemble:
        return Ensemble(D, 5, MEANING[output], output=output, **{"learning_rates": [0.02, 0.1]} | settings)
    return Network(D, 5, MEANING[output], output=output, **{"learning_rate": 0.05} | settings)


def targets(t):
    return t.tolist() if t.ndim == 1 else list(t)


def learn(model, x, t, **options):
    return [model.learn_one(x_n, t_n, **options) for x_n, t_n in zip(x, targets(t), strict=True)]


def statistics(model):
    return model._standardization.statistics


def bits(model):
    return [array.tobytes() for array in (model.w, model.v, *(model.accumulators or ()), *statistics(model))]


# ------------------------------------------------------------------------------------------------------ what is learned


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("output", MEANING)
@MODELS
def test_samples_are_learned_as_standardized_ones(dtype, kind, output, adaptive):
    x, t = samples(output)
    z, after = running(x, np.zeros((3, 3)))
    u, of_targets = running(t, np.zeros((3, 2))) if output == "linear" else (t, np.zeros((3, 0)))
    model = new(kind, output, adaptive=adaptive, dtype=dtype)
    # the mixture of standardized numbers has eta 1/2 and does not clip, which the twin's limits do not change here
    eta = {"eta": 0.25} if kind is Ensemble and output == "linear" else {}
    twin = new(kind, output, adaptive=adaptive, dtype=dtype, standardize=False, **eta)
    rtol = {np.float32: 1e-3, np.float64: 1e-9}[np.dtype(dtype).type]  # roundings, which learning magnifies
    E = learn(model, x, t), learn(twin, z.astype(dtype), u.astype(dtype) if output == "linear" else u)
    np.testing.assert_allclose(*E, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.w, twin.w, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.v, twin.v, rtol=rtol, atol=rtol)
    for found, wanted in zip(statistics(model), (after, of_targets), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    m, q, _ = after
    z = np.clip((x - m) / np.sqrt(q), -5, 5)
    y = twin.predict(z) if output == "linear" else twin.predict_proba(z)
    if output == "linear":
        np.testing.assert_allclose(model.loss(x, t), twin.loss(z, (t - of_targets[0]) / np.sqrt(of_targets[1])), rtol)
        y = y * np.sqrt(of_targets[1]) + of_targets[0]
        np.testing.assert_allclose([model.predict_one(x_n) for x_n in x], y, rtol=rtol)
        np.testing.assert_allclose(model.predict(x), y, rtol=rtol)
        return
    np.testing.assert_allclose(model.loss(x, t), twin.loss(z, t), rtol=rtol)
    np.testing.assert_allclose([model.predict_proba_one(x_n) for x_n in x], y, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(model.predict_proba(x), y, rtol=rtol, atol=rtol)
    assert [np.array_equal(model.predict_one(x_n), y_n) for x_n, y_n in zip(x, model.predict(x), strict=True)]


def test_the_gradient_is_that_for_standardized_samples():
    x, t = samples()
    network = new()
    network.fit(x, t)
    twin = Network.from_weights(network.w, network.v, hidden="tanh", output="linear")
    scaled = [(a - m) / np.sqrt(q) for a, (m, q, _) in zip((x, t), statistics(network), strict=True)]
    scaled[0] = scaled[0].clip(-5, 5)
    np.testing.assert_allclose(network.gradient(x, t)[0], twin.gradient(*scaled)[0], rtol=1e-9)


@pytest.mark.parametrize("given", [list, np.float32, np.float64, lambda x: np.array(x)[::-1][::-1], tuple])
@pytest.mark.parametrize("K", [1, 2])
def test_samples_of_any_kind_keep_their_precision(dtype, given, K):
    """A float32 network gets the differences of numbers that are equal in float32."""
    x, t = samples()
    x[:, 0] = 1e9 + np.arange(60) % 7
    if given is np.float32:
        x, t = x.astype(given).astype(float), t.astype(given).astype(float)
    networks = [Network(3, 5, K, output="linear", standardize=True, dtype=dtype, rng=0) for _ in range(2)]
    for x_n, t_n in zip(x, t, strict=True):
        numbers = t_n[:K] if K > 1 else t_n[0]
        converted = given(x_n), given(numbers) if K > 1 else float(numbers)
        assert networks[0].learn_one(*converted) == networks[1].learn_one(x_n, t_n[:K])
        assert np.array_equal(networks[0].predict_one(given(x_n)), networks[1].predict_one(x_n))
    assert bits(networks[0]) == bits(networks[1])
    if given is not np.float32:
        assert statistics(networks[0])[0][1, 0] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("batch_size", [1, 7, None])
@pytest.mark.parametrize("method", ["auto", "direct", "blocked"])
def test_fit_learns_each_epoch_of_standardized_samples(dtype, method, batch_size):
    x, t = samples()
    network, twin, rng = new(order="C", dtype=dtype), new(order="C", dtype=dtype, standardize=False), []
    scaled = new()._standardization
    settings = {"batch_size": batch_size, "method": method}
    history = network.fit(x, t, epochs=3, rng=5, **settings)
    generator, orders = np.random.default_rng(5), []
    for E in history.losses:
        order = generator.permutation(60) if batch_size else np.arange(60)
        orders.append(order)
        z, u = (scaler.learn(a[order]) for scaler, a in ((scaled.inputs, x), (scaled.targets, t)))
        assert twin.fit(z.astype(dtype), u.astype(dtype), shuffle=False, **settings).losses == [E]
    assert not rng
    assert [network.w.tobytes(), network.v.tobytes()] == [twin.w.tobytes(), twin.v.tobytes()]
    for found, wanted in zip(statistics(network), scaled.statistics, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert (found[2] == 180).all()
    if method == "direct" and batch_size == 1:  # in the order of learn_one's arithmetic, on w by rows
        one = new(order="C", dtype=dtype)
        for order in orders:
            learn(one, x[order], t[order])
        assert bits(one) == bits(network)


@pytest.mark.parametrize("output", MEANING)
def test_an_ensemble_learns_as_its_networks(dtype, output):
    x, t = samples(output, 3000)  # several chunks
    ensemble, one = (new(Ensemble, output, dtype=dtype, adaptive=True) for _ in range(2))
    ensemble.fit(x, t, epochs=2, rng=3)
    for r, rate in enumerate((0.02, 0.1)):
        network = new(Network, output, dtype=dtype, adaptive=True, learning_rate=rate)
        twin = new(Ensemble, output, dtype=dtype, adaptive=True)
        network.w[...], network.v[...] = twin.w[r], twin.v[r]
        network.fit(x, t, epochs=2, rng=3)
        assert network.w.tobytes() == ensemble[r].w.tobytes()
        assert [a.tobytes() for a in statistics(network)] == [a.tobytes() for a in statistics(ensemble)]
        np.testing.assert_array_equal(network.predict(x), ensemble[r].predict(x))
    generator = np.random.default_rng(3)
    for _ in range(2):
        order = generator.permutation(len(x))
        learn(one, x[order], t[order])
    assert [a.tobytes() for a in statistics(one)] == [a.tobytes() for a in statistics(ensemble)]
    np.testing.assert_allclose(one.w, ensemble.w, rtol=0, atol={"float32": 1e-2, "float64": 1e-8}[np.dtype(dtype).name])


def test_pressure_in_a_stream_at_the_automatic_rate():
    """An input of 101325 does not keep a network from learning: its error is below .03 of the targets' variance."""
    rng = np.random.default_rng(0)
    network = Network(6, 16, 1, output="linear", learning_rate="auto", rng=0)
    assert network.standardize
    x = rng.normal(size=(20_000, 6))
    t = np.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.1 * rng.normal(size=20_000)
    x = x * [500, 1, 1, 1e-3, 20, 1] + [101325, 0, 0, 0, 290, 50]
    errors = []
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        errors.append(network.predict_one(x_n) - t_n)
        network.learn_one(x_n, t_n)
    assert np.mean(np.square(errors[-5000:])) <= 0.03 * t.var()


# --------------------------------------------------------------------------------------------------- when it goes wrong


@MODELS
def test_errors_leave_statistics_as_they_were(kind):
    x, t = samples()
    model = new(kind)
    learn(model, x, t)
    before = bits(model)
    for bad, target in (
        ([1, np.nan, 3], t[0]), ([1, None, 3], t[0]), ([1, np.inf, 3], t[0]), ([1, 2], t[0]), (["1", 2, 3], t[0]),
        (x[0], [1, np.nan]), (x[0], [1, 2, 3]), (x[0], 1),
    ):  # fmt: skip
        for learner in (model.learn_one, lambda x, t: model.fit([x], [t])):
            with pytest.raises((TypeError, ValueError)):
                learner(bad, target)
            assert bits(model) == before
    for predict in (model.predict_one, lambda x: model.predict([x])):
        with pytest.raises(ValueError, match=r"is nan; it must be finite .* missing='mean'\) takes NaN and None"):
            predict([1, np.nan, 3])
        with pytest.raises(TypeError, match=r"object; .* missing='mean'\) takes NaN and None"):
            predict([1, None, 3])


BATCHES = {"batch_size": 5}
EVERY_ENGINE = pytest.mark.parametrize(
    ("kind", "options", "settings"),
    [
        *((Network, {}, {}), (Network, {}, BATCHES), (Ensemble, {}, {}), (Ensemble, {}, BATCHES)),
        *((Network, {"order": "C"}, {}), (Network, {"order": "C"}, {"method": "blocked"})),
    ],
    ids=str,
)


@EVERY_ENGINE
def test_divergence_takes_statistics_back(dtype, kind, options, settings):
    x, t = samples(N=200)
    model = new(kind, dtype=dtype, **options)
    model.fit(x, t, rng=0)
    before = bits(model)
    rate = float(np.finfo(dtype).max) / 10
    if kind is Ensemble:
        model.learning_rates = [rate, rate]
    else:
        model.learning_rate = rate
    for diverge in (lambda: model.fit(x, t, **settings), lambda: learn(model, x[:1], t[:1])):
        with pytest.raises(DivergenceError):
            diverge()
        assert bits(model) == before


@EVERY_ENGINE
def test_an_interrupt_at_any_instruction_leaves_whole_epochs(interrupt, kind, options, settings):
    x, t = samples(N=20)
    model, settings = new(kind, **options), settings | {"epochs": 2, "shuffle": False}
    seen = [bits(model)]
    model.fit(x, t, **settings, callback=lambda epoch, loss: seen.append(bits(model)))
    n, found = 1, set()
    names = {"epochs", "_epochs", "_commit", "learn", "_learn", "store", "standardized", "commits", "_run", "finish"}
    while True:
        model = new(kind, **options)
        hit = interrupt(n, names, lambda model=model: model.fit(x, t, **settings))
        assert bits(model) in seen
        found.add(seen.index(bits(model)))
        if not hit:
            break
        n += 1 if kind is Network else 3  # opcodes, of which an ensemble has more
    assert found == {0, 1, 2}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers there")
@pytest.mark.parametrize(
    ("sizes", "options", "settings"),
    [
        ((20, 16), {}, {}),
        ((20, 16), {"order": "C"}, {"method": "direct"}),
        ((60, 160), {"order": "C"}, {"method": "blocked"}),
        ((60, 160), {"order": "C"}, {"batch_size": 50}),
        ((60, 160), {"adaptive": True}, {"batch_size": 50}),
    ],
    ids=str,
)
def test_a_signal_within_an_epoch_leaves_statistics_of_what_was_learned(monkeypatch, sizes, options, settings):
    def timed(learner, *given, learn=_training.Learner._learn):
        signal.setitimer(signal.ITIMER_REAL, 0.003)  # before the first poll, or a later one
        try:
            return learn(learner, *given)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def handler(*_):
        raise KeyboardInterrupt

    D, M = sizes
    N = 100_000 if M < 100 else 60_000  # some polls for signals
    x, t = samples(N=N, D=D)
    options = {"output": "linear", "standardize": True, "learning_rate": 1e-3, "rng": 0} | options
    network, twin = Network(D, M, 2, **options), Network(D, M, 2, **options)
    network.fit(x, t, shuffle=False, **settings)
    usual = signal.signal(signal.SIGALRM, handler)
    try:
        monkeypatch.setattr(_training.Learner, "_learn", timed)
        with pytest.raises(KeyboardInterrupt):
            network.fit(x, t, shuffle=False, epochs=2, **settings)
    finally:
        monkeypatch.undo()
        signal.signal(signal.SIGALRM, usual)
    learned = int(statistics(network)[0][2, 0]) - N
    assert 0 < learned < N
    twin.fit(x, t, shuffle=False, **settings)
    discarded = copy.deepcopy(twin)  # a batch that an engine discards has been seen
    twin.fit(x[:learned], t[:learned], shuffle=False, **settings)
    before = learned - settings.get("batch_size", 1)
    discarded.fit(x[:before], t[:before], shuffle=False, **settings)
    np.testing.assert_array_equal(statistics(twin)[0], statistics(network)[0])
    errors = [np.abs(each.w - network.w).max() for each in (twin, discarded)]
    assert min(errors[: 1 + ("batch_size" in settings)]) < 1e-7  # blocks that end elsewhere add up in another order


# ----------------------------------------------------------------------------------------------------- copies and files


@pytest.mark.parametrize("output", MEANING)
@MODELS
def test_saved_models_go_on(dtype, kind, output):
    x, t = samples(output)
    model = new(kind, output, dtype=dtype, missing="mean")
    model.fit(x, t, rng=0)
    before, file, buffers, shallow = bits(model), io.BytesIO(), [], copy.copy(model)
    model.save(file)
    apart = pickle.dumps(model, 5, buffer_callback=buffers.append)
    again = [kind.load(file.getvalue()), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    again += [pickle.loads(apart, buffers=each) for each in (buffers, [bytes(buffer.raw()) for buffer in buffers])]
    for each in again:
        assert bits(each) == before
        assert repr(each) == repr(model)
        np.testing.assert_array_equal(each.predict(x), model.predict(x))
    wanted = learn(model, x, t)
    for each in again:
        assert bits(each) == before
        np.testing.assert_array_equal(learn(each, x, t), wanted)
        assert bits(each) == bits(model) == bits(shallow)


@MODELS
def test_resumed_training_has_the_same_bits(tmp_path, kind):
    x, t = samples()
    whole, first, second = (new(kind) for _ in range(3))
    whole.fit(x, t, epochs=4, rng=0)
    path = tmp_path / "checkpoint"
    first.fit(x, t, epochs=2, rng=0, checkpoint=path)
    assert bits(kind.load(path)) == bits(first)
    second.fit(x, t, epochs=4, rng=0, checkpoint=path, resume=True)
    assert bits(second) == bits(whole)
    for other in (new(kind, standardize=False), new(kind, missing="mean")):
        with pytest.raises(ValueError, match="checkpoint"):
            other.fit(x, t, epochs=4, rng=0, checkpoint=path, resume=True)


# ---------------------------------------------------------------------------------------------------------- sparse rows


def rows(x):
    return pytest.importorskip("scipy.sparse").csr_array(x)


@MODELS
def test_sparse_rows_are_refused_by_networks_that_standardize(kind):
    x, t = samples()
    asked, model = new(kind), new(kind)
    learn(model, x, t)
    for each in (asked, model):
        before = bits(each)
        for use in (
            lambda each=each: each.fit(rows(x), t),
            lambda each=each: each.learn_one(rows(x[:1]), t[0]),
            lambda each=each: each.learn_one_sparse([0], [1.0], t[0]),
            lambda each=each: each.predict(rows(x)),
            lambda each=each: each.predict_one_sparse([0], [1.0]),
            lambda each=each: each.loss(rows(x), t),
        ):
            with pytest.raises(ValueError, match=r"x is sparse, .* create it with standardize=False"):
                use()
        assert bits(each) == before


@pytest.mark.parametrize("how", ["fit", "learn_one", "learn_one_sparse"])
def test_sparse_rows_come_first_at_the_automatic_rate(how):
    x, t = samples()
    x /= np.abs(x).max(axis=0)
    t = t[:, 1:]
    network, twin = (
        Network(3, 5, 1, output="linear", learning_rate="auto", standardize=standardize, rng=0)
        for standardize in (None, False)
    )
    np.testing.assert_array_equal(network.predict(rows(x)), twin.predict(rows(x)))
    network.predict_one(x[0])  # a dense sample in between
    assert network.predict_one_sparse([0], [2.0]) == twin.predict_one_sparse([0], [2.0])
    assert network.standardize
    for each in (network, twin):
        if how == "fit":
            each.fit(rows(x), t, rng=0)
        elif how == "learn_one":
            each.learn_one(rows(x[:1]), t[0])
        else:
            each.learn_one_sparse([0, 2], x[0, [0, 2]], t[0])
    assert not network.standardize
    assert network.w.tobytes() == twin.w.tobytes()
    learn(network, x, t)
    learn(twin, x, t)
    assert network.w.tobytes() == twin.w.tobytes()
    learned = Network(3, 5, 1, output="linear", learning_rate="auto")
    learn(learned, x, t)
    with pytest.raises(ValueError, match="x is sparse"):
        learned.fit(rows(x), t)


# -------------------------------------------------------------------------------------------------------------- missing


@MODELS
def test_missing_inputs_count_as_the_mean(kind):
    x, t = samples()
    x[::4, 1], x[5, :] = np.nan, np.nan
    model, twin = new(kind, missing="mean"), new(kind, standardize=False, **{"eta": 0.25} if kind is Ensemble else {})
    z, after = running(x, np.zeros((3, 3)))
    u, _ = running(t, np.zeros((3, 2)))
    E = learn(model, x, t), learn(twin, z, u)
    np.testing.assert_allclose(*E, rtol=1e-9)
    np.testing.assert_allclose(statistics(model)[0], after, rtol=1e-12)
    fitted, lists = new(kind, missing="mean"), new(kind, missing="mean")
    fitted.fit(x, t, shuffle=False)
    with_none = [[None if number != number else number for number in row] for row in x.tolist()]
    learn(lists, with_none, t)
    assert bits(lists) == bits(model)
    lists = new(kind, missing="mean")
    lists.fit(with_none, t, shuffle=False)
    assert bits(lists) == bits(fitted)
    mean = after[0]
    filled = np.where(np.isnan(x), mean, x)
    np.testing.assert_array_equal(model.predict(with_none), model.predict(filled))
    np.testing.assert_array_equal(model.predict_one(with_none[5]), model.predict_one(mean))
    for bad in ([1, np.inf, np.nan], [1, "2", None], [1, np.nan]):
        with pytest.raises((TypeError, ValueError)):
            model.predict_one(bad)


# ---------------------------------------------------------------------------------------------------------- description


@pytest.mark.parametrize(
    ("settings", "standardize", "shown"),
    [
        ({}, False, ""),
        ({"learning_rate": "auto"}, True, "standardize=True, "),
        ({"learning_rate": "auto", "standardize": False}, False, ""),
        ({"standardize": True}, True, "standardize=True, "),
        ({"standardize": True, "missing": "mean"}, True, "standardize=True, missing='mean', "),
    ],
    ids=str,
)
def test_what_a_network_does_by_itself(settings, standardize, shown):
    network = Network(2, 3, 2, **settings)
    assert network.standardize == standardize
    assert network.missing == settings.get("missing", "error")
    assert repr(network).endswith(f"{shown}dtype=float64)")
    assert ("standardize=True" in repr(network)) == standardize
    assert ("standardized" in network._repr_html_()) == standardize


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"standardize": "yes"}, TypeError, "standardize is 'yes'; it must be True or False"),
        ({"standardize": True, "missing": "median"}, ValueError, "missing is 'median'; it must be one of"),
        ({"missing": "mean"}, ValueError, "missing is 'mean', which needs .* standardize=True"),
    ],
    ids=str,
)
@MODELS
def test_settings_that_are_none(kind, settings, error, message):
    with pytest.raises(error, match=message):
        kind(2, 3, 2, **settings, **{"learning_rates": [0.1]} if kind is Ensemble else {})


def test_functions_learn_arrays_as_they_are():
    x, t = samples()
    w, v = cbackprop.init_weights(3, 5, 2)
    with pytest.raises(TypeError):
        cbackprop.fit(x, t, w, v, output="linear", standardize=True)


def test_estimators_standardize_by_themselves():
    sklearn = pytest.importorskip("cbackprop.sklearn")
    with pytest.raises(ValueError, match=r"network standardizes its inputs; .* standardize=False"):
        sklearn.BackpropRegressor.from_network(new())


def test_losses_show_targets_that_training_limits():
    network = new()
    network.fit(*samples(), rng=0)
    x, t = samples()
    mean, variance, _count = network._standardization.statistics[1]
    gross = np.full_like(t, 1e6)
    y = (network.predict(x) - mean) / np.sqrt(variance)
    expected = ((y - (gross - mean) / np.sqrt(variance)) ** 2).sum(axis=1).mean() / 2
    assert network.loss(x, gross) == pytest.approx(expected, rel=1e-12)


class Using:
    """Inputs whose conversion learns another sample."""

    def __init__(self, x, learn):
        self.x, self.learn = x, learn

    def __array__(self, dtype=None, copy=None):
        self.learn()
        return self.x


@pytest.mark.parametrize("standardize", [False, True])
def test_samples_learned_while_another_is_converted(standardize):
    network, twin = new(standardize=standardize), new(standardize=standardize)
    x, t = [0.5, -1.0, 2.0], np.array([1.0, -1.0])
    network.learn_one(Using(np.array(x), lambda: network.learn_one(x, t + 3)), t)
    twin.learn_one(x, t + 3)
    twin.learn_one(x, t)
    np.testing.assert_array_equal(network.w, twin.w)
    np.testing.assert_array_equal(network.v, twin.v)


def test_a_sparse_sample_learned_while_another_is_converted():
    network = Network(3, 5, 2, learning_rate="auto", rng=0)
    x = Using(np.ones(3), lambda: network.learn_one_sparse([0], [1.0], 0))
    with pytest.raises(RuntimeError, match="has learned a sparse sample while x was converted"):
        network.learn_one(x, 0)


def test_sparse_samples_that_are_refused_leave_the_standardization():
    sparse = pytest.importorskip("scipy.sparse")
    network = Network(3, 5, 2, learning_rate="auto", rng=0)
    for call in (
        lambda: network.learn_one_sparse([99], [1.0], 0),
        lambda: network.learn_one_sparse([0], [1.0], 7),
        lambda: network.fit(sparse.csr_array(np.eye(3)), [0, 1, 7]),
    ):
        with pytest.raises((ValueError, IndexError)):
            call()
        assert network.standardize
