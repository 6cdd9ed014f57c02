"""Growth: a larger network computes what the smaller one did, until it learns more."""

import pickle

import numpy as np
import pytest

from cbackprop import Network, _growth
from cbackprop._growth import Growing, copy_weights

D, M, K = 3, 4, 2


def growing(network, scale=1.0):
    return Growing([network], scale, _growth._mixture(1, K, "softmax"), None, None, (D, K))


def grown(network, inputs, outputs, seed, scale=1.0):
    larger = growing(network, scale).grown((D + inputs, K + outputs), D + inputs, K + outputs, seed)
    larger.activate()
    return larger.network


def networks(inputs, outputs, dtype):
    return Network(D, M, K, dtype=dtype, rng=0), Network(D + inputs, M, K + outputs, dtype=dtype, rng=1)


@pytest.mark.parametrize("inputs", [0, 1, 5])
def test_new_inputs_of_0_change_nothing(dtype, inputs):
    old, new = networks(inputs, 0, dtype)
    drawn = new.w.copy()
    assert copy_weights(old, new) is new
    x = np.random.default_rng(0).normal(size=(10, D)).astype(dtype)
    padded = np.hstack([x, np.zeros((10, inputs), dtype)])
    np.testing.assert_allclose(new.predict_proba(padded), old.predict_proba(x), rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(new.w[:, D:-1], drawn[:, D:-1])  # new weights stay as they were drawn


@pytest.mark.parametrize(("outputs", "kept"), [(0, None), (2, None), (1, [2, 0]), (0, [1, 0])])
def test_old_outputs_keep_their_weights(dtype, outputs, kept):
    old, new = networks(0, outputs, dtype)
    drawn = new.v.copy()
    copy_weights(old, new, kept)
    rows = list(range(K)) if kept is None else kept
    others = [k for k in range(K + outputs) if k not in rows]
    np.testing.assert_array_equal(new.v[rows], old.v)
    np.testing.assert_array_equal(new.v[others], drawn[others])
    x = np.random.default_rng(0).normal(size=(10, D)).astype(dtype)
    odds = [y[:, 0] / y[:, 1] for y in (old.predict_proba(x), new.predict_proba(x)[:, rows])]
    np.testing.assert_allclose(*odds, rtol=100 * np.finfo(dtype).eps)  # between old classes


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 0), (1, 0), (0, 1), (7, 3)])
def test_additional_weights_have_the_bits_of_a_new_network(dtype, inputs, outputs):
    seed = [2**70, 3]
    old, new = Network(D, M, K, dtype=dtype, rng=0), Network(D + inputs, M, K + outputs, dtype=dtype, rng=seed)
    new.w[:] *= 0.5
    larger = grown(old, inputs, outputs, seed, 0.5)
    assert larger.w.tobytes() == copy_weights(old, new).w.tobytes()
    assert larger.v.tobytes() == new.v.tobytes()


def test_the_old_network_stays_as_it_was():
    old, new = networks(2, 1, "float64")
    before = old.w.copy(), old.v.copy()
    copy_weights(old, new)
    new.learn_one(np.ones(D + 2), 2)
    np.testing.assert_array_equal(old.w, before[0])
    np.testing.assert_array_equal(old.v, before[1])


def test_accumulators_grow_with_the_outputs(dtype):
    old = Network(D, M, K, adaptive=True, learning_rate=0.3, dtype=dtype, rng=0)
    old.learn_one(np.ones(D, dtype), 1)
    before = [array.copy() for array in old.accumulators]
    larger = grown(old, 2, 1, 0)
    assert (larger.learning_rate, larger.accumulators[1].dtype) == (0.3, np.dtype(dtype))
    assert np.array_equal(larger.accumulators[0], before[0])
    assert np.array_equal(larger.accumulators[1], [*before[1], 0])
    larger.learn_one(np.ones(D + 2, dtype), 2)
    assert all(map(np.array_equal, old.accumulators, before))


def test_growth_is_invisible_until_it_is_activated():
    model = growing(Network(D, M, K, rng=0))
    model = model.grown((D + 1, K), D + 1, K, 1)  # makes room for more inputs
    model.activate()
    before = model.network.w.copy()
    larger = model.grown((D + 2, K), D + 2, K, 2)
    assert np.array_equal(model.network.w, before)
    larger.activate()
    assert np.shares_memory(larger.network.w, model.network.w)
    assert np.array_equal(larger.network.w[:, [*range(D + 1), -1]], before)


def test_changes_can_be_taken_back():
    model = growing(Network(D, M, K, adaptive=True, rng=0))
    before = pickle.dumps(model)
    arrays, scalers = model.saved([0, D])
    model.learn_many(np.eye(1, D), np.array([1]))
    assert pickle.dumps(model) != before
    for array, where, held in arrays:
        array[where] = held
    assert pickle.dumps(model) == before
    assert scalers == []
