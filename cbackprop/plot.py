"""Plots of training and of trained networks, drawn on Matplotlib axes.

Requires the extra `plot`: ``pip install "cbackprop[plot]"``. Arrays that do not hold what is described raise TypeError,
shapes that do not fit, unknown classes and too few names ValueError, before anything is drawn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop import forward
from cbackprop._catalog import OUTPUTS
from cbackprop._docstrings import inherits
from cbackprop._extras import require
from cbackprop._standardizing import standardized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from sklearn.base import ClassifierMixin, RegressorMixin

    from cbackprop import History, Network
    from cbackprop.sklearn import BackpropClassifier

# palette for color-blind readers (Okabe and Ito, 2008), strongest colors first
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
INK = "#333333"
FOR_NUMBERS = "for numbers, use predicted_against_true, residuals or fitted_curve"

GRID_POINTS = 300  # along each axis of the decision regions, and of a fitted curve
MAX_POINTS = 1000  # along a curve over samples
MAX_NAME = 24  # characters of a class beside a confusion matrix
MAX_NAMED_CLASSES = 50  # in a confusion matrix: more names and counts would overlap, and take minutes to draw
MAX_UNITS = 10  # of a layer of a network: more would cover each other
MAX_NUMBERS = 40  # weights of a network whose values are shown: likewise

_numbers = partial(validate.numbers, dtype=validate.FLOATS[1], shape="(N,)", ndim=1, finite=False)


def _axes(ax: Axes | None, **settings: Any) -> Axes:
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


@inherits(_axes)
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
    ax = _axes(ax, xlabel="epoch", ylabel="mean error E")
    for values, label, color in curves:
        marker = "o" if len(values) == 1 else None  # a line through a single point would be invisible
        ax.plot(np.arange(1, len(values) + 1), values, label=label, color=color, linewidth=2, marker=marker)
    _set_log_scale(ax)
    ticker = require("matplotlib.ticker", "plot")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    if held_out is not None:
        ax.legend(loc="upper right", frameon=False)  # "best" is slow for long curves
    return ax


@inherits(_axes)
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
    w = _numbers("w", w, shape="(M, D+1)", ndim=2)
    columns = validate.count("columns", columns)
    if shape[0] * shape[1] != w.shape[1] - 1:
        raise ValueError(f"shape {shape} has {shape[0] * shape[1]} pixels; it must have D = {w.shape[1] - 1}")
    images = w[:, :-1].reshape(-1, *shape)
    limit = np.abs(images).max()
    ax = _axes(ax)
    _mosaic(ax, images, columns, gap=0.12, cmap="RdBu_r", vmin=-limit, vmax=limit)
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
    p, E = (_numbers(name, each, shape="(N, R)", ndim=2) for name, each in (("weights", weights), ("losses", losses)))
    if p.shape != E.shape:
        raise ValueError(f"losses has shape {E.shape}; it must be {p.shape}, as that of weights")
    N, R = p.shape
    names = _names_of("labels", labels, R, "network")
    width = max(1, N // 50) if window is None else validate.count("window", window)
    if axes is None:
        axes = require("matplotlib.pyplot", "plot").figure().subplots(2, 1, sharex=True)
    above, below = axes
    _axes(above, ylim=(0, 1), ylabel="weight").margins(x=0)
    _axes(below, xlabel="sample", ylabel="mean loss").margins(x=0)
    n = np.unique(np.linspace(1, N, MAX_POINTS).round().astype(int))
    colors = _palette(R)
    above.stackplot(n, _running_means(p, width)[n - 1].T, labels=names, colors=colors)
    for E_r, color, name in zip(_running_means(E, width)[n - 1].T, colors, names, strict=True):
        below.plot(n, E_r, color=color, linewidth=1.5, label=name)
    _set_log_scale(below)
    _legend_above(above, min(R, 4))
    return above, below


@inherits(_axes)
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
        row: Any = validate.inputs(standardized(network, [x])[0] if network.standardize else x, w, v, one=True)
        y, _, z, _ = forward(row, w, v, **network.functions._asdict())
        activations = row[0], z[0], y[0]
    ax = _axes(ax, xlim=(-0.3, 2.3), ylim=(0, 1))
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


@inherits(_axes)
def decision_regions(
    network: Network | ClassifierMixin,
    x: ArrayLike,
    t: ArrayLike,
    *,
    mean: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    classes: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot the class predicted for each point of the plane, and samples on top.

    Parameters
    ----------
    network : Network or classifier
        Network with D = 2 and softmax outputs or a single logistic one, or fitted scikit-learn classifier of two
        features, such as BackpropClassifier or a pipeline.
    x : array-like of shape (N, 2)
        Samples, in the units of the axes.
    t : array-like of shape (N,)
        Class indices of the samples; for a classifier, their labels.
    mean, scale : array-like of shape (2,)
        Standardization: the inputs of the network are (x - mean) / scale.
    classes : sequence of str, optional
        Names of the classes in the legend. The default is their indices or labels.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(2, 4, 3, rng=0)
    >>> ax = plot.decision_regions(network, [[0, 0], [1, 2], [2, 0]], [0, 1, 2])
    """
    require("sklearn", "plot")
    model: Any = network
    x = np.asarray(x, dtype=np.float64)
    if hasattr(model, "classes_"):
        D, labels = model.n_features_in_, model.classes_
    elif not hasattr(model, "output"):
        found = f"network is a {type(model).__name__} without classes"
        raise TypeError(f"{found}; a fitted classifier is needed; {FOR_NUMBERS}")
    elif OUTPUTS[model.output].exclusive or (OUTPUTS[model.output].probabilities and len(model.v) == 1):
        D, labels = model.w.shape[1] - 1, np.arange(max(2, len(model.v)))
    else:
        found = f"network has output={model.output!r} and K = {len(model.v)}"
        raise ValueError(f"{found}; decision regions need softmax outputs or a single logistic one; {FOR_NUMBERS}")
    K = len(labels)
    if x.ndim != 2 or x.shape[1] != 2 or D != 2:
        raise ValueError(f"x has shape {x.shape} and the network {D} inputs; decision regions need (N, 2) and 2 inputs")
    from cbackprop.sklearn._validation import class_indices

    t = class_indices("t", t, labels)
    if len(t) != len(x):
        raise ValueError(f"t has {len(t)} entries; it must have {len(x)}, as many as x has rows")
    names = _names_of("classes", labels if classes is None else classes, K, "class")

    margin = 0.1 * np.ptp(x, axis=0)
    x0, x1 = np.meshgrid(*np.linspace(x.min(axis=0) - margin, x.max(axis=0) + margin, GRID_POINTS).T)
    points = (np.column_stack([x0.ravel(), x1.ravel()]) - np.asarray(mean)) / np.asarray(scale)
    colors = _palette(K)
    regions = class_indices("t", model.predict(points), labels).reshape(x0.shape)
    style = {"cmap": require("matplotlib.colors", "plot").ListedColormap(colors), "alpha": 0.3}
    ax = _axes(ax)
    ax.pcolormesh(x0, x1, regions, **style, vmin=-0.5, vmax=K - 0.5, zorder=-1, rasterized=True)
    _scatter(ax, x, t, colors, names)
    return ax


