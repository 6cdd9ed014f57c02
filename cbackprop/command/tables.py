"""Tables of any size: CSV, Parquet and NPZ files, read and written a chunk of rows at a time."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from cbackprop.command.common import few

CHUNK_ROWS = 65_536
CHUNK_NUMBERS = 2**22  # 32 MiB of float64, however wide the table
BATCHES = 16  # in a chunk: Polars reads some dozens ahead, so they are small

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
            return f"{where}, column {target!r} is {label[0]!r}; there was no such label before"
        column = target if np.isfinite(x).all() else features[int(np.isfinite(x).argmin())]
        cell = self.cell(row, str(column))
        wrong = "has no value" if cell is None or cell == "" else f"is {cell!r}; a finite number is needed"
        return f"{where}, column {column!r} {wrong}"

    def is_too_long(self, row: int) -> bool:
        """Whether a row, whose inputs are NaN for it, has more fields than there are columns."""
        return False

    @abstractmethod
    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time; what is missing or no number is NaN in the inputs and null in the labels."""

    @abstractmethod
    def cell(self, row: int, column: str) -> Any:
        """Look up one cell as it stands in the file."""


class StreamedTable(Table):
    """A CSV file with a header, or a Parquet file, streamed by Polars."""

    def __init__(self, path: Path) -> None:
        self.is_csv = path.suffix.lower() == ".csv"
        with naming(path):
            rows = pl.scan_csv(path, infer_schema=False, glob=False) if self.is_csv else pl.scan_parquet(path)
            self.schema = rows.collect_schema()
        super().__init__(path, list(self.schema))
        # a column of its own for what a CSV row has beyond the others; none of them has this name
        self.surplus = ["".join(self.columns) + "+"] if self.is_csv else []
        self.rows = self.scan({}) if self.is_csv else rows  # the cells of a CSV file as the text they are

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time, with NaN and null for gaps."""
        wanted = {*features, target, *self.surplus}
        # in the order of the file: Polars holds half as much again to reorder columns
        order = [column for column in (*self.columns, *self.surplus) if column in wanted]
        rows = self.with_numbers(features).select(order)
        with naming(self.path):
            batches = iter(rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"))
            while parts := list(islice(batches, BATCHES)):
                frame = pl.concat(parts)
                labels = pl.Series([], dtype=pl.String) if target is None else as_labels(frame[target])
                x = frame.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c", writable=True)
                for column in self.surplus:
                    x[frame[column].is_not_null().to_numpy()] = np.nan
                yield x, labels

    def with_numbers(self, features: Sequence[str]) -> pl.LazyFrame:
        """All rows, with `features` as numbers; text that is none becomes null."""
        if self.is_csv:
            return self.scan(dict.fromkeys(features, pl.Float64))
        for column in features:
            if not (self.schema[column].is_numeric() or self.schema[column] == pl.Boolean):
                raise ValueError(f"{self.path}: column {column!r} holds {self.schema[column]}, not numbers")
        return self.rows

    def scan(self, types: dict[str, Any]) -> pl.LazyFrame:
        """All rows of a CSV file, as text except for `types`."""
        schema = dict.fromkeys([*self.columns, *self.surplus], pl.String) | types
        return pl.scan_csv(
            self.path,
            schema=schema,
            missing_columns="insert",
            truncate_ragged_lines=True,
            ignore_errors=True,
            glob=False,
        )

    def is_too_long(self, row: int) -> bool:
        """Whether a row of a CSV file has more fields than the header."""
        return any(self.cell(row, column) is not None for column in self.surplus)

    def cell(self, row: int, column: str) -> Any:
        """Look up one cell as it stands in the file."""
        cells = self.rows.select(column).slice(row, 1).collect()[column]
        return cells[0] if len(cells) else None


def as_labels(values: pl.Series) -> pl.Series:
    """Labels as text; one that is NaN is null."""
    return (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.String)


def open_table(path: Path, *, skip_bad_rows: bool = False) -> Table:
    """Open a table by the ending of its name."""
    from cbackprop.command.npz import NpzTable

    kinds: dict[str, Callable[[Path], Table]] = {".csv": StreamedTable, ".parquet": StreamedTable, ".npz": NpzTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path}: the name must end in {', '.join(kinds)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    table = kinds[path.suffix.lower()](path)
    table.skip_bad_rows = skip_bad_rows
    return table


def write(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, Any]) -> None:
    """Write frames as they come to CSV or Parquet; the file appears when it is complete."""
    rows = register_io_source(lambda *_: frames(), schema=schema)
    part = path.with_name(path.name + ".part")
    try:
        if path.suffix.lower() == ".csv":
            rows.sink_csv(part)
        else:
            rows.sink_parquet(part)
        part.replace(path)
    finally:
        try:
            part.unlink(missing_ok=True)
        except KeyboardInterrupt:  # Python's own, that follows the one Polars has raised
            part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say which file it was that could not be read."""
    try:
        yield
    # zipfile raises NotImplementedError for archives that are encrypted or compressed in ways it does not know
    except (pl.exceptions.PolarsError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(f"{path}: {reason}") from error
