"""CSV and Parquet files as tables, streamed by Polars."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cbackprop.command.tables import Chunk, Table, as_labels, naming

BATCHES = 16  # in a chunk: Polars reads some dozens ahead, so they are small


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
