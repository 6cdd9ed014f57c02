"""The standardization that `fit` with "auto" rates learns with, and its conversion into weights."""

from __future__ import annotations

import copy
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from cbackprop import Network
from cbackprop._catalog import OUTPUTS
from cbackprop._running import RunningScaler

MAX_RMS = 5  # of the inputs; that of standardized ones is 1
MAX_TARGET_STD = 5  # of the numbers to be predicted


Columns = tuple[np.ndarray, np.ndarray]  # their means and scales


class Scaling(NamedTuple):
    """A mean and a scale of each input, and of each target, with which a network is trained; None are as given.

    They may follow the samples so far, by the `running` scalers of inputs and, if they are numbers, targets.
    """

    x: Columns | None = None
    t: Columns | None = None
    running: tuple[RunningScaler, RunningScaler | None] | None = None

    @classmethod
    def standard(cls, X: Any, t: np.ndarray, weights: np.ndarray | None, network: Network) -> Scaling:
        """The scaling of inputs that are not sparse, and of numbers to be predicted, to mean 0 and deviation 1."""
        return cls(
            None if issparse(X) else _standard("X", X, weights),
            None if OUTPUTS[network.output].probabilities else _standard("y", t, weights),
        )

    @classmethod
    def following(cls, network: Network) -> Scaling:
        """The scaling that follows the samples of `partial_fit`, before the first."""
        D, K = network.w.shape[1] - 1, len(network.v)
        targets = None if OUTPUTS[network.output].probabilities else RunningScaler(K)
        return cls(running=(RunningScaler(D), targets))

    def learn(self, X: Any, t: np.ndarray, weights: np.ndarray | None) -> tuple[Scaling, Any, np.ndarray]:
        """The scaling after these samples, which is the same unless it follows them, and the scaled samples.

        It does not follow samples of weight 0, which become 0.
        """
        if self.running is None:
            return self, self.inputs(X), self.targets(t)
        inputs, targets = copy.copy(self.running[0]), copy.copy(self.running[1])
        X, learned = X.toarray() if issparse(X) else X, slice(None) if weights is None else weights > 0
        Z, columns_t = np.zeros_like(X), None
        Z[learned] = inputs.learn(X[learned])
        columns_x = _columns("X", inputs, X.dtype)
        if targets is not None:
            given, t = t, np.zeros_like(t)
            t[learned] = targets.learn(given[learned])
            columns_t = _columns("y", targets, X.dtype)
        return Scaling(columns_x, columns_t, (inputs, targets)), Z, t

    @property
    def trivial(self) -> bool:
        """Whether all is learned as it is given."""
        return self.x is None and self.t is None and self.running is None

    def inputs(self, X: Any) -> Any:
        """Scaled inputs; they are dense, unless they are learned as they are given."""
        if self.x is None:
            return X
        mean, scale = self.x
        scaled = (X.toarray() if issparse(X) else X).astype(mean.dtype)
        scaled -= mean
        scaled /= scale
        return scaled

    def targets(self, t: np.ndarray) -> np.ndarray:
        """Scaled targets."""
        return t if self.t is None else (t - self.t[0]) / self.t[1]

    def fold_out(self, network: Network) -> None:
        """Convert weights for data as they are given to weights for scaled data."""
        w, v = network.w, network.v
        if self.x is not None:
            mean, scale = self.x
            w[:, -1] += w[:, :-1] @ mean
            w[:, :-1] *= scale
        if self.t is not None:
            mean, scale = self.t
            v[:, -1] -= mean
            v /= scale[:, np.newaxis]

    def fold_in(self, network: Network) -> None:
        """Convert weights for scaled data to weights for data as they are given."""
        w, v = network.w, network.v
        if self.x is not None:
            mean, scale = self.x
            w[:, :-1] /= scale
            w[:, -1] -= w[:, :-1] @ mean
        if self.t is not None:
            mean, scale = self.t
            v *= scale[:, np.newaxis]
            v[:, -1] += mean


def _standard(name: str, columns: np.ndarray, weights: np.ndarray | None) -> Columns:
    """Means and standard deviations of columns."""
    if weights is not None and not weights.any():  # which training refuses
        weights = None
    scaler = RunningScaler(columns.shape[1])
    scaler.update(columns, weights)
    return _columns(name, scaler, columns.dtype)


def _columns(name: str, scaler: RunningScaler, dtype: np.dtype) -> Columns:
    """Means and standard deviations; 1 instead of a deviation by which weights could not be divided."""
    with np.errstate(over="ignore"):
        mean, scale = scaler.mean.astype(dtype), scaler.scale.astype(dtype)
    scale[scale < np.sqrt(np.finfo(scale.dtype).tiny)] = 1
    finite = np.isfinite(mean) & np.isfinite(scale)
    if not finite.all():
        raise ValueError(f"the variance of column {finite.argmin()} of {name} overflows; divide it by a constant")
    return mean, scale


def warn_unscaled(X: Any, t: np.ndarray | None) -> None:
    """Warn of inputs, or numbers to be predicted, so large that hidden units saturate or sums do not change in sign."""
    numbers, remedy = X, "mean 0 and standard deviation 1, for example by make_pipeline(StandardScaler(), ...)"
    if issparse(X):
        numbers, remedy = X.data, "at most 1, for example by make_pipeline(MaxAbsScaler(), ...)"
    rms = float(np.sqrt(np.vdot(numbers, numbers) / np.prod(X.shape)))
    sizes = [("root mean square of X", rms, MAX_RMS, f"its columns to {remedy}")]
    if t is not None:
        deviation = float(t.std(axis=0, dtype=np.float64).max())
        remedy = "it to 1, for example by TransformedTargetRegressor(..., transformer=StandardScaler())"
        sizes.append(("standard deviation of y", deviation, MAX_TARGET_STD, remedy))
    for name, size, most, remedy in sizes:
        if size > most:
            message = f"the {name} is {size:.3g}, with which little is learned; scale {remedy}"
            warnings.warn(message, stacklevel=4)  # at the caller of `fit`, which calls `_fit`
