"""Return types and exceptions of the public functions."""

from typing import NamedTuple

import numpy as np

MAX_LOSSES = 8  # in the repr of a History


class Activations(NamedTuple):
    """All activations of a forward pass over N samples.

    Attributes
    ----------
    y : ndarray of shape (N, K)
        Outputs (7): class probabilities.
    a : ndarray of shape (N, K)
        Logits (13).
    z : ndarray of shape (N, M)
        Hidden activations.
    b : ndarray of shape (N, M)
        Hidden pre-activations.
    """

    y: np.ndarray
    a: np.ndarray
    z: np.ndarray
    b: np.ndarray


class History(NamedTuple):
    """The course of a training, as returned by `fit`.

    Attributes
    ----------
    losses : list of float
        Mean E of each epoch in nats, where E_n of each sample is taken before the update that uses the sample.
    epochs : int
        Number of epochs run.
    samples : int
        Number of samples seen in all epochs.
    """

    losses: list[float]
    epochs: int
    samples: int

    def __repr__(self) -> str:
        losses = [f"{E:.4g}" for E in self.losses]
        if len(losses) > MAX_LOSSES:
            losses[3:-3] = ["..."]
        return f"{type(self).__name__}(losses=[{', '.join(losses)}], epochs={self.epochs}, samples={self.samples})"

    def _repr_html_(self) -> str:
        from ._html import history_html

        return history_html(self.losses, self.samples)


class EnsembleHistory(NamedTuple):
    """The course of the training of an ensemble, as returned by `Ensemble.fit`.

    Attributes
    ----------
    losses : ndarray of shape (epochs, R)
        Mean E of each epoch and network, where E_n of each sample is taken before the update that uses the sample.
        Infinity from the epoch on in which a network diverged.
    epochs : int
        Number of epochs run.
    samples : int
        Number of samples seen in all epochs.
    diverged : dict
        The epoch, counted from 1, of each network that diverged, by its index. Networks that had diverged before are
        named with epoch 1.
    """

    losses: np.ndarray
    epochs: int
    samples: int
    diverged: dict[int, int]


class DivergenceError(ArithmeticError):
    """Training diverged: an error or a weight became infinite or NaN.

    The weights are those from before the epoch, or the step, that diverged.
    """


REMEDY = "try a smaller learning_rate, or scale the inputs, and numbers as targets, to a standard deviation near 1"
