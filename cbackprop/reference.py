"""The equations in plain NumPy: the public functions of `cbackprop`, to be read next to the article.

The code is written for reading, not for speed: one line per equation, numbered as in the README. Functions and their
arguments are named as in `cbackprop`, without threads, callbacks and checkpoints. Shared with the compiled functions is
only what none of these equations describes: validation, random initial weights, quotients of differences. Numbers below
the smallest normal one count here; on x86 the compiled functions take them for 0.

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

from typing import Any

import numpy as np

from . import _differences as differences
from . import _validation as validate
from ._initial_weights import init_weights as init_weights
from ._results import REMEDY, Activations, DivergenceError, History
from ._settings import Data, Settings
from ._sparse import SparseRows
from ._validation import Functions

Pair = tuple[np.ndarray, np.ndarray]  # of w and of v

# functions check their results instead
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


def linear(a: np.ndarray) -> np.ndarray:
    """y_k = a_k."""
    return a


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


OUTPUTS = {  # y, and E_n
    "softmax": (softmax, sample_cross_entropies),
    "linear": (linear, squared_errors),
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
    for n in range(len(losses)):
        s_n = 1.0 if sample_weight is None else sample_weight[n]
        E_n = np.where((log_weights > -np.inf) & (losses[n] < np.inf), losses[n], np.inf)  # NaN is not below infinity
        if s_n == 0 or E_n.min() == np.inf:
            continue
        mean, count = scale
        rate = eta * s_n
        if relative:
            mean = max(mean, mean + (E_n.min() - mean) / (count + 1))
            known = count > 0 and mean > 0
            if mean == 0:  # some member was always right
                mean = min(E_n[E_n > 0], default=np.inf)
            rate = rate / mean if count > 0 else 0.0
        rate = min(rate, np.finfo(np.float64).max)
        log_p = np.full(len(E_n), -np.inf)
        log_p[E_n < np.inf] = (log_weights - rate * (E_n - E_n.min()))[E_n < np.inf]
        log_p -= log_p.max()
        log_p -= np.log(np.exp(log_p).sum())
        if relative:
            left = log_p > -np.inf
            E = np.exp(log_p[left]) @ E_n[left] if known else E_n.min()
            scale[:] = scale[0] + (E - scale[0]) / (count + 1), count + 1
        if share > 0:
            alive = log_weights > -np.inf
            log_p[alive] = np.log((1 - share) * np.exp(log_p[alive]) + share / R)
        log_weights[:] = log_p


# ------------------------------------------------------------------------------------------------- the public functions


def _dense(x: np.ndarray | SparseRows) -> np.ndarray:
    """Inputs with their zeros."""
    return x.toarray() if isinstance(x, SparseRows) else x


def _one_of_k(rows: np.ndarray | None, labels: np.ndarray | None, v: np.ndarray) -> np.ndarray:
    """Targets as rows: t_nk = 1 for the class k of a sample, and else 0."""
    return np.eye(len(v), dtype=v.dtype)[labels] if rows is None else rows


def _checked(
    x: Any, t: Any, w: np.ndarray, v: np.ndarray, output: str, hidden: str
) -> tuple[np.ndarray, np.ndarray, Functions]:
    functions = validate.functions(hidden, output)
    data = Data.validated(x, t, w, v, output)
    return _dense(data.x), _one_of_k(data.rows, data.labels, v), functions


def _forward(x: np.ndarray, w: np.ndarray, v: np.ndarray, functions: Functions) -> Activations:
    h, _derivative = HIDDEN_FUNCTIONS[functions.hidden]
    y, _error = OUTPUTS[functions.output]
    b = hidden_sums(x, w)
    z = h(b)
    a = output_sums(z, v)
    return Activations(y(a), a, z, b)


def _mean_error(x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, functions: Functions) -> Any:
    """(2)  E = (1/N) sum_n E_n, in double precision."""
    _y, error = OUTPUTS[functions.output]
    E = error(t, _forward(x, w, v, functions).a)
    return E.mean(dtype=np.result_type(E, np.float64))


def _gradients(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, functions: Functions, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E_n of each sample, and the gradients (3), to which each sample contributes its share instead of 1/N."""
    _h, derivative = HIDDEN_FUNCTIONS[functions.hidden]
    _y, error = OUTPUTS[functions.output]
    y, a, z, _b = _forward(x, w, v, functions)
    errors = output_errors(y, t) * shares[:, np.newaxis]
    return error(t, a), gradient_w(errors, v, derivative(z), x), gradient_v(errors, z)


