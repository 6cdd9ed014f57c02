"""Distributed training: equal to local training, bit for bit or up to rounding; workers may be lost."""

import functools
import os
import pickle
import signal
from unittest.mock import MagicMock

import numpy as np
import pytest

import cbackprop
from cbackprop import DivergenceError, Network
from cbackprop._training_lock import TrainingLock

pytest.importorskip("distributed")
pytest.importorskip("pandas")
import dask
import dask.array as da
import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import is_classifier, is_regressor
from sklearn.datasets import load_digits

import cbackprop.dask
from cbackprop.dask import BackpropClassifier, BackpropRegressor, _estimators
from cbackprop.dask import _training as training
from cbackprop.progress import epoch_bar
from cbackprop.sklearn import BackpropRegressor as LocalRegressor


@pytest.fixture(scope="module")
def client():
    """A client with two workers in this process."""
    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        yield client


@pytest.fixture(scope="module")
def digits():
    x, t = load_digits(return_X_y=True)
    return x / 16, t


def network(dtype=np.float64, **options):
    return Network(64, 12, 10, dtype=dtype, rng=0, **options)


def bits(network):
    return network.w.tobytes() + network.v.tobytes()


def sharded(x, t, rows):
    return da.from_array(x, chunks=(rows, 32)), da.from_array(t, chunks=rows)


def learn(client, x, t, dtype=np.float64, **options):
    learned = network(dtype)
    return learned, cbackprop.dask.fit(client, learned, x, t, **options)


