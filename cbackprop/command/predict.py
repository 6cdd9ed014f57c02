"""`cbackprop predict`: predictions for the rows of a table, a block at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command.evaluate import Predictions
from cbackprop.command.inputs import Inputs
from cbackprop.command.options import PredictOptions
from cbackprop.command.outputs import STANDARD, check_distinct, check_output, name_of
from cbackprop.command.statistics import ColumnStatistics
from cbackprop.command.tables import TEXTS, Table, write_table
from cbackprop.command.terminal import print_table, progress_bar
from cbackprop.files.model_file import load_model


class Writer:
    """The rows to write, and a summary of them."""

    def __init__(self, predictions: Predictions) -> None:
        self.names, self.output = predictions.names, predictions.output
        self.columns = [f"p_{name}" for name in self.names] if self.output.probabilities else self.names
        self.schema: dict[str, Any] = {"class": pl.String} if self.output.exclusive else {}
        self.schema |= dict.fromkeys(self.columns, pl.Float64)
        self.counts = np.zeros(predictions.K, dtype=int)  # of rows with each class or label
        self.statistics = ColumnStatistics(predictions.K)

    def frame(self, y: np.ndarray) -> pl.DataFrame:
        """Return the rows for predictions (n, K), empty where y is NaN."""
        frame, good = pl.DataFrame(y, schema=self.columns), ~np.isnan(y[:, 0])
        self.statistics.add(y[good])
        predicted = self.output.prediction(y)
        if self.output.exclusive:
            self.counts += np.bincount(predicted[good], minlength=len(self.names))
            classes = pl.Series("class", self.names).gather(predicted).set(pl.Series(~good), None)
            return frame.insert_column(0, classes)
        if self.output.probabilities:
            self.counts += predicted[good].sum(axis=0)
        return frame

    def summary(self) -> tuple[list[str], Sequence[Sequence[str]]]:
        """Return columns and rows of a table: how often each class was predicted, or the range of the numbers."""
        if self.output.probabilities:
            rows = [(name, f"{count:,}") for name, count in zip(self.names, self.counts, strict=True)]
            return ["class" if self.output.exclusive else "label", "rows"], rows
        found = (self.statistics.minimum, self.statistics.mean, self.statistics.maximum)
        shown = [[f"{value:.6g}" if self.statistics.n else "none" for value in values] for values in found]
        return ["target", "lowest", "mean", "highest"], list(zip(self.names, *shown, strict=True))


def run(options: PredictOptions) -> None:
    """Write the predictions for every row."""
    check_distinct({"the model": options.model, "the table": options.data, "--output": options.output})
    check_output("--output", options.output, *TEXTS, ".parquet")
    model = load_model(options.model)
    predictions = Predictions(model, options.threads)
    writer = Writer(predictions)
    with progress_bar("predicting", quiet=options.quiet) as update:
        table = Table(options, update)
        inputs = Inputs(table, model, options.model)

        def frames() -> Iterator[pl.DataFrame]:
            for rows, good in table.blocks(inputs.columns, predictions.K):
                y = np.full((len(good), predictions.K), np.nan)
                if len(rows):
                    y[good] = predictions(inputs.encode(rows))
                yield writer.frame(y)

        write_table(options.output, frames, writer.schema)
    if not options.quiet:
        note = f"{table.n_rows:,} rows → {name_of(options.output)}"
        note = "; ".join(filter(None, [note, table.bad_rows, inputs.unknown]))
        print_table(*writer.summary(), note=note, stderr=options.output == STANDARD)
