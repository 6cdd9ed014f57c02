"""The mixture of an ensemble: how much each network's prediction counts, from its losses so far."""

from __future__ import annotations  # annotations that name numpy.random must not import it

from typing import Any

import numpy as np

from ._catalog import OUTPUTS
from ._mixture_weights import drop, update
from .files.checks import check_mixture


class Mixture:
    """Weights p_r of R members, updated from their losses.

    The bound of the mixture needs e^(-ηE) to be a concave function of y. The cross-entropies of K labels add up, so
    their geometric mean is concave. For the squared error, η is 1/(4 mean loss): see docs/guides/mixture.md.

    η is `eta` or else that of the output. It needs no mean loss, and numbers are not clipped, if numbers to predict are
    `standardized`: have a standard deviation near 1. The `share` of the weights is spread evenly after each sample.
    """

    def __init__(
        self, R: int, K: int, output: str, share: float, eta: float | None = None, standardized: bool = False
    ) -> None:
        kind = OUTPUTS[output]
        self.output, self.share, self.eta, self.standardized = output, share, eta, standardized
        self.relative = eta is None and not (kind.probabilities or standardized)
        if eta is None:
            eta = kind.standardized_eta if standardized else kind.eta
            eta /= 1 if kind.exclusive or self.relative else K
        self.rate, self.clips = eta, not (kind.probabilities or standardized)
        self.log_weights = np.full(R, -np.log(R))  # log p_r
        self.dropped = np.zeros(R)  # 1 for members that have diverged
        none = [[-np.inf], [np.inf]] if standardized else [[np.inf], [-np.inf]]
        self.limits = np.repeat(none, K, axis=1)  # the lowest and the highest target so far, if they are numbers
        self.scale = np.zeros(2)  # the mean loss so far, and the number of its samples, if η is relative to it

    @property
    def states(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """All arrays, as pairs."""
        return {"mixture": (self.log_weights, self.dropped), "targets": (self.limits, self.scale)}

    def restore(self, states: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Take the contents of such arrays over. Raise ValueError if they are not those of a mixture."""
        for name, (first, second) in states.items():
            if any(new.shape != old.shape for new, old in zip((first, second), self.states[name], strict=True)):
                raise ValueError(f"arrays of {name} have shapes {first.shape} and {second.shape}")
        (log_weights, dropped), (limits, scale) = states["mixture"], states["targets"]
        check_mixture(log_weights, dropped, limits, scale)
        for array, new in zip(self.arrays, (log_weights, dropped, limits, scale), strict=True):
            array[...] = new

    def __reduce__(self) -> tuple[Any, ...]:
        R, K = len(self.log_weights), self.limits.shape[1]
        return type(self), (R, K, self.output, self.share, self.eta, self.standardized), self.states

    __setstate__ = restore

    def __deepcopy__(self, memo: dict[int, Any]) -> Mixture:
        other = object.__new__(type(self))  # faster than by `restore`, which checks arrays of unknown origin
        vars(other).update(vars(self))
        other.log_weights, other.dropped = self.log_weights.copy(), self.dropped.copy()
        other.limits, other.scale = self.limits.copy(), self.scale.copy()
        return other

    @property
    def arrays(self) -> list[np.ndarray]:
        """All arrays, one by one."""
        return [array for pair in self.states.values() for array in pair]

    @property
    def weights(self) -> np.ndarray:
        """p_r."""
        return np.exp(self.log_weights)

    @property
    def members(self) -> np.ndarray:
        """Whether each member has not diverged."""
        return self.dropped == 0

    def see(self, targets: np.ndarray | None) -> None:
        """Take note of the targets of samples, shape (N, K)."""
        if self.clips and targets is not None:
            np.minimum(self.limits[0], targets.min(axis=0), out=self.limits[0])
            np.maximum(self.limits[1], targets.max(axis=0), out=self.limits[1])

    def update(self, losses: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        """Update the weights from losses of shape (C, R), in the order of samples."""
        update(self.log_weights, self.scale, losses, self.rate, self.relative, self.share, sample_weight)

    def drop(self, members: np.ndarray) -> None:
        """Leave out members that have diverged; some other must remain."""
        self.dropped[members] = 1
        drop(self.log_weights, self.dropped)

    def clipped(self, y: np.ndarray) -> np.ndarray:
        """Outputs as they enter the mixture: numbers are clipped to the interval of all targets so far.

        No output beyond is nearer to a target in that interval.
        """
        return np.clip(y, *self.limits) if self.clips and self.limits[0, 0] <= self.limits[1, 0] else y
