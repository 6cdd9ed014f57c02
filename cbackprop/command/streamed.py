"""CSV and Parquet files as tables, streamed by Polars."""

import csv
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command.common import few
from cbackprop.command.tables import Chunk, Table, as_labels, naming

BATCHES = 16  # in a chunk: Polars reads some dozens ahead, so they are small


class StreamedTable(Table):
    """A CSV file with a header, or a Parquet file, streamed by Polars."""

    def __init__(self, path: Path) -> None:
        self.is_csv = path.suffix.lower() == ".csv"
        with naming(path):
            scan = partial(pl.scan_csv, infer_schema=False) if self.is_csv else pl.scan_parquet
            self.file = os.path.abspath(path)  # Polars takes ~ and file: at the beginning for more than a name
            rows = scan(self.file, glob=False)
            self.schema = rows.collect_schema()
            if self.is_csv:
                refuse_columns_twice(path, self.file, list(self.schema))
        super().__init__(path, list(self.schema))
        # a column of its own for what a CSV row has beyond the others; none of them has this name
        self.surplus = ["".join(self.columns) + "+"] if self.is_csv else []
        self.rows = self.scan({}) if self.is_csv else rows  # the cells of a CSV file as the text they are
        self.has_no_lines = not self.is_csv  # within bad rows, as far as is known

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time, with NaN and null for gaps."""
        wanted = {*features, target, *self.surplus}
        # in the order of the file: Polars holds half as much again to reorder columns
        order = [column for column in (*self.columns, *self.surplus) if column in wanted]
        rows = self.with_numbers(features).select(order)
        with naming(self.path, self.place):
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
            self.file,
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
        with naming(self.path, self.place):
            cells = self.rows.select(column).slice(row, 1).collect()[column]
        return cells[0] if len(cells) else None

    def row_with_lines(self, features: Sequence[str], target: str | None) -> int | None:
        """Find what a stray quote leaves of a CSV file: a number that is many lines, or many lines and gaps."""
        if self.has_no_lines:
            return None
        has_lines = pl.all().str.contains("\n", literal=True)
        lines_for_number = pl.col(*features, *self.surplus).str.contains("\n", literal=True)
        has_gap = pl.any_horizontal(pl.col([*features, *filter(None, [target])]).is_null())
        broken = pl.any_horizontal(lines_for_number) | (has_gap & pl.any_horizontal(has_lines))
        with naming(self.path, self.place):
            found = self.rows.select(broken=broken).with_row_index("row").filter("broken").head(1)
            rows = found.collect(engine="streaming")["row"]
        self.has_no_lines = rows.is_empty()
        return None if self.has_no_lines else int(rows[0])

    def place(self) -> str:
        """Where Polars, which does not tell, may have found a CSV file damaged."""
        row = damaged_row(self.path) if self.is_csv else None
        return "" if row is None else f"row {row}: "


def refuse_columns_twice(path: Path, file: str, columns: list[str]) -> None:
    """Refuse a column that Polars has given another name, as there was one of its name before."""
    before = {column: column.rpartition("_duplicated_")[0] for column in columns if "_duplicated_" in column}
    if renamed := [column for column, name in before.items() if name in columns]:
        header = pl.read_csv(
            file, has_header=False, n_rows=1, infer_schema=False, truncate_ragged_lines=True, glob=False
        )
        if twice := [before[column] for column in renamed if column not in header.row(0)]:
            raise ValueError(f"{path}: two columns are named {few(twice)}")


def damaged_row(path: Path) -> int | None:
    """Find the first row of a CSV file that is not UTF-8 or has a quote too many or too few."""
    row = -1
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            for row, cells in enumerate(rows):  # noqa: B007
                "".join(cells).encode()
        except UnicodeEncodeError:
            return row
        except csv.Error:
            return row + 1
    return None
