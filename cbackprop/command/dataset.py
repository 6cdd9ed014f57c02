"""The rows of a table prepared for training: classes, scaling, and the split into training and held-out rows."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop.command.tables import CHUNK_VALUES, Chunk, Table

MAX_CLASSES = 10_000  # bounds memory; a column with more distinct values is hardly categorical

Split = tuple[np.ndarray, np.ndarray]  # inputs (n, D) and class indices (n,)


@dataclass
class Dataset:
    """A table with all that a first pass over it found."""

    table: Table
    features: list[str]
    target: str
    seed: int
    validation: float
    classes: list[str]
    mean: np.ndarray
    scale: np.ndarray
    n_training: int
    n_held_out: int
    skipped: int
    fingerprint: str  # of everything read
    only_chunk: Chunk | None  # a table of a single chunk is kept, and not read again

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each chunk: the same ones at every call."""
        rng = split_rng(self.seed)
        chunks = [self.only_chunk] if self.only_chunk else self.table.chunks(self.features, self.target, self.classes)
        for x, labels in chunks:
            x = apply_scaling(x, self.mean, self.scale, self.table, self.features)
            t = labels.cast(pl.Enum(self.classes)).to_physical().to_numpy().astype(np.intp)
            held_out = rng.random(len(x)) < self.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])


class ColumnStatistics:
    """Mean and standard deviation of each column, merged chunk by chunk (Chan, Golub and LeVeque, 1979)."""

    def __init__(self, n_columns: int) -> None:
        self.n = 0
        self.mean, self.squares = np.zeros(n_columns), np.zeros(n_columns)
        self.minimum, self.maximum = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)

    def update(self, x: np.ndarray) -> None:
        if not len(x):
            return
        n = self.n + len(x)
        with np.errstate(over="ignore", invalid="ignore"):  # `scan` checks the results
            mean = x.mean(axis=0)
            shift = mean - self.mean
            self.squares += ((x - mean) ** 2).sum(axis=0) + shift**2 * (self.n * len(x) / n)
            self.mean += shift * (len(x) / n)
        self.n = n
        self.minimum = np.minimum(self.minimum, x.min(axis=0))
        self.maximum = np.maximum(self.maximum, x.max(axis=0))

    def scale(self) -> np.ndarray:
        """Return the standard deviations; 1 for constant columns, even if rounding makes theirs positive."""
        scale = np.sqrt(self.squares / self.n)
        scale[(self.minimum == self.maximum) | (scale == 0)] = 1
        return scale


def scan(table: Table, target: str, ignore: list[str], seed: int, validation: float, standardize: bool) -> Dataset:
    """Find the classes of a table, and mean and standard deviation of its training rows, in one pass."""
    excluded = {target, *ignore}
    features = [column for column in table.columns if column not in excluded]
    if not features:
        raise ValueError(f"{table.path}: no column remains besides the target {target!r}; at least one input is needed")
    counts: Counter[str] = Counter()
    statistics = ColumnStatistics(len(features))
    rng = split_rng(seed)
    only_chunk = None
    checksum = label_checksum = 0  # running sums do not depend on the chunk size
    for number, (x, labels) in enumerate(table.chunks(features, target)):
        only_chunk = (x, labels) if number == 0 else None
        checksum = crc32(np.ascontiguousarray(x).data, checksum)
        label_checksum = crc32("\n".join([*labels, ""]).encode(), label_checksum)
        counts.update(dict(labels.value_counts().iter_rows()))
        if len(counts) > MAX_CLASSES:
            found = f"{table.path}: column {target!r} has more than {MAX_CLASSES:,} distinct values"
            raise ValueError(f"{found}; the target must be a column of class labels")
        statistics.update(x[rng.random(len(x)) >= validation])
    if not statistics.n:
        raise ValueError(f"{table.path}: there are no training rows; at least one is needed")
    if len(counts) < 2:
        raise ValueError(f"{table.path}: column {target!r} has one class, {next(iter(counts))!r}; 2 are needed")

    mean, scale = np.zeros(len(features)), np.ones(len(features))
    if standardize:
        mean, scale = statistics.mean, statistics.scale()
        check_range(np.isfinite(mean) & np.isfinite(scale), table, features)
    checksum = crc32(repr((features, checksum, label_checksum)).encode())
    return Dataset(
        table=table,
        features=features,
        target=target,
        seed=seed,
        validation=validation,
        classes=sort_classes(counts),
        mean=mean,
        scale=scale,
        n_training=statistics.n,
        n_held_out=counts.total() - statistics.n,
        skipped=table.skipped,
        fingerprint=f"{counts.total():,} rows with checksum {checksum:08x}",
        only_chunk=only_chunk,
    )


def apply_scaling(x: np.ndarray, mean: np.ndarray, scale: np.ndarray, table: Table, features: list[str]) -> np.ndarray:
    """Shift and scale inputs; those outside the training rows may overflow, which raises."""
    with np.errstate(over="raise"):  # cheaper than a check of every value
        try:
            z = x - mean
            z /= scale
            return z
        except FloatingPointError:
            with np.errstate(over="ignore"):
                check_range(np.isfinite((x - mean) / scale).all(axis=0), table, features)
            raise


def blocks(x: np.ndarray, K: int) -> Iterator[np.ndarray]:
    """Split rows of inputs so that the K outputs for each block are no larger than a chunk."""
    size = max(1, CHUNK_VALUES // K)
    return (x[start : start + size] for start in range(0, len(x), size))


def check_range(finite: np.ndarray, table: Table, features: list[str]) -> None:
    """Raise for the first column that standardization makes non-finite."""
    if not finite.all():
        column = features[int(finite.argmin())]
        raise ValueError(f"{table.path}: column {column!r} has values too large to standardize; rescale it")


def sort_classes(classes: Counter[str]) -> list[str]:
    """Sort class labels by value if all are numbers, else alphabetically."""
    names = sorted(classes)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def split_rng(seed: int) -> np.random.Generator:
    """Return the generator that splits: one number per row, so that chunk sizes do not matter."""
    return np.random.default_rng([seed, 1])
