"""What a table is, whatever the file: columns by name, and rows a chunk at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as brief  # a cell may be of any length
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command.common import few

CHUNK_ROWS = 65_536
CHUNK_NUMBERS = 2**22  # 32 MiB of float64, however wide the table

Chunk = tuple[np.ndarray, pl.Series]  # inputs, float64 (n, D), and labels as text


class Table(ABC):
    """A file of named columns; nothing is read until rows are asked for.

    A bad row, with a value missing or not finite, an unknown label, or more fields than columns, is an error, or is
    skipped and counted.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.skip_bad_rows = False
        self.skipped = 0  # in the latest pass, and the fault of the first of them
        self.first_fault = ""

    def require(self, columns: Sequence[str]) -> None:
        """Refuse columns that the file does not have."""
        if missing := [column for column in columns if column not in self.columns]:
            raise ValueError(f"{self.path}: no column {few(missing)}; it has {few(self.columns)}")

    def chunks(
        self, features: Sequence[str], target: str | None = None, classes: Sequence[str] | None = None
    ) -> Iterator[Chunk]:
        """Yield the inputs and labels of successive rows; without a target, no labels."""
        size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // len(features)))
        start = self.skipped = 0
        for x, labels in self.read(features, target, size):
            good = np.asarray(np.isfinite(x).all(axis=1))
            if target is not None:
                good &= (labels.is_not_null() if classes is None else labels.is_in(classes).fill_null(False)).to_numpy()
            start += len(x)
            if not good.all():
                bad = int(good.argmin())
                if not (self.skip_bad_rows and self.skipped):
                    self.first_fault = self.fault(start - len(x) + bad, features, x[bad], target, labels[bad : bad + 1])
                if not self.skip_bad_rows:
                    raise ValueError(self.first_fault)
                if not self.skipped and (row := self.row_with_lines(features, target)) is not None:
                    raise ValueError(f"{self.path}: row {row + 1} has a cell of many lines; is a quote missing?")
                self.skipped += int((~good).sum())
                x, labels = x[good], labels if target is None else labels.filter(pl.Series(good))
            if len(x):
                yield x, labels

    def fault(self, row: int, features: Sequence[str], x: np.ndarray, target: str | None, label: pl.Series) -> str:
        """Say what is wrong with a row; rows count from 1 below the header."""
        where = f"{self.path}: row {row + 1}"
        if self.is_too_long(row):
            return f"{where} has more fields than the header"
        if label.is_not_null().any() and np.isfinite(x).all():
            return f"{where}, column {target!r} is {brief(label[0])}; there was no such label before"
        column = target if np.isfinite(x).all() else features[int(np.isfinite(x).argmin())]
        cell = self.cell(row, str(column))
        wrong = "has no value" if cell is None or cell == "" else f"is {brief(cell)}; a finite number is needed"
        return f"{where}, column {column!r} {wrong}"

    def is_too_long(self, row: int) -> bool:
        """Whether a row, whose inputs are NaN for it, has more fields than there are columns."""
        return False

    def row_with_lines(self, features: Sequence[str], target: str | None) -> int | None:
        """Find a bad row that has others in it, which would be skipped without being counted."""
        return None

    @abstractmethod
    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time; what is missing or no number is NaN in the inputs and null in the labels."""

    @abstractmethod
    def cell(self, row: int, column: str) -> Any:
        """Look up one cell as it stands in the file."""


def as_labels(values: pl.Series) -> pl.Series:
    """Labels as text; one that is NaN is null."""
    return (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.String)


@contextmanager
def naming(path: Path, where: Callable[[], str] = str) -> Iterator[None]:
    """Say which file it was that could not be read, and where in it."""
    try:
        yield
    # a damaged file may make Polars, zipfile and what they use raise almost anything
    except (Exception, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(reason if reason.startswith(f"{path}: ") else f"{path}: {where()}{reason}") from error
