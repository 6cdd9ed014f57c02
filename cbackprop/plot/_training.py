"""Plots of training: errors over epochs and samples, and hidden weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop._docstrings import inherits
from cbackprop._extras import require
from cbackprop.plot._axes import COLORS, axes_for, legend_above, mosaic, names_of, palette, set_log_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from cbackprop import History
    from cbackprop.sklearn import BackpropClassifier

MAX_POINTS = 1000  # along a curve over samples


@inherits(axes_for)
def learning_curve(
    history: History | BackpropClassifier | Sequence[float],
    *,
    held_out: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the mean error E over the epochs.

    Parameters
    ----------
    history : History, BackpropClassifier or sequence of float
        Result of `fit`, fitted classifier, or E of each epoch.
    held_out : sequence of float, optional
        E of held-out samples after each epoch. For a classifier, the default is that of its validation set, if any.

    Examples
    --------
    >>> from cbackprop import plot
    >>> ax = plot.learning_curve([1.1, 0.6, 0.4])
    """
    learned: Any = history
    if hasattr(learned, "loss_curve_"):
        held_out = (learned.validation_loss_curve_ or None) if held_out is None else held_out
        learned = learned.loss_curve_
    curves = [(_numbers("history", getattr(learned, "losses", learned)), "training", COLORS[0])]
    if held_out is not None:
        curves.append((_numbers("held_out", held_out), "held out", COLORS[5]))
    ax = axes_for(ax, xlabel="epoch", ylabel="mean error E")
    for values, label, color in curves:
        marker = "o" if len(values) == 1 else None  # a line through a single point would be invisible
        ax.plot(np.arange(1, len(values) + 1), values, label=label, color=color, linewidth=2, marker=marker)
    set_log_scale(ax)
    ticker = require("matplotlib.ticker", "plot")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    if held_out is not None:
        ax.legend(loc="upper right", frameon=False)  # "best" is slow for long curves
    return ax


@inherits(axes_for)
def hidden_units(w: ArrayLike, shape: tuple[int, int], *, columns: int = 8, ax: Axes | None = None) -> Axes:
    """Show the weights of each hidden unit as an image: blue below 0, white at 0, red above 0.

    Parameters
    ----------
    w : array-like of shape (M, D+1)
        Hidden weights, bias last; biases are not shown.
    shape : (int, int)
        Height and width of an input image of D pixels.
    columns : int
        Number of images per row.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(64, 32, 10, rng=0)
    >>> ax = plot.hidden_units(network.w, (8, 8))
    """
    w = validate.numbers("w", w, np.dtype(np.float64), "(M, D+1)", 2, finite=False)
    columns = validate.count("columns", columns)
    if shape[0] * shape[1] != w.shape[1] - 1:
        raise ValueError(f"shape {shape} has {shape[0] * shape[1]} pixels; it must have D = {w.shape[1] - 1}")
    images = w[:, :-1].reshape(-1, *shape)
    limit = np.abs(images).max()
    ax = axes_for(ax)
    mosaic(ax, images, columns, gap=0.12, cmap="RdBu_r", vmin=-limit, vmax=limit)
    return ax


def mixture(
    weights: ArrayLike,
    losses: ArrayLike,
    *,
    labels: Sequence[object] | None = None,
    window: int | None = None,
    axes: Sequence[Axes] | None = None,
) -> tuple[Axes, Axes]:
    """Plot how much each network of an ensemble counts in the mixture, and its loss, over the samples.

    Parameters
    ----------
    weights : array-like of shape (N, R)
        `Ensemble.weights` before or after each sample.
    losses : array-like of shape (N, R)
        What `Ensemble.learn_one` returned for each sample. Curves end where a network diverges.
    labels : sequence of R objects, optional
        Names of the networks, such as their learning rates. The default is their indices.
    window : int, optional
        Both are means over so many samples up to each one. The default is a fiftieth of them.
    axes : pair of matplotlib Axes, optional
        Axes to draw the weights and the losses on; by default, those of a new figure.

    Returns
    -------
    pair of matplotlib Axes
        The axes drawn on.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> rates = [0.01, 0.1, 1]
    >>> ensemble = cbackprop.Ensemble(2, 4, 2, learning_rates=rates, rng=0)
    >>> weights, losses = [], []
    >>> for n in range(100):
    ...     losses.append(ensemble.learn_one([n % 2, 1], n % 2))
    ...     weights.append(ensemble.weights)
    >>> axes = plot.mixture(weights, losses, labels=rates)
    """
    p, E = (
        validate.numbers(name, values, np.dtype(np.float64), "(N, R)", 2, finite=False)
        for name, values in (("weights", weights), ("losses", losses))
    )
    if p.shape != E.shape:
        raise ValueError(f"losses has shape {E.shape}; it must be {p.shape}, as that of weights")
    N, R = p.shape
    names = names_of("labels", labels, R, "network")
    width = max(1, N // 50) if window is None else validate.count("window", window)
    if axes is None:
        axes = require("matplotlib.pyplot", "plot").figure().subplots(2, 1, sharex=True)
    above, below = axes
    axes_for(above, ylim=(0, 1), ylabel="weight").margins(x=0)
    axes_for(below, xlabel="sample", ylabel="mean loss").margins(x=0)
    n = np.unique(np.linspace(1, N, MAX_POINTS).round().astype(int))
    colors = palette(R)
    above.stackplot(n, _running_means(p, width)[n - 1].T, labels=names, colors=colors)
    for E_r, color, name in zip(_running_means(E, width)[n - 1].T, colors, names, strict=True):
        below.plot(n, E_r, color=color, linewidth=1.5, label=name)
    set_log_scale(below)
    legend_above(above, min(R, 4))
    return above, below


def _running_means(rows: np.ndarray, width: int) -> np.ndarray:
    """The mean of each row and up to width - 1 before it."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(axis=0)])
    last = np.arange(1, len(sums))
    first = np.maximum(0, last - width)
    with np.errstate(invalid="ignore"):  # infinity minus infinity, of a network that diverged, is not drawn either
        return (sums[last] - sums[first]) / (last - first)[:, np.newaxis]


def _numbers(name: str, values: Any) -> np.ndarray:
    return validate.numbers(name, values, np.dtype(np.float64), "(N,)", 1, finite=False)
