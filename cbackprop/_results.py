"""What the functions return and raise."""

from typing import NamedTuple

import numpy as np


class Activations(NamedTuple):
    """Everything the forward pass computes for N samples.

    Attributes
    ----------
    y : ndarray of shape (N, K)
        Outputs: class probabilities, (7).
    a : ndarray of shape (N, K)
        Output input sums, (13).
    z : ndarray of shape (N, M)
        Hidden outputs.
    b : ndarray of shape (N, M)
        Hidden input sums.
    """

    y: np.ndarray
    a: np.ndarray
    z: np.ndarray
    b: np.ndarray


class History(NamedTuple):
    """What `fit` did.

    Attributes
    ----------
    losses : list of float
        Mean E of each epoch, in nats, each sample's E_n taken before the update that uses the sample.
    epochs : int
        Epochs run.
    samples : int
        Samples seen, over all epochs.
    """

    losses: list[float]
    epochs: int
    samples: int


class DivergenceError(ArithmeticError):
    """Learning left the finite numbers. The weights are as they were before the epoch, or step, at fault."""


REMEDY = "try a smaller learning_rate, or scale the inputs to a standard deviation near 1"