def assert_close(network, wanted, tolerance):
    """Check that the weights of two networks are equal up to `tolerance`."""
    for ours, theirs in ((network.w, wanted.w), (network.v, wanted.v)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


def samples_for(output, n=200):
    """Samples of 4 inputs and 3 outputs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    t = x[:, :3] * x[:, 1:]
    return x, {"linear": t, "logistic": (t > 0).astype(float), "softmax": t.argmax(axis=1)}[output]


# ------------------------------------------------------------------------------------------------------- exact and fast


@pytest.mark.parametrize(("rows", "dtype"), [(500, "float32"), (100, "float64")])
def test_exact_is_the_batch_gradient(client, digits, dtype, rows):
    x, t = digits[0].astype(dtype), digits[1]
    learned, history = learn(client, *sharded(x, t, rows), dtype, epochs=5, batch_size=None)
    local = network(dtype)
    wanted = local.fit(x, t, epochs=5, batch_size=None)
    # 5 updates at a learning rate of 0.1 with sums of 1797 numbers below 1 in another order
    assert_close(learned, local, {"float32": 1e-5, "float64": 1e-13}[dtype])
    np.testing.assert_allclose(history.losses, wanted.losses, rtol={"float32": 1e-5, "float64": 1e-13}[dtype])
    assert history[1:] == wanted[1:] == (5, 5 * 1797)


@pytest.mark.parametrize(
    ("options", "dtype", "kind"),
    [
        ({}, "float32", np.asarray),
        ({"local_epochs": 2}, "float64", csr_array),
        ({"local_epochs": 9, "batch_size": 8}, "float64", np.asarray),
    ],
    ids=str,
)
def test_one_shard_is_local_learning_to_the_bit(client, digits, dtype, options, kind):
    x, t = digits[0].astype(dtype), digits[1]
    rng, local_rng = np.random.default_rng(5), np.random.default_rng(5)
    shards = sharded(x, t, 2000) if kind is np.asarray else (kind(x), t)
    learned, history = learn(client, *shards, dtype, epochs=5, rng=rng, **options)
    local = network(dtype)
    wanted = local.fit(kind(x), t, epochs=5, rng=local_rng, batch_size=options.get("batch_size", 1))
    assert bits(learned) == bits(local)
    assert history == wanted
    assert rng.random() == local_rng.random()


@pytest.mark.parametrize(("output", "hidden"), [("linear", "relu"), ("logistic", "sigmoid"), ("softmax", "tanh")])
def test_networks_learn_with_their_functions(client, output, hidden):
    x, t = samples_for(output)
    exact, fast, *local = (Network(4, 5, 3, output=output, hidden=hidden, rng=0) for _ in range(4))
    shards = da.from_array(x, chunks=(70, 2)), da.from_array(t, chunks=70)
    history = cbackprop.dask.fit(client, exact, *shards, epochs=3, batch_size=None)
    wanted = local[0].fit(x, t, epochs=3, batch_size=None)
    assert_close(exact, local[0], 1e-14)  # sums of 200 numbers in another order
    np.testing.assert_allclose(history.losses, wanted.losses, rtol=1e-14)
    assert cbackprop.dask.fit(client, fast, x, t, epochs=3, rng=1) == local[1].fit(x, t, epochs=3, rng=1)
    assert bits(fast) == bits(local[1])


def test_several_shards_are_the_mean_of_local_learning(client, digits):
    x, t = digits
    learned, history = learn(client, *sharded(x, t, 600), epochs=1, rng=3)
    rng, mean, loss = np.random.default_rng(3), network(), 0
    mean.w[:], mean.v[:] = 0, 0
    for part, generator in zip((slice(0, 600), slice(600, 1200), slice(1200, 1797)), [rng, *rng.spawn(2)], strict=True):
        local, share = network(), len(t[part]) / 1797
        loss += share * local.fit(x[part], t[part], rng=generator).losses[0]
        mean.w[:] += share * local.w
        mean.v[:] += share * local.v
    assert_close(learned, mean, 1e-15)
    assert history.losses == pytest.approx([loss])
    assert history.samples == 1797


def test_rows_may_be_targets_and_partitions_may_be_empty(client, digits):
    x, t = digits
    wanted, _ = learn(client, *sharded(x, t, 600), epochs=2, rng=0)
    rows = da.from_array(x, chunks=(600, 64)), da.from_array(np.eye(10)[t], chunks=(600, 5))
    assert_close(learn(client, *rows, epochs=2, rng=0)[0], wanted, 1e-12)  # errors of class indices round otherwise
    full, labels = dd.from_pandas(pd.DataFrame(x), npartitions=1), dd.from_pandas(pd.Series(t), npartitions=1)
    empty = full[full[0] > 1]
    with pytest.raises(ValueError, match="x has no rows"):
        learn(client, empty, empty[0])
    labels = dd.concat([empty[0].astype(int), labels])
    learned, _ = learn(client, dd.concat([empty, full]), labels, epochs=2, rng=0)
    local = network()
    local.fit(x, t, epochs=2, rng=0)
    assert bits(learned) == bits(local)


@pytest.mark.parametrize(("batch_size", "kind"), [(None, csr_array), (1, csr_matrix)])
def test_chunks_of_sparse_rows_are_learned_as_dense_ones(client, digits, batch_size, kind):
    x, t = digits
    shards = da.from_array(x, chunks=(600, -1)), da.from_array(t, chunks=600)
    options = {"epochs": 3, "batch_size": batch_size, "rng": 0}
    dense, wanted = learn(client, *shards, **options)
    for rows in (shards[0].map_blocks(kind), chunks([kind(x[:600]), kind(x[600:1200]), kind(x[1200:])])):
        learned, history = learn(client, rows, shards[1], **options)
        # some thousand updates with sums in another order
        assert_close(learned, dense, 1e-12)
        np.testing.assert_allclose(history.losses, wanted.losses, rtol=1e-12)


def chunks(parts):
    """A dask array of sparse parts."""
    return da.concatenate([da.from_delayed(dask.delayed(part), part.shape, meta=part[:0]) for part in parts])


def test_hostile_sparse_chunks_are_refused(client, digits):
    x, t = digits
    bad, learned = csr_array(x[600:1200]), network()
    bad.indices[-1], before = 64, bits(learned)
    for change, message in (
        (bad, r"shard 1: x\[599\] has index 64; it must lie in 0\.\.63"),
        (csc_array(x[600:1200]), r"shard 1: x is a csc_array; .* use x\.tocsr\(\)"),
    ):
        rows = chunks([csr_array(x[:600]), change, csr_array(x[1200:])])
        with pytest.raises(ValueError, match=message):
            cbackprop.dask.fit(client, learned, rows, da.from_array(t, chunks=600))
        assert bits(learned) == before


@pytest.mark.parametrize("kind", [BackpropClassifier, BackpropRegressor])
def test_estimators_take_chunks_of_sparse_rows(client, digits, kind):
    x, t = digits[0].astype(np.float32), digits[1] / (1 if kind is BackpropClassifier else 10)
    dense, y = da.from_array(x, chunks=(600, -1)), da.from_array(t, chunks=600)
    sparse = dense.map_blocks(csr_array)
    wanted, model = (kind(8, max_iter=2, random_state=0).fit(rows, y) for rows in (dense, sparse))
    weights = model.estimator_.network_.w
    assert (weights.dtype, weights.flags.c_contiguous) == (np.float32, False)
    np.testing.assert_allclose(weights, wanted.estimator_.network_.w, rtol=0, atol=1e-4)  # of 3594 updates
    assert model.score(sparse, y) == pytest.approx(wanted.score(dense, y), abs=1e-3)
    assert type(model.predict(sparse).compute()) is np.ndarray
    assert np.array_equal(model.predict(csr_array(x)), model.predict(sparse).compute())


def test_callback_is_called_after_each_round_and_may_stop(client, digits, capsys):
    seen = []
    _, history = learn(client, *sharded(*digits, 900), epochs=7, local_epochs=3, callback=lambda *now: seen.append(now))
    assert seen == [(3, history.losses[2]), (6, history.losses[5]), (7, history.losses[6])]
    _, history = learn(client, *sharded(*digits, 900), epochs=7, callback=lambda epoch, loss: epoch == 2)
    assert history.epochs == 2
    with epoch_bar(4) as bar:
        learn(client, *sharded(*digits, 900), epochs=4, batch_size=None, callback=bar)
    assert "4/4" in capsys.readouterr().err


def test_weights_are_locked(client, digits, other_thread):
    # the next round would overwrite the updates of another thread
    learned = network()

    def callback(epoch, loss):
        with pytest.raises(RuntimeError, match="another thread"):
            other_thread(learned.learn_one, digits[0][0], 0)

    assert cbackprop.dask.fit(client, learned, *sharded(*digits, 900), epochs=2, callback=callback).epochs == 2


# -------------------------------------------------------------------------------------------------------------- workers


@pytest.fixture(scope="module")
def processes():
    """A client with two workers in processes of their own."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 1])
def test_bits_do_not_depend_on_workers_even_lost_ones(client, processes, digits, batch_size):
    options = {"epochs": 4, "batch_size": batch_size, "rng": 0}
    here, losses = learn(client, *sharded(*digits, 250), **options)
    killed = []

    def kill_one(epoch, loss):
        if epoch == 2:
            worker, pid = next(iter(processes.run(os.getpid).items()))
            os.kill(pid, signal.SIGKILL)
            killed.append(worker)

    orphaned, history = learn(processes, *sharded(*digits, 250), **options, callback=kill_one)
    assert len(killed) == 1
    assert bits(orphaned) == bits(here)
    assert history == losses


@pytest.mark.parametrize("order", ["C", "F"])
def test_tasks_can_be_repeated(digits, order):
    """The worker that replaces a lost one starts from the same weights, in the same layout, and random numbers."""
    learned, generators = network(order=order), [np.random.default_rng(0)]
    arguments = [0], [digits], learned, generators, {"batch_size": 1}
    (first,), (second,) = (training.learn_shards(*arguments) for _ in range(2))
    assert np.array_equal(first["w"], second["w"])
    assert (first["w"].strides, first["v"].strides) == (learned.w.strides, learned.v.strides)
    assert bits(learned) == bits(network(order=order))


def test_shards_stay_where_they_are(client, digits):
    places, others = [], client.who_has().keys()

    def record(epoch, loss):
        shards = {key: workers for key, workers in client.who_has().items() if str(key).startswith("load_shard")}
        places.append({key: workers for key, workers in shards.items() if key not in others})

    learn(client, *sharded(*digits, 250), epochs=4, callback=record)
    assert len(places[0]) == 8
    assert places[1:] == places[:-1]
    assert {len(workers) for workers in places[0].values()} == {1}


# ----------------------------------------------------------------------------------------------------------- classifier


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_classifier(client, digits, kind):
    x, t = digits[0].astype(np.float32), digits[1]
    names = np.array([f"digit {k}" for k in range(10)])
    X, y = sharded(x, names[t], 900)
    if kind == "frame":
        x = pd.DataFrame(x, columns=[f"pixel {i}" for i in range(64)])
        X, y = (dd.from_pandas(rows, npartitions=2) for rows in (x, pd.Series(names[t])))
    model = BackpropClassifier(30, random_state=0, max_iter=20, local_epochs=4).fit(X, y)
    assert is_classifier(model)
    assert model.classes_.tolist() == names.tolist()
    assert model.estimator_.network_.dtype == np.float32
    assert model.score(x, names[t]) == model.score(X, y) > 0.97
    assert np.array_equal(model.predict(X).compute(), model.estimator_.predict(x))
    # passes over a chunk and over all samples may round differently
    np.testing.assert_allclose(model.predict_proba(X).compute(), model.predict_proba(x), atol=1e-6)
    assert len(model.loss_curve_) <= 20
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


@pytest.mark.parametrize(("kind", "outputs"), [("array", 3), ("frame", None), ("frame", 1)])
def test_regressor(client, kind, outputs):
    x = samples_for("linear")[0].astype(np.float32)
    y = x[:, 0] - x[:, 1] ** 2 if outputs is None else x[:, :outputs] - x[:, 3:]
    X, Y = da.from_array(x, chunks=(70, 2)), da.from_array(y, chunks=70)
    if kind == "frame":
        x = pd.DataFrame(x, columns=list("abcd"))
        X = dd.from_pandas(x, npartitions=3)
        Y = dd.from_pandas(pd.Series(y) if outputs is None else pd.DataFrame(y), npartitions=3)
    model = BackpropRegressor(20, learning_rate_init=0.05, random_state=0, max_iter=20, local_epochs=10).fit(X, Y)
    assert isinstance(model.estimator_, LocalRegressor)
    assert is_regressor(model)
    assert model.estimator_.network_.functions == ("tanh", "linear")
    assert model.estimator_.network_.dtype == np.float32
    predicted, lazy = model.predict(x), model.predict(X)
    assert predicted.shape == ((200,) if outputs in (None, 1) else (200, outputs))
    assert lazy.ndim == predicted.ndim
    # passes over a chunk and over all samples may round differently
    np.testing.assert_allclose(lazy.compute(), predicted, atol=1e-5)
    assert model.score(X, Y) == pytest.approx(model.estimator_.score(x, y), abs=1e-5)
    assert model.score(x, y) == pytest.approx(model.score(X, Y), abs=1e-5)
    assert model.score(x, y) > 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": "identity"}, "activation is 'identity'; there is only 'logistic' or 'relu' or 'tanh' here"),
        ({"hidden_layer_sizes": (5, 5)}, "there is exactly one hidden layer"),
        ({"learning_rate_init": -1.0}, "learning_rate_init is -1.0; it must be positive and finite"),
        ({"max_iter": 0}, "'max_iter' parameter of BackpropRegressor must be an int"),
        ({"tol": "x"}, "'tol' parameter of BackpropRegressor must be"),
        ({"X": np.nan}, r"shard .: x\[0, 0\] is nan; it must be finite"),
        ({"y": np.nan}, r"shard .: t\[0, 0\] is nan; it must be finite"),
    ],
    ids=str,
)
def test_a_failed_fit_leaves_the_regressor_unchanged(client, change, message):
    x, y = (da.from_array(array, chunks=(100, 4)) for array in samples_for("linear"))
    model = BackpropRegressor(5, max_iter=1, random_state=0).fit(x, y[:, 0])
    model.set_params(**{name: value for name, value in change.items() if name not in ("X", "y")})
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(x + change.get("X", 0), y[:, 0] + change.get("y", 0))
    assert pickle.dumps(model) == before


