"""Tables in any file format: named columns, and rows read in chunks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from reprlib import repr as short_repr  # a cell may be of any length
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from cbackprop.command import remedies
from cbackprop.command.text import abbreviate

CHUNK_ROWS = 65_536
CHUNK_VALUES = 2**22  # 32 MiB of float64, however wide the table
MAX_REASON = 500  # characters: that of Polars may quote the rest of a line
MAX_LABEL = 1000  # bytes: a chunk of longer ones, which compress well in a file, could take any amount of memory

Levels = Mapping[str, Sequence[str] | None]  # the categories of each column, None where all are accepted


class Rows(NamedTuple):
    """Successive rows as they are in a file."""

    x: np.ndarray  # float64 (n, D); NaN where a value is missing or no number
    others: pl.DataFrame  # columns of any type; null or NaN where a value is missing
    broken: np.ndarray | None = None  # mask of the rows that cannot be read
    sparse: Any = None  # inputs without a column: a CSR array of float32


class Chunk(NamedTuple):
    """The good ones of successive rows."""

    x: np.ndarray  # float64 (n, D)
    targets: pl.Series  # labels as text, or numbers
    categories: pl.DataFrame  # text
    good: np.ndarray  # mask of these n rows among those that were read
    sparse: Any = None  # inputs without a column: a CSR array of float32


class Table(ABC):
    """A file of named columns; rows are read on demand.

    A row is bad if a value is missing or not finite, its label or a category is unknown, its target is not the number
    that is needed, or it has more fields than there are columns. A bad row raises, or is skipped and counted.
    """

    target: str | None = None  # the name of the target if the format tells which number it is

    def __init__(self, path: str, columns: Sequence[str]) -> None:
        self.path = path  # as messages name it
        self.columns = list(columns)
        self.for_training = False  # the command can still choose what a column is
        self.skip_bad_rows = False
        self.skipped = 0  # in the latest pass
        self.first_error = ""  # of the latest pass that skipped rows
        self.on_read: Callable[[int], object] = lambda n: None  # is told how many rows were read in this pass

    def require(self, columns: Sequence[str]) -> None:
        """Raise if the file lacks a column."""
        known = set(self.columns)
        if missing := [column for column in columns if column not in known]:
            found = f"no column {abbreviate(missing)}; it has {abbreviate(self.columns)}"
            raise ValueError(f"{self.path}: {found}{self.header_remedy()}")

    def header_remedy(self) -> str:
        """Tell how to read a table whose names do not look like those of columns."""
        return ""

    def text_columns(self) -> list[str]:
        """Return the columns that hold text, as far as is known before reading all rows."""
        return []

    def chunks(
        self,
        features: Sequence[str],
        target: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        numeric: bool = False,
        categories: Levels | None = None,
        texts: Sequence[str] = (),
    ) -> Iterator[Chunk]:
        """Yield the good rows of each part of the table; without a target column, the targets are empty.

        Targets are labels among `classes` if given, finite float64 numbers if `numeric`, else text or numbers as in the
        file. A missing value is bad among `categories`, and empty text among `texts`.
        """
        categories = categories or {}
        targets = [] if target is None else [target]
        convert = as_numbers if numeric else present if classes is None else as_labels
        width = len(features) + len(texts)
        width += sum(1 if levels is None else len(levels) for levels in categories.values())
        size = max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(1, width)))
        start = self.skipped = 0
        for x, others, broken, sparse in self.read(features, [*targets, *categories, *texts], size):
            with error_context(self.path):  # Polars cannot convert all types
                columns = [as_labels(others[column]) for column in categories]
                text = pl.DataFrame(columns + [as_labels(others[column]).fill_null("") for column in texts])
                t = pl.Series([], dtype=pl.String) if target is None else convert(others[target])
            labels: list[tuple[pl.Series, Sequence[str] | None]] = [
                *((text[column], levels) for column, levels in categories.items()),
                *([] if target is None else [(t, classes)]),
            ]
            good = np.isfinite(x).all(axis=1)
            if broken is not None:
                good &= ~broken
            for values, levels in labels:
                self.check_lengths(values, start)
                good &= are_known(values, levels)
            if not good.all():
                if not (self.skip_bad_rows and self.skipped):
                    i = int(good.argmin())
                    numbers = [column for column, value in zip(features, x[i], strict=True) if not np.isfinite(value)]
                    unknown = {values.name: levels for values, levels in labels if not are_known(values[[i]], levels)}
                    is_broken = broken is not None and bool(broken[i])
                    self.first_error, remedy = self.describe_bad_row(start + i, is_broken, numbers, unknown)
                    if not self.skip_bad_rows:
                        raise ValueError(f"{self.first_error}; {remedy}")
                self.skipped += int((~good).sum())
                x, text = x[good], text.filter(pl.Series(good)) if text.width else text
                t = t if target is None else t.filter(pl.Series(good))
                sparse = None if sparse is None else sparse[good]
            start += len(good)
            self.on_read(start)
            yield Chunk(x, t, text, good, sparse)

    def check_lengths(self, values: pl.Series, start: int) -> None:
        """Raise for a text too long to be the name of a class or of a category."""
        if values.dtype != pl.String:
            return
        lengths = values.str.len_bytes()
        if (long := (lengths > MAX_LABEL).fill_null(False)).any():
            row = int(long.arg_max() or 0)
            found = f"{self.path}: row {start + row + 1}, column {values.name!r} holds a text of {lengths[row]:,} bytes"
            remedy = f"labels of classes and categories must have at most {MAX_LABEL:,} bytes"
            raise ValueError(f"{found}; {remedy}")

    def describe_bad_row(self, row: int, is_broken: bool, numbers: Sequence[str], unknown: Levels) -> tuple[str, str]:
        """Tell what is wrong with a row, and what to do about it; messages count rows from 1, below the header.

        Bad are the columns `numbers`, which hold inputs, and `unknown`, which hold labels or the target.
        """
        where = f"{self.path}: row {row + 1}"
        skip = remedies.SKIP if self.for_training else remedies.SKIP_PREDICTION
        if is_broken:
            return f"{where} {self.describe_broken_row(row)}", skip
        cells = dict(self.cells(row, [*numbers, *unknown]))
        column, cell = next(iter(cells.items()))
        where = f"{where}, column {column!r}"
        if cell is None or cell == "":
            return f"{where} has no value", skip
        if unknown.get(column) is not None:
            knower = "first pass did not find" if self.for_training else "model does not know"
            return f"{where} is {short_repr(cell)}, a value that the {knower}", skip
        if numbers and self.for_training:
            skip = remedies.for_cells({column: cells[column] for column in numbers})
        return f"{where} is {short_repr(cell)}; a finite number is needed", skip

    def describe_broken_row(self, row: int) -> str:
        """Tell why a row cannot be read."""
        return "has more fields than there are columns"

    @abstractmethod
    def read(self, features: Sequence[str], others: Sequence[str], size: int) -> Iterator[Rows]:
        """Yield `size` rows at a time: `features` as numbers, `others` as in the file."""

    @abstractmethod
    def cells(self, row: int, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield columns and their cells in a row, as stored in the file."""


def are_known(labels: pl.Series, levels: Sequence[str] | None) -> np.ndarray:
    """Mask of the labels that are not missing, and among `levels` if given."""
    known = labels.is_not_null() if levels is None else labels.is_in(levels).fill_null(False)
    return known.to_numpy()


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
def error_context(path: str) -> Iterator[None]:
    """Prefix errors with the file."""
    try:
        yield
    # a damaged file makes Polars, zipfile and their dependencies raise almost anything
    except (Exception, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        own = reason.startswith(f"{path}: ")
        raise ValueError(reason if own else f"{path}: {reason[:MAX_REASON]}") from error
