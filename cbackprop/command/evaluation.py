"""How well a trained network predicts: lines of the summary, and a panel of the figure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from cbackprop import Network
from cbackprop.command.dataset import Dataset
from cbackprop.command.inputs import blocks
from cbackprop.command.messages import escape_control
from cbackprop.command.statistics import ColumnStatistics

MAX_CONFUSION = 1000  # classes in a confusion matrix, whose memory grows with their square
MAX_POINTS = 5000  # predicted numbers in a figure, about


@dataclass
class Evaluation:
    """What a summary and a figure show."""

    fields: list[tuple[str, str]]
    panel: Callable[[Any], None] | None = None  # draws on axes
    note: str = ""  # on the panel


def evaluate_classes(network: Network, dataset: Dataset) -> Evaluation:
    """Measure accuracy and mean E of the held-out rows; count what was predicted of each class."""
    K = len(dataset.classes)
    matrix = np.zeros((K, K), dtype=int) if K <= MAX_CONFUSION else None
    correct, E = 0, 0.0
    for _, (x, t) in dataset.splits():
        if len(t):
            predicted = np.concatenate([network.predict(block) for block in blocks(x, K)])
            correct += int((predicted == t).sum())
            E += network.loss(x, t) * len(t) / dataset.n_held_out
            if matrix is not None:
                np.add.at(matrix, (t, predicted), 1)
    fields = [("E, held out", f"{E:.4g}"), ("accuracy, held out", f"{correct / dataset.n_held_out:.4f}")]
    if matrix is None:
        return Evaluation(fields, note=f"without a confusion matrix, which shows at most {MAX_CONFUSION:,} classes")
    return Evaluation(fields, partial(draw_confusion, matrix, dataset.classes))


def draw_confusion(matrix: np.ndarray, classes: list[str], ax: Any) -> None:
    from cbackprop import plot

    plot.confusion(matrix, classes=[escape_control(name) for name in classes], ax=ax)


@dataclass
class Errors:
    """Squared errors of predicted numbers, summed chunk by chunk."""

    targets: ColumnStatistics = field(default_factory=lambda: ColumnStatistics(1))
    squares: float = 0.0

    def update(self, t: np.ndarray, y: np.ndarray) -> None:
        self.targets.update(t[:, np.newaxis])
        with np.errstate(over="ignore"):
            self.squares += float(((y - t) ** 2).sum())

    @property
    def E(self) -> float:
        return self.squares / (2 * self.targets.n)

    def fields(self, rows: str, scale: float) -> list[tuple[str, str]]:
        """Format R² and, in the unit of `scale`, the root of the mean squared error."""
        constant = self.targets.minimum == self.targets.maximum
        r2 = "undefined: the target has one value" if constant else f"{1 - self.squares / self.targets.squares[0]:.4f}"
        return [(f"R², {rows}", r2), (f"RMSE, {rows}", f"{scale * np.sqrt(2 * self.E):.4g}")]


def evaluate_numbers(network: Network, dataset: Dataset) -> Evaluation:
    """Measure R² and RMSE of the training rows and of the held-out rows, and keep some predictions of the latter."""
    means, scales = dataset.target_scaling
    mean, scale = (0.0, 1.0) if means is None or scales is None else (float(means[0]), float(scales[0]))
    training, held_out = Errors(), Errors()
    shown, n, rows = held_out, dataset.n_held_out, "held-out rows"
    if not n:
        shown, n, rows = training, dataset.n_training, "training rows"
    points, rng = [], np.random.default_rng([dataset.options.seed, 2])
    for parts in dataset.splits():
        for errors, (x, t) in zip((training, held_out), parts, strict=True):
            if len(t):
                y = network.predict(x)
                errors.update(t, y)
                if errors is shown:
                    points.append(np.vstack([t, y])[:, rng.random(len(t)) < MAX_POINTS / n])
    fields = training.fields("training", scale)
    if dataset.n_held_out:
        fields = [("E, held out", f"{held_out.E:.4g}"), *fields, *held_out.fields("held out", scale)]
    true, predicted = np.hstack(points) * scale + mean
    note = f"with {len(true):,} of the {n:,} {rows}" if n > MAX_POINTS else ""
    return Evaluation(fields, partial(draw_numbers, true, predicted, f"{dataset.target}, {rows}"), note)


def draw_numbers(true: np.ndarray, predicted: np.ndarray, title: str, ax: Any) -> None:
    from cbackprop import plot

    plot.predicted_against_true(true, predicted, ax=ax)
    ax.set_title(escape_control(title), parse_math=False)
