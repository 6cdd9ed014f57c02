"""Plots of predicted numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop._catalog import OUTPUTS
from cbackprop._docstrings import inherits
from cbackprop.plot._axes import COLORS, GRID_POINTS, INK, axes_for, legend_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from sklearn.base import RegressorMixin

    from cbackprop import Network


@inherits(axes_for)
def predicted_against_true(true: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Plot predicted numbers over true ones, and the diagonal on which both are equal.

    Parameters
    ----------
    true, predicted : array-like of shape (N,)
        Targets, and their predictions.

    Examples
    --------
    >>> from cbackprop import plot
    >>> ax = plot.predicted_against_true([1.0, 2.0, 4.0], [1.1, 1.9, 3.5])
    """
    true, predicted = _pairs(true=true, predicted=predicted)
    ax = axes_for(ax, xlabel="true", ylabel="predicted", aspect="equal", adjustable="datalim")
    _dots(ax, true, predicted)
    ax.axline((true[0], true[0]), slope=1, color=INK, linestyle="--", linewidth=1)
    return ax


@inherits(predicted_against_true)
def residuals(true: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Plot the residuals, true minus predicted numbers, over the predicted ones.

    Examples
    --------
    >>> from cbackprop import plot
    >>> ax = plot.residuals([1.0, 2.0, 4.0], [1.0, 2.0, 3.5])
    """
    true, predicted = _pairs(true=true, predicted=predicted)
    ax = axes_for(ax, xlabel="predicted", ylabel="true − predicted")
    _dots(ax, predicted, true - predicted)
    ax.axhline(0, color=INK, linestyle="--", linewidth=1)
    return ax


@inherits(axes_for)
def fitted_curve(
    network: Network | RegressorMixin,
    x: ArrayLike,
    t: ArrayLike,
    *,
    mean: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    target_mean: float = 0.0,
    target_scale: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Plot the number predicted for each value of a single input as a curve, and samples on top.

    Parameters
    ----------
    network : Network or regressor
        Network with D = 1, K = 1 and linear outputs, or fitted scikit-learn regressor of one feature.
    x : array-like of shape (N,) or (N, 1)
        Inputs of the samples, in the units of the axes.
    t : array-like of shape (N,)
        Targets of the samples, in the units of the axes.
    mean, scale : float
        Standardization: the input of the network is (x - mean) / scale.
    target_mean, target_scale : float
        Standardization of the targets: the curve is y * target_scale + target_mean.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(1, 4, 1, output="linear", rng=0)
    >>> ax = plot.fitted_curve(network, [0, 1, 2], [0.1, 0.9, 2.2])
    """
    model: Any = network
    if hasattr(model, "classes_"):
        raise TypeError(f"network is a {type(model).__name__}, which predicts classes; use decision_regions")
    if hasattr(model, "output") and OUTPUTS[model.output].probabilities:
        raise ValueError(f"network has {model.output} outputs, not linear ones; for classes, use decision_regions")
    x = np.asarray(x)
    x, t = _pairs(x=x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x, t=t)
    points = np.linspace(x.min(), x.max(), GRID_POINTS)
    y = model.predict((points[:, np.newaxis] - np.asarray(mean)) / np.asarray(scale))
    if y.ndim != 1:
        raise ValueError(f"network has {y.shape[1]} outputs; a curve needs one")
    ax = axes_for(ax, xlabel="x", ylabel="y")
    _dots(ax, x, t, label="samples")
    ax.plot(points, y * target_scale + target_mean, color=COLORS[5], linewidth=2, label="fitted")
    legend_above(ax, 2)
    return ax


def _pairs(**arrays: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Validate two rows of as many finite numbers."""
    first, second = arrays
    one, other = (validate.numbers(name, arrays[name], np.dtype(np.float64), "(N,)", 1) for name in arrays)
    if len(one) != len(other):
        raise ValueError(f"{second} has {len(other)} entries; it must have {len(one)}, as many as {first}")
    return one, other


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, label: str | None = None) -> None:
    ax.scatter(x, y, s=20, color=COLORS[0], alpha=0.5, edgecolors="none", label=label)
