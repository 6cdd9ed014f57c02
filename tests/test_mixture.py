"""The mixture: its bounds on any sequence of samples, the compiled update against its reference, and extreme losses."""

import numpy as np
import pytest

from cbackprop import _mixture_weights, reference
from cbackprop._catalog import OUTPUTS
from cbackprop._mixture import Mixture

EXTREMES = [0.0, 1e-300, 1e300, np.inf, np.nan]


def cross_entropies(y, t):
    """E_n of rows of probabilities, shape (..., K), and of targets of shape (K,)."""
    with np.errstate(divide="ignore"):
        return -np.where(t > 0, t * np.log(y), 0).sum(axis=-1)


def label_errors(y, t):
    return cross_entropies(y, t) + cross_entropies(1 - y, 1 - t)


def squared_errors(y, t):
    return ((y - t) ** 2).sum(axis=-1) / 2


ERRORS = {"softmax": cross_entropies, "logistic": label_errors, "linear": squared_errors}


def mean(mixture, y):
    """The prediction of the mixture for one sample, of outputs (R, K)."""
    return mixture.weights @ mixture.clipped(y)


def run(mixture, y, t):
    """Predict each sample by the mixture, then learn from it. Losses of the mixture, (N,), and of members, (N, R)."""
    errors = ERRORS[mixture.output]
    losses, of_members = [], []
    for y_n, t_n in zip(y, t, strict=True):
        losses.append(errors(mean(mixture, y_n), t_n))
        of_members.append(errors(y_n, t_n))
        mixture.see(t_n[np.newaxis])
        mixture.update(of_members[-1][np.newaxis])
    return np.array(losses), np.array(of_members)


