"""A picture of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop import forward
from cbackprop._docstrings import inherits
from cbackprop._extras import require
from cbackprop._standardizing import standardized
from cbackprop.plot._axes import INK, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from cbackprop import Network

MAX_UNITS = 10  # of a layer: more would cover each other
MAX_NUMBERS = 40  # weights whose values are shown: more would cover each other


@inherits(axes_for)
def network(network: Network, x: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a small network: its units, its weights and, of one sample, all activations.

    The weights are lines, blue below 0 and red above 0, and the wider the larger, in each layer; up to 40 of them show
    their values. Those of the units named 1 are the biases. Indices count from 0: the line from x_i to z_j is
    ``network.w[j, i]``.

    Parameters
    ----------
    network : Network
        Network with at most 10 units in each layer.
    x : array-like of shape (D,), optional
        Inputs of the sample. Each unit shows its activation: x_i, z_j or y_k, standardized if the network does that.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> ax = plot.network(cbackprop.Network(2, 3, 2, rng=0), [0.5, -1.0])
    """
    w, v = network.w, network.v
    sizes = w.shape[1] - 1, len(w), len(v)
    if max(sizes) > MAX_UNITS:
        raise ValueError(f"network has layers of {sizes} units; a picture needs at most {MAX_UNITS} in each")
    activations: Any = (None, None, None)
    if x is not None:
        row: Any = validate.sample("x", standardized(network, [x])[0] if network.standardize else x, w, v)
        y, _, z, _ = forward(row, w, v, **network.functions._asdict())
        activations = row[0], z[0], y[0]
    ax = axes_for(ax, xlim=(-0.3, 2.3), ylim=(0, 1))
    ax.set_axis_off()
    size = min(26.0, 0.7 * ax.get_window_extent().height * 72 / ax.figure.dpi / (max(sizes) + 2))  # of a unit
    heights = [1 - np.arange(1, n + 1) / (n + 1) for n in (sizes[0] + 1, sizes[1] + 1, sizes[2])]  # biases last
    places = [np.column_stack([np.full(len(y), column), y]) for column, y in enumerate(heights)]
    for weights, sources, targets in ((w, places[0], places[1][:-1]), (v, places[1], places[2])):
        _draw_weights(ax, weights, sources, targets, numbered=w.size + v.size <= MAX_NUMBERS)
        _draw_units(ax, sources[-1:], ["$1$"], None, size)
    for symbol, layer, n, values in zip("xzy", places, sizes, activations, strict=True):
        _draw_units(ax, layer[:n], [f"${symbol}_{{{i}}}$" for i in range(n)], values, size)
    return ax


def _draw_weights(ax: Axes, weights: np.ndarray, sources: np.ndarray, targets: np.ndarray, *, numbered: bool) -> None:
    """Draw a line for each weight between sources, its columns, and targets, its rows."""
    ends = np.stack(np.broadcast_arrays(sources, targets[:, np.newaxis]), axis=-2)
    colors = require("matplotlib", "plot").colormaps["RdBu_r"](np.where(weights < 0, 0.1, 0.9)).reshape(-1, 4)
    widths = 0.3 + 3.7 * np.abs(weights).ravel() / (np.abs(weights).max() or 1)
    lines = require("matplotlib.collections", "plot").LineCollection
    ax.add_collection(lines(ends.reshape(-1, 2, 2), linewidths=widths, colors=colors))
    if numbered:
        along = np.linspace(0.2, 0.5, len(weights))[:, np.newaxis, np.newaxis]  # the lines, so that no numbers meet
        middles = ((1 - along) * ends[:, :, 0] + along * ends[:, :, 1]).reshape(-1, 2)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        for value, (x, y), color in zip(weights.ravel(), middles, colors, strict=True):
            ax.text(x, y, f"{value:.2g}", size=7, color=color, ha="center", va="center", bbox=box)


def _draw_units(ax: Axes, places: np.ndarray, names: list[str], values: np.ndarray | None, size: float) -> None:
    """Draw units of a layer with their names or, beside these, their values."""
    shades = np.zeros(len(places)) if values is None else values / (np.abs(values).max() or 1)
    style: dict[str, Any] = {"s": size**2, "zorder": 3, "edgecolors": INK}
    ax.scatter(places[:, 0], places[:, 1], color="white", **style)  # hides the ends of the lines
    ax.scatter(places[:, 0], places[:, 1], c=shades, cmap="RdBu_r", vmin=-1, vmax=1, alpha=0.5, **style)
    text: dict[str, Any] = {"color": INK, "size": 0.35 * size, "ha": "center", "va": "center", "zorder": 4}
    for n, ((x, y), name) in enumerate(zip(places, names, strict=True)):
        ax.text(x, y, name if values is None else f"{values[n]:.2g}", **text)
        if values is not None:
            ax.annotate(name, (x, y), (0, 0.75 * size), textcoords="offset points", **text)
