"""Tables: files of named columns, whose rows are read in chunks and checked."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from reprlib import repr as short_repr  # a cell may be of any length
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from cbackprop.command.messages import abbreviate

CHUNK_ROWS = 65_536
CHUNK_VALUES = 2**22  # 32 MiB of float64, however wide the table
BATCHES = 16  # per chunk; small ones, since Polars reads dozens of them ahead
MAX_LABEL = 1000  # bytes: a chunk of longer ones, which compress well in a file, could take any amount of memory
MAX_REASON = 500  # characters: that of Polars may quote the rest of a line
SAMPLE = 100  # rows that tell which columns of a CSV file hold text
MISSING = ("", "-", ".", "?", "n/a", "na", "nil", "none", "null")  # cells of a column of numbers, in any case
BOOLEANS = {"false": "0", "true": "1"}  # in any case

Levels = Mapping[str, Sequence[str] | None]  # the categories of each column, None where all are accepted


class Rows(NamedTuple):
    """Successive rows as they are in a file."""

    columns: pl.DataFrame  # of any type; null where a value is missing
    broken: np.ndarray  # mask of the rows that cannot be read
    sparse: Any = None  # inputs without a column: a CSR array of float32


class Chunk(NamedTuple):
    """The good ones of successive rows."""

    x: np.ndarray  # float64 (n, D)
    targets: pl.Series  # text, or float64
    texts: pl.DataFrame  # of categories and other text
    good: np.ndarray  # mask of these n rows among those that were read
    sparse: Any = None


class Table:
    """A file of named columns; rows are read on demand.

    A row is bad if a number is missing or not finite, a label or a category is missing, unknown or too long, or the row
    cannot be read. A bad row raises, or is skipped and counted.
    """

    target: str | None = None  # the name of the target if the format tells which number it is
    broken = " has more fields than there are columns"

    def __init__(
        self, name: str, file: Path, rows: pl.LazyFrame, columns: list[str], texts: list[str], surplus: str = ""
    ) -> None:
        self.name = name  # in messages
        self.file, self.rows, self.columns = file, rows, columns
        self.texts = texts  # columns that hold text, as far as is known before reading all rows
        self.surplus = surplus  # a column that collects surplus fields
        self.skip_bad_rows, self.remedy, self.text_remedy = False, "", ""
        self.skipped = 0  # in the latest pass
        self.first_error = ""  # of the latest pass with bad rows
        self.on_read: Callable[[int], object] = lambda n: None  # is told how many rows were read in this pass

    def require(self, columns: Sequence[str]) -> None:
        """Raise if the file lacks a column."""
        known = set(self.columns)
        if missing := [column for column in columns if column not in known]:
            raise ValueError(f"{self.name}: no column {abbreviate(missing)}; it has {abbreviate(self.columns)}")

    def read(self, columns: Sequence[str], size: int) -> Iterator[Rows]:
        """Yield `size` rows at a time."""
        # in the order of the file: reordering costs Polars half as much memory again
        wanted = {*columns, self.surplus}
        rows = self.rows.select([column for column in (*self.columns, self.surplus) if column in wanted and column])
        batches = iter(rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"))
        while parts := list(islice(batches, BATCHES)):
            frame = pl.concat(parts)
            broken = frame[self.surplus].is_not_null().to_numpy() if self.surplus else np.zeros(len(frame), bool)
            yield Rows(frame, broken)

    def chunks(
        self,
        numbers: Sequence[str] = (),
        target: str | None = None,
        *,
        classes: Sequence[str] | None = None,
        numeric: bool = False,
        categories: Levels | None = None,
        texts: Sequence[str] = (),
    ) -> Iterator[Chunk]:
        """Yield the good rows of each part of the table; without a target column, the targets are empty.

        Targets are finite float64 numbers if `numeric`, else text, among `classes` if given. A missing value is bad
        among `categories`, and empty text among `texts`.
        """
        levels: dict[str, Sequence[str] | None] = {**(categories or {})}
        width = len(numbers) + len(texts) + sum(1 if names is None else len(names) for names in levels.values())
        size = max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(1, width)))
        convert = as_numbers if numeric else as_labels
        targets = [] if target is None else [target]
        needed = dict.fromkeys([*numbers, *(targets if numeric else [])], "a finite number")
        start = self.skipped = 0
        with error_context(self.name):
            for frame, broken, sparse in self.read([*numbers, *targets, *levels, *texts], size):
                x = np.empty((len(frame), 0))
                if numbers:
                    floats = pl.DataFrame([to_floats(frame[column]) for column in numbers])
                    x = floats.to_numpy(order="c", writable=True)
                labels = [as_labels(frame[column]) for column in levels]
                text = pl.DataFrame([*labels, *(as_labels(frame[column]).fill_null("") for column in texts)])
                t = pl.Series([], dtype=pl.String) if target is None else convert(frame[target])
                known = {column: are_known(text[column], names) for column, names in levels.items()}
                if target is not None:
                    known[target] = are_known(t, classes)
                good = np.logical_and.reduce([np.isfinite(x).all(axis=1), ~broken, *known.values()])
                if not good.all():
                    if not (self.skip_bad_rows and self.skipped):
                        i = int(good.argmin())
                        bad = [column for column, value in zip(numbers, x[i], strict=True) if not np.isfinite(value)]
                        bad += [column for column, mask in known.items() if not mask[i]]
                        reason = self.broken if broken[i] else describe(frame[i, bad[0]], bad[0], needed)
                        self.first_error = f"row {start + i + 1}{reason}"  # counted from 1, below the header
                    if not self.skip_bad_rows:
                        hint = "" if broken[i] or bad[0] in known else self.text_remedy
                        raise ValueError(f"{self.first_error}; {hint}{self.remedy}")
                    self.skipped += int((~good).sum())
                    x, text = x[good], text.filter(pl.Series(good)) if text.width else text
                    t = t if target is None else t.filter(pl.Series(good))
                    sparse = None if sparse is None else sparse[good]
                start += len(good)
                self.on_read(start)
                yield Chunk(x, t, text, good, sparse)


def open_csv(name: str, file: Path, separator: str, *, header: bool) -> Table:
    """Open a CSV file, whose cells are text; which columns hold text and no numbers is seen in the first rows."""
    with error_context(name):
        scan = partial(pl.scan_csv, os.path.abspath(file), separator=separator, has_header=header, glob=False)
        columns = list(scan(infer_schema=False).collect_schema())
        if not header:
            columns = [f"column{i}" for i in range(1, len(columns) + 1)]
        surplus = "".join(columns) + "+"  # longer than any other name and so different from them
        schema = dict.fromkeys([*columns, surplus], pl.String)
        rows = scan(schema=schema, missing_columns="insert", truncate_ragged_lines=True)
        sample = rows.head(SAMPLE).collect()
        return Table(name, file, rows, columns, [column for column in columns if holds_text(sample[column])], surplus)


def open_parquet(name: str, file: Path) -> Table:
    """Open a Parquet file."""
    with error_context(name):
        rows = pl.scan_parquet(os.path.abspath(file), glob=False)  # absolute: Polars interprets a leading ~ and file:
        schema = rows.collect_schema()
        texts = [column for column, kind in schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)]
        return Table(name, file, rows, list(schema), texts)


def describe(cell: Any, column: str, needed: Mapping[str, str]) -> str:
    """Tell what is wrong with a cell, and what is needed in some columns."""
    where = f", column {column!r}"
    if cell is None or cell == "":
        return f"{where} has no value"
    if column not in needed and (size := len(str(cell).encode())) > MAX_LABEL:
        return f"{where} holds a text of {size:,} bytes; a label may have {MAX_LABEL:,}"
    return f"{where} is {short_repr(cell)}; {needed.get(column, 'a value that the training has seen')} is needed"


def are_known(values: pl.Series, levels: Sequence[str] | None) -> np.ndarray:
    """Mask of the values that are not missing, and among `levels` if given, or else no longer than a label may be."""
    known = values.is_not_null()
    if levels is not None:
        known &= values.is_in(levels)
    elif values.dtype == pl.String:
        known &= values.str.len_bytes() <= MAX_LABEL
    return known.to_numpy()


def as_labels(values: pl.Series) -> pl.Series:
    """Convert to text; NaN becomes null."""
    return (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.String)


def to_floats(values: pl.Series) -> pl.Series:
    """Convert to float64; what is no number becomes null. True and false are 1 and 0."""
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        values = values.cast(pl.String)
    numbers = values.cast(pl.Float64, strict=False)
    if values.dtype == pl.String and numbers.null_count() > values.null_count():
        text = values.str.strip_chars().str.to_lowercase().replace(BOOLEANS)
        numbers = text.cast(pl.Float64, strict=False)
    return numbers


def as_numbers(values: pl.Series) -> pl.Series:
    """Convert to float64; what is no finite number becomes null."""
    numbers = to_floats(values)
    return numbers.set(~numbers.is_finite(), None)


def holds_text(values: pl.Series) -> bool:
    """Whether some value is no number, or all are missing."""
    present = values.filter(~values.str.to_lowercase().is_in(MISSING))
    return to_floats(present).null_count() > 0 or present.is_empty()


@contextmanager
def error_context(name: str) -> Iterator[None]:
    """Prefix errors with the name of the file."""
    try:
        yield
    # a damaged file makes Polars and its dependencies raise almost anything
    except (Exception, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(f"{name}: {reason[:MAX_REASON]}") from error
