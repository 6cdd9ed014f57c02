"""What the plots share: axes, colors, images in rows, and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop._extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# palette for color-blind readers (Okabe and Ito, 2008), strongest colors first
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
INK = "#333333"
GRID_POINTS = 300  # along each axis of the decision regions, and of a fitted curve
FOR_NUMBERS = "for numbers, use predicted_against_true, residuals or fitted_curve"


def axes_for(ax: Axes | None, **settings: Any) -> Axes:
    """The given or new axes, with these settings and without a frame above and on the right.

    Parameters
    ----------
    ax : matplotlib Axes, optional
        Axes to draw on; by default, those of a new figure.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    if ax is None:
        ax = require("matplotlib.pyplot", "plot").figure().subplots()
    ax.set(**settings)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend_above(ax: Axes, columns: int) -> None:
    """Add a legend that covers no curve: it ends where the axes begin."""
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, frameon=False)


def set_log_scale(ax: Axes) -> None:
    """Make the scale of errors, which have been drawn, logarithmic."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    low, high = ax.get_ylim()
    if 10 * low <= high < 1000 * low:  # powers of 10 alone would be one to three numbers
        ax.yaxis.set_minor_locator(require("matplotlib.ticker", "plot").LogLocator(subs=(2, 5)))
    ax.yaxis.set_minor_formatter("{x:g}" if high < 1000 * low else "")


def palette(count: int) -> list[Any]:
    """Colors of `count` classes: from COLORS if there are enough, else from a color map."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    return list(require("matplotlib", "plot").colormaps["turbo"](np.linspace(0, 1, count)))


def names_of(argument: str, names: Any, count: int, thing: str, *, or_more: bool = False) -> list[str]:
    """Names of `count` things; the default is their indices."""
    texts = [str(name) for name in (range(count) if names is None else names)]
    if not (len(texts) == count or (or_more and len(texts) > count)):
        least = "at least " if or_more else ""
        raise ValueError(f"{argument} has {len(texts)} names; it must have {least}{count}, one for each {thing}")
    return texts


def mosaic(ax: Axes, images: np.ndarray, columns: int, *, gap: float, **style: Any) -> list[tuple[float, float]]:
    """Draw images of width 1 in rows, separated by `gap`; return the bottom center of each."""
    height = images.shape[1] / images.shape[2]
    places = []
    for n, image in enumerate(images):
        row, column = divmod(n, columns)
        left, top = column * (1 + gap), row * (height + gap)
        ax.imshow(image, extent=(left, left + 1, top + height, top), **style)
        places.append((left + 0.5, top + height))
    rows = -(-len(images) // columns)
    ax.set(
        xlim=(0, min(columns, len(images)) * (1 + gap) - gap),
        ylim=(rows * (height + gap), 0),
        aspect="equal",
        anchor="N",
    )
    ax.set_axis_off()
    return places