@ignore_warnings
def forward(x: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> Activations:
    """Forward pass: the activations of all samples; see `cbackprop.forward`."""
    functions = validate.functions(hidden, output)
    validate.weights(w, v, writeable=False)
    activations = _forward(_dense(validate.inputs(x, w, v)), w, v, functions)
    if not np.isfinite(activations.y).all():
        validate.refuse_overflow(w, v)
    return activations


@ignore_warnings
def loss(x: Any, t: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> float:
    """(2)  E = (1/N) sum_n E_n; see `cbackprop.loss`."""
    x, t, functions = _checked(x, t, w, v, output, hidden)
    E = float(_mean_error(x, t, w, v, functions))
    if np.isnan(E):
        validate.refuse_overflow(w, v)
    return E


@ignore_warnings
def gradient(x: Any, t: Any, w: np.ndarray, v: np.ndarray, *, output: str = "softmax", hidden: str = "sigmoid") -> Pair:
    """(3)  dE/dw_ji = (1/N) sum_n dE_n/dw_ji, and the same for v; see `cbackprop.gradient`."""
    x, t, functions = _checked(x, t, w, v, output, hidden)
    E, dw, dv = _gradients(x, t, w, v, functions, np.full(len(x), 1 / len(x), w.dtype))
    if not all(np.isfinite(array).all() for array in (E, dw, dv)):
        validate.refuse_overflow(w, v)
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
    """(3) by numerical differentiation; see `cbackprop.numerical_gradient`."""
    x, t, functions = _checked(x, t, w, v, output, hidden)
    return differences.derivatives(lambda w, v: _mean_error(x, t, w, v, functions), w, v, epsilon, scheme)


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
    functions = validate.functions(hidden, output)
    validate.weights(w, v, writeable=True)
    x = _dense(validate.sample("x_n", x_n, w, v, writeable=True))
    t = _one_of_k(*validate.sample_target("t_n", t_n, w, v, output), v)
    alpha = validate.learning_rate(learning_rate, w.dtype)
    shares = np.array([validate.weight(sample_weight, w.dtype)], w.dtype)
    validate.states(None, 0, accumulators, accumulators is not None, w, v, (x, t))

    arrays = [w, v, *(accumulators or ())]
    new_w, new_v, *squares = news = [array.copy() for array in arrays]
    (E_n,), dw, dv = _gradients(x, t, w, v, functions, shares)
    if accumulators is None:
        update(new_w, dw, alpha)
        update(new_v, dv, alpha)
    else:
        update_adaptively(new_w, dw, alpha, squares[0])
        update_adaptively(new_v, dv, alpha, squares[1])
    limit = np.finfo(w.dtype).max * np.finfo(w.dtype).eps / 8  # more may overflow beside the largest weight
    finite = np.isfinite(E_n) and all(np.isfinite(new).all() for new in news)
    if not (finite and (abs(new_w - w) < limit).all() and (abs(new_v - v) < limit).all()):
        validate.finite_weights(w, v)
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
    functions = validate.functions(hidden, output)
    data = Data.validated(x, t, w, v, output, sample_weight, writeable=True)
    validate.finite_weights(w, v)
    x, t, N = _dense(data.x), _one_of_k(data.rows, data.labels, v), len(data.x)
    settings = Settings.validated(
        w.dtype, N, learning_rate=learning_rate, batch_size=batch_size, method="auto", momentum=momentum, l2=l2,
        adaptive=adaptive, shuffle=shuffle, functions=functions,
    )  # fmt: skip
    states = validate.states(velocity, settings.momentum, accumulators, adaptive, w, v, data.arrays)
    epochs, generator = validate.count("epochs", epochs), validate.generator(rng)

    alpha, size, s = settings.learning_rate, settings.batch_size, data.sample_weight
    s = np.ones(N, w.dtype) if s is None else s
    u_w, u_v = states.get("velocity") or (np.zeros_like(w), np.zeros_like(v))
    s_w, s_v = states.get("accumulators") or (np.empty(0), np.empty(0))
    arrays, losses = [w, v, *(array for pair in states.values() for array in pair)], []
    for epoch in range(1, epochs + 1):
        before, total = [array.copy() for array in arrays], 0.0
        order = validate.order(generator, N) if settings.shuffles(N) else np.arange(N)
        for n in np.split(order, range(size, N, size)):
            divisor = 1 if size == 1 else s[n].sum()
            if divisor == 0:
                continue
            E, dw, dv = _gradients(x[n], t[n], w, v, functions, s[n] / divisor)
            total += (s[n] * E).sum(dtype=np.float64)
            for weights, derivative, u, squares in ((w, dw, u_w, s_w), (v, dv, u_v, s_v)):
                if settings.adaptive:
                    update_adaptively(weights, derivative, alpha, squares, settings.l2 / divisor)
                elif settings.momentum or settings.l2:
                    update_with_momentum(weights, derivative, alpha, u, settings.momentum, settings.l2 / divisor)
                else:
                    update(weights, derivative, alpha)
        if not (np.isfinite(total) and all(np.isfinite(array).all() for array in arrays)):
            for array, earlier in zip(arrays, before, strict=True):
                array[:] = earlier
            raise DivergenceError(f"learning diverged in epoch {epoch}: {REMEDY}")
        losses.append(float(total / s.sum(dtype=np.float64)))
    return History(losses, len(losses), N * len(losses))
