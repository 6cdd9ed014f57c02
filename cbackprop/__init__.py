"""Two-layer neural networks, learned one sample at a time: backpropagation, compiled.

Functions that train and evaluate your own weight arrays: `init_weights`, `forward`, `loss`, `gradient`,
`numerical_gradient`, `step`, `fit`. A class that owns its weights: `Network`; many networks at once: `Ensemble`. A
network that learns in a program in C: `export_c`. The same functions in plain NumPy: `cbackprop.reference`.

Errors are the same everywhere. An argument of another type raises TypeError, and one of another shape, size or value,
a number that is not finite, or arrays that overlap in memory ValueError; the message names the argument, what it is and
what it must be. Learning that would make the error or a weight infinite raises `DivergenceError`, and weights that
another thread is training RuntimeError. A call that raises leaves all arrays as they were, unless its description says
more.
"""

from ._dispatch import kernel_info
from ._ensemble import Ensemble
from ._functions import fit, forward, gradient, loss, numerical_gradient, step
from ._initial_weights import init_weights
from ._network import Network
from ._results import Activations, DivergenceError, EnsembleHistory, History
from .export import export_c

__version__ = "0.1.0"

__all__ = [
    "Activations",
    "DivergenceError",
    "Ensemble",
    "EnsembleHistory",
    "History",
    "Network",
    "export_c",
    "fit",
    "forward",
    "gradient",
    "init_weights",
    "kernel_info",
    "loss",
    "numerical_gradient",
    "step",
]
