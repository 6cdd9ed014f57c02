"""Predictions of several networks by their mixture, and the loss of these predictions."""

from __future__ import annotations  # annotations that name numpy.random must not import it

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _threads as threads
from . import _validation as validate
from ._catalog import OUTPUTS
from ._mixture import Mixture
from ._one_sample import OneSample
from ._settings import Data
from ._sparse import SparseRows

CHUNK = 1 << 20  # numbers of predictions whose loss is computed at a time, which keeps temporary arrays small


def mean(mixture: Mixture, networks: Sequence[OneSample], x: np.ndarray | SparseRows, n_threads: int = 1) -> np.ndarray:
    """The mean y of all samples by the weights of the mixture, in the dtype of the networks."""
    total: Any = 0.0
    weight: Any = 0.0
    whole: Any = True
    for finite, p, y, _a in _outputs(mixture, networks, x, n_threads):
        total, weight, whole = total + p * mixture.clipped(y), weight + p, whole & finite
    total[~whole] /= weight[~whole]
    return total.astype(networks[0].w.dtype)


@np.errstate(over="ignore")  # E may be infinite, as that of a network
def loss(mixture: Mixture, networks: Sequence[OneSample], data: Data) -> float:
    """Mean error E (2) of the predictions of the mixture."""
    if not OUTPUTS[mixture.output].probabilities:
        y, t = mean(mixture, networks, data.x), np.asarray(data.rows)
        return float(((y.astype(np.float64) - t) ** 2).sum(axis=1).mean() / 2)
    E, step = np.empty(len(data.x)), max(1, CHUNK // (len(networks) * len(networks[0].v)))
    for start in range(0, len(E), step):
        part = slice(start, start + step)
        rows, labels = (None if each is None else each[part] for each in (data.rows, data.labels))
        E[part] = _cross_entropies(mixture, networks, data.x[part], rows, labels)
    return float(E.mean())


def _outputs(
    mixture: Mixture, networks: Sequence[OneSample], x: np.ndarray | SparseRows, n_threads: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each network that counts: whether its y is finite, its weight, y and a, of all samples.

    Where its sums overflow, weight and y are 0, as if it had diverged. Some network must be left for each sample.
    """
    left: Any = False
    weights = mixture.weights
    for r in np.flatnonzero(weights).tolist():
        w, v = networks[r].w, networks[r].v
        validate.weights(w, v, writeable=False)
        (y, a, _z, _b), _finite = threads.forward(x, w, v, networks[r].functions, n_threads)
        finite = np.isfinite(y).all(axis=1)
        if not finite.all():
            validate.finite_weights(w, v)
            y[~finite] = 0
        left = left | finite
        yield finite, np.where(finite, weights[r], 0)[:, np.newaxis], y, a
    if not left.all():
        validate.refuse_overflow(w, v)


@np.errstate(all="ignore")  # of numbers that are not chosen
def _cross_entropies(
    mixture: Mixture,
    networks: Sequence[OneSample],
    x: np.ndarray | SparseRows,
    rows: np.ndarray | None,
    labels: np.ndarray | None,
) -> np.ndarray:
    """E_n of the mixture, from logits, so that no probability is rounded to 0 before its logarithm is taken."""
    finite, p, _y, a = map(np.array, zip(*_outputs(mixture, networks, x, 1), strict=True))  # of each network
    a = np.where(finite[..., np.newaxis], a, 0).astype(np.float64)
    if not OUTPUTS[mixture.output].exclusive:
        t = np.asarray(rows, np.float64)
        terms = [(t, np.logaddexp(0, -a)), (1 - t, np.logaddexp(0, a))]
    elif labels is None:
        terms = [(np.asarray(rows, np.float64), class_losses(a))]
    else:
        terms = [(np.ones((len(labels), 1)), class_losses(a)[:, np.arange(len(labels)), labels, np.newaxis])]
    E: Any = 0.0
    for share, d in terms:
        d[~finite] = np.inf
        E = E + np.where(share > 0, share * mixed_loss(p, d), 0)
    return E.sum(axis=1)


def class_losses(a: np.ndarray) -> np.ndarray:
    """-log y_k of softmax outputs from logits of shape (..., K).

    It is log Σ_l e^a_l - a_k = (max a - a_k) + log1p(Σ e^(a_l - max a)), where the sum leaves out the largest logit, so
    that nothing cancels. The exponents have the rounding errors of the differences added (Knuth, 1969).
    """
    places = a.argmax(axis=-1)[..., np.newaxis]
    largest = np.take_along_axis(a, places, axis=-1)
    difference = a - largest
    rest = difference - a
    error = (a - (difference - rest)) - (largest + rest)
    e = np.exp(difference)
    e += np.where(e > 0, e * error, 0)  # the error may be infinite elsewhere
    np.put_along_axis(e, places, 0, axis=-1)
    return np.log1p(e.sum(axis=-1, keepdims=True)) - difference


def mixed_loss(p: np.ndarray, d: np.ndarray) -> np.ndarray:
    """-log Σ_r p_r e^(-d_r) / Σ_r p_r, given p_r and d_r ≥ 0 along the first axis, where d_r is infinite if p_r = 0.

    It is accurate however small or large, since all terms have one sign: the lowest d_r is left out of all exponents,
    and added to -log(1 - lost / total), where lost = Σ p_r (1 - e^(lowest - d_r)). Where 1 - lost / total is small, it
    is kept / total, with kept = Σ p_r e^(lowest - d_r).
    """
    lowest, total = d.min(axis=0), p.sum(axis=0)
    above = np.where(d > lowest, d - lowest, 0)  # both may be infinite
    lost, kept = -(p * np.expm1(-above)).sum(axis=0) / total, (p * np.exp(-above)).sum(axis=0) / total
    return lowest + np.where(lost < 0.5, -np.log1p(-lost), -np.log(kept))
