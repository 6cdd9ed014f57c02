"""Tables of any size: CSV, Parquet and NPZ files, read and written a chunk of rows at a time."""

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
    """A file of named columns; nothing is read until rows are asked for."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)

    def require(self, columns: Sequence[str]) -> None:
        """Refuse columns that the file does not have."""
        if missing := [column for column in columns if column not in self.columns]:
            raise ValueError(f"{self.path}: no column {few(missing)}; it has {few(self.columns)}")

    def chunks(self, features: Sequence[str], target: str | None = None) -> Iterator[Chunk]:
        """Yield the inputs and labels of successive rows; without a target, no labels."""
        size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // len(features)))
        start = 0
        for x, labels in self.read(features, target, size):
            finite = np.isfinite(x)
            if not finite.all():
                row, column = (int(i) for i in np.argwhere(~finite)[0])
                raise ValueError(self.fault(start + row, features[column]))
            if target is not None and labels.has_nulls():
                raise ValueError(self.fault(start + int(labels.is_null().to_numpy().argmax()), target))
            yield x, labels
            start += len(x)

    def fault(self, row: int, column: str) -> str:
        """Say what is wrong with a cell; rows count from 1 below the header."""
        cell = self.cell(row, column)
        wrong = "has no value" if cell is None or cell == "" else f"is {cell!r}; a finite number is needed"
        return f"{self.path}: row {row + 1}, column {column!r} {wrong}"

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
        with naming(path):  # the cells of a CSV file as the text they are
            self.rows = pl.scan_csv(path, infer_schema=False, glob=False) if self.is_csv else pl.scan_parquet(path)
            self.schema = self.rows.collect_schema()
        super().__init__(path, list(self.schema))

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time, with NaN and null for gaps."""
        wanted = {*features, target}
        # in the order of the file: Polars holds half as much again to reorder columns
        rows = self.with_numbers(features).select(column for column in self.columns if column in wanted)
        with naming(self.path):
            batches = iter(rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"))
            while parts := list(islice(batches, BATCHES)):
                frame = pl.concat(parts)
                labels = pl.Series([], dtype=pl.String) if target is None else as_labels(frame[target])
                yield frame.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c"), labels

    def with_numbers(self, features: Sequence[str]) -> pl.LazyFrame:
        """All rows, with `features` as numbers; text that is none becomes null."""
        if self.is_csv:
            schema = {column: pl.Float64 if column in set(features) else pl.String for column in self.columns}
            return pl.scan_csv(self.path, schema=schema, ignore_errors=True, glob=False)
        for column in features:
            if not (self.schema[column].is_numeric() or self.schema[column] == pl.Boolean):
                raise ValueError(f"{self.path}: column {column!r} holds {self.schema[column]}, not numbers")
        return self.rows

    def cell(self, row: int, column: str) -> Any:
        """Look up one cell as it stands in the file."""
        cells = self.rows.select(column).slice(row, 1).collect()[column]
        return cells[0] if len(cells) else None


def as_labels(values: pl.Series) -> pl.Series:
    """Labels as text; one that is NaN is null."""
    return (values.fill_nan(None) if values.dtype.is_float() else values).cast(pl.String)


def open_table(path: Path) -> Table:
    """Open a table by the ending of its name."""
    from cbackprop.command.npz import NpzTable

    kinds: dict[str, Callable[[Path], Table]] = {".csv": StreamedTable, ".parquet": StreamedTable, ".npz": NpzTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path}: the name must end in {', '.join(kinds)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    return kinds[path.suffix.lower()](path)


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
    """Say which file it was that Polars could not read."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(f"{path}: {reason}") from error
