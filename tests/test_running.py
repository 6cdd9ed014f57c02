"""Running scales: equal to their NumPy twins, unspoiled by gross errors, and never NaN for finite numbers."""

import copy
import pickle

import numpy as np
import pytest

from cbackprop._running import RunningScaler, RunningSparseScaler

LARGEST = 1e150
FACTORS = pytest.mark.parametrize("factor", [10, 0.1, 1e-30, -1e40])


def reference(x, state, limit):
    """The sample standardized, and the next state, by the formula."""
    mean, variance, count = state
    finite = np.isfinite(x)
    x = np.clip(np.where(finite, x, 0), -LARGEST, LARGEST)
    s, d = np.sqrt(variance), x - mean
    most = np.where(s > 1e-12 * np.abs(mean), np.minimum(limit, LARGEST) * s, np.inf)
    d = np.clip(d, -most, most)
    n = count + 1
    k = np.minimum(n, 1000)
    after = np.stack([mean + d / k, variance + (d * d * (1 - 1 / k) - variance) / k, n])
    after = np.where(finite, after, state)
    mean, s = after[0], np.sqrt(after[1])
    varies = s > 1e-12 * np.abs(mean)
    z = np.where(varies, np.clip((x - mean) / np.where(varies, s, 1), -limit, limit), 0)
    return np.where(finite, z, np.nan), after


