"""Files in the format of SVMlight and LIBSVM as tables: lines of a target and the inputs that are not 0."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cbackprop._extras import require
from cbackprop.command.lines import MAX_LINE, check_lines
from cbackprop.command.tables import Rows, Table, error_context

BATCHES = 64  # per chunk
MAX_BYTES = 2**26  # of the text of a chunk, or little more: its lines may be of any length
MAX_INPUTS = 2**24  # a line of a few bytes can name any: their weights would take any amount of memory
BLANK = r"^\s*(#|$)"
UNREADABLE = "nan"  # in place of a line that cannot be read


class SvmlightTable(Table):
    """A file in the format of SVMlight and LIBSVM; input i is the number at index i, and the first index is 0.

    So a file whose first index is 1 has an input more, which is always 0.
    """

    target = "target"

    def __init__(self, path: str, file: Path, max_line: int = MAX_LINE) -> None:
        with error_context(path):
            check_lines(file, max_line, count_rows)
        self.load = require("sklearn.datasets", "sklearn").load_svmlight_file
        # absolute: Polars interprets a leading ~ and file:
        lines = pl.scan_lines(os.path.abspath(file), glob=False)
        self.lines = lines.filter(~pl.col("line").str.contains(BLANK))
        self.n_inputs = MAX_INPUTS  # rows with others are bad
        self.reasons: dict[int, str] = {}  # why rows of the latest chunk cannot be read
        super().__init__(path, [self.target])

    def read(self, features: Sequence[str], others: Sequence[str], size: int) -> Iterator[Rows]:
        start = 0
        with error_context(self.path):
            for lines in self.parts(size):
                sparse, numbers = self.parse(lines, start)
                broken = np.zeros(len(numbers), bool)
                broken[[row - start for row in self.reasons]] = True
                labels = as_text(numbers) if others else pl.DataFrame()
                yield Rows(np.empty((len(numbers), 0)), labels, broken, sparse)
                start += len(numbers)

    def parts(self, size: int) -> Iterator[list[str]]:
        """Yield `size` lines at a time, or fewer long ones."""
        part: list[str] = []
        length = 0
        for batch in self.lines.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"):
            part.extend(batch["line"])
            length += int(batch["line"].str.len_bytes().sum())
            if len(part) >= size or length >= MAX_BYTES:
                yield part
                part, length = [], 0
        if part:
            yield part

    def parse(self, lines: list[str], start: int) -> tuple[Any, np.ndarray]:
        """Return inputs and targets of lines, up to the first that cannot be read unless bad rows are skipped."""
        self.reasons = {}
        try:
            sparse, numbers = self.convert(lines)
        except (OverflowError, ValueError):
            for i, reason in self.find_errors(lines):
                self.reasons[start + i] = f"cannot be read: {reason}"
                lines[i] = UNREADABLE
                if not self.skip_bad_rows:
                    lines = lines[: i + 1]
                    break
            sparse, numbers = self.convert(lines)
        entries = np.flatnonzero(~np.isfinite(sparse.data) | (sparse.indices >= self.n_inputs))
        for row, entry in zip(np.searchsorted(sparse.indptr, entries, "right") - 1, entries, strict=True):
            index, value = sparse.indices[entry], sparse.data[entry]
            reason = f"has the value {value} at index {index}; a finite number is needed"
            if index >= self.n_inputs:
                reason = f"has the index {index:,}; indices must lie in 0..{self.n_inputs - 1:,}"
            self.reasons.setdefault(start + int(row), reason)
        for row in np.flatnonzero(~np.isfinite(numbers)):
            self.reasons.setdefault(start + int(row), f"has the target {numbers[row]}; a finite number is needed")
        return sparse, numbers

    def convert(self, lines: list[str]) -> tuple[Any, np.ndarray]:
        # zero_based: the indices as they are, since others would depend on what rows a chunk holds
        return self.load(BytesIO("\n".join(lines).encode()), dtype=np.float32, zero_based=True)

    def find_errors(self, lines: list[str], start: int = 0) -> Iterator[tuple[int, str]]:
        """Yield each line that cannot be read, and why: the reader does not tell which it is."""
        try:
            self.convert(lines)
        except (OverflowError, ValueError) as error:
            half = len(lines) // 2
            if not half:
                yield start, str(error).rstrip(".")
                return
            yield from self.find_errors(lines[:half], start)
            yield from self.find_errors(lines[half:], start + half)

    def describe_broken_row(self, row: int) -> str:
        return self.reasons[row]

    def cells(self, row: int, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        with error_context(self.path):
            line = self.lines.slice(row, 1).collect()["line"][0]
        return ((column, line.split()[0]) for column in columns)


def count_rows(lines: Iterable[bytes]) -> int:
    """Count the rows in lines of an SVMlight file."""
    return sum(not re.match(BLANK.encode(), line) for line in lines)


def as_text(numbers: np.ndarray) -> pl.DataFrame:
    """Return targets as text, whole ones without a decimal point, as labels are written."""
    target = pl.col(SvmlightTable.target)
    whole = (target == target.floor()) & (target.abs() < 2**53)
    text = pl.when(whole).then(target.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(target.cast(pl.String))
    return pl.DataFrame({SvmlightTable.target: numbers}).select(text)
