"""Weights copied into a larger network: it computes what the smaller one did, until it learns more.

What grows with a stream is tested by River's models.
"""

import numpy as np
import pytest

from cbackprop import Network
from cbackprop._growth import copy_weights

D, M, K = 3, 4, 2


def networks(inputs, outputs, dtype):
    return Network(D, M, K, dtype=dtype, rng=0), Network(D + inputs, M, K + outputs, dtype=dtype, rng=1)


@pytest.mark.parametrize("inputs", [0, 1, 5])
def test_new_inputs_of_0_change_nothing(dtype, inputs):
    old, new = networks(inputs, 0, dtype)
    drawn, before = new.w.copy(), (old.w.copy(), old.v.copy())
    assert copy_weights(old, new) is new
    x = np.random.default_rng(0).normal(size=(10, D)).astype(dtype)
    padded = np.hstack([x, np.zeros((10, inputs), dtype)])
    np.testing.assert_allclose(new.predict_proba(padded), old.predict_proba(x), rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(new.w[:, D:-1], drawn[:, D:-1])  # new weights stay as they were drawn
    new.learn_one(padded[0], 1)
    assert all(map(np.array_equal, (old.w, old.v), before))


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
