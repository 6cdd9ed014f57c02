"""The public functions: through the gate, then into the compiled kernels.

Symbols, shapes and equation numbers are those of the table in the README: x (N, D), t (N, K) or (N,), w (M, D+1),
v (K, M+1), b and z (N, M), a and y (N, K).
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _engines as engines
from . import _gate as gate
from ._checkpoint import Checkpoint
from ._dispatch import kernels
from ._in_training import InTraining, whatever_ends
from ._results import REMEDY, Activations, DivergenceError, History
from ._threads import forward_together
from ._training import Samples, Training


def init_weights(
    n_inputs: int, n_hidden: int, n_outputs: int, *, dtype: DTypeLike = np.float64, rng: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Random weights from which a sigmoid network learns.

    Glorot-uniform: each layer is drawn from ±r with r = c·sqrt(6 / (inputs + outputs of the layer)), c = 4 for the
    sigmoid layer (its slope at 0 is 1/4) and c = 1 for the softmax layer; biases are 0. Equal weights would never
    differ again, since equal hidden units get equal gradients.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        D, M and K, each at least 1.
    dtype : {float64, float32}
        Of the weights, and so of all arithmetic with them.
    rng : None, int or numpy.random.Generator
        As for `numpy.random.default_rng`.

    Returns
    -------
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last.
    v : ndarray of shape (K, M+1)
        Output weights, bias last.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16; the factor 4 for the logistic sigmoid: Y. Bengio, "Practical recommendations for gradient-based
    training of deep architectures", 2012, section 3.2.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(64, 32, 10, rng=0)
    >>> w.shape, v.shape
    ((32, 65), (10, 33))
    """
    D, M, K = gate.layer_sizes(n_inputs, n_hidden, n_outputs)
    real = gate.float_dtype(dtype)
    generator = gate.generator(rng)
    w, v = np.zeros((M, D + 1), real), np.zeros((K, M + 1), real)
    r_w, r_v = 4 * np.sqrt(6 / (D + M)), np.sqrt(6 / (M + K))
    w[:, :D] = generator.uniform(-r_w, r_w, (M, D))
    v[:, :M] = generator.uniform(-r_v, r_v, (K, M))
    return w, v


def forward(x: ArrayLike, w: np.ndarray, v: np.ndarray, *, n_threads: int = 1) -> Activations:
    """All activations of all samples: b, z, a (13) and y (7).

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs: real numbers, finite.
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last.
    v : ndarray of shape (K, M+1)
        Output weights, bias last, of the same dtype.
    n_threads : int
        Threads to use at most, each for its share of the samples. The result has the same bits for every number.

    Returns
    -------
    Activations
        ``y, a, z, b`` in the dtype of the weights; each row of y sums to 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> y, a, z, b = cbackprop.forward(np.eye(2), w, v)
    >>> y.sum(axis=1)
    array([1., 1.])
    """
    return _activations(x, w, v, n_threads, hidden=True)