def test_columns_must_be_those_of_fit(client):
    names = ["a", "b", "c"]
    frame, labels = pd.DataFrame(np.eye(3), columns=names), pd.Series([0, 1, 0])
    X, y = (dd.from_pandas(rows, npartitions=2) for rows in (frame, labels))
    model = BackpropClassifier(8, random_state=0, max_iter=1).fit(X, y)
    assert model.feature_names_in_.tolist() == model.estimator_.feature_names_in_.tolist() == names
    unnamed = X.to_dask_array(lengths=True)
    for answer in (model.predict, model.predict_proba, lambda X: model.score(X, labels)):
        for message, columns in (("must be in the same order", ["c", "b", "a"]), ("now missing:\n- c", ["a", "b"])):
            local = frame[columns]
            for other in (local, dd.from_pandas(local, npartitions=2)):
                with pytest.raises(ValueError, match=f"(?s)feature names should match those .*{message}"):
                    answer(other)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            answer(unnamed)
    model.fit(unnamed, y.to_dask_array(lengths=True))
    with pytest.warns(UserWarning, match="X has feature names, but BackpropClassifier was fitted without"):
        lazy = model.predict(X)
    assert np.array_equal(lazy.compute(), model.predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="X has 2 features, but BackpropClassifier is expecting 3"):
        model.predict(unnamed[:, 1:])
    with pytest.raises(TypeError, match="Feature names are only supported if all input features have string names"):
        model.fit(X.rename(columns={"a": 0}), y)
    assert not hasattr(model, "feature_names_in_")
    assert not hasattr(model.estimator_, "feature_names_in_")


