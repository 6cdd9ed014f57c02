"""The equations in plain NumPy: the public functions of `cbackprop`, to be read next to the article.

The code is written for reading, not for speed: one line per equation, numbered as in the README. Functions and their
arguments are named as in `cbackprop`, without threads, callbacks, checkpoints and sparse rows. Arguments are not
checked, and what overflows is infinite or NaN. Numbers below the smallest normal one count here; on x86 the compiled
functions take them for 0.

Notes
-----
Subscripts of `numpy.einsum`: n runs over samples, i over inputs, j over hidden units, k over classes.

Examples
--------
>>> import numpy as np
>>> from cbackprop import reference
>>> w, v = reference.init_weights(2, 3, 2, rng=0)
>>> y, a, z, b = reference.forward(np.eye(2), w, v)
>>> y.shape
(2, 2)
"""

from functools import partial
from typing import Any

import numpy as np

from . import _catalog as catalog
from . import _differences as differences
from ._initial_weights import init_weights as init_weights
from ._results import REMEDY, Activations, DivergenceError, History

Pair = tuple[np.ndarray, np.ndarray]  # of w and of v

ignore_warnings = np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore")


def with_one(rows: np.ndarray) -> np.ndarray:
    """Append the dummy x_D = 1 or z_M = 1 to each row."""
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def hidden_sums(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """b_j = sum_{i=0..D} w_ji x_i."""
    return with_one(x) @ w.T


def sigmoid(b: np.ndarray) -> np.ndarray:
    """z_j = h(b_j) = 1 / (1 + e^-b_j), as e^b_j / (1 + e^b_j) where b_j < 0, so that no exponential overflows."""
    e = np.exp(np.where(b.real > 0, -b, b))
    return np.where(b.real > 0, 1, e) / (1 + e)


def sigmoid_derivative(z: np.ndarray) -> np.ndarray:
    """h'(b_j) = z_j (1 - z_j)."""
    return z * (1 - z)


def tanh_derivative(z: np.ndarray) -> np.ndarray:
    """h'(b_j) = 1 - z_j^2 = (1 - z_j) (1 + z_j), for z_j = tanh b_j."""
    return (1 - z) * (1 + z)


def relu(b: np.ndarray) -> np.ndarray:
    """z_j = h(b_j) = max(0, b_j)."""
    return np.where(b.real <= 0, 0, b)


def relu_derivative(z: np.ndarray) -> np.ndarray:
    """h'(b_j) = 1 where z_j > 0, and 0 elsewhere."""
    return np.where(z > 0, 1, 0).astype(z.dtype)


HIDDEN_FUNCTIONS: dict[str, tuple[Any, Any]] = {  # h and h'
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (np.tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
}


def output_sums(z: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(13)  a_k = sum_{j=0..M} v_kj z_j."""
    return with_one(z) @ v.T


def max_logit(a: np.ndarray) -> np.ndarray:
    """max_l a_l of each sample, which is subtracted from every exponent so that no exponential overflows."""
    return np.take_along_axis(a, a.real.argmax(axis=1)[:, np.newaxis], axis=1)


@ignore_warnings
def softmax(a: np.ndarray) -> np.ndarray:
    """(7) (8)  y_k = e^a_k / sum_l e^a_l."""
    e = np.exp(a - max_logit(a))
    return e / e.sum(axis=1, keepdims=True)


def softmax_derivative(y: np.ndarray) -> np.ndarray:
    """(7) (8)  dy_i/da_k = y_i (1 - y_i) for i = k, and -y_i y_k otherwise."""
    return np.einsum("i,ik->ik", y, np.eye(len(y))) - np.outer(y, y)


@ignore_warnings
def log_softmax(a: np.ndarray) -> np.ndarray:
    """log y_k = a_k - log sum_l e^a_l = a_k - max_a - log(1 + sum_exp_minus_1), by log1p, which keeps all digits."""
    max_a = max_logit(a)
    e = np.exp(a - max_a)
    np.put_along_axis(e, a.real.argmax(axis=1)[:, np.newaxis], 0, axis=1)  # leaves out e^0 = 1 of the largest
    sum_exp_minus_1 = e.sum(axis=1, keepdims=True)
    return (a - max_a) - np.log1p(sum_exp_minus_1)


@ignore_warnings
def sample_cross_entropies(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(1)  E_n = -sum_k t_k log y_k, where a class with t_k = 0 contributes 0."""
    return np.where(t > 0, t * -log_softmax(a), 0).sum(axis=1)


def squared_errors(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    """E_n = 1/2 sum_k (y_k - t_k)^2 of linear outputs."""
    return ((a - t) ** 2).sum(axis=1) / 2


@ignore_warnings
def log_logistic(a: np.ndarray) -> np.ndarray:
    """log y_k = -log(1 + e^-a_k) of logistic outputs, by an exponential that does not overflow."""
    return np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a)))


@ignore_warnings
def logistic_errors(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    """E_n = -sum_k [t_k log y_k + (1 - t_k) log(1 - y_k)] of logistic outputs, y_k = 1 / (1 + e^-a_k).

    The term of output k is ``log(1 + e^-|a_k|) + |a_k|`` times the share of the less probable side: t_k or 1 - t_k.
    """
    absolute = np.where(a.real >= 0, a, -a)
    wrong = np.where(a.real >= 0, 1 - t, t)
    return (np.log1p(np.exp(-absolute)) + np.where(wrong > 0, wrong * absolute, 0)).sum(axis=1)


OUTPUTS: dict[str, tuple[Any, Any]] = {  # y, and E_n
    "softmax": (softmax, sample_cross_entropies),
    "linear": (np.positive, squared_errors),
    "logistic": (sigmoid, logistic_errors),
}
LOG_PROBABILITIES = {"softmax": log_softmax, "logistic": log_logistic}  # log y, where y are probabilities


def output_errors(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(5) ... (12)  dE_n/da_k = y_k - t_k; for softmax since sum_k t_k = 1."""
    return y - t


def gradient_v(errors: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(4) (14) (15) (16), summed over n:  (y_k - t_k) z_j."""
    return np.einsum("nk,nj->kj", errors, with_one(z))


def gradient_w(errors: np.ndarray, v: np.ndarray, derivatives: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(18), summed over n:  (sum_k (y_k - t_k) v_kj) h'(b_j) x_i."""
    return np.einsum("nk,kj,nj,ni->ji", errors, v[:, :-1], derivatives, with_one(x), optimize=True)


def update(weights: np.ndarray, derivative: np.ndarray, learning_rate: float) -> None:
    """(17)  v_kj <- v_kj - α dE/dv_kj, and the same for w, in place."""
    weights -= weights.dtype.type(learning_rate) * derivative


def update_with_momentum(
    weights: np.ndarray, derivative: np.ndarray, learning_rate: float, u: np.ndarray, momentum: float, penalty: float
) -> None:
    """(17) with momentum and L2 penalty:  u <- momentum u - α (dE/dw + penalty w),  w <- w + u, in place."""
    penalties = weights * weights.dtype.type(penalty)
    penalties[:, -1] = 0  # biases are not penalized
    u *= weights.dtype.type(momentum)
    update(u, derivative + penalties, learning_rate)
    weights += u


def sums_of_squares(s: np.ndarray, derivative: np.ndarray) -> np.ndarray:
    """s_j + 1/(D+1) sum_{i=0..D} (dE/dw_ji)^2."""
    return s + (derivative**2).mean(axis=1)


def adaptive_rates(s: np.ndarray, learning_rate: float) -> np.ndarray:
    """α_j = α / sqrt(s_j + 1e-10)."""
    return s.dtype.type(learning_rate) / np.sqrt(s + s.dtype.type(1e-10))


def update_adaptively(
    weights: np.ndarray, derivative: np.ndarray, learning_rate: float, s: np.ndarray, penalty: float = 0
) -> None:
    """(17) with row-wise AdaGrad:  w_ji <- w_ji - α_j dE/dw_ji - α penalty w_ji, in place."""
    penalties = weights * weights.dtype.type(learning_rate * penalty)
    penalties[:, -1] = 0  # biases are not penalized
    s[:] = sums_of_squares(s, derivative)
    weights -= adaptive_rates(s, learning_rate)[:, np.newaxis] * derivative + penalties


@ignore_warnings
def mixture_weights(
    log_weights: np.ndarray,
    scale: np.ndarray,
    losses: np.ndarray,
    eta: float,
    relative: bool,
    share: float,
    sample_weight: np.ndarray | None = None,
) -> None:
    """p_r <- p_r e^(-η E_nr) / Σ_q p_q e^(-η E_nq), then p_r <- (1 - share) p_r + share / R, for each sample, in place.

    The arrays hold log p_r, and the mean loss so far with the number of its samples, by which η is divided if it is
    relative. Members with p_r = 0 count no more. See docs/guides/mixture.md.
    """
    R = (log_weights > -np.inf).sum()
    for E_n, s_n in zip(losses, np.ones(len(losses)) if sample_weight is None else sample_weight, strict=True):
        alive = log_weights > -np.inf
        counts = alive & (E_n < np.inf)  # which NaN is not
        if s_n == 0 or not counts.any():
            continue
        E, rate = E_n[counts], eta * s_n
        if relative:
            mean, count = scale
            known = max(mean, mean + (E.min() - mean) / (count + 1))
            # before anything is known, all members count alike; some member may always have been right
            rate = 0.0 if count == 0 else rate / (known or min(E[E > 0], default=np.inf))
        rate = min(rate, np.finfo(np.float64).max)
        log_p = log_weights[counts] - rate * (E - E.min())
        log_p -= log_p.max()
        log_p -= np.log(np.exp(log_p).sum())
        if relative:
            expected = np.exp(log_p) @ E if count and known else E.min()
            scale[:] = mean + (expected - mean) / (count + 1), count + 1
        log_weights[:] = -np.inf
        log_weights[counts] = log_p
        if share > 0:
            log_weights[alive] = np.log((1 - share) * np.exp(log_weights[alive]) + share / R)


# ------------------------------------------------------------------------------------------------- the public functions


def targets(t: Any, v: np.ndarray, output: str) -> np.ndarray:
    """Targets as rows: t_nk = 1 for the class k of a sample, and else 0."""
    if catalog.OUTPUTS[output].exclusive and np.ndim(t) == 1:
        return np.eye(len(v), dtype=v.real.dtype)[t]
    return np.asarray(t, v.real.dtype).reshape(-1, len(v))


@ignore_warnings
def forward(x: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> Activations:
    """Forward pass: the activations of all samples; see `cbackprop.forward`."""
    h, _derivative = HIDDEN_FUNCTIONS[hidden]
    y, _error = OUTPUTS[output]
    b = hidden_sums(np.asarray(x, w.real.dtype), w)
    z = h(b)
    a = output_sums(z, v)
    return Activations(y(a), a, z, b)


@ignore_warnings
def loss(x: Any, t: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> Any:
    """(2)  E = (1/N) sum_n E_n, in double precision; see `cbackprop.loss`."""
    _y, error = OUTPUTS[output]
    E = error(targets(t, v, output), forward(x, w, v, output=output, hidden=hidden).a)
    return E.mean(dtype=np.result_type(E, np.float64)).item()


def sample_gradients(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, shares: np.ndarray, output: str, hidden: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E_n of each sample, and the gradients (3), to which each sample contributes its share instead of 1/N."""
    _h, derivative = HIDDEN_FUNCTIONS[hidden]
    _y, error = OUTPUTS[output]
    y, a, z, _b = forward(x, w, v, output=output, hidden=hidden)
    errors = output_errors(y, t) * shares[:, np.newaxis]
    return error(t, a), gradient_w(errors, v, derivative(z), x), gradient_v(errors, z)


@ignore_warnings
def gradient(x: Any, t: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> Pair:
    """(3)  dE/dw_ji = (1/N) sum_n dE_n/dw_ji, and the same for v; see `cbackprop.gradient`."""
    x, t = np.asarray(x, w.dtype), targets(t, v, output)
    _E, dw, dv = sample_gradients(x, t, w, v, np.full(len(x), 1 / len(x), w.dtype), output, hidden)
    return dw, dv


def numerical_gradient(
    x: Any,
    t: Any,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: str = "softmax",
    hidden: str = "sigmoid",
    epsilon: float | None = None,
    scheme: str = "central",
) -> Pair:
    """(3) by numerical differentiation of (2); see `cbackprop.numerical_gradient`."""
    return differences.derivatives(partial(loss, x, t, output=output, hidden=hidden), w, v, epsilon, scheme)


@ignore_warnings
def step(
    x_n: Any,
    t_n: Any,
    w: np.ndarray,
    v: np.ndarray,
    learning_rate: float,
    *,
    sample_weight: float = 1.0,
    accumulators: Pair | None = None,
    output: str = "softmax",
    hidden: str = "sigmoid",
) -> float:
    """One update (17) of the weights, in place; see `cbackprop.step`."""
    x, t, shares = np.asarray([x_n], w.dtype), targets([t_n], v, output), np.array([sample_weight], w.dtype)
    arrays = w, v, *(accumulators or ())
    new_w, new_v, *sums = news = [array.copy() for array in arrays]
    (E_n,), dw, dv = sample_gradients(x, t, w, v, shares, output, hidden)
    if accumulators is None:
        update(new_w, dw, learning_rate)
        update(new_v, dv, learning_rate)
    else:
        update_adaptively(new_w, dw, learning_rate, sums[0])
        update_adaptively(new_v, dv, learning_rate, sums[1])
    limit = np.finfo(w.dtype).max * np.finfo(w.dtype).eps / 8  # more may overflow beside the largest weight
    finite = np.isfinite(E_n) and all(np.isfinite(new).all() for new in news)
    if not (finite and (abs(new_w - w) < limit).all() and (abs(new_v - v) < limit).all()):
        raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
    for array, new in zip(arrays, news, strict=True):
        array[:] = new
    return float(E_n)


@ignore_warnings
def fit(
    x: Any,
    t: Any,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: str = "softmax",
    hidden: str = "sigmoid",
    learning_rate: float = 0.1,
    epochs: int = 1,
    batch_size: int | None = 1,
    shuffle: bool = True,
    rng: Any = None,
    sample_weight: Any = None,
    l2: float = 0.0,
    momentum: float = 0.0,
    velocity: Pair | None = None,
    adaptive: bool = False,
    accumulators: Pair | None = None,
) -> History:
    """Updates (17) with all samples for a number of epochs; see `cbackprop.fit`."""
    x, t, N = np.asarray(x, w.dtype), targets(t, v, output), len(x)
    s = np.asarray(np.ones(N) if sample_weight is None else sample_weight, w.dtype)
    size, generator = batch_size or N, np.random.default_rng(rng)
    momentum, l2 = w.dtype.type(momentum), w.dtype.type(l2)
    u_w, u_v = velocity or (np.zeros_like(w), np.zeros_like(v))
    s_w, s_v = accumulators or (np.zeros(len(w), w.dtype), np.zeros(len(v), v.dtype))
    arrays, losses = (w, v, u_w, u_v, s_w, s_v), []
    for epoch in range(1, epochs + 1):
        before, total = [array.copy() for array in arrays], 0.0
        order = generator.permutation(N) if shuffle and size < N else np.arange(N)
        for n in np.split(order, range(size, N, size)):
            divisor = 1 if batch_size == 1 else s[n].sum()
            if divisor == 0:
                continue
            E, dw, dv = sample_gradients(x[n], t[n], w, v, s[n] / divisor, output, hidden)
            total += (s[n] * E).sum(dtype=np.float64)
            for weights, derivative, u, sums in ((w, dw, u_w, s_w), (v, dv, u_v, s_v)):
                if adaptive:
                    update_adaptively(weights, derivative, learning_rate, sums, l2 / divisor)
                elif momentum or l2:
                    update_with_momentum(weights, derivative, learning_rate, u, momentum, l2 / divisor)
                else:
                    update(weights, derivative, learning_rate)
        if not (np.isfinite(total) and all(np.isfinite(array).all() for array in arrays)):
            for array, earlier in zip(arrays, before, strict=True):
                array[:] = earlier
            raise DivergenceError(f"learning diverged in epoch {epoch}: {REMEDY}")
        losses.append(float(total / s.sum(dtype=np.float64)))
    return History(losses, len(losses), N * len(losses))
