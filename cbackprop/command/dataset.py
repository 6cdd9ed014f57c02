"""The rows of a table prepared for training: targets, scaling, and the split into training and held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop.command.options import Task
from cbackprop.command.scaling import ColumnStatistics, apply_scaling
from cbackprop.command.tables import CHUNK_VALUES, Chunk, Table, as_labels, as_numbers
from cbackprop.command.target import TargetColumn

Split = tuple[np.ndarray, np.ndarray]  # inputs (n, D) and targets (n,): class indices, or scaled numbers


@dataclass
class Dataset:
    """A table with all that a first pass over it found."""

    table: Table
    features: list[str]
    target: str
    seed: int
    validation: float
    task: Task
    classes: list[str]  # none in a regression
    mean: np.ndarray
    scale: np.ndarray
    target_mean: np.ndarray  # of one number, which is learned as (t - target_mean) / target_scale
    target_scale: np.ndarray
    n_training: int
    n_held_out: int
    skipped: int
    fingerprint: str  # of everything read
    only_chunk: Chunk | None  # a table of a single chunk is kept, and not read again

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each chunk: the same ones at every call."""
        rng = split_rng(self.seed)
        regression = self.task is Task.REGRESSION
        classes = None if regression else self.classes
        chunks = self.table.chunks(self.features, self.target, classes=classes, numeric=regression)
        for x, values in [self.only_chunk] if self.only_chunk else chunks:
            x = apply_scaling(x, self.mean, self.scale, self.table, self.features)
            if regression:
                t = values.to_numpy()[:, np.newaxis]
                t = apply_scaling(t, self.target_mean, self.target_scale, self.table, [self.target])[:, 0]
            else:
                t = values.cast(pl.Enum(self.classes)).to_physical().to_numpy().astype(np.intp)
            held_out = rng.random(len(x)) < self.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])


def scan(
    table: Table,
    target: str,
    ignore: list[str],
    seed: int,
    validation: float,
    standardize: bool,
    task: Task | None = None,
) -> Dataset:
    """Find classes or numbers in a table, and the scaling of its training rows, in one pass."""
    excluded = {target, *ignore}
    features = [column for column in table.columns if column not in excluded]
    if not features:
        raise ValueError(f"{table.path}: no column remains besides the target {target!r}; at least one input is needed")
    column = TargetColumn(table.path, target, task)
    statistics = ColumnStatistics(len(features))
    rng = split_rng(seed)
    only_chunk = None
    checksum = 0  # running sums do not depend on the chunk size
    for number, (x, values) in enumerate(table.chunks(features, target, numeric=task is Task.REGRESSION)):
        only_chunk = (x, values) if number == 0 else None
        checksum = crc32(np.ascontiguousarray(x).data, checksum)
        training = rng.random(len(x)) >= validation
        statistics.update(x[training])
        column.update(values, training)
    if not statistics.n:
        raise ValueError(f"{table.path}: there are no training rows; at least one is needed")
    task = column.decide()
    regression = task is Task.REGRESSION
    classes = [] if regression else column.classes()
    if only_chunk:
        x, values = only_chunk
        only_chunk = x, as_numbers(values) if regression else as_labels(values)

    mean, scale = np.zeros(len(features)), np.ones(len(features))
    target_mean, target_scale = np.zeros(1), np.ones(1)
    if standardize:
        mean, scale = statistics.standardization(table, features)
        if regression:
            target_mean, target_scale = column.statistics.standardization(table, [target])
    checksum = crc32(repr((features, checksum, column.checksums[task])).encode())
    return Dataset(
        table=table,
        features=features,
        target=target,
        seed=seed,
        validation=validation,
        task=task,
        classes=classes,
        mean=mean,
        scale=scale,
        target_mean=target_mean,
        target_scale=target_scale,
        n_training=statistics.n,
        n_held_out=column.n - statistics.n,
        skipped=table.skipped,
        fingerprint=f"{column.n:,} rows with checksum {checksum:08x}",
        only_chunk=only_chunk,
    )


def blocks(x: np.ndarray, K: int) -> Iterator[np.ndarray]:
    """Split rows of inputs so that the K outputs for each block are no larger than a chunk."""
    size = max(1, CHUNK_VALUES // K)
    return (x[start : start + size] for start in range(0, len(x), size))


def split_rng(seed: int) -> np.random.Generator:
    """Return the generator that splits: one number per row, so that chunk sizes do not matter."""
    return np.random.default_rng([seed, 1])
