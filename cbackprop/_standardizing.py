"""Standardization in front of networks and ensembles: from their settings to the samples that a training learns."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _validation as validate
from ._catalog import OUTPUTS
from ._one_sample import OneSample
from ._settings import Data
from ._standardization import Standardization
from .files.model_file import Model


def new_standardization(
    w: np.ndarray, v: np.ndarray, output: str, standardize: Any, missing: Any, auto: bool
) -> Standardization | None:
    """The standardization of a new network, or None: if the user has not chosen, it depends on "auto"."""
    chosen = auto if standardize is None else validate.flag("standardize", standardize)
    missing = validate.choice("missing", missing, ("error", "mean"))
    if missing == "mean" and not chosen:
        raise ValueError("missing is 'mean', which needs the means of the inputs: it needs standardize=True")
    K = 0 if OUTPUTS[output].probabilities else len(v)
    return Standardization(w.shape[1] - 1, K, missing, standardize is not None) if chosen else None


def add_standardization(model: Model, standardization: Standardization | None) -> None:
    """Describe a standardization, with its statistics, live, in a model."""
    if standardization is not None:
        model.states = model.states | {"standardization": standardization.statistics}
        model.standardize = standardization.settings


def of_model(model: Model) -> Standardization | None:
    """The standardization that a model describes, with its statistics, or None."""
    if model.standardize is None:
        return None
    inputs, targets = model.states["standardization"]
    return Standardization(inputs.shape[1], targets.shape[1], **model.standardize, statistics=(inputs, targets))


def standardized(network: OneSample, x: Any) -> Any:
    """Inputs as the weights of a network take them."""
    standardization, w, v = network._standardization, network.w, network.v
    if validate.is_sparse(x):
        network._for_sparse(False)
    elif standardization is not None:
        validate.weights(w, v, writeable=False)
        rows: Any = validate.inputs(x, w, v, missing=standardization.missing)
        return standardization.transform(rows, w.dtype)
    return x


def standardized_samples(network: OneSample, x: Any, t: Any) -> tuple[Any, Any]:
    """Inputs and targets as a network learns them."""
    standardization, w, v = network._standardization, network.w, network.v
    x = standardized(network, x)
    if standardization is not None and standardization.targets.size and not validate.is_sparse(x):
        rows: Any = validate.targets(t, len(x), w, v, network.functions.output, double=True)[0]
        t = standardization.transform_targets(rows, w.dtype)
    return x, t


def restored(network: OneSample, x: Any, y: np.ndarray) -> np.ndarray:
    """Outputs for inputs x, in the units of the targets."""
    if network._standardization is None or validate.is_sparse(x):
        return y
    return network._standardization.restore(y)


def described(network: OneSample) -> str:
    """How samples are standardized, for the representation of a network."""
    missing = "missing='mean', " if network.missing == "mean" else ""
    return f"standardize=True, {missing}" if network.standardize else ""


class Standardizing:
    """The samples that a training learns instead of those given: standardized, anew for each epoch."""

    def __init__(self, standardization: Standardization, given: Data, dtype: np.dtype) -> None:
        self.standardization = standardization
        self.x: Any = given.x
        self.rows = given.rows
        self.data = given._replace(x=np.empty(self.x.shape, dtype))
        if self.rows is not None and standardization.targets.size:
            self.data = self.data._replace(rows=np.empty(self.rows.shape, dtype))

    def standardized(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardize some samples, in order; return the statistics after them."""
        after = self.standardization.copy()
        x: Any = self.data.x
        after.learn(self.x, self.rows, order, x, self.data.rows)
        return after.statistics

    def commits(self, after: Sequence[np.ndarray]) -> list[tuple[Any, ...]]:
        """The calls, for `call_all`, in which statistics take the place of those before."""
        pairs = zip(self.standardization.statistics, after, strict=True)
        return [(operator.setitem, live, ..., new) for live, new in pairs]