def test_classifier_stops_when_nothing_improves(client, digits):
    X, y = sharded(*digits, 900)
    model = BackpropClassifier(8, "relu", tol=100, max_iter=6, n_iter_no_change=2, random_state=0).fit(X, y)
    assert model.estimator_.activation == model.estimator_.network_.hidden == "relu"
    assert len(model.loss_curve_) == 4  # the first, and three without an improvement of 100
    assert len(model.set_params(n_iter_no_change=np.inf).fit(X, y).loss_curve_) == 6
    assert len(model.fit(X, y, callback=lambda epoch, loss: epoch == 1).loss_curve_) == 1


# -------------------------------------------------------------------------------------------------------- invalid input


def two_samples(output, K, t):
    return {"network": Network(2, 3, K, output=output, rng=0), "x": np.eye(2), "t": np.array(t)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({name: 0}, f"{name} is 0; it must be") for name in ("epochs", "local_epochs", "batch_size", "n_threads")),
        ({"rng": "seed"}, "rng is 'seed'; it must be None, a seed or a numpy.random.Generator"),
        ({"callback": 3}, "callback is 3; it must be callable"),
        ({"x": np.zeros((9, 64))}, "x has 1 chunks of rows and t has 3; they must have the same"),
        ({"x": da.zeros((1797, 3), chunks=(600, 3))}, "shard .: x has 3 columns; it must have 64"),
        ({"t": da.full(1797, 10, chunks=600)}, r"shard .: t\[0\] is 10; class indices must lie in 0..9"),
        ({"t": da.zeros(1700, dtype=int, chunks=600)}, "shard 2: t has 500 rows; it must have 597"),
        ({"x": da.ma.masked_equal(da.zeros((1797, 64), chunks=600), 0)}, "shard .: x is a MaskedArray"),
        ({"x": np.ma.masked_array(np.eye(64), np.eye(64)), "t": np.zeros(64, int)}, "shard 0: x is a MaskedArray"),
        ({"x": "frame"}, "shard 1: column 'text' of x has dtype .*; it must hold real numbers"),
        (two_samples("linear", 1, [0.5, np.nan]), r"shard 0: t\[1, 0\] is nan; it must be finite"),
        (two_samples("logistic", 1, [0.5, 1.5]), r"shard 0: t\[1, 0\] is 1.5; a target of logistic outputs must"),
        (two_samples("softmax", 2, [0.5, 1.5]), "shard 0: t has dtype float64; it must hold integers"),
        ({"network": network(adaptive=True)}, r"network is adaptive; .*: use Network\(\.\.\., adaptive=False\)"),
        ({"network": network(standardize=True)}, r"network standardizes its inputs, .*standardize=False"),
    ],
    ids=str,
)
def test_invalid_input_leaves_the_network_unchanged(client, digits, change, message):
    x, t = sharded(*digits, 600)
    arguments = {"network": network(), "x": x, "t": t} | change
    if isinstance(arguments["x"], str):
        frame = pd.DataFrame(digits[0][:, :63])
        frame["text"] = 1.0
        text = frame.assign(text="one")
        arguments["x"] = [frame[:600], text[600:1200], frame[1200:]]
    before = bits(arguments["network"])
    with pytest.raises((TypeError, ValueError), match=message):
        cbackprop.dask.fit(client, **arguments)
    assert bits(arguments["network"]) == before


