"""Files in the format of SVMlight and LIBSVM as tables: lines of a target and the inputs that are not 0."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cbackprop._extras import require
from cbackprop.command.tables import Rows, Table, error_context

BATCHES = 64  # per chunk
MAX_BYTES = 2**26  # of the text of a chunk, or little more: its lines may be of any length
MAX_INPUTS = 2**24  # a line of a few bytes can name any: their weights would take any amount of memory


class SvmlightTable(Table):
    """A file in the format of SVMlight and LIBSVM; input i is the number at index i, and the first index is 0.

    So a file whose first index is 1 has an input more, which is always 0.
    """

    target = "target"

    def __init__(self, name: str, file: Path) -> None:
        self.csr_array = require("scipy.sparse", "sparse").csr_array
        self.n_inputs = MAX_INPUTS  # rows with others are bad
        with error_context(name):
            lines = pl.scan_lines(os.path.abspath(file), glob=False)
        super().__init__(name, file, lines.filter(~pl.col("line").str.contains(r"^\s*(#|$)")), [self.target], [])

    @property
    def broken(self) -> str:  # type: ignore[override]
        pairs = f"pairs index:value of finite numbers, with ascending indices in 0..{self.n_inputs - 1:,}"
        return f" cannot be read; a number is needed, followed by {pairs}"

    def read(self, columns: Sequence[str], size: int) -> Iterator[Rows]:
        """Yield `size` lines at a time, or fewer long ones."""
        part: list[pl.DataFrame] = []
        n = length = 0
        for batch in self.rows.collect_batches(chunk_size=max(1, size // BATCHES), engine="streaming"):
            part.append(batch)
            n, length = n + len(batch), length + int(batch["line"].str.len_bytes().sum())
            if n >= size or length >= MAX_BYTES:
                yield self.parse(pl.concat(part)["line"])
                part, n, length = [], 0, 0
        if part:
            yield self.parse(pl.concat(part)["line"])

    def parse(self, lines: pl.Series) -> Rows:
        """Convert lines to targets, which stay text, and rows of inputs, which are empty where they cannot be read."""
        fields = lines.str.replace_all(r"#.*|\sqid:\d+", "").str.extract_all(r"\S+")
        targets = fields.list.first().str.strip_prefix("+").alias(self.target)
        pairs = fields.list.slice(1)
        lengths = pairs.list.len().to_numpy().astype(np.int64)
        parts = pairs.filter(pl.Series(lengths > 0)).explode().str.splitn(":", 2).struct
        index = parts.field("field_0").cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
        with np.errstate(over="ignore"):
            value = parts.field("field_1").cast(pl.Float64, strict=False).to_numpy().astype(np.float32)
        row = np.repeat(np.arange(len(lines)), lengths)
        good = np.isfinite(value) & (index >= 0) & (index < self.n_inputs)
        good[1:] &= (np.diff(index) > 0) | (np.diff(row) > 0)
        broken = ~np.isfinite(targets.cast(pl.Float64, strict=False).to_numpy())
        broken[row[~good]] = True
        kept = ~broken[row]
        starts = np.append(0, np.cumsum(np.where(broken, 0, lengths)))
        shape = len(lines), self.n_inputs
        sparse = self.csr_array((value[kept], index[kept].astype(np.int32), starts.astype(np.int32)), shape=shape)
        return Rows(targets.to_frame(), broken, sparse)
