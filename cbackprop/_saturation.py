"""The warning of a network that hardly learns, because all its hidden units are saturated."""

import warnings

import numpy as np

from . import _threads as threads
from . import _validation as validate
from . import reference
from ._catalog import OUTPUTS
from ._one_sample import OneSample
from ._settings import Data
from ._sparse import SparseRows

FEWEST = 200  # samples learned by a call of `fit` that is looked at
LAST = 20  # of these samples
FIRST_LOOK = 512  # samples of a stream until one is looked at; then twice as many until the next ...
MOST_LOOKS = 8  # ... and in all so many, ...
LOOKS = 3  # ... of which so many in a row must be saturated
DERIVATIVE = 1e-6  # of hidden units, below which they are
SMALL_ENTROPY = 0.1  # the error of classes that have been learned ...
SMALL_PART = 0.05  # ... and that of numbers, as a part of their variance


def watch_fit(network: OneSample, data: Data, losses: list[float]) -> None:
    """Warn if all hidden units are saturated on the last samples of a training, and their error is not small."""
    if network._looks == 0 or isinstance(data.x, SparseRows) or len(data.x) * len(losses) < FEWEST:
        return
    probabilities = OUTPUTS[network.functions.output].probabilities
    if (probabilities and losses[-1] <= SMALL_ENTROPY) or not saturated(network, data.x[-LAST:]):
        return
    small = 0.0
    if not probabilities:  # a pass over the targets
        small = SMALL_PART * float(np.var(data.rows, axis=0, dtype=np.float64).sum()) / 2  # type: ignore[arg-type]
    if losses[-1] > small:
        warn(network, 5)


def watch_stream(network: OneSample, x: object, E_n: float) -> None:
    """Warn if all hidden units were saturated on all samples that were looked at."""
    small = SMALL_ENTROPY if OUTPUTS[network.functions.output].probabilities else 0
    rows = validate.inputs(x, network.w, network.v, one=True)
    if isinstance(rows, SparseRows) or E_n <= small or not saturated(network, rows):
        network._saturated = 0
    else:
        network._saturated += 1
    network._looks -= 1
    network._until_look = FIRST_LOOK << (MOST_LOOKS - network._looks - 1) if network._looks else 0
    if network._saturated == LOOKS:
        warn(network, 4)


def saturated(network: OneSample, x: np.ndarray) -> bool:
    """Whether no hidden unit depends on any of the inputs, to rounding."""
    z = threads.forward(x, network.w, network.v, network.functions, 1, of_hidden_units=True)[0].z
    return bool((np.abs(reference.HIDDEN_FUNCTIONS[network.functions.hidden][1](z)) < DERIVATIVE).all())


def warn(network: OneSample, stacklevel: int) -> None:
    """Warn, once."""
    network._looks = network._until_look = 0
    warnings.warn(
        f"all {len(network.w)} hidden units are saturated on the samples, so that little is learned: use "
        f"standardize=True (in the command, --standardize), or scale inputs to mean 0 and standard deviation 1",
        stacklevel=stacklevel,
    )