@pytest.mark.parametrize("batch_size", [None, 1])
def test_divergence_leaves_the_weights_at_the_start_of_the_round(client, digits, batch_size):
    learned = network(learning_rate=1e308)
    weights = [bits(learned)]
    options = {"epochs": 3, "batch_size": batch_size, "callback": lambda *_: weights.append(bits(learned))}
    with pytest.raises(DivergenceError, match=r"learning diverged in epoch \d or soon after: try a smaller"):
        cbackprop.dask.fit(client, learned, *sharded(*digits, 600), **options)
    assert bits(learned) == weights[-1]
    assert np.isfinite(learned.v).all()


@pytest.mark.slow
def test_networks_travel_to_workers(processes):
    # where received buffers may be misaligned and read-only
    def size_learned(network):  # sent by value: the workers cannot import the tests
        network.learn_one(np.ones(network.w.shape[1] - 1), 0)
        return network.w.shape[1] - 1

    sizes = range(1, 25)
    networks = [Network(D, 3, 2, dtype=dtype, rng=0) for dtype in (np.float32, np.float64) for D in sizes]
    futures = [processes.submit(size_learned, network, pure=False) for network in networks]
    scattered = processes.map(size_learned, processes.scatter(networks), pure=False)
    assert processes.gather(futures) == processes.gather(scattered) == 2 * [*sizes]


