"""`cbackprop evaluate`: what a model predicts, how well, and how well one would without inputs."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import typer

from cbackprop import Network
from cbackprop._catalog import OUTPUTS
from cbackprop.command.columns import Category, Column, Number
from cbackprop.command.inputs import Inputs
from cbackprop.command.messages import abbreviate, escape_control
from cbackprop.command.options import EvaluateOptions
from cbackprop.command.statistics import ColumnStatistics
from cbackprop.command.tables import BLOCK_VALUES, Table
from cbackprop.command.terminal import print_confusion, print_table, progress_bar
from cbackprop.files.model_file import Model, load_model

MAX_CONFUSION = 1000  # classes in a confusion matrix, whose memory grows with their square
MAX_SHOWN = 20  # classes in one that is printed
MAX_POINTS = 5000  # predicted numbers in a figure
NAMES = {"log_loss": "log loss", "accuracy": "accuracy", "auc": "AUC", "r2": "R²", "rmse": "RMSE", "mae": "MAE"}

Measured = dict[str, float]  # by name; NaN where it is undefined


class Predictions:
    """The outputs of a model by name: probabilities of classes or of labels, or numbers in the units of the targets."""

    def __init__(self, model: Model, n_threads: int | None = None) -> None:
        self.network = Network._of(model)
        self.output = OUTPUTS[self.network.output]
        self.K, self.n_threads = len(model.v), n_threads or 1
        if self.output.probabilities:
            self.names = model.classes or [str(k) for k in range(self.K)]
        else:
            self.names = model.targets or [f"y{k}" for k in range(self.K)]
        self.mean = np.zeros(self.K) if model.target_mean is None else model.target_mean
        self.scale = np.ones(self.K) if model.target_scale is None else model.target_scale

    def __call__(self, x: Any) -> np.ndarray:
        """Return the predictions for inputs (n, D): float64 (n, K)."""
        y = self.outputs(x)
        if not self.output.probabilities:
            y = self.unscaled(y)
        if not np.isfinite(y).all():
            raise ValueError("the scaling of the targets is too large for the predictions")
        return y

    def outputs(self, x: Any) -> np.ndarray:
        """Return what the network predicts, which may be scaled."""
        predict = self.network.predict_proba if self.output.probabilities else self.network.predict
        return predict(x, n_threads=self.n_threads).reshape(-1, self.K).astype(float)

    def unscaled(self, y: np.ndarray) -> np.ndarray:
        """Convert what the network learns, (n, K), to the units of the targets."""
        with np.errstate(over="ignore"):
            return y * self.scale + self.mean


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
        self.drawable = K <= MAX_CONFUSION
        self.confusion = np.zeros((K, K) if self.drawable else (0, 0), dtype=int)  # [true, predicted]
        self.scores = Sample()

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
        network = {"log_loss": self.log_loss / self.n, "accuracy": self.correct / self.n}
        base = {"log_loss": float(-(rates * np.log(rates)).sum()), "accuracy": float(rates.max())}
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
        self.target, self.targets = target, ColumnStatistics(1)
        self.n, self.squares, self.absolute = 0, 0.0, 0.0
        self.points = Sample()

    def update(self, y: np.ndarray, t: np.ndarray) -> None:
        """Take in predictions (n, 1) of numbers (n, 1)."""
        with np.errstate(over="ignore"):
            self.squares += float(((y - t) ** 2).sum())
        self.n += len(t)
        self.absolute += float(np.abs(y - t).sum())
        self.targets.add(t)
        self.points.add(t, y)

    def results(self) -> tuple[Measured, Measured]:
        """Return the measures of the network, and those of the mean of the targets."""
        squares, mean = float(self.targets.squares[0]), self.targets.mean[0]
        varies = bool(self.targets.minimum < self.targets.maximum)
        network = {"r2": 1 - self.squares / squares if varies else math.nan}
        network |= {"rmse": math.sqrt(self.squares / self.n), "mae": self.absolute / self.n}
        base = {"r2": 0.0 if varies else math.nan, "rmse": math.sqrt(squares / self.n)}
        return network, base | {"mae": float(np.abs(self.points.rows[:, 0] - mean).mean())}

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


def area_under_curve(t: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of pairs of both classes whose scores are in the right order; half of equal ones counts."""
    negative, positive = np.sort(scores[t == 0]), scores[t == 1]
    if not (len(negative) and len(positive)):
        return math.nan
    below, not_above = (np.searchsorted(negative, positive, side).sum() for side in ("left", "right"))
    return float((below + not_above) / (2 * len(negative) * len(positive)))


def compare(measures: Sequence[Measures]) -> list[list[str]]:
    """Return rows of a table: the name of each measure, its values, and what the last would be without inputs."""
    columns = [each.results()[0] for each in measures] + [measures[-1].results()[1]]
    rows = [[NAMES[name], *(f"{column[name]:.4g}" for column in columns)] for name in columns[0]]
    return [["undefined" if cell == "nan" else cell for cell in row] for row in rows]


def run(options: EvaluateOptions) -> None:
    """Measure the predictions for every row."""
    model = load_model(options.model)
    predictions = Predictions(model, options.threads)
    measures = measures_of(predictions)
    classes = isinstance(measures, ClassMeasures)
    with progress_bar("evaluating", quiet=options.quiet) as update:
        table = Table(options, update)
        target = "target" if table.sparse else options.target or model.target or (model.targets or [""])[0]
        if not target:
            needed = f"it must be one of the columns {abbreviate(table.columns)}"
            raise typer.BadParameter(f"{options.model} does not tell it; {needed}", param_hint="'--target'")
        table.require([target])
        inputs = Inputs(table, model, options.model, target)
        kind: Column = Category(predictions.names) if classes else Number()
        for rows, _ in table.blocks({**inputs.columns, target: kind}, predictions.K):
            if len(rows):
                t = rows[target].to_numpy()
                measures.update(predictions(inputs.encode(rows)), t if classes else t[:, np.newaxis])
    if not measures.n:
        raise ValueError(f"{table.name}: there are no rows; at least one is needed; {table.bad_rows}".rstrip("; "))
    if options.json:
        network, baseline = (
            {name: value if math.isfinite(value) else None for name, value in measured.items()}
            for measured in measures.results()
        )
        found: dict[str, Any] = {"rows": measures.n, **network, measures.baseline.replace(" ", "_"): baseline}
        if isinstance(measures, ClassMeasures):
            found |= {"classes": measures.classes, "confusion": measures.confusion.tolist()}
        print(json.dumps(found | {"skipped": table.skipped}, ensure_ascii=False))
        return
    note = "; ".join(filter(None, [f"{measures.n:,} rows", table.bad_rows, inputs.unknown]))
    print_table(["", "network", measures.baseline], compare([measures]), note=note)
    if isinstance(measures, ClassMeasures) and len(measures.classes) <= MAX_SHOWN:
        print_confusion(measures.confusion, measures.classes)