def sequences(output, share, N, R, K, seed):
    """Outputs of members, (N, R, K), and targets, (N, K), of several kinds, some chosen against the mixture."""
    rng = np.random.default_rng(seed)
    if output == "softmax":
        y = rng.dirichlet(np.full(K, 0.3), size=(N, R))
        yield y, np.eye(K)[rng.integers(K, size=N)]
        yield y, rng.dirichlet(np.ones(K), size=N)
    else:
        y = rng.uniform(0.01, 0.99, size=(N, R, K))
        yield y, rng.integers(2, size=(N, K)).astype(float)
        yield y, rng.uniform(size=(N, K))
    t = np.eye(K)[np.arange(N) * R // N % K]
    yield np.where(np.arange(R)[:, np.newaxis] == np.arange(N)[:, np.newaxis, np.newaxis] % R, 0.5, y), t  # take turns
    mixture, t = Mixture(R, K, output, share), np.empty((N, K))
    for n in range(N):  # each the corner at which the mixture errs most
        p = mean(mixture, y[n])
        t[n] = np.eye(K)[p.argmin()] if output == "softmax" else p < 0.5
        mixture.update(ERRORS[output](y[n], t[n])[np.newaxis])
    yield y, t


@pytest.mark.parametrize("R", [1, 2, 7])
@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_total_loss_exceeds_that_of_the_best_member_by_at_most_log_R(output, R):
    N, K = 200, 3
    bound = np.log(R) * (K if output == "logistic" else 1)
    for y, t in sequences(output, 0.0, N, R, K, R):
        losses, of_members = run(Mixture(R, K, output, 0.0), y, t)
        assert losses.sum() <= of_members.sum(axis=0).min() + bound + 1e-9 * losses.sum()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_total_loss_with_a_share_follows_every_sequence_of_members(output, share):
    N, R, K = 300, 4, 2
    stay, change = -np.log(1 - share + share / R), -np.log(share / R)
    for y, t in sequences(output, share, N, R, K, 1):
        losses, of_members = run(Mixture(R, K, output, share), y, t)
        factor = K if output == "logistic" else 1
        # the least total of a sequence of members and its bound, over all sequences, by dynamic programming
        least = of_members[0] + factor * np.log(R)
        for E in of_members[1:]:
            least = E + np.minimum(least + factor * stay, least.min() + factor * change)
        assert losses.sum() <= least.min() + 1e-9 * losses.sum()
        # and so for the best in each of S + 1 equal parts
        S = 5
        best = sum(part.sum(axis=0).min() for part in np.split(of_members, S + 1))
        assert losses.sum() <= best + factor * (np.log(R) + S * change + (N - 1 - S) * stay) + 1e-9 * losses.sum()


def test_total_squared_error_exceeds_that_of_the_best_member_by_at_most_log_R_by_eta():
    # with a fixed eta and errors below 1 / sqrt(eta)
    N, R, K, eta = 300, 5, 2, 1 / 8
    rng = np.random.default_rng(0)
    y, t = rng.uniform(-1, 1, (N, R, K)), rng.uniform(-1, 1, (N, K))  # |y - t|^2 <= 8
    corners = np.where(rng.uniform(size=(N, K)) < 0.5, -1.0, 1.0)
    for targets in (t, corners, np.sign(y[:, 0])):
        mixture = Mixture(R, K, "linear", 0.0, eta)
        losses, of_members = run(mixture, y, targets)
        assert losses.sum() <= of_members.sum(axis=0).min() + np.log(R) / eta


@pytest.mark.parametrize("noise", [0.01, 1.0, 100.0])
def test_squared_errors_relative_to_their_scale(noise):
    # the sum of eta_n E_n, wherever eta_n |y - t|^2 <= 1; and any unit of the targets has the same weights
    N, R = 500, 4
    rng = np.random.default_rng(1)
    t = noise * rng.uniform(-1, 1, (N, 1))
    y = noise * np.linspace(-0.1, 0.1, R)[:, np.newaxis] * np.ones((N, 1, 1))
    mixture, other = Mixture(R, 1, "linear", 0.0), Mixture(R, 1, "linear", 0.0)
    mixture.see(noise * np.array([[-1.0], [1.0]]))
    regret, checked = np.zeros(R), 0
    for y_n, t_n in zip(y, t, strict=True):
        before, scale = mixture.log_weights.copy(), mixture.scale.copy()
        E = squared_errors(y_n, t_n)
        of_mixture = squared_errors(mean(mixture, y_n), t_n)
        mixture.update(E[np.newaxis])
        if scale[1]:
            eta = 0.25 / max(scale[0], scale[0] + (E.min() - scale[0]) / (scale[1] + 1))
            gap = of_mixture - (-np.log(np.exp(before) @ np.exp(-eta * E)) / eta)
            if 2 * eta * E.max() <= 1:
                assert gap <= 1e-12 * noise**2
                checked += 1
            regret += eta * (of_mixture - E)
    assert checked > N / 2
    assert regret.max() <= np.log(R)
    run(other, 1024 * y, 1024 * t)
    np.testing.assert_array_equal(other.log_weights, mixture.log_weights)


def test_members_far_from_all_targets_do_no_harm():
    N, R = 50, 3
    t = np.cos(np.arange(N, dtype=float))[:, np.newaxis]
    y = np.zeros((N, R, 1))
    y[:, 0], y[:, 2] = 1e150, t
    losses, _ = run(Mixture(R, 1, "linear", 0.01), y, t)
    assert losses[10:].mean() < 0.01


# ------------------------------------------------------------------------------------------------------- the update


def cases():
    rng = np.random.default_rng(0)
    for trial in range(120):
        R, C = rng.integers(1, 6), rng.integers(1, 30)
        losses = rng.exponential(size=(C, R)) * 10.0 ** rng.integers(-5, 5, size=(1, R))
        if trial % 3 == 0:
            places = rng.uniform(size=losses.shape) < 0.2
            losses[places] = rng.choice(EXTREMES, size=places.sum())
        sample_weight = None if trial % 2 else rng.choice([0, 0.3, 1, 5], size=C)
        eta, relative, share = rng.choice([0.25, 1]), bool(trial % 5 < 2), rng.choice([0, 0.01, 0.5, 1])
        yield losses, eta, relative, share, sample_weight


def start(R):
    return np.full(R, -np.log(R)), np.zeros(2)


def test_compiled_update_matches_the_reference():
    for losses, *settings in cases():
        R = losses.shape[1]
        ours, others = start(R), start(R)
        _mixture_weights.update(*ours, losses, *settings)
        reference.mixture_weights(*others, losses, *settings)
        np.testing.assert_allclose(np.exp(ours[0]), np.exp(others[0]), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours[1], others[1], rtol=1e-9)
        assert np.exp(ours[0]).sum() == pytest.approx(1, abs=1e-12)


def test_chunks_make_no_difference_but_rounding():
    for losses, eta, relative, share, sample_weight in cases():
        whole, parts = start(losses.shape[1]), start(losses.shape[1])
        _mixture_weights.update(*whole, losses, eta, relative, share, sample_weight)
        for n in range(len(losses)):
            s_n = None if sample_weight is None else sample_weight[n : n + 1]
            _mixture_weights.update(*parts, losses[n : n + 1], eta, relative, share, s_n)
        np.testing.assert_allclose(np.exp(parts[0]), np.exp(whole[0]), rtol=1e-12)
        np.testing.assert_allclose(parts[1], whole[1], rtol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("extreme", EXTREMES)
def test_extreme_losses_of_a_member(extreme, output, share):
    mixture = Mixture(3, 2, output, share)
    for n in range(60):
        losses = np.array([[1.0, 0.5, extreme if n < 30 else 0.1]])
        mixture.update(losses)
        assert mixture.weights.sum() == pytest.approx(1)
        assert not np.isnan(mixture.log_weights).any()
    if share == 0.01:
        assert mixture.weights.argmax() == 2  # it has recovered
    mixture.update(np.full((5, 3), extreme))
    assert mixture.weights.sum() == pytest.approx(1)


def test_infinite_losses_of_all_members_change_nothing():
    for output in ERRORS:
        mixture = Mixture(3, 2, output, 0.01)
        mixture.update(np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]]))
        before, scale = mixture.weights, mixture.scale.tolist()
        mixture.update(np.array([[np.inf, np.nan, np.inf]]))
        np.testing.assert_allclose(mixture.weights, before, rtol=1e-15)
        assert mixture.scale.tolist() == scale


