"""CSV and Parquet files as tables, streamed by Polars."""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command import remedies
from cbackprop.command.lines import GZIP, MAX_LINE, ZSTANDARD, check_lines
from cbackprop.command.tables import Rows, Table, error_context
from cbackprop.command.text import abbreviate

BATCHES = 16  # per chunk; small ones, since Polars reads dozens of them ahead
SAMPLE_BYTES = 1 << 16
SAMPLE = 100  # rows that tell which columns of a CSV file may hold booleans
SEPARATORS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}  # as values of the option
BOOLEANS = {"false": 0.0, "true": 1.0}  # in any case


class StreamedTable(Table):
    """A file that Polars streams."""

    rows: pl.LazyFrame  # as in the file

    def read(self, features: Sequence[str], others: Sequence[str], size: int) -> Iterator[Rows]:
        with error_context(self.path):
            rows = self.with_numbers(features, others)
            batches = iter(rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"))
            while parts := list(islice(batches, BATCHES)):
                frame = pl.concat(parts)
                x = np.empty((len(frame), 0))
                if features:
                    x = frame.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c", writable=True)
                yield Rows(x, frame.select(others), self.find_surplus(frame))

    @abstractmethod
    def with_numbers(self, features: Sequence[str], others: Sequence[str]) -> pl.LazyFrame:
        """Return columns, of which `features` are numbers or booleans.

        They are in the order of the file: reordering costs Polars half as much memory again.
        """

    def find_surplus(self, frame: pl.DataFrame) -> np.ndarray | None:
        """Return the mask of rows that have more fields than there are columns."""
        return None

    def cells(self, row: int, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        with error_context(self.path):
            found = self.rows.select(columns).slice(row, 1).collect()
            yield from zip(columns, next(found.iter_rows(), [None] * len(columns)), strict=True)


class ParquetTable(StreamedTable):
    """A Parquet file."""

    def __init__(self, path: str, file: Path) -> None:
        with error_context(path):
            # absolute: Polars interprets a leading ~ and file:
            self.rows = pl.scan_parquet(os.path.abspath(file), glob=False)
            self.schema = self.rows.collect_schema()
        super().__init__(path, list(self.schema))

    def with_numbers(self, features: Sequence[str], others: Sequence[str]) -> pl.LazyFrame:
        for column in features:
            if not (self.schema[column].is_numeric() or self.schema[column] == pl.Boolean):
                found = f"{self.path}: column {column!r} holds {self.schema[column]}, not numbers"
                raise ValueError(f"{found}{self.type_remedy(features, column)}")
        wanted = {*features, *others}
        return self.rows.select([column for column in self.columns if column in wanted])

    def type_remedy(self, features: Sequence[str], column: str) -> str:
        """Tell how to train on a table with such a column."""
        texts = [name for name in self.text_columns() if name in features]
        if not self.for_training:
            return ""
        if self.schema[column].is_temporal():
            return f"; {remedies.DATE}"
        return f"; {remedies.for_text(texts) if column in texts else remedies.IGNORE}"

    def text_columns(self) -> list[str]:
        return [name for name, kind in self.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)]


class CsvTable(StreamedTable):
    """A CSV file, which may be compressed by gzip or Zstandard."""

    def __init__(
        self, path: str, file: Path, separator: str = ",", *, header: bool = True, max_line: int = MAX_LINE
    ) -> None:
        self.scan_file = partial(pl.scan_csv, os.path.abspath(file), separator=separator, has_header=header, glob=False)
        with error_context(path):
            check_line_ends(path, file)
            check_lines(file, max_line, partial(count_rows, header=header))
            columns = list(self.scan_file(infer_schema=False).collect_schema())
            if "\ufffd" in "".join(columns):  # in place of invalid bytes
                raise ValueError("its header is not encoded in UTF-8")
            if header:
                check_duplicate_columns(path, self.scan_file, columns)
            else:
                columns = [f"column{i}" for i in range(1, len(columns) + 1)]
        super().__init__(path, columns)
        # collects the surplus fields of a row; the name is longer than any other and so differs from them
        self.surplus = "".join(columns) + "+"
        self.rows = self.scan({})
        with error_context(path):
            self.sample = (
                self.rows.head(SAMPLE).collect().select(self.columns).with_columns(pl.all().str.to_lowercase())
            )
        found = self.sample.select(pl.all().is_in(list(BOOLEANS)).any())
        self.booleans = [column for column in self.columns if found[column][0]]

    def text_columns(self) -> list[str]:
        present = pl.all().filter(~pl.all().is_in(remedies.NOT_FINITE))
        numbers = present.cast(pl.Float64, strict=False).is_not_null() | present.is_in(list(BOOLEANS))
        found = self.sample.select(numbers.all() & (numbers.len() > 0))
        return [column for column in self.columns if not found[column][0]]

    def with_numbers(self, features: Sequence[str], others: Sequence[str]) -> pl.LazyFrame:
        types: dict[str, Any] = dict.fromkeys(features, pl.Float64)
        booleans = [column for column in self.booleans if column in types]
        rows = self.scan(types | dict.fromkeys(booleans, pl.String))
        if booleans:
            text = pl.col(booleans)
            numbers = text.cast(pl.Float64, strict=False)
            rows = rows.with_columns(text.str.to_lowercase().replace_strict(BOOLEANS, default=numbers))
        wanted = {*features, *others, self.surplus}
        return rows.select([column for column in (*self.columns, self.surplus) if column in wanted])

    def scan(self, types: dict[str, Any]) -> pl.LazyFrame:
        """Return all rows as text, except for `types`; cells that are not of their type are null."""
        return self.scan_file(
            schema=dict.fromkeys([*self.columns, self.surplus], pl.String) | types,
            missing_columns="insert",
            truncate_ragged_lines=True,
            ignore_errors=True,
        )

    def find_surplus(self, frame: pl.DataFrame) -> np.ndarray | None:
        return frame[self.surplus].is_not_null().to_numpy()

    def header_remedy(self) -> str:
        if len(self.columns) == 1:
            for separator, option in SEPARATORS.items():
                if separator in self.columns[0]:
                    return f"; if {option} separates its columns: --separator {option}"
        return remedies.for_header(self.columns)


def check_line_ends(path: str, file: Path) -> None:
    """Raise for lines that end in CR, which Polars takes for a header."""
    with file.open("rb") as stream:
        start = stream.read(SAMPLE_BYTES)
    if b"\r" in start and b"\n" not in start and not start.startswith((GZIP, ZSTANDARD)):
        raise ValueError(f"{path}: its lines end in CR; LF or CRLF is needed")


def count_rows(lines: Iterable[bytes], *, header: bool) -> int:
    """Count the complete rows in lines of a CSV file; -1 if even its header is not complete."""
    rows, quoted = 0, False
    for line in lines:
        quoted ^= line.count(b'"') % 2 == 1
        is_row = not header or rows or line.strip()  # Polars skips empty lines before the header
        rows += bool(is_row and not quoted)
    return rows - header


def check_duplicate_columns(path: str, scan_file: Callable[..., pl.LazyFrame], columns: list[str]) -> None:
    """Raise for duplicate columns, which Polars renames."""
    originals = {column: column.rpartition("_duplicated_")[0] for column in columns if "_duplicated_" in column}
    known = set(columns)
    if renamed := [column for column, name in originals.items() if name in known]:
        header = scan_file(has_header=False, n_rows=1, infer_schema=False, truncate_ragged_lines=True).collect()
        names = set(header.row(0))
        if duplicates := [originals[column] for column in renamed if column not in names]:
            found = f"{path}: duplicate columns {abbreviate(duplicates)}; names must be unique"
            raise ValueError(f"{found}{remedies.for_header(duplicates)}")
