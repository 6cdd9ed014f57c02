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

from cbackprop.command.tables import Chunk, Table, error_context
from cbackprop.command.text import abbreviate

BATCHES = 16  # per chunk; small ones, since Polars reads dozens of them ahead


class StreamedTable(Table):
    """A CSV file with a header, or a Parquet file, streamed by Polars."""

    def __init__(self, path: Path) -> None:
        self.is_csv = path.suffix.lower() == ".csv"
        with error_context(path):
            scan_file = partial(pl.scan_csv, infer_schema=False) if self.is_csv else pl.scan_parquet
            self.file = os.path.abspath(path)  # absolute: Polars interprets a leading ~ and file:
            rows = scan_file(self.file, glob=False)
            self.schema = rows.collect_schema()
            if self.is_csv:
                check_duplicate_columns(path, self.file, list(self.schema))
        super().__init__(path, list(self.schema))
        # collects surplus fields of a CSV row; the name is longer than any other and so differs from them
        self.surplus = ["".join(self.columns) + "+"] if self.is_csv else []
        self.rows = self.scan({}) if self.is_csv else rows  # CSV cells as text
        self.no_multiline = not self.is_csv  # no bad row is known to contain others

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        wanted = {*features, target, *self.surplus}
        # in file order: reordering columns costs Polars half as much memory again
        order = [column for column in (*self.columns, *self.surplus) if column in wanted]
        rows = self.with_numbers(features).select(order)
        with error_context(self.path, self.locate_damage):
            batches = iter(rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"))
            while parts := list(islice(batches, BATCHES)):
                frame = pl.concat(parts)
                targets = pl.Series([], dtype=pl.String) if target is None else frame[target]
                x = frame.select(pl.col(features).cast(pl.Float64)).to_numpy(order="c", writable=True)
                for column in self.surplus:
                    x[frame[column].is_not_null().to_numpy()] = np.nan
                yield x, targets

    def with_numbers(self, features: Sequence[str]) -> pl.LazyFrame:
        """Return all rows with `features` as numbers; non-numeric text becomes null."""
        if self.is_csv:
            return self.scan(dict.fromkeys(features, pl.Float64))
        for column in features:
            if not (self.schema[column].is_numeric() or self.schema[column] == pl.Boolean):
                raise ValueError(f"{self.path}: column {column!r} holds {self.schema[column]}, not numbers")
        return self.rows

    def scan(self, types: dict[str, Any]) -> pl.LazyFrame:
        """Return all rows of a CSV file as text, except for `types`."""
        schema = dict.fromkeys([*self.columns, *self.surplus], pl.String) | types
        return pl.scan_csv(
            self.file,
            schema=schema,
            missing_columns="insert",
            truncate_ragged_lines=True,
            ignore_errors=True,
            glob=False,
        )

    def has_surplus_fields(self, row: int) -> bool:
        return any(self.cell(row, column) is not None for column in self.surplus)

    def cell(self, row: int, column: str) -> Any:
        with error_context(self.path, self.locate_damage):
            cells = self.rows.select(column).slice(row, 1).collect()[column]
        return cells[0] if len(cells) else None

    def find_multiline_row(self, features: Sequence[str], target: str | None) -> int | None:
        """Find a sign of a stray quote in a CSV file: several lines in a number, or in a row with missing values."""
        if self.no_multiline:
            return None
        multiline = pl.all().str.contains("\n", literal=True)
        multiline_number = pl.col(*features, *self.surplus).str.contains("\n", literal=True)
        has_gap = pl.any_horizontal(pl.col([*features, *filter(None, [target])]).is_null())
        broken = pl.any_horizontal(multiline_number) | (has_gap & pl.any_horizontal(multiline))
        with error_context(self.path, self.locate_damage):
            found = self.rows.select(broken=broken).with_row_index("row").filter("broken").head(1)
            rows = found.collect(engine="streaming")["row"]
        self.no_multiline = rows.is_empty()
        return None if self.no_multiline else int(rows[0])

    def locate_damage(self) -> str:
        """Locate the damage in a CSV file, which errors of Polars do not."""
        row = damaged_row(self.path) if self.is_csv else None
        return "" if row is None else f"row {row}: "


def check_duplicate_columns(path: Path, file: str, columns: list[str]) -> None:
    """Raise for duplicate columns, which Polars renames."""
    originals = {column: column.rpartition("_duplicated_")[0] for column in columns if "_duplicated_" in column}
    known = set(columns)
    if renamed := [column for column, name in originals.items() if name in known]:
        header = pl.read_csv(
            file, has_header=False, n_rows=1, infer_schema=False, truncate_ragged_lines=True, glob=False
        )
        names = set(header.row(0))
        if duplicates := [originals[column] for column in renamed if column not in names]:
            raise ValueError(f"{path}: duplicate columns {abbreviate(duplicates)}; names must be unique")


def damaged_row(path: Path) -> int | None:
    """Find the first row of a CSV file that is not UTF-8 or has unbalanced quotes."""
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
