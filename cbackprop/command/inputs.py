"""The inputs of a network from the columns of a table: numbers, indicators of categories, scaling."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop._model_file import indicators
from cbackprop.command.scaling import apply_scaling
from cbackprop.command.tables import Chunk, Table

MAX_LEVELS = 1000  # of a column


@dataclass
class Inputs:
    """Columns of numbers, followed by an indicator of each level of each column of categories."""

    table: Table
    numbers: list[str]
    categories: dict[str, list[str]]
    mean: np.ndarray
    scale: np.ndarray

    @property
    def names(self) -> list[str]:
        return [*self.numbers, *indicators(self.categories)]

    def prepare(self, chunk: Chunk) -> np.ndarray:
        """Return scaled inputs (n, D); those of the chunk are overwritten."""
        x = chunk.x
        if self.categories:
            x = np.hstack([x, *(one_hot(chunk.categories[c], levels) for c, levels in self.categories.items())])
        return apply_scaling(x, self.mean, self.scale, self.table, self.names)


def one_hot(values: pl.Series, levels: Sequence[str]) -> np.ndarray:
    """Return an indicator of each level."""
    indicator = np.zeros((len(values), len(levels)))
    indicator[np.arange(len(values)), codes(values, levels)] = 1
    return indicator


def codes(values: pl.Series, levels: Sequence[str]) -> np.ndarray:
    """Return the index of each value among `levels`."""
    return values.cast(pl.Enum(levels)).to_physical().to_numpy().astype(np.intp)


class CategoryColumn:
    """The levels of a column, counted chunk by chunk."""

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name
        self.counts: Counter[str] = Counter()
        self.checksum = 0  # a running one, which does not depend on the chunk size

    def update(self, values: pl.Series) -> None:
        self.checksum = label_checksum(values, self.checksum)
        self.counts.update(dict(values.value_counts().iter_rows()))
        if len(self.counts) > MAX_LEVELS:
            found = f"{self.path}: column {self.name!r} has more than {MAX_LEVELS:,} different categories"
            raise ValueError(f"{found}; leave it out with --ignore")

    def levels(self) -> list[str]:
        return in_order(self.counts)


def label_checksum(labels: pl.Series, checksum: int) -> int:
    """Continue a checksum of labels."""
    return crc32("\n".join([*labels, ""]).encode(), checksum)


def in_order(names: Iterable[str]) -> list[str]:
    """Sort labels by value if all are numbers, else alphabetically."""
    names = sorted(names)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names