def _scatter(ax: Axes, x: np.ndarray, t: np.ndarray, colors: list[Any], names: list[str]) -> None:
    """Draw the samples of each class, and a legend."""
    style: dict[str, Any] = {"s": 30, "edgecolors": "white", "linewidths": 0.8}
    points = [ax.scatter(x[t == k, 0], x[t == k, 1], color=color, **style) for k, color in enumerate(colors)]
    unnamed = [""] * len(points)  # as old Matplotlib omits labels that begin with _
    legend = ax.legend(points, unnamed, loc="upper right", framealpha=0.85, edgecolor="none", handletextpad=0.2)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


@inherits(_axes)
def confusion(
    true: ArrayLike,
    predicted: ArrayLike | None = None,
    *,
    classes: Sequence[Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show a confusion matrix, shaded by the fraction of each true class.

    Parameters
    ----------
    true : array-like of shape (N,), or (K, K)
        Class of each sample: its label or index. Without `predicted`, the matrix itself: numbers of samples, with a row
        for each true class and a column for each predicted one.
    predicted : array-like of shape (N,) or (N, K), optional
        Predicted class of each sample, or its probabilities, of which the largest counts.
    classes : sequence, optional
        Labels of the classes, or names for indices. The default are the labels that occur, the indices if there are
        probabilities or a matrix. Indices replace the names of more than 50 classes, whose numbers are not shown.

    Examples
    --------
    >>> from cbackprop import plot
    >>> ax = plot.confusion(["cat", "dog", "dog"], ["cat", "cat", "dog"])
    >>> ax = plot.confusion([[9, 1], [0, 5]], classes=["cat", "dog"])
    """
    if predicted is None:
        matrix = np.asarray(true)
    else:
        matrix, classes = _confusion_matrix(np.asarray(true), np.asarray(predicted), classes)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix has shape {matrix.shape}; it must be (K, K), counts of classes; {FOR_NUMBERS}")
    names = _names_of("classes", classes, len(matrix), "class")
    ax = _axes(ax, xlabel="predicted", ylabel="true")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= MAX_NAMED_CLASSES:
        size = _name_cells(ax, names)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.5 else INK
            ax.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color, size=size)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _name_cells(ax: Axes, names: list[str]) -> float:
    """Name the rows and columns of a matrix so that no name covers another; return the font size."""
    K = len(names)
    shown = [name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…" for name in names]
    ax.set_xticks(range(K), shown, parse_math=False)
    ax.set_yticks(range(K), shown, parse_math=False)
    box = ax.get_window_extent()
    cell = min(box.width, box.height) * 72 / ax.figure.dpi / K  # in points, as font sizes
    labels = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    size = min(float(labels[0].get_fontsize()), 0.8 * cell)
    for label in labels:
        label.set_fontsize(size)
    if 0.65 * size * max(map(len, shown)) > cell:
        for label in labels[:K]:
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    return size


def _confusion_matrix(
    true: np.ndarray, predicted: np.ndarray, classes: Sequence[Any] | None
) -> tuple[np.ndarray, Sequence[Any]]:
    """Numbers of samples by true and predicted class, and the labels of the classes."""
    if true.ndim != 1 or predicted.shape[:1] != true.shape or predicted.ndim > 2 or not true.size:
        raise ValueError(
            f"true and predicted have shapes {true.shape} and {predicted.shape}; they must be (N,) and (N,) or (N, K)"
        )
    if predicted.ndim == 2:
        K, predicted = predicted.shape[1], predicted.argmax(axis=1)
        if classes is None:
            classes = range(K) if true.dtype.kind in "biu" else np.unique(true).tolist()
        if len(classes) != K:
            raise ValueError(f"predicted has {K} columns and there are {len(classes)} classes; name all in classes")
    given = {"true": true, "predicted": predicted}
    for name, values in given.items():
        if values.dtype.kind == "f":
            if (values % 1 != 0).any():
                raise ValueError(f"{name} holds numbers that are not whole; it must hold classes; {FOR_NUMBERS}")
            given[name] = values.astype(int)
    if classes is None:
        found = [set(values.tolist()) for values in given.values()]
        if len({any(isinstance(label, str) for label in labels) for labels in found}) == 2:
            raise ValueError("only one of true and predicted holds text; name all classes in classes")
        classes = sorted(set.union(*found), key=lambda label: (isinstance(label, str), label))
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(matrix, tuple(_indices(name, values, classes) for name, values in given.items()), 1)
    return matrix, classes


def _indices(name: str, values: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Indices of classes that are given by their labels or by indices."""
    indices = {label: k for k, label in enumerate(classes)}
    unknown = [label for label in values.tolist() if label not in indices]
    if not unknown:
        return np.array([indices[label] for label in values.tolist()])
    if values.dtype.kind in "biu" and values.min() >= 0 and values.max() < len(classes):
        return values.astype(int)
    raise ValueError(f"{name} contains {unknown[0]!r}, which is not among the {len(classes)} classes")


@inherits(_axes)
def misclassified(
    images: ArrayLike,
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    columns: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Show the misclassified images, with the caption "true → predicted".

    Parameters
    ----------
    images : array-like of shape (N, height, width)
        All images; correctly classified ones are omitted.
    true, predicted : array-like of shape (N,)
        Class indices.
    classes : sequence of str, optional
        Names of the classes, at least of those shown. The default is their indices.
    columns : int, optional
        Number of images per row. The default is about the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from cbackprop import plot
    >>> ax = plot.misclassified(np.eye(8).reshape(2, 4, 8), [3, 5], [3, 9])
    """
    images, true, predicted = np.asarray(images), np.asarray(true), np.asarray(predicted)
    for name, indices in (("true", true), ("predicted", predicted)):
        if indices.size:
            validate.check_kind(name, indices, "biu", f"it must hold class indices; {FOR_NUMBERS}")
    if not (images.ndim == 3 and true.shape == predicted.shape == (len(images),)):
        raise ValueError(
            f"images, true and predicted have shapes {images.shape}, {true.shape} and {predicted.shape}; they must be "
            "(N, height, width), (N,) and (N,)"
        )
    wrong = np.flatnonzero(true != predicted)
    columns = int(np.ceil(np.sqrt(len(wrong)))) if columns is None else validate.count("columns", columns)
    most = max([-1, *true[wrong].tolist(), *predicted[wrong].tolist()])
    names = _names_of("classes", classes, 1 + most, "class", or_more=True)
    ax = _axes(ax)
    if not wrong.size:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "none misclassified", ha="center", va="center", transform=ax.transAxes)
        return ax
    places = _mosaic(ax, images[wrong], columns, gap=0.42, cmap="gray_r")
    for n, (center, bottom) in zip(wrong, places, strict=True):
        caption = f"{names[true[n]]} → {names[predicted[n]]}"
        ax.text(center, bottom + 0.06, caption, ha="center", va="top", color=INK, parse_math=False)
    return ax


@inherits(_axes)
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
    ax = _axes(ax, xlabel="true", ylabel="predicted", aspect="equal", adjustable="datalim")
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
    ax = _axes(ax, xlabel="predicted", ylabel="true − predicted")
    _dots(ax, predicted, true - predicted)
    ax.axhline(0, color=INK, linestyle="--", linewidth=1)
    return ax


@inherits(_axes)
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
    ax = _axes(ax, xlabel="x", ylabel="y")
    _dots(ax, x, t, label="samples")
    ax.plot(points, y * target_scale + target_mean, color=COLORS[5], linewidth=2, label="fitted")
    _legend_above(ax, 2)
    return ax


def _legend_above(ax: Axes, columns: int) -> None:
    """Add a legend that covers no curve: it ends where the axes begin."""
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, frameon=False)


def _set_log_scale(ax: Axes) -> None:
    """Make the scale of errors, which have been drawn, logarithmic."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    low, high = ax.get_ylim()
    if 10 * low <= high < 1000 * low:  # powers of 10 alone would be one to three numbers
        ax.yaxis.set_minor_locator(require("matplotlib.ticker", "plot").LogLocator(subs=(2, 5)))
    ax.yaxis.set_minor_formatter("{x:g}" if high < 1000 * low else "")


def _palette(count: int) -> list[Any]:
    """Colors of `count` classes: from COLORS if there are enough, else from a color map."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    return list(require("matplotlib", "plot").colormaps["turbo"](np.linspace(0, 1, count)))


def _names_of(argument: str, names: Any, count: int, thing: str, *, or_more: bool = False) -> list[str]:
    """Names of `count` things; the default is their indices."""
    texts = [str(name) for name in (range(count) if names is None else names)]
    if not (len(texts) == count or (or_more and len(texts) > count)):
        least = "at least " if or_more else ""
        raise ValueError(f"{argument} has {len(texts)} names; it must have {least}{count}, one for each {thing}")
    return texts


def _mosaic(ax: Axes, images: np.ndarray, columns: int, *, gap: float, **style: Any) -> list[tuple[float, float]]:
    """Draw images of width 1 in rows, separated by `gap`; return the bottom center of each."""
    height = images.shape[1] / images.shape[2]
    places = []
    for n, image in enumerate(images):
        row, column = divmod(n, columns)
        left, top = column * (1 + gap), row * (height + gap)
        ax.imshow(image, extent=(left, left + 1, top + height, top), **style)
        places.append((left + 0.5, top + height))
    across, down = min(columns, len(images)), -(-len(images) // columns)
    ax.set(xlim=(0, across * (1 + gap) - gap), ylim=(down * (height + gap), 0), aspect="equal", anchor="N")
    ax.set_axis_off()
    return places


def _running_means(rows: np.ndarray, width: int) -> np.ndarray:
    """The mean of each row and up to width - 1 before it."""
    sums = rows.cumsum(axis=0)
    with np.errstate(invalid="ignore"):  # infinity minus infinity, of a network that diverged, is not drawn either
        sums[width:] -= sums[:-width].copy()
    return sums / np.minimum(np.arange(1, len(rows) + 1), width)[:, np.newaxis]


def _pairs(**arrays: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two rows of as many finite numbers."""
    first, second = arrays
    one, other = (_numbers(name, values, finite=True) for name, values in arrays.items())
    if len(one) != len(other):
        raise ValueError(f"{second} has {len(other)} entries; it must have {len(one)}, as many as {first}")
    return one, other


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, label: str | None = None) -> None:
    ax.scatter(x, y, s=20, color=COLORS[0], alpha=0.5, edgecolors="none", label=label)
