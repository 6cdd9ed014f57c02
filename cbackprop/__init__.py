"""Two-layer neural networks, learned one sample at a time: backpropagation, compiled.

Functions that train and evaluate your own weight arrays: `init_weights`, `forward`, `loss`, `gradient`,
`numerical_gradient`, `step`, `fit`. A class that owns its weights: `Network`; many networks at once: `Ensemble`. The
same functions in plain NumPy: `cbackprop.reference`.
"""

from ._dispatch import kernel_info
from ._ensemble import Ensemble, EnsembleHistory
from ._functions import (
    fit,
    forward,
    gradient,
    init_weights,
    loss,
    numerical_gradient,
    step,
)
from ._network import Network
from ._results import Activations, DivergenceError, History

__version__ = "0.1.0"

__all__ = [
    "Activations",
    "DivergenceError",
    "Ensemble",
    "EnsembleHistory",
    "History",
    "Network",
    "fit",
    "forward",
    "gradient",
    "init_weights",
    "kernel_info",
    "loss",
    "numerical_gradient",
    "step",
]