# ----------------------------------------------------------------------------------------------------------- interrupts


def test_an_interrupt_at_any_instruction_leaves_the_weights_free(monkeypatch, interrupt, other_thread):
    learned = network()
    result = {"rows": 1, "losses": np.ones(1), "w": learned.w, "v": learned.v, "generator": np.random.default_rng(0)}
    monkeypatch.setattr(training, "aligned_chunks", lambda x, t: ([x], [t]))
    monkeypatch.setattr(training, "_load_shards", lambda *arguments: [None])
    monkeypatch.setattr(training, "_run_tasks", lambda *arguments: [result])
    n = 1
    call = functools.partial(cbackprop.dask.fit, MagicMock(), learned, None, None, epochs=2, rng=0)
    while interrupt(n, ("fit", "learn"), call):
        other_thread(TrainingLock(learned.w, learned.v).run, int)
        n += 2  # a statement has several instructions
    assert n > 100


def test_an_interrupt_at_any_instruction_of_an_estimator_leaves_one_model(monkeypatch, interrupt):
    results = iter(range(1, 10**6))

    def learned(client, network, x, t, **options):
        network.w[:] = number = next(results)
        return cbackprop.History([number], 1, 1)

    monkeypatch.setattr(_estimators, "fit", learned)
    monkeypatch.setattr(_estimators, "get_client", MagicMock())
    x, y = da.ones((4, 3)), da.ones(4)
    model = BackpropRegressor(5, random_state=0).fit(x, y)
    n = 1
    while interrupt(n, ("fit", "_validate_columns", "from_network"), model.fit, x[:, : 1 + n % 2], y):
        assert model.loss_curve_ == [model.estimator_.network_.w[0, 0]]
        assert model.n_features_in_ == model.estimator_.n_features_in_ == model.estimator_.network_.w.shape[1] - 1
        n += 3  # a statement has several instructions
    assert n > 100


def test_the_local_estimator_learns_on_reproducibly(client):
    x, y = samples_for("linear")
    models = [BackpropRegressor(5, max_iter=1, random_state=3).fit(da.from_array(x), da.from_array(y)) for _ in "ab"]
    one, other = (model.estimator_.partial_fit(x, y) for model in models)
    assert bits(one.network_) == bits(other.network_)


def test_numbers_that_are_hardly_classes_are_refused(client):
    x = da.zeros((200, 2), chunks=(50, 2))
    for y in (np.arange(200) + 0.5, np.arange(200)):
        with pytest.raises(ValueError, match="hardly classes; to predict numbers, use BackpropRegressor"):
            BackpropClassifier(3, max_iter=1).fit(x, da.from_array(y, chunks=50))
