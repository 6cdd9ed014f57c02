"""`cbackprop predict`: classes and probabilities of the rows of a table, a chunk at a time."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from cbackprop import Network
from cbackprop._model_file import load_model
from cbackprop.command.dataset import apply_scaling, blocks
from cbackprop.command.files import open_table, write_table
from cbackprop.command.outputs import check_distinct, check_output
from cbackprop.command.terminal import print_table, progress_bar


def run(model_path: Path, data: Path, *, output: Path) -> None:
    """Write the class of every row, and the probability of each class."""
    check_distinct({"the model": model_path, "the table": data, "--output": output})
    check_output("--output", output, ".csv", ".parquet")
    model = load_model(model_path)
    network = Network.from_weights(model.w, model.v)
    K, D = len(model.v), model.w.shape[1] - 1
    table = open_table(data)
    features = model.features or table.columns
    table.require(features)
    if len(features) != D:
        raise ValueError(
            f"{data} has {len(features)} columns; {model_path} has unnamed inputs, so the table must have exactly {D}"
        )
    classes = model.classes or [str(k) for k in range(K)]
    probabilities = [f"p_{name}" for name in classes]
    mean = np.zeros(D) if model.mean is None else model.mean
    scale = np.ones(D) if model.scale is None else model.scale
    counts: Counter[str] = Counter()

    with progress_bar() as bar:
        task = bar.add_task("predicting", total=None, note="")

        def frames() -> Iterator[pl.DataFrame]:
            chunks = (apply_scaling(x, mean, scale, table, features) for x, _ in table.chunks(features))
            for x in chain.from_iterable(blocks(chunk, K) for chunk in chunks):
                y = network.predict_proba(x)
                names = pl.Series("class", classes).gather(y.argmax(axis=1))
                counts.update(dict(names.value_counts().iter_rows()))
                bar.update(task, note=f"{counts.total():,} rows")
                yield pl.DataFrame(y.astype(float), schema=probabilities).insert_column(0, names)

        write_table(output, frames, {"class": pl.String} | dict.fromkeys(probabilities, pl.Float64))
    rows = [(name, f"{counts[name]:,}") for name in classes]
    print_table(["class", "rows"], rows, note=f"{counts.total():,} rows → {output}")