def stream(N=1200, D=4):
    """Numbers of several scales, with gross errors, a constant, and one that is missing at times."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)) * [1, 1e6, 1e-6, 1] + [0, 1e9, 0, 5]
    x[::50, 0] *= 1e6
    x[:, 3] = 5
    x[::3, 2] = np.nan
    x[7, 1] = np.inf
    return x


def sparse_reference(indices, x, state, n, limit):
    """A row without repeated indices, scaled by the formula; the next mean squares and counts, and n."""
    x, (q, c) = np.array(x), state[:, indices]
    counts = np.isfinite(x) & (x != 0)
    size = np.clip(np.abs(np.where(counts, x, 1)), 1e-150, LARGEST)
    size = np.where(c > 0, np.minimum(size, min(limit, LARGEST) * np.sqrt(q)), size)
    c = c + 1
    q = q + (size**2 - q) / np.minimum(c, 1000)
    after = state.copy()
    after[:, indices[counts]] = np.stack([q, c])[:, counts]
    return np.where(counts, np.sign(x) * size / np.sqrt(q) * ((n + 1) / c) ** 0.25, x), after, n + 1


def sparse_stream(N=1200, D=20):
    """Rows of 4 numbers, of several scales, with zeros and gross errors; low indices are frequent, and odd ones 1."""
    rng = np.random.default_rng(0)
    rows = []
    for n in range(N):
        i = rng.permutation(np.unique(np.append(0, rng.geometric(0.2, 3) % D)))
        x = np.where(i % 2, 1.0, rng.normal(size=len(i)) * 10.0**i)
        x[rng.random(len(i)) < 0.05] = 0
        rows.append((i, x * (1e6 if n % 50 == 7 else 1)))
    return rows


def matrix(rows, D=20):
    csr_array = pytest.importorskip("scipy.sparse").csr_array
    bounds = np.cumsum([0, *(len(i) for i, _ in rows)])
    return csr_array(
        (np.concatenate([x for _, x in rows]), np.concatenate([i for i, _ in rows]), bounds), (len(rows), D)
    )


def scaler_and_samples(sparse, n=30, limit=5):
    """A scaler that has learned 10 samples, single ones and several of those that come then, and one that is not."""
    scaler = RunningSparseScaler(20, limit) if sparse else RunningScaler(4, limit)
    samples = sparse_stream(n) if sparse else list(stream(n))
    several = matrix(samples[10:20]) if sparse else np.array(samples[10:20])
    for sample in samples[:10]:
        scaler.learn(sample)
    invalid = np.array([np.nan, np.inf, -np.inf, 0])
    return scaler, samples[10:], several, (np.arange(4), invalid) if sparse else invalid


both = pytest.mark.parametrize("sparse", [False, True])


def restore(saved):
    for array, where, values in saved:
        array[where] = values


@both
def test_learning_can_be_undone(sparse):
    scaler, samples, several, _ = scaler_and_samples(sparse)
    before, saved = pickle.dumps(scaler), scaler.saved(np.arange(20))
    for sample in (samples[0], several, (np.array([3, 3, 3]), np.ones(3)) if sparse else several[:1]):
        scaler.learn(samples[15])
        scaler.learn(sample)
        assert pickle.dumps(scaler) != before
        restore(saved)
        assert pickle.dumps(scaler) == before
    if sparse:
        indices, _ = samples[0]
        saved = scaler.saved(indices)
        scaler.learn(samples[0])
        restore(saved)
        assert pickle.dumps(scaler) == before


@both
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda scaler: pickle.loads(pickle.dumps(scaler))])
def test_copies_have_the_same_bits_and_learn_by_themselves(copied, sparse):
    scaler, samples, _, _ = scaler_and_samples(sparse, limit=3)
    before, again = pickle.dumps(scaler), copied(scaler)
    assert (pickle.dumps(again), again.limit, again.size) == (before, 3, scaler.size)
    again.learn(samples[0])
    assert pickle.dumps(scaler) == before
    assert pickle.dumps(again) != before


@both
def test_numbers_that_are_not_finite_change_no_statistics(sparse):
    scaler, _, _, x = scaler_and_samples(sparse)
    before, finite = scaler.state, np.arange(4) == 3
    for scaled in (scaler.learn(x), scaler.transform(x)):
        z, expected = (scaled[1], x[1]) if sparse else (np.where(finite, 0, scaled), np.where(finite, 0, np.nan))
        np.testing.assert_array_equal(z, expected)
    before, after = (state[:, :-1] if sparse else state[:, :3] for state in (before, scaler.state))
    assert after.tobytes() == before.tobytes()


@both
@FACTORS
def test_units_make_no_difference(factor, sparse):
    if not sparse:
        one, other = RunningScaler(4).learn(stream()), RunningScaler(4).learn(factor * stream())
        np.testing.assert_allclose(other, np.sign(factor) * one, rtol=1e-6, atol=1e-9)
        return
    one, other = RunningSparseScaler(20), RunningSparseScaler(20)
    rows = sparse_stream()
    z, of_factor = ([scaler.learn((i, f * x))[1] for i, x in rows] for scaler, f in ((one, 1), (other, factor)))
    np.testing.assert_allclose(np.concatenate(of_factor), np.sign(factor) * np.concatenate(z), rtol=1e-9)


# ----------------------------------------------------------------------------------------------------------- dense rows


@pytest.mark.parametrize("limit", [5, 2.5, np.inf])
def test_numbers_are_standardized_by_the_formula(limit):
    x, scaler, state, expected = stream(), RunningScaler(4, limit), np.zeros((3, 4)), []
    for row in x:
        z, state = reference(row, state, limit)
        expected.append(z)
    np.testing.assert_allclose(scaler.learn(x), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaler.state, state, rtol=1e-9)
    assert (scaler.size, scaler.limit) == (4, limit)


def test_several_samples_have_the_bits_of_one_after_the_other():
    x, one, many = stream(), RunningScaler(4), RunningScaler(4)
    z = np.vstack([many.learn(x[:700]), many.learn(x[700:700]), many.learn(np.asfortranarray(x[700:]))])
    assert z.tobytes() == np.stack([one.learn(row) for row in x]).tobytes()
    assert many.state.tobytes() == one.state.tobytes()
    assert many.transform(x).tobytes() == np.stack([one.transform(row) for row in x]).tobytes()
    assert many.state.tobytes() == one.state.tobytes()


def test_statistics_are_mean_and_variance_until_samples_fade():
    x, scaler = np.random.default_rng(0).normal(3, 2, size=(500, 2)), RunningScaler(2, np.inf)
    z = scaler.learn(x)
    np.testing.assert_allclose(scaler.state[:2], [x.mean(axis=0), x.var(axis=0)])
    np.testing.assert_allclose(z[-1], (x[-1] - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_allclose(scaler.inverse(scaler.transform(x)), x)
    scaler.learn(np.random.default_rng(1).normal(-30, 0.1, size=(20_000, 2)))
    np.testing.assert_allclose(scaler.state[0], -30, rtol=1e-3)
    np.testing.assert_allclose(scaler.state[1], 0.01, rtol=0.3)


@pytest.mark.parametrize("sizes", [[1] * 500, [500], [0, 1, 2, 497], [100, 400]], ids=len)
@pytest.mark.parametrize("scale", [1, 1e-30])
def test_statistics_of_blocks_and_of_single_samples_are_those_of_all(sizes, scale):
    """To rounding, of numbers far from 0; a column of equal numbers varies by nothing at all."""
    rng = np.random.default_rng(0)
    x = scale * np.column_stack([rng.normal(3, 2, size=(500, 2)), 1e6 + rng.normal(size=500), np.full(500, 0.1)])
    expected = x.mean(axis=0), np.where(np.arange(4) == 3, 1, x.std(axis=0))
    blocks, single = RunningScaler(4), RunningScaler(4, np.inf, np.inf)
    for start, stop in zip(np.cumsum([0, *sizes]), np.cumsum(sizes), strict=False):
        blocks.update(x[start:stop])
        single.learn(x[start:stop])
    for scaler in (blocks, single):
        np.testing.assert_allclose(scaler.mean, expected[0], rtol=1e-12)
        np.testing.assert_allclose(scaler.scale, expected[1], rtol=1e-9)
        assert scaler.state[1, 3] == 0
        assert scaler.state[2].tolist() == [500] * 4
    np.testing.assert_allclose(single.transform(x)[:, :3], ((x - expected[0]) / expected[1])[:, :3], rtol=1e-6)
    again = RunningScaler(4)
    again.__setstate__(blocks.state)
    again.update(x[::-1].astype(np.float32))
    blocks.update(x[::-1].astype(np.float32))
    assert again.state.tobytes() == blocks.state.tobytes()


def test_statistics_of_a_large_table():
    x = np.random.default_rng(0).normal(size=(40_000, 3)) * np.linspace(1, 5, 40_000)[:, np.newaxis]
    scaler = RunningScaler(3)
    scaler.update(np.asfortranarray(x))
    np.testing.assert_allclose(scaler.scale, x.std(axis=0), rtol=1e-12)


def test_weights_count_samples_several_times():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(5, 1, size=(300, 3)), rng.integers(4, size=300)
    weights[:3] = 0
    one, other = RunningScaler(3), RunningScaler(3)
    one.update(x, weights)
    other.update(np.repeat(x, weights, axis=0))
    np.testing.assert_allclose(one.state, other.state, rtol=1e-12)
    one.update(x, np.zeros(300))
    np.testing.assert_allclose(one.state, other.state, rtol=1e-12)


def test_blocks_that_are_not_finite_or_overflow():
    scaler, x = RunningScaler(2), np.array([[np.nan, 1.0], [2.0, np.inf], [4.0, 3.0]])
    scaler.update(x)
    np.testing.assert_array_equal(scaler.state, [[3, 2], [1, 1], [2, 2]])
    scaler.update(np.array([[-1.7e308, 1.0], [1.7e308, 1.0]]))
    assert np.isfinite(np.stack([scaler.mean, scaler.scale])).all(axis=0).tolist() == [False, True]
    far = RunningScaler(1)
    far.update(np.array([[1e200], [1.5e200]]) * [1])
    assert not np.isfinite(far.scale)
    near = RunningScaler(1)
    near.update(1e200 + 1e150 * np.array([[-1.0], [1.0]]))
    np.testing.assert_allclose(near.mean, 1e200)


@pytest.mark.parametrize("limit", [5, np.inf])
@both
def test_finite_numbers_stay_finite(limit, sparse):
    numbers = np.array([0, 5e-324, -5e-324, 1e-300, 1e-160, 1e-150, 1, 1 + 1e-15, 1e150, 1e300, -1.7e308, 1.7e308])
    rng, index = np.random.default_rng(0), np.arange(1)
    for count in np.repeat([1, 2, 3, 12], 20):
        scaler = (RunningSparseScaler if sparse else RunningScaler)(1, limit)
        chosen = rng.choice(rng.choice(numbers, size=count), size=(40, 1))
        if sparse:
            assert all(np.isfinite(scaler.learn((index, x))[1]).all() for x in chosen)
            assert all(np.isfinite(scaler.transform((index, numbers[n : n + 1]))[1]).all() for n in range(12))
        else:
            assert np.isfinite(scaler.inverse(z := scaler.learn(chosen))).all()
            assert np.isfinite(z).all()
            assert not np.isnan(scaler.transform(numbers[:, np.newaxis])).any()
        assert np.isfinite(scaler.state).all()
    assert RunningScaler(1).learn(np.full((10, 1), 0.1)).tolist() == [[0]] * 10


def test_added_numbers_were_0_so_far():
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[:20, 2] = 0
    whole, part = RunningScaler(3), RunningScaler(2)
    whole.learn(x)
    part.learn(x[:20, :2])
    before = part.state
    larger = part.grown(3, 20)
    larger.learn(x[20:])
    assert larger.state.tobytes() == whole.state.tobytes()
    assert part.state.tobytes() == before.tobytes()


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((2, 3)), np.zeros((1, 1, 4)), np.zeros(())], ids=np.shape)
def test_samples_of_another_size_are_refused(x):
    scaler = RunningScaler(4)
    for call in (scaler.learn, scaler.transform):
        with pytest.raises(ValueError, match=r"x has shape .*; it must be \(4,\) or \(N, 4\)"):
            call(x)


# ---------------------------------------------------------------------------------------------------------- sparse rows


@pytest.mark.parametrize("limit", [5, 2.5, np.inf])
def test_sparse_numbers_are_scaled_by_the_formula(limit):
    scaler, state, n, expected, scaled = RunningSparseScaler(20, limit), np.zeros((2, 20)), 0, [], []
    for i, x in sparse_stream():
        z, state, n = sparse_reference(i, x, state, n, limit)
        expected.append(np.tile(z, 2))
        scaled += [scaler.transform((i, x)), scaler.learn((i, x))]  # a row is scaled as if it were learned
        assert scaled[-1][0] is scaled[-2][0] is i
    np.testing.assert_allclose(np.concatenate([z for _, z in scaled]), np.concatenate(expected), rtol=1e-9)
    np.testing.assert_allclose(scaler.state[:, :-1], state, rtol=1e-9)
    assert scaler.state[1, -1] == n
    assert (scaler.size, scaler.limit) == (20, limit)


def test_several_sparse_rows_have_the_bits_of_one_after_the_other():
    rows, one, many = sparse_stream(), RunningSparseScaler(20), RunningSparseScaler(20)
    parts = [many.learn(matrix(rows)[:700]), many.learn(matrix(rows)[700:])]
    z = np.concatenate([part.data for part in parts])
    assert z.tobytes() == np.concatenate([one.learn(row)[1] for row in rows]).tobytes()
    assert many.state.tobytes() == one.state.tobytes()
    assert (parts[0].shape, parts[0].indices.tolist()) == ((700, 20), matrix(rows[:700]).indices.tolist())
    z = many.transform(matrix(rows))
    assert z.data.tobytes() == np.concatenate([one.transform(row)[1] for row in rows]).tobytes()
    assert many.state.tobytes() == one.state.tobytes()


def test_the_order_within_a_sparse_row_makes_no_difference():
    i, x = np.array([3, 1, 3, 3]), np.array([100.0, 2.0, -1.0, 5.0])
    one, other = RunningSparseScaler(4), RunningSparseScaler(4)
    for _ in range(3):
        first, second = one.learn((i, x))[1], other.learn((i[::-1].copy(), x[::-1].copy()))[1]
        np.testing.assert_allclose(second[::-1], first, rtol=1e-12)


@pytest.mark.parametrize(
    "state", [np.zeros((2, 4)), np.zeros(3), np.full((3, 3), np.nan), -np.ones((3, 3)), np.zeros(())], ids=str
)
@both
def test_states_that_are_none_are_not_restored(state, sparse):
    scaler = RunningSparseScaler(2) if sparse else RunningScaler(3)
    before = pickle.dumps(scaler)
    with pytest.raises(ValueError, match="statistics must be finite numbers of shape"):
        scaler.__setstate__(state[:2] if sparse and state.ndim == 2 else state)
    assert pickle.dumps(scaler) == before


@pytest.mark.parametrize("i", [-1, 4, 2**40])
def test_indices_beyond_the_inputs_are_refused(i):
    scaler = RunningSparseScaler(4)
    scaler.learn(([0, 3], [1.0, 2.0]))
    before = pickle.dumps(scaler)
    for method in (scaler.learn, scaler.transform):
        with pytest.raises(IndexError, match=f"index (is )?{i}"):
            method(([0, i], [1.0, 2.0]))
        with pytest.raises(ValueError, match="a row has 1 indices and 2 values"):
            method(([0], [1.0, 2.0]))
    assert pickle.dumps(scaler) == before
