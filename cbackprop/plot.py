"""Plots of training and of trained networks, drawn on Matplotlib axes.

Requires the extra `plot`: ``pip install "cbackprop[plot]"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop._catalog import OUTPUTS
from cbackprop._extras import require

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
GRID_POINTS = 300  # along each axis of the decision regions, and of a fitted curve
FOR_NUMBERS = "for numbers, use predicted_against_true, residuals or fitted_curve"
MAX_POINTS = 1000  # along a curve over samples
MAX_NAME = 24  # characters of a class beside a confusion matrix
MAX_NAMED_CLASSES = 50  # in a confusion matrix: more names and counts would overlap, and take minutes to draw


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If history or held_out does not hold real numbers.
    ValueError
        If one of them is empty.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cbackprop import plot
    >>> ax = plot.learning_curve([1.1, 0.6, 0.4], ax=Figure().subplots())
    >>> ax.lines[0].get_ydata().tolist()
    [1.1, 0.6, 0.4]
    """
    learned: Any = history
    if hasattr(learned, "loss_curve_"):
        held_out = (learned.validation_loss_curve_ or None) if held_out is None else held_out
        learned = learned.loss_curve_
    curves = [(_numbers("history", getattr(learned, "losses", learned)), "training", COLORS[0])]
    if held_out is not None:
        curves.append((_numbers("held_out", held_out), "held out", COLORS[5]))
    ax = _axes(ax)
    for values, label, color in curves:
        marker = "o" if len(values) == 1 else None  # a line through a single point would be invisible
        ax.plot(np.arange(1, len(values) + 1), values, label=label, color=color, linewidth=2, marker=marker)
    ax.set(xlabel="epoch", ylabel="mean error E")
    _set_log_scale(ax)
    ticker = require("matplotlib.ticker", "plot")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.spines[["top", "right"]].set_visible(False)
    if held_out is not None:
        ax.legend(loc="upper right", frameon=False)  # "best" is slow for long curves
    return ax


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib or scikit-learn is not installed.
    TypeError
        If network is a regressor.
    ValueError
        If the network does not have two inputs and outputs as above, x does not have shape (N, 2), t does not have N
        entries or contains an unknown class, or classes does not have a name for each class.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(2, 4, 3, rng=0)
    >>> x, t = [[0, 0], [1, 2], [2, 0]], [0, 1, 2]
    >>> ax = plot.decision_regions(network, x, t, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['0', '1', '2']
    """
    colors = require("matplotlib.colors", "plot")
    inspection = require("sklearn.inspection", "plot")
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
    names = _names(labels if classes is None else classes, K)

    margin = 0.1 * np.ptp(x, axis=0)
    x0, x1 = (
        np.linspace(low, high, GRID_POINTS)
        for low, high in zip(x.min(axis=0) - margin, x.max(axis=0) + margin, strict=True)
    )
    xx0, xx1 = np.meshgrid(x0, x1)
    points = (np.column_stack([xx0.ravel(), xx1.ravel()]) - np.asarray(mean)) / np.asarray(scale)
    palette = _palette(K)
    tints = (
        {"cmap": colors.ListedColormap(palette)} if K == 2 else {}
    )  # the display itself colors three classes or more
    regions = inspection.DecisionBoundaryDisplay(
        xx0=xx0,
        xx1=xx1,
        n_classes=K,
        response=class_indices("t", model.predict(points), labels).reshape(xx0.shape),
        multiclass_colors=palette,
    )
    ax = _axes(ax)
    regions.plot("pcolormesh", ax=ax, alpha=0.3, vmin=-0.5, vmax=K - 0.5, zorder=-1, rasterized=True, **tints)
    _scatter(ax, x, t, palette, names)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _scatter(ax: Axes, x: np.ndarray, t: np.ndarray, palette: list[Any], names: list[str]) -> None:
    """Draw the samples of each class, and a legend."""
    handles = []
    for k, color in enumerate(palette):
        points = x[t == k]
        handles.append(ax.scatter(points[:, 0], points[:, 1], s=30, color=color, edgecolors="white", linewidths=0.8))
    labels = [""] * len(handles)
    legend = ax.legend(handles, labels, loc="upper right", framealpha=0.85, edgecolor="none", handletextpad=0.2)
    for k, text in enumerate(legend.get_texts()):  # set here: old Matplotlib omits legend labels that begin with _
        text.set(text=names[k], parse_math=False)


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If w does not hold real numbers, or columns is not an integer.
    ValueError
        If w does not have two dimensions, an image of the given shape does not have D pixels, or columns is below 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(64, 32, 10, rng=0)
    >>> ax = plot.hidden_units(network.w, (8, 8), ax=Figure().subplots())
    >>> len(ax.images)
    32
    """
    w = validate.numbers("w", w, np.dtype(np.float64), "(M, D+1)", 2, finite=False)
    columns = validate.count("columns", columns)
    if shape[0] * shape[1] != w.shape[1] - 1:
        raise ValueError(f"shape {shape} has {shape[0] * shape[1]} pixels; it must have D = {w.shape[1] - 1}")
    images = w[:, :-1].reshape(-1, *shape)
    limit = np.abs(images).max()
    ax = _axes(ax)
    _mosaic(ax, images, columns, gap=0.12, cmap="RdBu_r", vmin=-limit, vmax=limit)
    return ax


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    ValueError
        If the shapes are others, a class is not among classes, classes does not have K names, or only one of true and
        predicted holds text and there are no classes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cbackprop import plot
    >>> ax = Figure().subplots()
    >>> ax = plot.confusion([[9, 1], [0, 5]], classes=["cat", "dog"], ax=ax)
    >>> [text.get_text() for text in ax.texts]
    ['9', '1', '5']
    >>> t, p = ["cat", "dog", "dog"], ["cat", "cat", "dog"]
    >>> ax = plot.confusion(t, p, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '1']
    """
    if predicted is None:
        matrix = np.asarray(true)
    else:
        matrix, classes = _confusion_matrix(np.asarray(true), np.asarray(predicted), classes)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix has shape {matrix.shape}; it must be (K, K), counts of classes; {FOR_NUMBERS}")
    names = _names(classes, len(matrix))
    ax = _axes(ax)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= MAX_NAMED_CLASSES:
        size = _name_cells(ax, names)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            color = "white" if shares[row, column] > 0.5 else INK
            ax.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color, size=size)
    ax.set(xlabel="predicted", ylabel="true")
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
    true, predicted = _labels("true", true), _labels("predicted", predicted)
    if classes is None:
        found = [set(values.tolist()) for values in (true, predicted)]
        if len({any(isinstance(label, str) for label in labels) for labels in found}) == 2:
            raise ValueError("only one of true and predicted holds text; name all classes in classes")
        classes = sorted(set.union(*found), key=lambda label: (isinstance(label, str), label))
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(matrix, (_indices("true", true, classes), _indices("predicted", predicted, classes)), 1)
    return matrix, classes


def _labels(name: str, values: np.ndarray) -> np.ndarray:
    """Labels of classes; numbers are whole."""
    if values.dtype.kind != "f":
        return values
    if (values % 1 != 0).any():
        raise ValueError(f"{name} holds numbers that are not whole; it must hold classes; {FOR_NUMBERS}")
    return values.astype(int)


def _indices(name: str, values: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """Indices of classes that are given by their labels or by indices."""
    indices = {label: k for k, label in enumerate(classes)}
    if all(label in indices for label in values.tolist()):
        return np.array([indices[label] for label in values.tolist()])
    if values.dtype.kind in "biu" and values.min() >= 0 and values.max() < len(classes):
        return values.astype(int)
    unknown = next(label for label in values.tolist() if label not in indices)
    raise ValueError(f"{name} contains {unknown!r}, which is not among the {len(classes)} classes")


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If true or predicted does not hold integers, or columns is not an integer.
    ValueError
        If the shapes are others, columns is below 1, or classes has too few names.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import numpy as np
    >>> from cbackprop import plot
    >>> images = np.eye(8).reshape(2, 4, 8)
    >>> ax = plot.misclassified(images, [3, 5], [3, 9], ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['5 → 9']
    """
    images, true, predicted = np.asarray(images), np.asarray(true), np.asarray(predicted)
    for name, indices in (("true", true), ("predicted", predicted)):
        if indices.size and indices.dtype.kind not in "biu":
            raise TypeError(f"{name} has dtype {indices.dtype}; it must hold class indices; {FOR_NUMBERS}")
    if not (images.ndim == 3 and true.shape == predicted.shape == (len(images),)):
        raise ValueError(
            f"images, true and predicted have shapes {images.shape}, {true.shape} and {predicted.shape}; they must be "
            "(N, height, width), (N,) and (N,)"
        )
    wrong = np.flatnonzero(true != predicted)
    columns = max(1, int(np.ceil(np.sqrt(len(wrong))))) if columns is None else validate.count("columns", columns)
    if not wrong.size:
        ax = _axes(ax)
        ax.set_axis_off()
        ax.text(0.5, 0.5, "none misclassified", ha="center", va="center", transform=ax.transAxes)
        return ax
    names = _names(classes, 1 + max(true[wrong].max(), predicted[wrong].max()), or_more=True)
    ax = _axes(ax)
    places = _mosaic(ax, images[wrong], columns, gap=0.42, cmap="gray_r")
    for n, (center, bottom) in zip(wrong, places, strict=True):
        caption = f"{names[true[n]]} → {names[predicted[n]]}"
        ax.text(center, bottom + 0.06, caption, ha="center", va="top", color=INK, parse_math=False)
    return ax


def predicted_against_true(true: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Plot predicted numbers over true ones, and the diagonal on which both are equal.

    Parameters
    ----------
    true : array-like of shape (N,)
        Targets.
    predicted : array-like of shape (N,)
        What was predicted of them.
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If an array does not hold real numbers.
    ValueError
        If the arrays do not have the same shape (N,), are empty or hold a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cbackprop import plot
    >>> t, y = [1.0, 2.0, 4.0], [1.1, 1.9, 3.5]
    >>> ax = plot.predicted_against_true(t, y, ax=Figure().subplots())
    >>> ax.collections[0].get_offsets()[2].tolist()
    [4.0, 3.5]
    """
    true, predicted = _pairs(true, predicted)
    ax = _axes(ax)
    _dots(ax, true, predicted)
    ax.axline((true[0], true[0]), slope=1, color=INK, linestyle="--", linewidth=1)
    ax.set(xlabel="true", ylabel="predicted", aspect="equal", adjustable="datalim")
    return ax


def residuals(true: ArrayLike, predicted: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Plot the residuals, true minus predicted numbers, over the predicted ones.

    Parameters
    ----------
    true : array-like of shape (N,)
        Targets.
    predicted : array-like of shape (N,)
        What was predicted of them.
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If an array does not hold real numbers.
    ValueError
        If the arrays do not have the same shape (N,), are empty or hold a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cbackprop import plot
    >>> true, predicted = [1.0, 2.0, 4.0], [1.0, 2.0, 3.5]
    >>> ax = plot.residuals(true, predicted, ax=Figure().subplots())
    >>> ax.collections[0].get_offsets()[2].tolist()
    [3.5, 0.5]
    """
    true, predicted = _pairs(true, predicted)
    ax = _axes(ax)
    _dots(ax, predicted, true - predicted)
    ax.axhline(0, color=INK, linestyle="--", linewidth=1)
    ax.set(xlabel="predicted", ylabel="true − predicted")
    return ax


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
    ax : matplotlib Axes, optional
        Axes to draw on; by default, the current ones.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If an array does not hold real numbers, or network is a classifier.
    ValueError
        If the network does not have one input and one linear output, x or t does not have the shape above, is empty or
        holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import cbackprop
    >>> from cbackprop import plot
    >>> network = cbackprop.Network(1, 4, 1, output="linear", rng=0)
    >>> x, t = [0, 1, 2], [0.1, 0.9, 2.2]
    >>> ax = plot.fitted_curve(network, x, t, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['samples', 'fitted']
    """
    model: Any = network
    if hasattr(model, "classes_"):
        raise TypeError(f"network is a {type(model).__name__}, which predicts classes; use decision_regions")
    if hasattr(model, "output") and OUTPUTS[model.output].probabilities:
        raise ValueError(f"network has {model.output} outputs, not linear ones; for classes, use decision_regions")
    x = np.asarray(x)
    x, t = _pairs(x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x, t, ("x", "t"))
    points = np.linspace(x.min(), x.max(), GRID_POINTS)
    y = model.predict((points[:, np.newaxis] - np.asarray(mean)) / np.asarray(scale))
    if y.ndim != 1:
        raise ValueError(f"network has {y.shape[1]} outputs; a curve needs one")
    ax = _axes(ax)
    _dots(ax, x, t, label="samples")
    ax.plot(points, y * target_scale + target_mean, color=COLORS[5], linewidth=2, label="fitted")
    ax.set(xlabel="x", ylabel="y")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)  # covers no sample
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
        Axes to draw the weights and the losses on; by default, two new ones in the current figure.

    Returns
    -------
    pair of matplotlib Axes
        The axes drawn on.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    TypeError
        If an array does not hold real numbers, or window is not an integer.
    ValueError
        If the arrays do not have the same shape (N, R) or are empty, there is not a label for each network, or window
        is below 1.

    Examples
    --------
    >>> import cbackprop
    >>> from matplotlib.figure import Figure
    >>> from cbackprop import plot
    >>> rates = [0.01, 0.1, 1]
    >>> ensemble = cbackprop.Ensemble(2, 4, 2, learning_rates=rates, rng=0)
    >>> weights, losses = [], []
    >>> for n in range(100):
    ...     losses.append(ensemble.learn_one([n % 2, 1], n % 2))
    ...     weights.append(ensemble.weights)
    >>> axes = Figure().subplots(2, 1, sharex=True)
    >>> _, below = plot.mixture(weights, losses, labels=rates, axes=axes)
    >>> len(below.lines)
    3
    """
    p, E = (
        validate.numbers(name, values, np.dtype(np.float64), "(N, R)", 2, finite=False)
        for name, values in (("weights", weights), ("losses", losses))
    )
    if p.shape != E.shape:
        raise ValueError(f"losses has shape {E.shape}; it must be {p.shape}, as that of weights")
    N, R = p.shape
    names = [str(label) for label in (range(R) if labels is None else labels)]
    if len(names) != R:
        raise ValueError(f"labels has {len(names)} entries; it must have {R}, one for each network")
    width = max(1, N // 50) if window is None else validate.count("window", window)
    above, below = require("matplotlib.pyplot", "plot").gcf().subplots(2, 1, sharex=True) if axes is None else axes
    n = np.unique(np.linspace(1, N, MAX_POINTS).round().astype(int))
    colors = _palette(R)
    above.stackplot(n, _running_means(p, width)[n - 1].T, labels=names, colors=colors)
    for E_r, color, name in zip(_running_means(E, width)[n - 1].T, colors, names, strict=True):
        below.plot(n, E_r, color=color, linewidth=1.5, label=name)
    above.set(ylim=(0, 1), ylabel="weight")
    below.set(xlabel="sample", ylabel="mean loss")
    _set_log_scale(below)
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=min(R, 4), frameon=False)
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0)
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


def _pairs(
    first: ArrayLike, second: ArrayLike, names: tuple[str, str] = ("true", "predicted")
) -> tuple[np.ndarray, np.ndarray]:
    """Validate two rows of as many finite numbers."""
    one, other = (
        validate.numbers(name, values, np.dtype(np.float64), "(N,)", 1)
        for name, values in zip(names, (first, second), strict=True)
    )
    if len(one) != len(other):
        raise ValueError(f"{names[1]} has {len(other)} entries; it must have {len(one)}, as many as {names[0]}")
    return one, other


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, label: str | None = None) -> None:
    ax.scatter(x, y, s=20, color=COLORS[0], alpha=0.5, edgecolors="none", label=label)
    ax.spines[["top", "right"]].set_visible(False)


def _set_log_scale(ax: Axes) -> None:
    """Make the scale of errors, which have been drawn, logarithmic."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    low, high = ax.get_ylim()
    if 10 * low <= high < 1000 * low:  # powers of 10 alone would be one to three numbers
        ax.yaxis.set_minor_locator(require("matplotlib.ticker", "plot").LogLocator(subs=(2, 5)))
    ax.yaxis.set_minor_formatter("{x:g}" if high < 1000 * low else "")


def _axes(ax: Axes | None) -> Axes:
    return require("matplotlib.pyplot", "plot").gca() if ax is None else ax


def _names(classes: Any, K: int, *, or_more: bool = False) -> list[str]:
    """Names of K classes; the default is their indices."""
    names = [str(name) for name in (range(K) if classes is None else classes)]
    if not (len(names) == K or (or_more and len(names) > K)):
        least = "at least " if or_more else ""
        raise ValueError(f"classes has {len(names)} names; it must have {least}{K}, one for each class")
    return names


def _palette(count: int) -> list[Any]:
    """Colors of `count` classes: from COLORS if there are enough, else from a color map."""
    if count <= len(COLORS):
        return list(COLORS[:count])
    return list(require("matplotlib", "plot").colormaps["turbo"](np.linspace(0, 1, count)))


def _mosaic(ax: Axes, images: np.ndarray, columns: int, *, gap: float, **style: Any) -> list[tuple[float, float]]:
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
