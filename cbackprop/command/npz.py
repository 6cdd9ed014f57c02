"""NPZ files as tables: the arrays of a zip archive, read in chunks of rows."""

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

from cbackprop.command.tables import CHUNK_ROWS, CHUNK_VALUES, Chunk, Table, as_labels, error_context
from cbackprop.command.text import abbreviate


@dataclass
class Member:
    """An array of the archive, (n, ...): a vector is one column, any other is one column per cell of a row."""

    file: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def name(self) -> str:
        return self.file.removesuffix(".npy")

    @property
    def width(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def columns(self) -> list[str]:
        return [self.name] if len(self.shape) == 1 else [f"{self.name}{i}" for i in range(self.width)]


class NpzTable(Table):
    """An NPZ file whose arrays have the same number of rows."""

    def __init__(self, path: Path) -> None:
        with error_context(path), zipfile.ZipFile(path) as archive:
            self.members = []
            for entry in archive.infolist():
                array = f"{path}: array {entry.filename!r}"
                with archive.open(entry) as stream:
                    member = Member(entry.filename, *read_header(array, stream))
                    size = entry.file_size - stream.tell()
                if math.prod(member.shape) * member.dtype.itemsize != size:
                    raise ValueError(f"{array} has shape {member.shape}, dtype {member.dtype} and {size:,} bytes")
                if member.width > CHUNK_VALUES:
                    raise ValueError(f"{array} has {member.width:,} columns; at most {CHUNK_VALUES:,} are supported")
                self.members.append(member)
        lengths = {member.shape[0] for member in self.members}
        if len(lengths) != 1:
            shapes = ", ".join(f"{member.name} {member.shape}" for member in self.members)
            raise ValueError(f"{path}: all arrays must have the same number of rows; it has {shapes or 'none'}")
        self.length = lengths.pop()
        columns = [column for member in self.members for column in member.columns]
        if duplicates := [column for column, count in Counter(columns).items() if count > 1]:
            raise ValueError(f"{path}: duplicate columns {abbreviate(duplicates)}; names must be unique")
        super().__init__(path, columns)

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        inputs = [member for member in self.members if set(member.columns) & set(features)]
        for member in inputs:
            if member.dtype.kind == "U":
                raise ValueError(f"{self.path}: array {member.name!r} holds text, not numbers")
        columns = [column for member in inputs for column in member.columns]
        order = None if columns == list(features) else [columns.index(column) for column in features]
        labeled = [member for member in self.members if target in member.columns]

        with error_context(self.path), zipfile.ZipFile(self.path) as archive:
            streams = {member.name: archive.open(member.file) for member in (*inputs, *labeled)}
            for stream in streams.values():
                read_header("", stream)
            for start in range(0, self.length, size):
                n = min(size, self.length - start)
                blocks = {member.name: read_rows(member, n, streams[member.name]) for member in (*inputs, *labeled)}
                x = np.concatenate([blocks[member.name] for member in inputs], axis=1, dtype=np.float64)
                labels = pl.Series([], dtype=pl.String)
                for member in labeled:
                    column = blocks[member.name][:, member.columns.index(str(target))]
                    if (invalid := invalid_text(column)).any():
                        row = start + int(invalid.argmax()) + 1
                        raise ValueError(f"row {row}, column {target!r} is not valid Unicode")
                    labels = as_labels(pl.Series(column))
                yield x if order is None else x[:, order], labels

    def cell(self, row: int, column: str) -> Any:
        for x, _ in self.read([column], None, CHUNK_ROWS):
            if row < len(x):
                return float(x[row, 0])
            row -= len(x)
        return None


def read_header(array: str, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Read the header of an array; return shape and dtype."""
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except (MemoryError, RecursionError, SyntaxError, TokenError, TypeError, ValueError) as error:
        raise ValueError(f"{array}: {error}") from error
    if dtype.kind not in "biufU" or not dtype.itemsize:
        raise ValueError(f"{array} has dtype {dtype}; numbers or text are needed")
    if not shape or 0 in shape[1:] or min(shape) < 0:
        raise ValueError(f"{array} has shape {shape}; rows of at least one value are needed")
    if fortran_order and len(shape) > 1:
        raise ValueError(f"{array} is in Fortran order; C order is needed: apply np.ascontiguousarray before saving")
    return shape, dtype


def read_rows(member: Member, n: int, stream: IO[bytes]) -> np.ndarray:
    size = n * member.width * member.dtype.itemsize
    content = stream.read(size)
    if len(content) != size:
        raise EOFError(f"array {member.name!r} is truncated")
    return np.frombuffer(content, member.dtype).reshape(n, member.width)


def invalid_text(column: np.ndarray) -> np.ndarray:
    """Mask of cells that are not valid Unicode: NumPy accepts any 32 bits as a character."""
    if column.dtype.kind != "U":
        return np.zeros(len(column), bool)
    codes = np.ascontiguousarray(column).view(np.dtype("u4").newbyteorder(column.dtype.byteorder))
    return np.asarray(((codes > 0x10FFFF) | (codes >> 11 == 0x1B)).reshape(len(column), -1).any(axis=1))
