"""NPZ files as tables: arrays out of a zip archive, a chunk of rows at a time."""

import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import polars as pl

from cbackprop.command.common import few
from cbackprop.command.tables import CHUNK_NUMBERS, CHUNK_ROWS, Chunk, Table, as_labels, naming


@dataclass
class Member:
    """An array in the archive, (n, ...): a vector is one column, else each cell of a row has its own."""

    file: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def name(self) -> str:
        """What `numpy.load` calls it."""
        return self.file.removesuffix(".npy")

    @property
    def width(self) -> int:
        """Columns of it."""
        return math.prod(self.shape[1:])

    @property
    def columns(self) -> list[str]:
        """Names of its columns."""
        return [self.name] if len(self.shape) == 1 else [f"{self.name}{i}" for i in range(self.width)]


class NpzTable(Table):
    """An NPZ file whose arrays have one number of rows."""

    def __init__(self, path: Path) -> None:
        with naming(path), zipfile.ZipFile(path) as archive:
            self.members = []
            for entry in archive.infolist():
                file, what = entry.filename, f"{path}: array {entry.filename!r}"
                with archive.open(entry) as stream:
                    member = Member(file, *header(what, stream))
                    numbers = entry.file_size - stream.tell()
                if math.prod(member.shape) * member.dtype.itemsize != numbers:
                    raise ValueError(f"{what} has shape {member.shape}, dtype {member.dtype} and {numbers:,} bytes")
                if member.width > CHUNK_NUMBERS:
                    raise ValueError(f"{what} has {member.width:,} columns; there may be {CHUNK_NUMBERS:,}")
                self.members.append(member)
        lengths = {member.shape[0] for member in self.members}
        if len(lengths) != 1:
            shapes = ", ".join(f"{member.name} {member.shape}" for member in self.members)
            raise ValueError(f"{path}: the arrays must have one number of rows; they are {shapes or 'none'}")
        self.length = lengths.pop()
        columns = [column for member in self.members for column in member.columns]
        if twice := [column for column, count in Counter(columns).items() if count > 1]:
            raise ValueError(f"{path}: two columns are named {few(twice)}")
        super().__init__(path, columns)

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        """Yield `size` rows at a time; labels that are NaN are null."""
        inputs = [member for member in self.members if set(member.columns) & set(features)]
        for member in inputs:
            if member.dtype.kind == "U":
                raise ValueError(f"{self.path}: array {member.name!r} holds text, not numbers")
        columns = [column for member in inputs for column in member.columns]
        order = None if columns == list(features) else [columns.index(column) for column in features]
        labeled = [member for member in self.members if target in member.columns]

        with naming(self.path), zipfile.ZipFile(self.path) as archive:
            streams = {member.name: archive.open(member.file) for member in (*inputs, *labeled)}
            for stream in streams.values():
                header("", stream)
            for start in range(0, self.length, size):
                n = min(size, self.length - start)
                blocks = {member.name: rows(member, n, streams[member.name]) for member in (*inputs, *labeled)}
                x = np.concatenate([blocks[member.name] for member in inputs], axis=1, dtype=np.float64)
                labels = pl.Series([], dtype=pl.String)
                for member in labeled:
                    column = blocks[member.name][:, member.columns.index(str(target))]
                    if (bad := is_no_text(column)).any():
                        raise ValueError(f"row {start + int(bad.argmax()) + 1}, column {target!r} is no Unicode text")
                    labels = as_labels(pl.Series(column))
                yield x if order is None else x[:, order], labels

    def cell(self, row: int, column: str) -> Any:
        """Look up one number."""
        for x, _ in self.read([column], None, CHUNK_ROWS):
            if row < len(x):
                return float(x[row, 0])
            row -= len(x)
        return None


def header(what: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read an array's stream up to its numbers; return its shape and dtype."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except (MemoryError, RecursionError, SyntaxError, TokenError, TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
    if dtype.kind not in "biufU" or not dtype.itemsize:
        raise ValueError(f"{what} has dtype {dtype}; numbers or text are needed")
    if not shape or 0 in shape[1:] or min(shape) < 0:
        raise ValueError(f"{what} has shape {shape}; rows are needed")
    if fortran_order and len(shape) > 1:
        raise ValueError(f"{what} is stored column by column; rows are needed: save it by np.ascontiguousarray")
    return shape, dtype


def rows(member: Member, n: int, stream: IO[bytes]) -> np.ndarray:
    """Read the next n rows of an array."""
    size = n * member.width * member.dtype.itemsize
    numbers = stream.read(size)
    if len(numbers) != size:
        raise EOFError(f"array {member.name!r} ends too early")
    return np.frombuffer(numbers, member.dtype).reshape(n, member.width)


def is_no_text(column: np.ndarray) -> np.ndarray:
    """Which cells of a column of text are none: NumPy takes any 32 bits for a character."""
    if column.dtype.kind != "U":
        return np.zeros(len(column), bool)
    codes = np.ascontiguousarray(column).view(np.dtype("u4").newbyteorder(column.dtype.byteorder))
    return np.asarray(((codes > 0x10FFFF) | (codes >> 11 == 0x1B)).reshape(len(column), -1).any(axis=1))