def probabilities(x: ArrayLike, w: np.ndarray, v: np.ndarray, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
    """y and a of `forward`, without keeping b and z."""
    y, a, _z, _b = _activations(x, w, v, n_threads, hidden=False)
    return y, a


def _activations(x: ArrayLike, w: np.ndarray, v: np.ndarray, n_threads: int, *, hidden: bool) -> Activations:
    M, K = gate.weights(w, v, written=False)
    given, x = x, gate.inputs(x, w, v, finite=False)
    n_threads = gate.count("n_threads", n_threads)
    a, y = np.empty((len(x), K), w.dtype), np.empty((len(x), K), w.dtype)
    b: Any = np.empty((len(x), M), w.dtype) if hidden else None
    z: Any = np.empty((len(x), M), w.dtype) if hidden else None
    if not forward_together(x, w, v, b, z, a, y, n_threads):
        gate.inputs(given, w, v)
    if np.isnan(y.sum()):
        gate.refuse_overflow(w, v)
    return Activations(y, a, z, b)


def cross_entropy(x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray) -> float:
    """Mean cross-entropy E (2), by log-sum-exp: no probability is ever rounded to 0 before its logarithm.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs.
    t : array_like of shape (N,) or (N, K)
        Class indices 0..K-1, or rows of probabilities that sum to 1.
    w, v : ndarray
        Weights, as for `forward`.

    Returns
    -------
    float
        E in nats.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    Examples
    --------
    With equal weights every class is equally likely, and E is the logarithm of their number:

    >>> import cbackprop, numpy as np
    >>> round(cbackprop.cross_entropy([[1.0, 2.0]], [0], np.ones((2, 3)), np.ones((3, 3))), 6)
    1.098612
    """
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    rows, labels = gate.targets(t, len(x), w, v)
    if (engine := engines.whole_pass(w, v, len(x))) is not None:
        total = engine.cross_entropy_sum(x, rows, labels)
    else:
        total = kernels(w.dtype).cross_entropy_sum(x, rows, labels, w, v)
    if np.isnan(total):
        gate.refuse_overflow(w, v)
    return total / len(x)


def gradient(x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean gradient of E (3), by backpropagation: (16) and (18) of each sample, averaged.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs.
    t : array_like of shape (N,) or (N, K)
        Class indices 0..K-1, or rows of probabilities that sum to 1.
    w, v : ndarray
        Weights, as for `forward`.

    Returns
    -------
    dw : ndarray of shape (M, D+1)
        dE/dw.
    dv : ndarray of shape (K, M+1)
        dE/dv.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> dw, dv = cbackprop.gradient([[0.5, -1.0]], [1], w, v)
    >>> dw.shape, dv.shape
    ((3, 3), (2, 4))
    """
    E, dw, dv = error_and_gradient(x, t, w, v)
    if not np.isfinite(E):  # then samples may be missing
        gate.refuse_overflow(w, v)
    return dw, dv


def error_and_gradient(
    x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """E (2) and its gradient (3), which is right if E is finite."""
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    rows, labels = gate.targets(t, len(x), w, v)
    dw, dv = np.zeros_like(w), np.zeros_like(v)
    if (engine := engines.whole_pass(w, v, len(x), gradient=True)) is not None:
        total = engine.gradient(x, rows, labels, dw, dv)
    else:
        total = kernels(w.dtype).gradient(x, rows, labels, w, v, dw, dv)
    return total / len(x), dw, dv


def numerical_gradient(
    x: ArrayLike, t: ArrayLike, w: np.ndarray, v: np.ndarray, *, epsilon: float | None = None, scheme: str = "central"
) -> tuple[np.ndarray, np.ndarray]:
    """Mean gradient of E by numerical differentiation, one weight at a time: slow, and a check on `gradient`.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs.
    t : array_like of shape (N,) or (N, K)
        Class indices 0..K-1, or rows of probabilities that sum to 1.
    w, v : ndarray
        Weights, as for `forward`. They are not changed.
    epsilon : float, optional
        Distance. By default the one that balances the error of the formula against rounding: for the precision eps of
        the dtype, ``eps ** (1/2)`` (forward), ``eps ** (1/3)`` (central), or 1e-20 (complex, which has no such error).
    scheme : {"central", "forward", "complex"}
        ``(E(w + epsilon) - E(w - epsilon)) / (2 epsilon)``, ``(E(w + epsilon) - E(w)) / epsilon``, or
        ``Im E(w + i epsilon) / epsilon`` in complex128 by NumPy.

    Returns
    -------
    dw : ndarray of shape (M, D+1)
        dE/dw.
    dv : ndarray of shape (K, M+1)
        dE/dv.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> dw, dv = cbackprop.gradient([[0.5, -1.0]], [1], w, v)
    >>> nw, nv = cbackprop.numerical_gradient([[0.5, -1.0]], [1], w, v)
    >>> bool(np.allclose(dw, nw, atol=1e-9) and np.allclose(dv, nv, atol=1e-9))
    True
    """
    gate.weights(w, v, written=False)
    x = gate.inputs(x, w, v)
    rows, labels = gate.targets(t, len(x), w, v)
    gate.finite_weights(w, v)
    gate.choice("scheme", scheme, ("central", "forward", "complex"))
    step_size = gate.epsilon(epsilon)
    if scheme == "complex":
        from .reference import complex_step_gradient

        by_step = complex_step_gradient(x, np.asarray(rows if labels is None else labels), w, v, step_size or 1e-20)
        return gate.finite_derivatives(by_step, epsilon, w, v)
    step_size = step_size or float(np.finfo(w.dtype).eps) ** (1 / 2 if scheme == "forward" else 1 / 3)
    gate.distance(step_size, w, v, scheme)
    w, v = w.copy(), v.copy()
    entropy = kernels(w.dtype).cross_entropy_sum
    E = entropy(x, rows, labels, w, v)
    gradients = []
    for weights in (w, v):
        derivatives = np.empty_like(weights)
        flat, out = weights.reshape(-1), derivatives.reshape(-1)
        for i, weight in enumerate(flat):
            flat[i] = above = weight + weight.dtype.type(step_size)
            E_above, E_below, below = entropy(x, rows, labels, w, v), E, weight
            if scheme == "central":
                flat[i] = below = weight - weight.dtype.type(step_size)
                E_below = entropy(x, rows, labels, w, v)
            flat[i] = weight
            out[i] = (E_above - E_below) / (float(above) - float(below)) / len(x)
        gradients.append(derivatives)
    return gate.finite_derivatives((gradients[0], gradients[1]), epsilon, w, v)


def step(x_n: ArrayLike, t_n: ArrayLike, w: np.ndarray, v: np.ndarray, learning_rate: float) -> float:
    """Learn from one sample: one update (17), in place.

    Both gradients, (16) and (18), are those at the weights before the update.

    Parameters
    ----------
    x_n : array_like of shape (D,)
        One sample.
    t_n : int or array_like of shape (K,)
        Its class index, or a row of probabilities that sum to 1.
    w, v : ndarray
        Weights, as for `forward`, and writable.
    learning_rate : float
        α of (17).

    Returns
    -------
    float
        E_n before the update, in nats.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it. The weights are unchanged.
    DivergenceError
        If E_n or a weight would not be finite. The weights are unchanged.
    RuntimeError
        If another thread is training these weights. They are unchanged by this call.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> losses = [cbackprop.step([0.5, -1.0], 1, w, v, 0.5) for _ in range(10)]
    >>> losses[9] < losses[0]
    True
    """
    gate.weights(w, v, written=True)
    x = gate.sample("x_n", x_n, w, v, written=True)
    rows, labels = gate.sample_target("t_n", t_n, w, v)
    alpha = gate.learning_rate(learning_rate, w.dtype)
    E_n = InTraining(w, v).during(kernels(w.dtype).step, x, rows, labels, w, v, alpha)
    if not np.isfinite(E_n):
        raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
    return E_n


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
    """Learn from all samples, epoch after epoch, in place.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs. Converted once if they are not of the weights' dtype and C-contiguous.
    t : array_like of shape (N,) or (N, K)
        Class indices 0..K-1, or rows of probabilities that sum to 1, to half of the digits of the dtype.
    w, v : ndarray
        Weights, as for `forward`, and writable. They are updated in place, at the latest when control returns.
    learning_rate : float
        α of (17).
    epochs : int
        Passes over all samples.
    batch_size : int or None
        1: update (17) after each sample. None: the mean gradient (3) of all samples. Between them: mini-batches, each
        with its mean gradient; the last one may be smaller.
    shuffle : bool
        Take the samples in a new order ``rng.permutation(N)`` at each epoch (not if one batch holds them all).
    rng : None, int or numpy.random.Generator
        As for `numpy.random.default_rng`.
    method : {"auto", "direct", "blocked"}
        The order of the arithmetic. The updates are the same, rounding aside.
    n_threads : int
        Threads to use at most. The result has the same bits for every number.
    callback : callable, optional
        Called as ``callback(epoch, loss)`` after each epoch, epoch counting from 1; True stops.
    sample_weight : array_like of shape (N,), optional
        Weight of each sample, not negative: a factor of its E_n and so of its gradient. A batch's gradient is divided
        by the sum of its weights; with ``batch_size=1`` the weight is a factor of the learning rate.
    l2 : float
        Penalty: l2/2 times the sum of the squares of all weights, biases left out, is added to the sum of E_n of each
        batch. The loss that is returned is without it.
    momentum : float
        From 0 to 1: an update is this part of the one before, less α times the gradient.
    velocity : pair of ndarray like w and v, optional
        The latest update, which momentum carries on. Updated in place, so that a later call goes on from there;
        zeros at the beginning. By default, each call begins with zeros.
    checkpoint : path-like, optional
        A file for the state of learning, replaced as a whole each time. `Network.load` reads it, too.
    checkpoint_every : int
        Epochs from one writing of the checkpoint to the next. The state after the latest epoch and its callback is
        written at the end, too, whether `fit` returns or raises, as on Ctrl-C.
    resume : bool
        Go on from the checkpoint, with its weights, losses and state of rng: on the same kernels the bits at the end
        are those of a call that was never cut. If there is no such file, begin. Data, settings and kind of rng must
        be those of the call that began, except epochs, n_threads and callback; of large data 1000 rows are compared.

    Returns
    -------
    History
        Mean E of each epoch, epochs run, samples seen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it. The weights are unchanged.
    DivergenceError
        If E or a weight is no longer finite. The weights are those at the start of that epoch.
    RuntimeError
        If another thread is training these weights. They are unchanged by this call.
    OSError
        If the checkpoint can't be read, or not be written: then it is as it was, and the weights are those after the
        latest epoch.

    Notes
    -----
    Learning rate, l2 and momentum are rounded to the dtype of the weights before anything else: a momentum that this
    makes 0 is none.

    Ctrl-C raises KeyboardInterrupt; the weights are those after some whole number of samples, in order.

    Threads may train different weights at the same time. Others may read weights in training: they see those after
    some epoch or, while these are being stored, some of them and some of the epoch before.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> t = np.array([0, 1, 1, 0])
    >>> w, v = cbackprop.init_weights(2, 4, 2, rng=1)
    >>> history = cbackprop.fit(x, t, w, v, learning_rate=0.5, epochs=2000, rng=1)
    >>> cbackprop.forward(x, w, v).y.argmax(axis=1)
    array([0, 1, 1, 0])
    """
    gate.weights(w, v, written=True)
    gate.finite_weights(w, v)
    # an x that is not finite shows in what is learned from it; where a weight of 0 may hide it, or a checkpoint is
    # taken up before, it is looked for now, which takes as long as reading it
    given, x = x, gate.inputs(x, w, v, written=True, finite=resume is not False or sample_weight is not None)
    N = len(x)
    samples = Samples(x, *gate.targets(t, N, w, v, written=True), gate.sample_weight(sample_weight, N, w, v))
    momentum = gate.between("momentum", momentum, 1, w.dtype)
    settings: dict[str, Any] = {
        "learning_rate": gate.learning_rate(learning_rate, w.dtype),
        "batch_size": gate.batch_size(batch_size, N),
        "method": gate.choice("method", method, gate.METHODS),
        "momentum": momentum,
        "l2": gate.between("l2", l2, float(np.finfo(w.dtype).max), w.dtype),
    }
    velocity = gate.velocity(velocity, w, v, momentum, samples)
    epochs = gate.count("epochs", epochs)
    generator = gate.generator(rng)
    stops, shuffle = gate.callback(callback), gate.flag("shuffle", shuffle)
    losses: list[float] = []
    changing = (w, v) if velocity is None else (w, v, *velocity)
    keeper = Checkpoint(
        checkpoint, checkpoint_every, resume, changing, losses, generator, epochs, samples,
        settings | {"shuffle": shuffle},
    )  # fmt: skip
    training = Training(samples, w, v, velocity, n_threads=gate.count("n_threads", n_threads), **settings)
    shuffle = shuffle and settings["batch_size"] < N
    weight = samples.weight

    def diverged(epoch: int) -> DivergenceError:
        gate.inputs(given, w, v)  # an x that is not finite ends here, in the first epoch
        return DivergenceError(f"learning diverged in epoch {epoch}: {REMEDY}")

    def learn() -> None:
        order = np.arange(N)
        keeper.begin()
        if training.takes_epochs and callback is None and checkpoint is None:
            losses.extend((training.epochs(order, epochs) / weight).tolist())
            if np.isnan(losses[-1]):
                raise diverged(len(losses))
        while len(losses) < epochs:
            if shuffle:  # not by a method of a subclass: its order could lead anywhere
                order = np.random.Generator.permutation(generator, N)
            total = training.epoch(order)
            if total is None:
                raise diverged(len(losses) + 1)
            losses.append(total / weight)
            stop = stops(len(losses), losses[-1])
            keeper.epoch_ended()
            if stop:
                break

    # the velocity is in training, too
    InTraining(w, v).during(InTraining(*changing[-2:]).during, whatever_ends, learn, keeper.end)
    return History(losses, len(losses), N * len(losses))
