"""How well a network predicts, beside what needs no inputs: the rates of the classes, or the mean of the targets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cbackprop.command.messages import escape_control
from cbackprop.command.predictions import Predictions
from cbackprop.command.statistics import ColumnStatistics
from cbackprop.command.tables import BLOCK_VALUES

MAX_CONFUSION = 1000  # classes in a confusion matrix, whose memory grows with their square
MAX_SHOWN = 20  # classes in one that is printed
MAX_POINTS = 5000  # predicted numbers in a figure
NAMES = {"log_loss": "log loss", "accuracy": "accuracy", "auc": "AUC", "r2": "R²", "rmse": "RMSE", "mae": "MAE"}

Measured = dict[str, float | None]  # by name; None where it is undefined


class Sample:
    """Rows of two numbers: all of them or, of many, a random sample."""

    def __init__(self) -> None:
        self.rows, self.share, self.rng = np.empty((0, 2)), 1.0, np.random.default_rng(0)

    def add(self, *columns: np.ndarray) -> None:
        chosen = self.rng.random(len(columns[0])) < self.share
        self.rows = np.vstack([self.rows, np.column_stack(columns)[chosen]])
        while 2 * len(self.rows) > BLOCK_VALUES:
            self.share /= 2
            self.rows = self.rows[self.rng.random(len(self.rows)) < 0.5]


class ClassMeasures:
    """Measures of predicted classes; the area under the ROC curve of two."""

    baseline = "base rate"

    def __init__(self, classes: list[str]) -> None:
        self.classes, K = classes, len(classes)
        self.n, self.correct, self.log_loss = 0, 0, 0.0
        self.counts = np.zeros(K, dtype=int)
        self.confusion = np.zeros((K, K) if K <= MAX_CONFUSION else (0, 0), dtype=int)  # [true, predicted]
        self.scores = Sample()

    @property
    def drawable(self) -> bool:
        return self.confusion.size > 0

    def update(self, y: np.ndarray, t: np.ndarray) -> None:
        """Take in probabilities (n, K) of classes (n,)."""
        predicted, n = y.argmax(axis=1), np.arange(len(t))
        self.n += len(t)
        self.log_loss -= float(np.log(np.maximum(y[n, t], np.finfo(float).tiny)).sum())
        self.correct += int((predicted == t).sum())
        self.counts += np.bincount(t, minlength=len(self.classes))
        if self.drawable:
            np.add.at(self.confusion, (t, predicted), 1)
        if len(self.classes) == 2:
            self.scores.add(t, y[:, 1])

    def results(self) -> tuple[Measured, Measured]:
        """Return the measures of the network, and those of the rates of the classes."""
        rates = self.counts[self.counts > 0] / self.n
        network: Measured = {"log_loss": self.log_loss / self.n, "accuracy": self.correct / self.n}
        base: Measured = {"log_loss": float(-(rates * np.log(rates)).sum()), "accuracy": float(rates.max())}
        if len(self.classes) == 2:
            network["auc"], base["auc"] = area_under_curve(*self.scores.rows.T), 0.5
        return network, base

    def draw(self, rows: str, ax: Any) -> None:
        """Draw the confusion matrix."""
        from cbackprop import plot

        plot.confusion(self.confusion, classes=[escape_control(name) for name in self.classes], ax=ax)


class NumberMeasures:
    """Measures of predicted numbers, in the units of the targets."""

    baseline, drawable = "mean", True

    def __init__(self, target: str) -> None:
        self.target = target
        self.targets = ColumnStatistics(1)
        self.squares, self.absolute = 0.0, 0.0
        self.points = Sample()

    def update(self, y: np.ndarray, t: np.ndarray) -> None:
        """Take in predictions (n, 1) of numbers (n, 1)."""
        with np.errstate(over="ignore"):
            self.squares += float(((y - t) ** 2).sum())
        self.absolute += float(np.abs(y - t).sum())
        self.targets.update(t)
        self.points.add(t, y)

    @property
    def n(self) -> int:
        return self.targets.n

    def results(self) -> tuple[Measured, Measured]:
        """Return the measures of the network, and those of the mean of the targets."""
        squares, t = float(self.targets.squares[0]), self.points.rows[:, 0]
        constant = bool(self.targets.minimum == self.targets.maximum)
        network: Measured = {"r2": None if constant else 1 - self.squares / squares}
        network |= {"rmse": math.sqrt(self.squares / self.n), "mae": self.absolute / self.n}
        mae = float(np.abs(t - self.targets.mean[0]).mean())
        return network, {"r2": None if constant else 0.0, "rmse": math.sqrt(squares / self.n), "mae": mae}

    def draw(self, rows: str, ax: Any) -> None:
        """Draw predicted against true numbers."""
        from cbackprop import plot

        true, predicted = self.points.rows[:: -(-len(self.points.rows) // MAX_POINTS)].T
        plot.predicted_against_true(true, predicted, ax=ax)
        shown = rows if len(true) == self.n else f"{len(true):,} of {self.n:,} {rows}"
        ax.set_title(escape_control(f"{self.target}, {shown}"), parse_math=False)


Measures = ClassMeasures | NumberMeasures


def measures_of(predictions: Predictions) -> Measures:
    """Return the measures of what a model predicts: classes, or a number."""
    if predictions.output.exclusive:
        return ClassMeasures(predictions.names)
    if predictions.output.probabilities or predictions.K > 1:
        found = f"the model has {predictions.K} {predictions.output.name} outputs"
        raise ValueError(f"{found}; only softmax outputs and a single linear one can be evaluated")
    return NumberMeasures(*predictions.names)


def area_under_curve(t: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the share of pairs of both classes whose scores are in the right order; half of equal ones counts."""
    negative, positive = np.sort(scores[t == 0]), scores[t == 1]
    if not (len(negative) and len(positive)):
        return None
    below, not_above = (np.searchsorted(negative, positive, side).sum() for side in ("left", "right"))
    return float((below + not_above) / (2 * len(negative) * len(positive)))


def compare(measures: Sequence[Measures]) -> list[list[str]]:
    """Return rows of a table: the name of each measure, its values, and what the last would be without inputs."""
    values = [each.results()[0] for each in measures] + [measures[-1].results()[1]]
    return [[NAMES[name], *(format_measure(each[name]) for each in values)] for name in values[0]]


def as_json(measures: Measures) -> dict[str, Any]:
    """Return the measures, those of the baseline, and the confusion matrix."""
    network, baseline = (
        {name: value if value is not None and math.isfinite(value) else None for name, value in measured.items()}
        for measured in measures.results()
    )
    found: dict[str, Any] = {"rows": measures.n, **network, measures.baseline.replace(" ", "_"): baseline}
    if isinstance(measures, ClassMeasures):
        found |= {"classes": measures.classes, "confusion": measures.confusion.tolist()}
    return found


def format_measure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
