"""The mixture of an ensemble: how much each network's prediction counts, from its losses so far."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import numpy as np

from ._mixture_weights import drop, update


def rate(output: str, K: int) -> tuple[float, bool]:
    """The rate η of the mixture, and whether it is relative to the mean loss.

    The bound of the mixture needs e^(-ηE) to be a concave function of y. The cross-entropies of K labels add up, so
    their geometric mean is concave. For the squared error, η is 1/(4 mean loss): see docs/guides/mixture.md.
    """
    return {"softmax": (1.0, False), "logistic": (1 / K, False), "linear": (0.25, True)}[output]


class Mixture:
    """Weights p_r of R members, updated from their losses.

    Parameters
    ----------
    R : int
        Number of members.
    K : int
        Number of outputs.
    output : str
        Name of the output.
    share : float
        Fraction of the weights that is spread evenly after each sample.
    eta : float, optional
        η, instead of the one of the output.

    Attributes
    ----------
    log_weights : ndarray of shape (R,)
        log p_r.
    dropped : ndarray of shape (R,)
        1 for members that have diverged, else 0.
    limits : ndarray of shape (2, K)
        The lowest and the highest target so far, of linear outputs.
    scale : ndarray of shape (2,)
        The mean loss so far, and the number of its samples, with linear outputs.
    """

    def __init__(self, R: int, K: int, output: str, share: float, eta: float | None = None) -> None:
        self.output, self.share, self.eta = output, share, eta
        self.rate, self.relative = rate(output, K) if eta is None else (eta, False)
        self.log_weights, self.dropped = np.full(R, -np.log(R)), np.zeros(R)
        self.limits, self.scale = np.repeat([[np.inf], [-np.inf]], K, axis=1), np.zeros(2)

    @property
    def states(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """All arrays, as pairs."""
        return {"mixture": (self.log_weights, self.dropped), "targets": (self.limits, self.scale)}

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
        if self.output == "linear" and targets is not None:
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
        """Outputs as they enter the mixture: linear ones are clipped to the interval of all targets so far.

        No output beyond is nearer to a target in that interval.
        """
        return np.clip(y, *self.limits) if self.output == "linear" and self.limits[0, 0] <= self.limits[1, 0] else y
