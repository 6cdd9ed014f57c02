"""Plots of predicted classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cbackprop import _validation as validate
from cbackprop._catalog import OUTPUTS
from cbackprop._docstrings import inherits
from cbackprop._extras import require
from cbackprop.plot._axes import FOR_NUMBERS, GRID_POINTS, INK, axes_for, mosaic, names_of, palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from sklearn.base import ClassifierMixin

    from cbackprop import Network

MAX_NAME = 24  # characters of a class beside a confusion matrix
MAX_NAMED_CLASSES = 50  # in a confusion matrix: more names and counts would overlap, and take minutes to draw


@inherits(axes_for)
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
    names = names_of("classes", labels if classes is None else classes, K, "class")

    margin = 0.1 * np.ptp(x, axis=0)
    x0, x1 = (
        np.linspace(low, high, GRID_POINTS)
        for low, high in zip(x.min(axis=0) - margin, x.max(axis=0) + margin, strict=True)
    )
    xx0, xx1 = np.meshgrid(x0, x1)
    points = (np.column_stack([xx0.ravel(), xx1.ravel()]) - np.asarray(mean)) / np.asarray(scale)
    colors = palette(K)
    regions = class_indices("t", model.predict(points), labels).reshape(xx0.shape)
    style = {"cmap": require("matplotlib.colors", "plot").ListedColormap(colors), "alpha": 0.3}
    ax = axes_for(ax)
    ax.pcolormesh(xx0, xx1, regions, **style, vmin=-0.5, vmax=K - 0.5, zorder=-1, rasterized=True)
    _scatter(ax, x, t, colors, names)
    return ax


def _scatter(ax: Axes, x: np.ndarray, t: np.ndarray, colors: list[Any], names: list[str]) -> None:
    """Draw the samples of each class, and a legend."""
    handles = []
    for k, color in enumerate(colors):
        points = x[t == k]
        handles.append(ax.scatter(points[:, 0], points[:, 1], s=30, color=color, edgecolors="white", linewidths=0.8))
    labels = [""] * len(handles)
    legend = ax.legend(handles, labels, loc="upper right", framealpha=0.85, edgecolor="none", handletextpad=0.2)
    for k, text in enumerate(legend.get_texts()):  # set here: old Matplotlib omits legend labels that begin with _
        text.set(text=names[k], parse_math=False)


@inherits(axes_for)
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
    names = names_of("classes", classes, len(matrix), "class")
    ax = axes_for(ax, xlabel="predicted", ylabel="true")
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


@inherits(axes_for)
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
        ax = axes_for(ax)
        ax.set_axis_off()
        ax.text(0.5, 0.5, "none misclassified", ha="center", va="center", transform=ax.transAxes)
        return ax
    most = max(true[wrong].max(), predicted[wrong].max())
    names = names_of("classes", classes, 1 + most, "class", or_more=True)
    ax = axes_for(ax)
    places = mosaic(ax, images[wrong], columns, gap=0.42, cmap="gray_r")
    for n, (center, bottom) in zip(wrong, places, strict=True):
        caption = f"{names[true[n]]} → {names[predicted[n]]}"
        ax.text(center, bottom + 0.06, caption, ha="center", va="top", color=INK, parse_math=False)
    return ax
