"""The public functions: they validate their arguments and call the compiled kernels.

Symbols, shapes and equation numbers are those of the README: x (N, D), t (N, K) or (N,), w (M, D+1), v (K, M+1),
b and z (N, M), a and y (N, K).
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _differences as differences
from . import _engines as engines
from . import _threads as threads
from . import _validation as validate
from . import reference
from ._docstrings import inherits
from ._names import Hidden, Method, Output, Scheme
from ._one_sample import OneSample
from ._results import Activations, History
from ._settings import Data, Settings
from ._sparse import CSR, SparseRows
from ._standardization import Standardization
from ._standardizing import Standardizing, add_standardization
from ._training import Epochs, Training
from .files.model_file import Model


def forward(
    x: ArrayLike | CSR,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
    n_threads: int = 1,
) -> Activations:
    """Forward pass: the activations b, z, a (13) and y of all samples.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs: finite real numbers, without a mask. Or a CSR array or matrix of `scipy.sparse`.
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last: float32 or float64, C-contiguous or, faster with sparse x, Fortran-contiguous, as
        made by `init_weights`.
    v : ndarray of shape (K, M+1)
        Output weights, bias last, of the same dtype.
    output : {"softmax", "linear", "logistic"}
        The outputs y, and with them the error: class probabilities (7) with the cross-entropy (1), numbers y = a with
        half the squared error, or independent probabilities y = 1 / (1 + e^-a) with the sum of their cross-entropies.
    hidden : {"sigmoid", "tanh", "relu"}
        The hidden function h.
    n_threads : int
        Maximum number of threads, among which the samples are divided. The result is bit-identical for any number.

    Returns
    -------
    Activations
        ``y, a, z, b`` in the dtype of the weights.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> y, a, z, b = cbackprop.forward(np.eye(2), w, v)
    >>> y.sum(axis=1)
    array([1., 1.])
    """
    return threads.activations(x, w, v, validate.functions(hidden, output), n_threads, of_hidden_units=True)


@inherits(forward)
def loss(
    x: ArrayLike | CSR,
    t: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
) -> float:
    """Mean error E (2): cross-entropy, or with linear outputs half the squared error.

    It is computed from the logits, so that no probability is rounded to 0 before its logarithm is taken.

    Parameters
    ----------
    t : array_like of shape (N,) or (N, K)
        Targets. Softmax outputs: class indices 0..K-1, or rows of probabilities that sum to 1. Linear outputs: any
        finite numbers. Logistic outputs: numbers in [0, 1]. With K = 1, numbers may have shape (N,).

    Returns
    -------
    float
        E, in nats if it is a cross-entropy.

    Examples
    --------
    If all weights are equal, all classes are equally likely, and E is the logarithm of their number:

    >>> import cbackprop, numpy as np
    >>> w, v = np.ones((2, 3)), np.ones((3, 3))
    >>> round(cbackprop.loss([[1.0, 2.0]], [0], w, v), 6)
    1.098612
    """
    functions = validate.functions(hidden, output)
    data = Data.validated(x, t, w, v, output)
    engine = engines.bulk_engine(w, v, functions, data.x)
    E = engine.loss(engine.samples(*data))
    if np.isnan(E):
        validate.inputs(x, w, v)  # another thread may have changed sparse rows
        validate.refuse_overflow(w, v)
    return E


@inherits(loss)
def gradient(
    x: ArrayLike | CSR,
    t: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the mean error (3) by backpropagation: the mean of (16) and (18) over the samples.

    Returns
    -------
    dw : ndarray of shape (M, D+1)
        dE/dw.
    dv : ndarray of shape (K, M+1)
        dE/dv.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> dw, dv = cbackprop.gradient([[0.5, -1.0]], [1], w, v)
    >>> dw.shape, dv.shape
    ((3, 3), (2, 4))
    """
    E, dw, dv = error_and_gradient(x, t, w, v, validate.functions(hidden, output))
    if not np.isfinite(E):
        validate.refuse_overflow(w, v)
    return dw, dv


