"""The rows of a table, ready to learn from: its classes, the scale of its inputs, which rows are held out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop.command.tables import Chunk, Table

MOST_CLASSES = 10_000  # a column with more different values is hardly one of classes, and would fill the memory

Lot = tuple[np.ndarray, np.ndarray]  # inputs (n, D) and class indices (n,)


@dataclass
class Rows:
    """The rows of a table, ready to learn from."""

    table: Table
    features: list[str]
    target: str
    seed: int
    validation: float
    classes: list[str]
    mean: np.ndarray
    scale: np.ndarray
    training: int
    held_out: int
    skipped: int
    fingerprint: str  # of what was read
    only_chunk: Chunk | None  # the whole table if it is one chunk: then it is read once

    def lots(self) -> Iterator[tuple[Lot, Lot]]:
        """For each chunk the rows to learn from and the rows held out: the same ones at every call."""
        split = split_generator(self.seed)
        chunks = [self.only_chunk] if self.only_chunk else self.table.chunks(self.features, self.target, self.classes)
        for x, labels in chunks:
            x = standardized(x, self.mean, self.scale, self.table, self.features)
            t = labels.cast(pl.Enum(self.classes)).to_physical().to_numpy().astype(np.intp)
            held_out = split.random(len(x)) < self.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])


def look_through(
    table: Table, target: str, ignore: Sequence[str], seed: int, validation: float, standardize: bool
) -> Rows:
    """Pass over a table for its classes, and mean and standard deviation of the inputs to learn from."""
    features = [column for column in table.columns if column not in {target, *ignore}]
    if not features:
        raise ValueError(f"{table.path}: no column is left beside the target {target!r}; inputs are needed")
    counts: Counter[str] = Counter()
    n = 0
    mean, squares = np.zeros(len(features)), np.zeros(len(features))
    least, most = np.full(len(features), np.inf), np.full(len(features), -np.inf)
    split = split_generator(seed)
    only_chunk = None
    checksum = checksum_labels = 0  # each goes on from chunk to chunk, so their size does not matter
    for number, (x, labels) in enumerate(table.chunks(features, target)):
        only_chunk = (x, labels) if number == 0 else None
        checksum = crc32(np.ascontiguousarray(x).data, checksum)
        checksum_labels = crc32("\n".join([*labels, ""]).encode(), checksum_labels)
        counts.update(dict(labels.value_counts().iter_rows()))
        if len(counts) > MOST_CLASSES:
            raise ValueError(f"{table.path}: column {target!r} has more than {MOST_CLASSES:,} different values")
        part = x[split.random(len(x)) >= validation]
        if len(part):  # moments of two parts together: Chan, Golub and LeVeque, 1979
            with np.errstate(over="ignore", invalid="ignore"):  # it is refused below
                part_mean = part.mean(axis=0)
                shift = part_mean - mean
                squares += ((part - part_mean) ** 2).sum(axis=0) + shift**2 * (n * len(part) / (n + len(part)))
                mean += shift * (len(part) / (n + len(part)))
            n += len(part)
            least, most = np.minimum(least, part.min(axis=0)), np.maximum(most, part.max(axis=0))
    if not n:
        raise ValueError(f"{table.path}: there are no rows to learn from")
    if len(counts) < 2:
        raise ValueError(f"{table.path}: column {target!r} has one class, {next(iter(counts))!r}; 2 are needed")

    scale = np.sqrt(squares / n)
    scale[(least == most) | (scale == 0)] = 1  # an input that never changes, though rounding says it does, or hardly
    if standardize:
        refuse_too_large(np.isfinite(mean) & np.isfinite(scale), table, features)
    checksum = crc32(repr((features, checksum, checksum_labels)).encode())
    if not standardize:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    return Rows(
        table=table,
        features=features,
        target=target,
        seed=seed,
        validation=validation,
        classes=in_order(counts),
        mean=mean,
        scale=scale,
        training=n,
        held_out=counts.total() - n,
        skipped=table.skipped,
        fingerprint=f"{counts.total():,} rows with checksum {checksum:08x}",
        only_chunk=only_chunk,
    )


def standardized(
    x: np.ndarray, mean: np.ndarray, scale: np.ndarray, table: Table, features: Sequence[str]
) -> np.ndarray:
    """Inputs shifted and scaled, which those that were held out may overflow."""
    with np.errstate(over="raise"):  # spares a look at each number
        try:
            z = x - mean
            z /= scale
            return z
        except FloatingPointError:
            with np.errstate(over="ignore"):
                refuse_too_large(np.isfinite((x - mean) / scale).all(axis=0), table, features)
            raise


def refuse_too_large(good: np.ndarray, table: Table, features: Sequence[str]) -> None:
    """Name the first input that is not good."""
    if not good.all():
        column = features[int(good.argmin())]
        raise ValueError(f"{table.path}: column {column!r} has numbers too large to standardize; scale them down")


def in_order(classes: Counter[str]) -> list[str]:
    """Class names by value if all are numbers, else by the alphabet."""
    names = sorted(classes)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def split_generator(seed: int) -> np.random.Generator:
    """One number for each row, in order, decides whether the row is held out: whatever the chunks, the same rows."""
    return np.random.default_rng([seed, 1])
