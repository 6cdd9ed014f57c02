"""The target column: classes or numbers, and what is known of them after a first pass over a table."""

from collections import Counter
from reprlib import repr as short_repr
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop.command.inputs import in_order, label_checksum
from cbackprop.command.options import Task
from cbackprop.command.scaling import ColumnStatistics
from cbackprop.command.tables import as_labels, as_numbers

MAX_CLASSES = 10_000  # bounds memory; a column with more distinct values is hardly categorical

# Labels are classes if they are few, or if each has enough rows and, for whole numbers, they are not too many.
FEW, MANY, ENOUGH_ROWS = 10, 1000, 10


class TargetColumn:
    """The values of the target column, read chunk by chunk.

    They are counted as long as they may be classes; their moments are updated as long as they may be quantities.
    """

    def __init__(self, path: str, name: str, task: Task | None) -> None:
        self.where, self.task = f"{path}: column {name!r}", task
        self.n = 0
        self.counting = task is not Task.REGRESSION
        self.counts: Counter[str] = Counter()
        self.numeric = task is not Task.CLASSIFICATION
        self.statistics = ColumnStatistics(1)  # of training rows
        self.fractional = False  # some number is not whole
        self.text = ""  # the first value that is not a number
        self.checksums = dict.fromkeys(Task, 0)  # running sums do not depend on the chunk size

    def update(self, values: pl.Series, training: np.ndarray) -> None:
        """Take in the values of a chunk, and which of its rows are for training."""
        self.n += len(values)
        if self.numeric:
            self._update_numbers(values, training)
        if self.counting:
            self._count(as_labels(values))

    def _update_numbers(self, values: pl.Series, training: np.ndarray) -> None:
        numbers = as_numbers(values)
        if numbers.null_count():
            self.numeric, self.text = False, str(values.filter(numbers.is_null())[0])
            return
        t = numbers.to_numpy()
        self.checksums[Task.REGRESSION] = crc32(t.data, self.checksums[Task.REGRESSION])
        self.statistics.update(t[training, np.newaxis])
        self.fractional = self.fractional or has_fraction(numbers)
        self.counting = self.counting and not self.fractional

    def _count(self, labels: pl.Series) -> None:
        self.checksums[Task.CLASSIFICATION] = label_checksum(labels, self.checksums[Task.CLASSIFICATION])
        self.counts.update(dict(labels.value_counts().iter_rows()))
        if len(self.counts) > MAX_CLASSES:
            self.counting = False
            if self.task is Task.CLASSIFICATION or not (self.numeric or self._numbers().count()):
                found = f"{self.where} has more than {MAX_CLASSES:,} distinct values"
                raise ValueError(f"{found}; the target must be a column of class labels")

    def _numbers(self) -> pl.Series:
        """Return what was counted as numbers; null for text."""
        return as_numbers(pl.Series(list(self.counts), dtype=pl.String))

    def decide(self) -> Task:
        """Tell regression from classification; raise if the values may be either."""
        if self.task is Task.REGRESSION or (self.numeric and self.fractional):
            if self.statistics.minimum == self.statistics.maximum:
                found = f"{self.where} has one value in the training rows, {self.statistics.minimum[0]:g}"
                raise ValueError(f"{found}; a regression needs 2")
            return Task.REGRESSION
        if self.task is Task.CLASSIFICATION:
            return self.task
        K, numbers = len(self.counts), self._numbers()
        typical = K <= FEW or self.n >= ENOUGH_ROWS * K
        if self.counting and numbers.count() == 0:
            if typical:
                return Task.CLASSIFICATION
            found = f"{self.where} holds {K:,} different texts in {self.n:,} rows, fewer than {ENOUGH_ROWS} of each"
            raise ValueError(f"{found}; choose --task classification to learn them")
        if self.counting and typical and K <= MANY and not has_fraction(numbers):
            return Task.CLASSIFICATION
        if self.numeric:
            many = f"{K:,}" if self.counting else f"more than {MAX_CLASSES:,}"
            found = f"{self.where} holds {many} different whole numbers in {self.n:,} rows"
            raise ValueError(f"{found}; choose --task classification or --task regression")
        found = f"{self.where} holds numbers and {short_repr(self.text)}"
        raise ValueError(f"{found}; choose --task classification, or --task regression, which needs numbers only")

    def classes(self) -> list[str]:
        """Return the labels of at least two classes, sorted by value if all are numbers, else alphabetically."""
        names = in_order(self.counts)
        if len(names) < 2:
            raise ValueError(f"{self.where} has one class, {names[0]!r}; 2 are needed")
        return names


def has_fraction(numbers: pl.Series) -> bool:
    """Whether some number is not whole."""
    return bool((numbers != numbers.floor()).any())
