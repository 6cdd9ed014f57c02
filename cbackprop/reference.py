"""The equations in plain NumPy: the same functions as `cbackprop`, to be read next to the article.

Nothing here is compiled and nothing is fast: one line an equation, numbered as in the README. Only what holds no
mathematics is shared with the compiled functions: the gate, which looks at arguments, the guard of weights in training,
checkpoints, and the types of the results.

Notes
-----
In einsum subscripts n runs over samples, i over inputs, j over hidden units, k over classes.

Examples
--------
>>> import numpy as np
>>> from cbackprop import reference
>>> w, v = reference.init_weights(2, 3, 2, rng=0)
>>> y, a, z, b = reference.forward(np.eye(2), w, v)
>>> y.shape
(2, 2)
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _gate as gate
from ._checkpoint import Checkpoint
from ._in_training import InTraining, whatever_ends
from ._results import REMEDY, Activations, DivergenceError, History

# ---------------------------------------------------------------------------------------------------- the equations


quietly = np.errstate(over="ignore", invalid="ignore", under="ignore")  # what isn't finite is looked for, and raised


def with_one(rows: np.ndarray) -> np.ndarray:
    """Append the dummy x_D = 1, or z_M = 1."""
    return np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)


def hidden_sums(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """b_j = sum_{i=0..D} w_ji x_i."""
    return with_one(x) @ w.T


def sigmoid(b: np.ndarray) -> np.ndarray:
    """h(b) = 1 / (1 + e^-b), as e^b / (1 + e^b) where b < 0, so that neither side overflows."""
    e = np.exp(np.where(b.real > 0, -b, b))
    return np.where(b.real > 0, 1, e) / (1 + e)


def sigmoid_derivative(z: np.ndarray) -> np.ndarray:
    """h'(b_j) = z_j (1 - z_j)."""
    return z * (1 - z)