def test_dropped_members_stay_out():
    mixture = Mixture(4, 2, "softmax", 0.1)
    mixture.update(np.array([[3.0, 1, 2, 0]]))
    before = mixture.weights
    mixture.drop(np.array([False, True, False, True]))
    np.testing.assert_allclose(mixture.weights, before * [1, 0, 1, 0] / before[[0, 2]].sum())
    mixture.update(np.array([[1.0, np.nan, 1, 0]]))
    assert mixture.weights[[1, 3]].tolist() == [0, 0]
    assert mixture.members.tolist() == [True, False, True, False]
    alone = Mixture(2, 2, "softmax", 0.0)
    alone.update(np.array([[np.inf, 0.0]]))
    assert alone.weights.tolist() == [0, 1]
    alone.drop(np.array([False, True]))
    assert alone.weights.tolist() == [1, 0]


def test_wrong_shapes_are_errors():
    with pytest.raises(ValueError, match="losses have 3 columns"):
        _mixture_weights.update(*start(2), np.ones((1, 3)), 1, False, 0)
    with pytest.raises(ValueError, match="sample_weight has 2 numbers"):
        _mixture_weights.update(*start(2), np.ones((1, 2)), 1, False, 0, np.ones(2))
    with pytest.raises(ValueError, match="dropped has 3 numbers; it must have 2"):
        _mixture_weights.drop(start(2)[0], np.zeros(3))
    empty = np.zeros(0)
    for call in (
        lambda: _mixture_weights.update(empty, np.zeros(2), np.ones((1, 0)), 1, False, 0),
        lambda: _mixture_weights.drop(empty, empty),
    ):
        with pytest.raises(ValueError, match="log_weights is empty; it must have a number for each member"):
            call()


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("mixture", (np.log([0.5, 0.6]), np.zeros(2))),
        ("mixture", (np.log([0.5, 0.5]), np.ones(2))),
        ("mixture", (np.log([0.5, 0.5]), np.zeros(3))),
        ("mixture", (np.zeros(()), np.zeros(2))),
        ("targets", (np.array([[np.inf], [1.0]]), np.zeros(2))),
        ("targets", (np.array([[0.0], [1.0]]), np.array([1.0, -1.0]))),
    ],
)
def test_states_that_are_none_are_not_restored(name, pair):
    mixture = Mixture(2, 1, "linear", 0.0)
    before = [array.copy() for array in mixture.arrays]
    with pytest.raises(ValueError, match=f"{name} have shapes|must be"):
        mixture.restore(mixture.states | {name: pair})
    assert all(map(np.array_equal, mixture.arrays, before))


@pytest.mark.parametrize("update", [_mixture_weights.update, reference.mixture_weights])
@pytest.mark.parametrize("share", [5e-324, 1e-310, 1e-308, 1e-300])
def test_a_tiny_share(update, share):
    log_weights, scale = start(3)
    losses = np.array([[0.0, 1e4, 1e4], [1e4, 0.0, 1e4], [1e4, 0.0, 0.0], [0.0, np.inf, np.inf]])
    for E in losses:
        update(log_weights, scale, E[np.newaxis], 1.0, False, share)
        assert np.exp(log_weights).sum() == pytest.approx(1)
