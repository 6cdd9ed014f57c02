"""Validation of all arguments, in front of the kernels.

A message names the argument, the value and the requirement. Weights are never converted, since they are updated in
place; inputs and targets are converted only if necessary. Arrays of the caller are never written to.
"""

from .arrays import *  # noqa: F403
from .data import *  # noqa: F403
from .settings import *  # noqa: F403
from .weights import *  # noqa: F403
