"""`cbackprop predict`: predictions for the rows of a table, a chunk at a time."""

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from cbackprop import Network
from cbackprop._catalog import OUTPUTS
from cbackprop.command.files import TEXTS, open_table, write_table
from cbackprop.command.inputs import blocks, inputs_of
from cbackprop.command.options import PredictOptions
from cbackprop.command.outputs import check_distinct, check_output, is_standard_output, name_of
from cbackprop.command.signals import signal_handler, terminate
from cbackprop.command.statistics import ColumnStatistics
from cbackprop.command.terminal import print_table, progress_bar
from cbackprop.files.model_file import Model, load_model


class Classes:
    """The class of each row and the probability of each class; of labels that may hold together, the latter alone."""

    def __init__(self, model: Model) -> None:
        self.names = model.classes or [str(k) for k in range(len(model.v))]
        self.output = OUTPUTS[model.functions.output]
        self.probabilities = [f"p_{name}" for name in self.names]
        self.schema: dict[str, Any] = {"class": pl.String} if self.output.exclusive else {}
        self.schema |= dict.fromkeys(self.probabilities, pl.Float64)
        self.counts: Counter[str] = Counter()

    def predict(self, network: Network, x: Any, n_threads: int) -> np.ndarray:
        return network.predict_proba(x, n_threads=n_threads).astype(float)

    def frame(self, y: np.ndarray) -> pl.DataFrame:
        """Return the rows to write, which are empty where y is NaN."""
        frame = pl.DataFrame(y, schema=self.probabilities)
        predicted = self.output.prediction(y)
        if not self.output.exclusive:
            self.counts.update(dict(zip(self.names, predicted.sum(axis=0).tolist(), strict=True)))
            return frame
        classes = pl.Series("class", self.names).gather(predicted).set(frame[:, 0].is_nan(), None)
        self.counts.update(dict(classes.drop_nulls().value_counts().iter_rows()))
        return frame.insert_column(0, classes)

    def summary(self) -> tuple[list[str], Sequence[Sequence[str]]]:
        """Tell how many rows belong to each class."""
        rows = [(name, f"{self.counts[name]:,}") for name in self.names]
        return ["class" if self.output.exclusive else "label", "rows"], rows


class Numbers:
    """The numbers predicted by a regression, in the units of the targets."""

    def __init__(self, model: Model) -> None:
        K = len(model.v)
        self.names = model.targets or [f"y{k}" for k in range(K)]
        self.schema: dict[str, Any] = dict.fromkeys(self.names, pl.Float64)
        self.mean = np.zeros(K) if model.target_mean is None else model.target_mean
        self.scale = np.ones(K) if model.target_scale is None else model.target_scale
        self.statistics = ColumnStatistics(K)

    def predict(self, network: Network, x: Any, n_threads: int) -> np.ndarray:
        y = network.predict(x, n_threads=n_threads).reshape(-1, len(network.v)).astype(float)
        with np.errstate(over="ignore"):
            y = y * self.scale + self.mean
        if not np.isfinite(y).all():
            raise ValueError("the scaling of the targets is too large for the predictions")
        self.statistics.update(y)
        return y

    def frame(self, y: np.ndarray) -> pl.DataFrame:
        """Return the rows to write, which are empty where y is NaN."""
        return pl.DataFrame(y, schema=self.names)

    def summary(self) -> tuple[list[str], Sequence[Sequence[str]]]:
        """Tell the range of the predictions of each target."""
        found = (self.statistics.minimum, self.statistics.mean, self.statistics.maximum)
        shown = [[f"{value:.6g}" if self.statistics.n else "none" for value in values] for values in found]
        return ["target", "lowest", "mean", "highest"], list(zip(self.names, *shown, strict=True))


def run(options: PredictOptions) -> None:
    """Write the predictions for every row."""
    check_distinct({"the model": options.model, "the table": options.data, "--output": options.output})
    check_output("--output", options.output, *TEXTS, ".parquet")
    model = load_model(options.model)
    network = Network.from_weights(model.w, model.v, **model.functions._asdict())
    K, n_threads = len(model.v), options.threads or 1
    predictions = Classes(model) if OUTPUTS[network.output].probabilities else Numbers(model)
    n = 0

    with signal_handler(terminate, signal.SIGTERM), progress_bar("predicting", quiet=options.quiet) as bar:
        table = open_table(options)
        inputs = inputs_of(model, options.model, table)

        def frames() -> Iterator[pl.DataFrame]:
            nonlocal n
            for chunk in inputs.chunks():
                x, start = inputs.prepare(chunk), 0
                for good in blocks(chunk.good, K):
                    end = start + int(good.sum())
                    y = np.full((len(good), K), np.nan)
                    if end > start:
                        y[good] = predictions.predict(network, x[start:end], n_threads)
                    start, n = end, n + len(good)
                    bar.count(n)
                    yield predictions.frame(y)

        write_table(options.output, frames, predictions.schema)
    if not options.quiet:
        note = f"{n:,} rows → {name_of(options.output)}"
        if table.skipped:
            rows = "row" if table.skipped == 1 else "rows"
            note += f"; {table.skipped:,} bad {rows} without a prediction; the first: {table.first_error}"
        print_table(*predictions.summary(), note=note, stderr=is_standard_output(options.output))
