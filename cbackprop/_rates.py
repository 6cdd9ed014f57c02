"""Learning rates that nobody chose: what "auto" means. All of them adapt to each unit (row-wise AdaGrad).

The page docs/guides/auto.md says who uses which.
"""

import math
from typing import NamedTuple

import numpy as np

SHARE = 0.01  # of the weights of a mixture, spread evenly after each sample


class StreamRates(NamedTuple):
    """The mixture that learns a stream: its networks, and how they begin. Benchmarks compare it to other models."""

    members: tuple[tuple[str, float], ...]  # hidden functions and learning rates of the networks
    widths: tuple[int, ...]  # numbers of hidden units, unless that is chosen: a network for each and each member
    weight_scale: float  # of initial hidden weights, relative to those of a network with one sample's non-zeros alone
    accumulator: float  # initial accumulators of hidden units


WIDTH = 16  # of networks with hashed inputs, whose weights may be many, or with a constant rate
DENSE_STREAM = StreamRates((("tanh", 0.1), ("tanh", 0.3), ("relu", 0.1), ("relu", 0.3)), (8, 32, 128), 1, 0)
# Row-wise AdaGrad averages squares over all inputs, mostly zeros, which would inflate its rates: accumulators do not
# start at 0. Weights of inputs that appear late are noise until then: they start small.
SPARSE_STREAM = StreamRates((("tanh", 0.03), ("tanh", 0.1), ("relu", 0.03), ("relu", 0.1)), (WIDTH,), 0.1, 0.1)


def network_rate(D: int) -> float:
    """The rate of a single network with D inputs, for samples as they come: a stream."""
    return min(0.3, float(D + 1) ** -0.5)


def epoch_rate(D: int) -> float:
    """The first rate α of a training in epochs on D standardized inputs: the steps of many add up."""
    return 0.3 / (D + 1) ** 0.5


def epochs_of_table(most: int, D: int, N: int) -> int:
    """Of at most so many epochs, those of a training on N rows of D standardized inputs: half of them on a wide table.

    With few rows for each weight of a unit, more epochs gain little: the steps of many inputs add up, and what is left
    to learn is noise.
    """
    return math.ceil(most / (1 + min(1, 5 * (D + 1) / N) ** 2))


class EpochRates(NamedTuple):
    """A training in so many epochs of n updates each, on D standardized inputs."""

    D: int
    epochs: int
    updates: int

    def rate(self, epoch: int) -> float:
        """The rate after so many epochs: it falls to 0 on a straight line."""
        return epoch_rate(self.D) * (1 - epoch / self.epochs)

    @property
    def memory(self) -> float:
        """The fraction of the sums of squared gradients that an epoch begins with: at most 30 updates' worth.

        Without them its first updates would be large, whatever has been learned.
        """
        return min(1, 30 / self.updates)

    @property
    def penalty(self) -> float:
        """The strength λ of the penalty, for standardized inputs: α λ = 0.02 / (1 + n/m)^2, with the first rate α.

        Each update with one sample first shrinks the weights by that fraction, so that those of a small table stay
        small, and with them the confidence in what few samples show. A prior of the weights counts 1/N in the mean of
        E_n. Row-wise AdaGrad divides the gradient of E_n in (17) by a root that grows like that of n, but not the
        penalty: hence n^(3/2), at least. The square lets large tables be learned as without a penalty. How many
        samples are few, m, grows with the number of weights of a unit. The constants are from a dozen tables, clean
        and noisy.
        """
        few = 32 * (self.D + 1) ** (1 / 3)
        return 0.02 / (epoch_rate(self.D) * (1 + self.updates / few) ** 2)

    def penalty_of(self, weights: np.ndarray | None, batch_size: int) -> float:
        """The same for weighted samples, by the sum of whose weights in a batch, not their number, `fit` divides it."""
        return self.penalty * (1 if weights is None or batch_size == 1 else float(weights.mean()))
