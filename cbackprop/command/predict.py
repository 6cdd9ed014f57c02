"""`cbackprop predict`: predictions for the rows of a table, a chunk at a time."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cbackprop import Network
from cbackprop._model_file import Model, load_model
from cbackprop.command.dataset import blocks
from cbackprop.command.files import open_table, write_table
from cbackprop.command.outputs import check_distinct, check_output
from cbackprop.command.scaling import ColumnStatistics, apply_scaling
from cbackprop.command.terminal import print_table, progress_bar


class Classes:
    """The class of each row and the probability of each class; of labels that may hold together, the latter alone."""

    def __init__(self, model: Model) -> None:
        self.names = model.classes or [str(k) for k in range(len(model.v))]
        self.exclusive = model.functions.output == "softmax"
        self.probabilities = [f"p_{name}" for name in self.names]
        self.schema: dict[str, Any] = {"class": pl.String} if self.exclusive else {}
        self.schema |= dict.fromkeys(self.probabilities, pl.Float64)
        self.counts: Counter[str] = Counter()

    def frame(self, network: Network, x: np.ndarray) -> pl.DataFrame:
        """Predict rows, one for each of x."""
        y = network.predict_proba(x)
        frame = pl.DataFrame(y.astype(float), schema=self.probabilities)
        if not self.exclusive:
            self.counts.update(dict(zip(self.names, (y >= 0.5).sum(axis=0).tolist(), strict=True)))
            return frame
        classes = pl.Series("class", self.names).gather(y.argmax(axis=1))
        self.counts.update(dict(classes.value_counts().iter_rows()))
        return frame.insert_column(0, classes)

    def print_summary(self, note: str) -> None:
        """Print how many rows belong to each class."""
        rows = [(name, f"{self.counts[name]:,}") for name in self.names]
        print_table(["class" if self.exclusive else "label", "rows"], rows, note=note)


class Numbers:
    """The numbers predicted by a regression, in the units of the targets."""

    def __init__(self, model: Model) -> None:
        K = len(model.v)
        self.names = model.targets or [f"y{k}" for k in range(K)]
        self.schema: dict[str, Any] = dict.fromkeys(self.names, pl.Float64)
        self.mean = np.zeros(K) if model.target_mean is None else model.target_mean
        self.scale = np.ones(K) if model.target_scale is None else model.target_scale
        self.statistics = ColumnStatistics(K)

    def frame(self, network: Network, x: np.ndarray) -> pl.DataFrame:
        """Predict rows, one for each of x."""
        y = network.predict(x).reshape(len(x), -1).astype(float)
        with np.errstate(over="ignore"):
            y = y * self.scale + self.mean
        if not np.isfinite(y).all():
            raise ValueError("the scaling of the targets is too large for the predictions")
        self.statistics.update(y)
        return pl.DataFrame(y, schema=self.names)

    def print_summary(self, note: str) -> None:
        """Print the range of the predictions of each target."""
        found = (self.statistics.minimum, self.statistics.mean, self.statistics.maximum)
        shown = [[f"{value:.6g}" if self.statistics.n else "none" for value in values] for values in found]
        rows = list(zip(self.names, *shown, strict=True))
        print_table(["target", "lowest", "mean", "highest"], rows, note=note)


def run(model_path: Path, data: Path, *, output: Path) -> None:
    """Write the predictions for every row."""
    check_distinct({"the model": model_path, "the table": data, "--output": output})
    check_output("--output", output, ".csv", ".parquet")
    model = load_model(model_path)
    network = Network.from_weights(model.w, model.v, **model.functions._asdict())
    K, D = len(model.v), model.w.shape[1] - 1
    table = open_table(data)
    features = model.features or table.columns
    table.require(features)
    if len(features) != D:
        raise ValueError(
            f"{data} has {len(features)} columns; {model_path} has unnamed inputs, so the table must have exactly {D}"
        )
    predictions = Numbers(model) if network.output == "linear" else Classes(model)
    mean = np.zeros(D) if model.mean is None else model.mean
    scale = np.ones(D) if model.scale is None else model.scale
    n = 0

    with progress_bar() as bar:
        task = bar.add_task("predicting", total=None, note="")

        def frames() -> Iterator[pl.DataFrame]:
            nonlocal n
            chunks = (apply_scaling(x, mean, scale, table, features) for x, _ in table.chunks(features))
            for x in chain.from_iterable(blocks(chunk, K) for chunk in chunks):
                frame = predictions.frame(network, x)
                n += len(frame)
                bar.update(task, note=f"{n:,} rows")
                yield frame

        write_table(output, frames, predictions.schema)
    predictions.print_summary(f"{n:,} rows → {output}")