def output_sums(z: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(13)  a_k = sum_{j=0..M} v_kj z_j."""
    return with_one(z) @ v.T


def largest_sums(a: np.ndarray) -> np.ndarray:
    """The largest a_l of each sample, to be taken out of every exponent."""
    return np.take_along_axis(a, a.real.argmax(axis=1)[:, np.newaxis], axis=1)


@quietly
def softmax(a: np.ndarray) -> np.ndarray:
    """(7) (8)  y_k = e^a_k / sum_l e^a_l."""
    e = np.exp(a - largest_sums(a))
    return e / e.sum(axis=1, keepdims=True)


def softmax_derivative(y: np.ndarray) -> np.ndarray:
    """(7) (8)  dy_i/da_k = y_i (1 - y_i) for i = k, and -y_i y_k otherwise."""
    return np.einsum("i,ik->ik", y, np.eye(len(y))) - np.outer(y, y)


@quietly
def sample_cross_entropies(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(1)  E_n = -sum_k t_k log y_k = sum_k t_k (log sum_l e^a_l - a_k), where a class with t_k = 0 adds nothing.

    log sum_l e^a_l is the largest a_l plus log(1 + rest): no 1 swallows a tiny rest.
    """
    largest = largest_sums(a)
    e = np.exp(a - largest)
    np.put_along_axis(e, a.real.argmax(axis=1)[:, np.newaxis], 0, axis=1)
    return np.where(t > 0, t * ((largest - a) + np.log1p(e.sum(axis=1, keepdims=True))), 0).sum(axis=1)


def output_errors(y: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(5) ... (12)  dE_n/da_k = y_k - t_k, since sum_k t_k = 1."""
    return y - t


def gradient_v(errors: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(4) (14) (15) (16), summed over n:  (y_k - t_k) z_j."""
    return np.einsum("nk,nj->kj", errors, with_one(z))


def gradient_w(errors: np.ndarray, v: np.ndarray, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(18), summed over n:  (sum_k (y_k - t_k) v_kj) h'(b_j) x_i."""
    return np.einsum("nk,kj,nj,ni->ji", errors, v[:, :-1], sigmoid_derivative(z), with_one(x), optimize=True)


def descend(weights: np.ndarray, derivative: np.ndarray, learning_rate: float) -> None:
    """(17)  v_kj <- v_kj - α dE/dv_kj, and the same for w, in place."""
    weights -= weights.dtype.type(learning_rate) * derivative


def descend_on(
    weights: np.ndarray, derivative: np.ndarray, learning_rate: float, u: np.ndarray, momentum: float, penalty: float
) -> None:
    """(17) with momentum and a penalty:  u <- momentum u - α (dE/dw + penalty w),  w <- w + u, in place."""
    penalties = weights * weights.dtype.type(penalty)
    penalties[:, -1] = 0  # biases go without
    u *= weights.dtype.type(momentum)
    descend(u, derivative + penalties, learning_rate)
    weights += u


# --------------------------------------------------------------------------------------------- the public functions


def _layers(x: np.ndarray, w: np.ndarray, v: np.ndarray) -> Activations:
    b = hidden_sums(x, w)
    z = sigmoid(b)
    a = output_sums(z, v)
    return Activations(softmax(a), a, z, b)


def _gradients(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, shares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E_n of each sample, and (3), or with shares instead of 1/N."""
    y, a, z, _b = _layers(x, w, v)
    errors = output_errors(y, t)
    size = len(x)
    if shares is not None:
        errors, size = errors * shares[:, np.newaxis], 1
    return sample_cross_entropies(t, a), gradient_w(errors, v, z, x) / size, gradient_v(errors, z) / size


def _as_rows(rows: np.ndarray | None, labels: np.ndarray | None, w: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.eye(len(v), dtype=w.dtype)[labels] if rows is None else rows


def init_weights(
    n_inputs: int, n_hidden: int, n_outputs: int, *, dtype: DTypeLike = np.float64, rng: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Glorot-uniform weights for a sigmoid; see `cbackprop.init_weights`."""
    D, M, K = gate.layer_sizes(n_inputs, n_hidden, n_outputs)
    real = gate.float_dtype(dtype)
    generator = gate.generator(rng)
    w, v = np.zeros((M, D + 1), real), np.zeros((K, M + 1), real)
    r_w, r_v = 4 * np.sqrt(6 / (D + M)), np.sqrt(6 / (M + K))
    w[:, :D] = generator.uniform(-r_w, r_w, (M, D))
    v[:, :M] = generator.uniform(-r_v, r_v, (K, M))
    return w, v


@quietly
def forward(x: ArrayLike, w: np.ndarray, v: np.ndarray, *, n_threads: int = 1) -> Activations:
    """All activations of all samples; see `cbackprop.forward`. One thread."""
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    gate.count("n_threads", n_threads)
    activations = _layers(x, w, v)
    if np.isnan(activations.y).any():
        gate.refuse_overflow(w, v)
    return activations


@quietly
def cross_entropy(x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray) -> float:
    """(2)  E = (1/N) sum_n E_n; see `cbackprop.cross_entropy`."""
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    t = _as_rows(*gate.targets(t, len(x), w, v), w, v)
    E = float(sample_cross_entropies(t, _layers(x, w, v).a).mean(dtype=np.float64))
    if np.isnan(E):
        gate.refuse_overflow(w, v)
    return E


@quietly
def gradient(x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3)  dE/dw_ji = (1/N) sum_n dE_n/dw_ji, and the same for v; see `cbackprop.gradient`."""
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    E, dw, dv = _gradients(x, _as_rows(*gate.targets(t, len(x), w, v), w, v), w, v)
    if not np.isfinite(E).all():
        gate.refuse_overflow(w, v)
    return dw, dv


@quietly
def numerical_gradient(
    x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray, *, epsilon: float | None = None, scheme: str = "central"
) -> tuple[np.ndarray, np.ndarray]:
    """(3) by numerical differentiation; see `cbackprop.numerical_gradient`."""
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    t = _as_rows(*gate.targets(t, len(x), w, v), w, v)
    gate.finite_weights(w, v)
    gate.choice("scheme", scheme, ("central", "forward", "complex"))
    size = gate.epsilon(epsilon)
    if scheme == "complex":
        return gate.finite_derivatives(complex_step_gradient(x, t, w, v, size or 1e-20), epsilon, w, v)
    size = size or float(np.finfo(w.dtype).eps) ** (1 / 2 if scheme == "forward" else 1 / 3)
    gate.distance(size, w, v, scheme)

    def E(w: np.ndarray, v: np.ndarray) -> float:
        return sample_cross_entropies(t, output_sums(sigmoid(hidden_sums(x, w)), v)).mean(dtype=np.float64)

    dw, dv = np.empty_like(w), np.empty_like(v)
    w, v = w.copy(), v.copy()
    for weights, derivative in ((w, dw), (v, dv)):
        for index, weight in np.ndenumerate(weights):
            below = weight if scheme == "forward" else weight - weight.dtype.type(size)
            above = weight + weight.dtype.type(size)
            weights[index] = above
            E_above = E(w, v)
            weights[index] = below
            derivative[index] = (E_above - E(w, v)) / (float(above) - float(below))
            weights[index] = weight
    return gate.finite_derivatives((dw, dv), epsilon, w, v)


@quietly
def complex_step_gradient(
    x: np.ndarray, t: np.ndarray, w: np.ndarray, v: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Im E(w + i epsilon) / epsilon: no difference is taken, so nothing cancels."""
    t = np.eye(len(v))[t] if t.ndim == 1 else t

    def E(w: np.ndarray, v: np.ndarray) -> complex:
        a = output_sums(sigmoid(hidden_sums(x, w)), v)
        return sample_cross_entropies(t, a).mean()

    dw, dv = np.empty_like(w), np.empty_like(v)
    w, v = w.astype(np.complex128), v.astype(np.complex128)
    for weights, derivative in ((w, dw), (v, dv)):
        for index, weight in np.ndenumerate(weights):
            weights[index] = weight + 1j * epsilon
            derivative[index] = E(w, v).imag / epsilon
            weights[index] = weight
    return dw, dv


@quietly
def step(x_n: ArrayLike, t_n: ArrayLike, w: np.ndarray, v: np.ndarray, learning_rate: float) -> float:
    """One update (17), in place; see `cbackprop.step`."""
    gate.weights(w, v, written=True)
    x = gate.sample("x_n", x_n, w, v, written=True)
    t = _as_rows(*gate.sample_target("t_n", t_n, w, v), w, v)
    alpha = gate.learning_rate(learning_rate, w.dtype)

    def learn() -> float:
        (E_n,), dw, dv = _gradients(x, t, w, v)
        new_w, new_v = w.copy(), v.copy()
        descend(new_v, dv, alpha)
        descend(new_w, dw, alpha)
        if not (np.isfinite(E_n) and np.isfinite(new_w).all() and np.isfinite(new_v).all()):
            raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
        w[:], v[:] = new_w, new_v
        return float(E_n)

    return InTraining(w, v).during(learn)


@quietly
def fit(
    x: ArrayLike,
    t: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    *,
    learning_rate: float = 0.1,
    epochs: int = 1,
    batch_size: int | None = 1,
    shuffle: bool = True,
    rng: Any = None,
    method: str = "auto",
    n_threads: int = 1,
    callback: Callable[[int, float], object] | None = None,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    momentum: float = 0.0,
    velocity: tuple[np.ndarray, np.ndarray] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
) -> History:
    """(17) over all samples, epoch after epoch, in place; see `cbackprop.fit`. One method, one thread."""
    gate.weights(w, v, written=True)
    gate.finite_weights(w, v)
    x = gate.inputs(x, w, v, written=True)
    N = len(x)
    t = _as_rows(*gate.targets(t, N, w, v, written=True), w, v)
    alpha = gate.learning_rate(learning_rate, w.dtype)
    epochs = gate.count("epochs", epochs)
    batch = gate.batch_size(batch_size, N)
    generator = gate.generator(rng)
    gate.choice("method", method, gate.METHODS)
    gate.count("n_threads", n_threads)
    stops, shuffle = gate.callback(callback), gate.flag("shuffle", shuffle)
    weights = gate.sample_weight(sample_weight, N, w, v)
    weight = N if weights is None else weights.sum(dtype=np.float64)
    momentum = gate.between("momentum", momentum, 1, w.dtype)
    l2 = gate.between("l2", l2, float(np.finfo(w.dtype).max), w.dtype)
    plain = momentum == l2 == 0
    changing = (w, v, *(gate.velocity(velocity, w, v, momentum, (x, t, weights)) or ()))
    losses: list[float] = []
    settings = {
        "learning_rate": alpha, "batch_size": batch, "shuffle": shuffle, "momentum": momentum, "l2": l2,
    }  # fmt: skip
    data = x, t, weights
    keeper = Checkpoint(checkpoint, checkpoint_every, resume, changing, losses, generator, epochs, data, settings)

    def learn() -> None:
        order = np.arange(N)
        keeper.begin()
        for epoch in range(len(losses) + 1, epochs + 1):
            if shuffle and batch < N:
                order = generator.permutation(N)
            before = [array.copy() for array in changing]
            total = 0.0
            for start in range(0, N, batch):
                n = order[start : start + batch]
                s_n = np.ones(len(n), w.dtype) if weights is None else weights[n]
                together = 1 if batch == 1 else s_n.sum()
                if together == 0:
                    continue
                E, dw, dv = _gradients(x[n], t[n], w, v, None if weights is None else s_n / together)
                total += (s_n * E).sum(dtype=np.float64)
                u_w, u_v = changing[2:] or (np.zeros_like(w), np.zeros_like(v))
                for layer, derivative, u in ((v, dv, u_v), (w, dw, u_w)):
                    if plain:
                        descend(layer, derivative, alpha)
                    else:
                        descend_on(layer, derivative, alpha, u, momentum, l2 / together)
            if not (np.isfinite(total) and np.isfinite(w).all() and np.isfinite(v).all()):
                for array, earlier in zip(changing, before, strict=True):
                    array[:] = earlier
                raise DivergenceError(f"learning diverged in epoch {epoch}: {REMEDY}")
            losses.append(float(total / weight))
            stop = stops(epoch, losses[-1])
            keeper.epoch_ended()
            if stop:
                break

    # the velocity is in training, too
    InTraining(w, v).during(InTraining(*changing[-2:]).during, whatever_ends, learn, keeper.end)
    return History(losses, len(losses), N * len(losses))