def error_and_gradient(
    x: ArrayLike | CSR, t: ArrayLike, w: np.ndarray, v: np.ndarray, functions: validate.Functions
) -> tuple[float, np.ndarray, np.ndarray]:
    """E (2) and its gradient (3), which is valid only if E is finite."""
    data = Data.validated(x, t, w, v, functions.output)
    dw, dv = np.empty_like(w), np.empty_like(v)  # without padding
    engine = engines.bulk_engine(w, v, functions, data.x, gradient=True)
    E = engine.gradient(engine.samples(*data), dw, dv)
    return E, dw, dv


@inherits(gradient)
def numerical_gradient(
    x: ArrayLike | CSR,
    t: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
    epsilon: float | None = None,
    scheme: Scheme = "central",
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the mean error (3) by numerical differentiation: slow, a check of `gradient`.

    Parameters
    ----------
    epsilon : float, optional
        Step size. The default balances truncation error against rounding error: with the machine epsilon ``eps`` of the
        dtype, it is ``eps ** (1/2)`` for "forward" and ``eps ** (1/3)`` for "central". For "complex", which has no
        rounding error to balance, it is 1e-20.
    scheme : {"central", "forward", "complex"}
        ``(E(w + epsilon) - E(w - epsilon)) / (2 epsilon)``, ``(E(w + epsilon) - E(w)) / epsilon``, or
        ``Im E(w + i epsilon) / epsilon``, computed in complex128 by NumPy.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> dw, dv = cbackprop.gradient([[0.5, -1.0]], [1], w, v)
    >>> nw, nv = cbackprop.numerical_gradient([[0.5, -1.0]], [1], w, v)
    >>> bool(np.allclose(dw, nw, atol=1e-9) and np.allclose(dv, nv, atol=1e-9))
    True
    """
    functions = validate.functions(hidden, output)
    data = Data.validated(x, t, w, v, output)
    if scheme == "complex":
        dense = data.x.toarray() if isinstance(data.x, SparseRows) else data.x
        given = data.labels if data.rows is None else data.rows
        equation = partial(reference.loss, dense, given, output=output, hidden=hidden)
        return differences.derivatives(equation, w, v, epsilon, scheme)
    engine = engines.make_engine(w, v, functions, 1, "direct", x=data.x)
    samples = engine.samples(*data)

    def E(w: np.ndarray, v: np.ndarray) -> float:
        engine.load(w, v)
        return engine.loss(samples)

    return differences.derivatives(E, w, v, epsilon, scheme)


@inherits(forward)
def step(
    x_n: ArrayLike | CSR,
    t_n: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    learning_rate: float,
    *,
    sample_weight: float = 1.0,
    accumulators: tuple[np.ndarray, np.ndarray] | None = None,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
) -> float:
    """Learn from one sample: one update (17) of the weights, in place.

    Both gradients, (16) and (18), are taken at the weights before the update. A call that raises leaves the weights
    unchanged.

    Parameters
    ----------
    x_n : array_like of shape (D,)
        Inputs of the sample. Or a CSR array or matrix of shape (1, D).
    t_n : int, float or array_like of shape (K,)
        Target of the sample: its class index or K probabilities that sum to 1, or, if outputs are not softmax, K
        numbers, with K = 1 also a single one.
    learning_rate : float
        α of (17).
    sample_weight : float
        A factor of E_n, and so of the update, at least 0.
    accumulators : pair of ndarray of shapes (M,) and (K,), optional
        Sums of squared gradients, updated in place, with which α adapts to each unit: see the notes of `fit`.

    Returns
    -------
    float
        E_n before the update, without the weight.

    Raises
    ------
    DivergenceError
        If E_n or an updated weight would not be finite. An update of 5e30 or more in float32, or 4.9e291 in float64,
        counts as infinite.

    Examples
    --------
    >>> import cbackprop
    >>> w, v = cbackprop.init_weights(2, 3, 2, rng=0)
    >>> losses = [cbackprop.step([0.5, -1.0], 1, w, v, 0.5) for _ in range(10)]
    >>> losses[9] < losses[0]
    True
    """
    functions = validate.functions(hidden, output)
    validate.weights(w, v, writeable=True)
    x: Any = x_n
    for name, array in (("x_n", x), ("t_n", t_n)):
        if type(array) is np.ndarray:  # in a file that is mapped twice, too
            validate.check_no_overlap(name, array, w, v, True)
    if accumulators is not None:
        given = (x.data, x.indices, t_n) if validate.is_sparse(x) else (x, t_n)
        arrays = [array for array in given if isinstance(array, np.ndarray)]
        accumulators = validate.states(None, 0, accumulators, True, w, v, arrays)["accumulators"]
    one = OneSample(w, v, functions, learning_rate, engines.kernels_for(w, v, 1), accumulators, names=("x_n", "t_n"))
    return one.learn_one(x, t_n, sample_weight)


@inherits(forward)
def fit(
    x: ArrayLike | CSR,
    t: ArrayLike,
    w: np.ndarray,
    v: np.ndarray,
    *,
    output: Output = "softmax",
    hidden: Hidden = "sigmoid",
    learning_rate: float = 0.1,
    epochs: int = 1,
    batch_size: int | None = 1,
    shuffle: bool = True,
    rng: Any = None,
    method: Method = "auto",
    n_threads: int = 1,
    callback: Callable[[int, float], object] | None = None,
    sample_weight: ArrayLike | None = None,
    l2: float = 0.0,
    momentum: float = 0.0,
    velocity: tuple[np.ndarray, np.ndarray] | None = None,
    adaptive: bool = False,
    accumulators: tuple[np.ndarray, np.ndarray] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
) -> History:
    """Learn from all samples for a number of epochs, updating the weights in place.

    Parameters
    ----------
    x : array_like of shape (N, D)
        Inputs: finite real numbers, without a mask. Converted once if they are not C-contiguous or not of the weights'
        dtype. Or a CSR array or matrix of `scipy.sparse`.
    t : array_like of shape (N,) or (N, K)
        Targets. Softmax outputs: class indices 0..K-1, or rows of probabilities that sum to 1 within the square root of
        the machine epsilon. Linear outputs: any finite numbers. Logistic outputs: numbers in [0, 1]. With K = 1,
        numbers may have shape (N,).
    learning_rate : float
        α of (17).
    epochs : int
        Number of passes over all samples.
    batch_size : int or None
        Samples per update. 1: update (17) after each sample (online learning). None: one update per epoch with the mean
        gradient (3) of all samples. Otherwise mini-batches, each with its mean gradient; the last may be smaller.
    shuffle : bool
        Draw a new order of the samples, ``rng.permutation(N)``, for each epoch; ignored if one batch holds them all.
    rng : None, int or numpy.random.Generator
        Source of random numbers, as for `numpy.random.default_rng`.
    method : {"auto", "direct", "blocked"}
        Order of the arithmetic. The updates are the same up to rounding.
    callback : callable, optional
        Called as ``callback(epoch, loss)`` after each epoch, counted from 1. If it returns True, training stops.
    sample_weight : array_like of shape (N,), optional
        Non-negative weight of each sample: a factor of its E_n and gradient. The gradient of a batch is divided by the
        sum of its weights; with ``batch_size=1``, the weight is a factor of the learning rate instead.
    l2 : float
        Strength of the L2 penalty: l2/2 times the sum of squares of all weights but the biases, added to the sum of E_n
        of each batch. The reported losses do not include it.
    momentum : float
        Fraction in [0, 1] of the previous update that is added to the next: u ← momentum·u − α·gradient, w ← w + u.
    velocity : pair of ndarray with the shapes of w and v, optional
        The previous update u of w and of v, updated in place, so that a later call can continue with it. By default,
        each call starts from zeros.
    adaptive : bool
        Whether α adapts to each unit, by row-wise AdaGrad: see the notes.
    accumulators : pair of ndarray of shapes (M,) and (K,), optional
        The sums of squared gradients of each hidden unit and each output, updated in place, so that a later call can
        continue with them. By default, each call starts from zeros.
    checkpoint : path-like, optional
        File for the state of training, replaced atomically. It is a model file, too, which `load` reads.
    checkpoint_every : int
        Number of epochs between writes of the checkpoint. The state after the last epoch and its callback is always
        written, whether `fit` returns or raises, for example on Ctrl-C.
    resume : bool
        Continue from the checkpoint: from its weights, losses and random state. With the same kernels, the final
        weights are bit-identical to those of an uninterrupted call. If the file does not exist, training starts from
        the beginning. The data, the settings and the type of rng must be those of the first call, except for epochs,
        n_threads and callback; of large data, 1000 rows are compared.

    Returns
    -------
    History
        Mean E of each epoch, number of epochs, number of samples seen.

    Raises
    ------
    DivergenceError
        If E or a weight is no longer finite. The weights are those at the start of that epoch or, with sparse x, those
        before the update that would have made one of them infinite.
    OSError
        If the checkpoint cannot be read, or cannot be written; then the file is unchanged, and the weights are those
        after the last epoch.

    Notes
    -----
    learning_rate, l2 and momentum are rounded to the dtype of the weights first: a momentum that rounds to 0 counts as
    0.

    With ``adaptive=True``, (17) has an α of its own for each unit: α_j = α / sqrt(s_j + 1e-10), where s_j is the sum of
    the squares of the unit's gradients, each the mean over its weights, the present one included. s_j starts from 0, so
    that the first update of a unit does not depend on the size of its gradient. A gradient is that of an update: of a
    sample, with its weight, or the mean gradient (3) of a batch. l2 shrinks the weights with α itself. momentum must be
    0.

    Ctrl-C raises KeyboardInterrupt. The weights are then those after a whole number of samples, in order.

    A sparse x takes time in proportion to its non-zeros, whatever D: each update changes the weights of the non-zeros
    only, in w itself, of which no copy is made. It is fastest with w in Fortran order: ``init_weights(order="F")``.
    Updates are those with ``x.toarray()``, up to rounding; an input that comes twice in a row counts with the sum of
    its values. l2 shrinks all weights of w by one factor, which is applied after each epoch; ``learning_rate * l2``
    above 1 diverges. momentum must be 0, because it would change all weights at every update. A batch takes
    batch_size · M numbers of memory and, with adaptive rates, as many again for each non-zero of the longest row, up to
    (D + 1) · M. n_threads makes no difference.

    Different weights may be trained in several threads at the same time. Other threads may read weights in training;
    they see those after some epoch or, while these are being stored, a mixture of two successive epochs.

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
    functions = validate.functions(hidden, output)
    return train(
        x, t, w, v, functions, None, None, learning_rate=learning_rate, batch_size=batch_size, shuffle=shuffle,
        method=method, n_threads=n_threads, sample_weight=sample_weight, l2=l2, momentum=momentum, velocity=velocity,
        adaptive=adaptive, accumulators=accumulators, resume=resume,
        course=(epochs, rng, callback, checkpoint, checkpoint_every),
    )  # fmt: skip


def train(
    x: Any,
    t: Any,
    w: np.ndarray,
    v: np.ndarray,
    functions: validate.Functions,
    standardization: Standardization | None,
    watch: Callable[[Data, list[float]], None] | None,
    *,
    n_threads: Any,
    sample_weight: Any,
    velocity: Any,
    accumulators: Any,
    resume: Any,
    course: tuple[Any, ...],
    **settings: Any,
) -> History:
    """What `fit` does, on samples as they are or standardized; then ``watch(data, losses)``."""
    # to save a pass over x, a non-finite x is left to surface as divergence, unless a sample weight of 0 could hide it
    # or a checkpoint is restored first
    finite = resume is not False or sample_weight is not None or standardization is not None
    missing = None if standardization is None else standardization.missing
    data = Data.validated(x, t, w, v, functions.output, sample_weight, writeable=True, finite=finite, missing=missing)
    validate.finite_weights(w, v)
    chosen = Settings.validated(w.dtype, data.x, functions, **settings)
    states = validate.states(velocity, chosen.momentum, accumulators, chosen.adaptive, w, v, data.arrays)
    n_threads = validate.count("n_threads", n_threads)
    model = Model(w, v, chosen.learning_rate, states=states, functions=functions)
    add_standardization(model, standardization)
    standardizing = None if standardization is None else Standardizing(standardization, data, w.dtype)
    loop = Epochs(model, data, chosen, resume, *course)
    explain = partial(validate.inputs, x, w, v, missing=missing)
    training = Training(explain, standardizing, data, w, v, states, functions, chosen, n_threads)
    loop.run(training, (w, v), model.states)
    if watch is not None:
        watch(data, loop.losses)
    return History(loop.losses, len(loop.losses), len(data.x) * len(loop.losses))
