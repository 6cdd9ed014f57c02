"""The target column: classes or numbers, and what is known of them after a first pass over a table."""

from collections.abc import Iterable
from reprlib import repr as short_repr

import numpy as np
import polars as pl

from cbackprop.command.options import Task
from cbackprop.command.statistics import ColumnStatistics
from cbackprop.command.tables import as_numbers

MAX_CLASSES = 10_000  # bounds memory; a column with more distinct values is hardly categorical

# labels are classes if they are few, or if each has enough rows and, for whole numbers, they are not too many
MAX_FEW_CLASSES, MAX_NUMERIC_CLASSES, MIN_ROWS_PER_CLASS = 10, 1000, 10


class TargetColumn:
    """The values of the target column, read chunk by chunk.

    They are counted as long as they may be classes; their moments are updated as long as they may be quantities.
    """

    def __init__(self, where: str, task: Task | None) -> None:
        self.where, self.task = where, task
        self.n = 0
        self.counting = task is not Task.REGRESSION
        self.labels: set[str] = set()
        self.numeric = task is not Task.CLASSIFICATION
        self.statistics = ColumnStatistics(1)  # of training rows
        self.fractional = False  # some number is not whole
        self.text = ""  # the first value that is not a number

    def update(self, labels: pl.Series, training: np.ndarray) -> None:
        """Take in the labels of a chunk, or numbers, and which of its rows are for training."""
        self.n += len(labels)
        if self.numeric:
            numbers = as_numbers(labels)
            if numbers.null_count():
                self.numeric, self.text = False, labels.filter(numbers.is_null())[0]
            else:
                self.statistics.update(numbers.to_numpy()[training, np.newaxis])
                self.fractional = self.fractional or has_fraction(numbers)
                self.counting = self.counting and not self.fractional
        if self.counting:
            self.labels.update(labels.unique())
            if len(self.labels) > MAX_CLASSES:
                self.counting = False
                if self.task is Task.CLASSIFICATION or not (self.numeric or self._numbers().count()):
                    found = f"{self.where} has more than {MAX_CLASSES:,} distinct values"
                    raise ValueError(f"{found}; the target must be a column of class labels")

    def _numbers(self) -> pl.Series:
        """Return the labels as numbers; null for text."""
        return as_numbers(pl.Series(list(self.labels), dtype=pl.String))

    def decide(self) -> Task:
        """Tell regression from classification; raise if the values may be either."""
        if self.task is Task.REGRESSION or (self.numeric and self.fractional):
            if self.statistics.minimum == self.statistics.maximum:
                found = f"{self.where} has one value in the training rows, {self.statistics.minimum[0]:g}"
                raise ValueError(f"{found}; a regression needs 2")
            return Task.REGRESSION
        if self.task is Task.CLASSIFICATION:
            return self.task
        K, n, numbers = len(self.labels), self.n, self._numbers()
        typical = self.counting and (K <= MAX_FEW_CLASSES or n >= MIN_ROWS_PER_CLASS * K)
        all_text = numbers.count() == 0
        if typical and (all_text or (K <= MAX_NUMERIC_CLASSES and not has_fraction(numbers))):
            return Task.CLASSIFICATION
        if self.counting and all_text:
            found = f"holds {K:,} different texts in {n:,} rows, fewer than {MIN_ROWS_PER_CLASS} of each"
            remedy = "choose --task classification to learn them"
        elif self.numeric:
            many = f"{K:,}" if self.counting else f"more than {MAX_CLASSES:,}"
            found = f"holds {many} different whole numbers in {n:,} rows"
            remedy = "choose --task classification or --task regression"
        else:
            found = f"holds numbers and {short_repr(self.text)}"
            remedy = "choose --task classification, or --task regression, which needs numbers only"
        raise ValueError(f"{self.where} {found}; {remedy}")

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
