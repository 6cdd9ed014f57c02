"""The target column: classes or numbers, and what is known of them after a first pass over a table."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from cbackprop.command.columns import Number
from cbackprop.command.options import Task
from cbackprop.command.statistics import ColumnStatistics

MAX_CLASSES = 10_000  # bounds memory; a column with more distinct values is hardly categorical

# labels are classes if they are few, or if each has enough rows and, for whole numbers, they are not too many
MAX_FEW_CLASSES, MAX_NUMERIC_CLASSES, MIN_ROWS_PER_CLASS = 10, 1000, 10


class Target:
    """The values of the target column, read block by block.

    They are collected as long as they may be classes; their moments are updated as long as they may be quantities.
    """

    def __init__(self, where: str, task: Task | None) -> None:
        self.where, self.task = where, task
        self.n, self.statistics = 0, ColumnStatistics(1)  # of training rows
        self.labels: set[str] = set()
        self.collecting, self.numeric = task != "regression", task != "classification"
        self.fractional = False  # some number is not whole

    def update(self, labels: pl.Series, training: np.ndarray) -> None:
        """Take in the labels of a block, or numbers, and which of its rows are for training."""
        self.n += len(labels)
        if self.numeric:
            numbers = Number().convert(labels)
            self.numeric = not numbers.null_count()
            if self.numeric:
                self.statistics.add(numbers.to_numpy()[training, np.newaxis])
                self.fractional = self.fractional or has_fraction(numbers)
                self.collecting = self.collecting and not self.fractional
        if self.collecting:
            self.labels.update(labels.unique())
            if len(self.labels) > MAX_CLASSES:
                self.collecting = False
                if not self.numeric:
                    found = f"{self.where} has more than {MAX_CLASSES:,} distinct values"
                    raise ValueError(f"{found}; the target must be a column of class labels")

    def decide(self) -> Task:
        """Tell regression from classification; raise if the values may be either."""
        if self.task == "regression" or (self.numeric and self.fractional):
            if self.statistics.minimum == self.statistics.maximum:
                found = f"{self.where} has one value in the training rows, {self.statistics.minimum[0]:g}"
                raise ValueError(f"{found}; a regression needs 2")
            return "regression"
        K, numbers = len(self.labels), Number().convert(pl.Series(list(self.labels), dtype=pl.String))
        few = self.collecting and (K <= MAX_FEW_CLASSES or self.n >= MIN_ROWS_PER_CLASS * K)
        whole = K <= MAX_NUMERIC_CLASSES and not has_fraction(numbers)
        if self.task == "classification" or (few and (numbers.count() == 0 or whole)):
            return "classification"
        found = "numbers and text"
        if self.numeric or not (numbers.count() or self.fractional):
            kind = "whole numbers" if self.numeric else "texts"
            many = f"{K:,}" if self.collecting else f"more than {MAX_CLASSES:,}"
            found = f"{many} different {kind} in {self.n:,} rows"
        raise ValueError(f"{self.where} holds {found}; choose --task classification or --task regression")

    def classes(self) -> list[str]:
        """Return the labels of at least two classes."""
        names = in_order(self.labels)
        if len(names) < 2:
            raise ValueError(f"{self.where} has one class, {names[0]!r}; 2 are needed")
        return names


def in_order(names: Iterable[str]) -> list[str]:
    """Sort labels by value if all are numbers, else alphabetically."""
    names = sorted(names)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def has_fraction(numbers: pl.Series) -> bool:
    """Whether some number is not whole."""
    return bool((numbers != numbers.floor()).any())
