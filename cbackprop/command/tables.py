"""Tables in any file format: named columns, and rows read in chunks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short_repr  # a cell may be of any length
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command.text import abbreviate

CHUNK_ROWS = 65_536
CHUNK_VALUES = 2**22  # 32 MiB of float64, however wide the table
MAX_LABEL = 1000  # bytes: a chunk of longer ones, which compress well in a file, could take any amount of memory
LABELS_NEEDED = f"the target must be a column of numbers, or of class labels of at most {MAX_LABEL:,} bytes each"

Chunk = tuple[np.ndarray, pl.Series]  # inputs, float64 (n, D), and targets: labels as text, or numbers


class Table(ABC):
    """A file of named columns; rows are read on demand.

    A row is bad if a value is missing or not finite, its label is unknown, its target is not the number that is needed,
    or it has more fields than there are columns. A bad row raises, or is skipped and counted.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.skip_bad_rows = False
        self.skipped = 0  # in the latest pass
        self.first_error = ""  # of the latest pass that skipped rows

    def require(self, columns: Sequence[str]) -> None:
        """Raise if the file lacks a column."""
        known = set(self.columns)
        if missing := [column for column in columns if column not in known]:
            raise ValueError(f"{self.path}: no column {abbreviate(missing)}; it has {abbreviate(self.columns)}")

    def chunks(
        self,
        features: Sequence[str],
        target: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        numeric: bool = False,
    ) -> Iterator[Chunk]:
        """Yield inputs and targets of successive rows; without a target column, the targets are empty.

        Targets are labels among `classes` if given, finite float64 numbers if `numeric`, else text or numbers as in the
        file.
        """
        size = max(1, min(CHUNK_ROWS, CHUNK_VALUES // len(features)))
        start = self.skipped = 0
        for x, values in self.read(features, target, size):
            with error_context(self.path):  # Polars cannot convert all types
                targets = (
                    as_numbers(values) if numeric else as_labels(values) if classes is not None else present(values)
                )
            self.check_labels(targets, start, target)
            good = np.asarray(np.isfinite(x).all(axis=1))
            if target is not None:
                known = targets.is_not_null() if classes is None else targets.is_in(classes).fill_null(False)
                good &= known.to_numpy()
            end = start + len(x)
            if not good.all():
                if not (self.skip_bad_rows and self.skipped):
                    i = int(good.argmin())
                    self.first_error = self.describe_bad_row(start + i, features, x[i], target, targets[i : i + 1])
                if not self.skip_bad_rows:
                    raise ValueError(self.first_error)
                if not self.skipped and (row := self.find_multiline_row(features, target)) is not None:
                    raise ValueError(f"{self.path}: row {row + 1} has a cell of several lines; is a quote missing?")
                self.skipped += int((~good).sum())
                x, targets = x[good], targets if target is None else targets.filter(pl.Series(good))
            start = end
            if len(x):
                yield x, targets

    def check_labels(self, targets: pl.Series, start: int, target: str | None) -> None:
        """Raise for a text too long to be the name of a class."""
        if targets.dtype != pl.String:
            return
        lengths = targets.str.len_bytes()
        if (long := (lengths > MAX_LABEL).fill_null(False)).any():
            row = int(long.arg_max() or 0)
            found = f"{self.path}: row {start + row + 1}, column {target!r} holds a text of {lengths[row]:,} bytes"
            raise ValueError(f"{found}; {LABELS_NEEDED}")

    def describe_bad_row(
        self, row: int, features: Sequence[str], x: np.ndarray, target: str | None, label: pl.Series
    ) -> str:
        """Explain what is wrong with a row; messages count rows from 1, below the header."""
        where = f"{self.path}: row {row + 1}"
        if self.has_surplus_fields(row):
            return f"{where} has more fields than the header"
        if label.is_not_null().any() and np.isfinite(x).all():
            return f"{where}, column {target!r} is {short_repr(label[0])}, a label that the first pass did not find"
        column = target if np.isfinite(x).all() else features[int(np.isfinite(x).argmin())]
        cell = self.cell(row, str(column))
        problem = "has no value" if cell is None or cell == "" else f"is {short_repr(cell)}; a finite number is needed"
        return f"{where}, column {column!r} {problem}"

    def has_surplus_fields(self, row: int) -> bool:
        """Whether a row has more fields than there are columns; its inputs are NaN then."""
        return False

    def find_multiline_row(self, features: Sequence[str], target: str | None) -> int | None:
        """Find a bad row that contains others, which would be skipped without being counted."""
        return None

    @abstractmethod
    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time; missing and non-numeric inputs are NaN, missing targets are null or NaN."""

    @abstractmethod
    def cell(self, row: int, column: str) -> Any:
        """Return a single cell as stored in the file."""


def present(values: pl.Series) -> pl.Series:
    """Convert targets to text unless they are numbers; NaN becomes null."""
    if not values.dtype.is_numeric():
        return values.cast(pl.String)
    return values.fill_nan(None) if values.dtype.is_float() else values


def as_labels(values: pl.Series) -> pl.Series:
    """Convert targets to text; NaN becomes null."""
    return present(values).cast(pl.String)


def as_numbers(values: pl.Series) -> pl.Series:
    """Convert targets to float64; what is not a finite number becomes null."""
    values = present(values)
    if values.dtype == pl.String:
        values = values.str.strip_chars()
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None)


@contextmanager
def error_context(path: Path, location: Callable[[], str] = str) -> Iterator[None]:
    """Prefix errors with the file, and with the location in it."""
    try:
        yield
    # a damaged file makes Polars, zipfile and their dependencies raise almost anything
    except (Exception, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(reason if reason.startswith(f"{path}: ") else f"{path}: {location()}{reason}") from error
