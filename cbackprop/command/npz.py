"""NPZ files as tables: the arrays of a zip archive, read in chunks of rows."""

import math
import zipfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import polars as pl

from cbackprop.command.tables import (
    CHUNK_ROWS,
    CHUNK_VALUES,
    LABELS_NEEDED,
    MAX_LABEL,
    Chunk,
    Table,
    error_context,
)
from cbackprop.command.text import abbreviate

# An archive of a few bytes can declare arrays of any size: these limits hold before anything is read.
MAX_COLUMNS = 2**20
MAX_ROW_BYTES = 8 * CHUNK_VALUES  # of one array


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
    def row_bytes(self) -> int:
        return self.width * self.dtype.itemsize

    @property
    def columns(self) -> list[str]:
        return [self.name] if len(self.shape) == 1 else [f"{self.name}{i}" for i in range(self.width)]


class NpzTable(Table):
    """An NPZ file whose arrays have the same number of rows."""

    def __init__(self, path: Path) -> None:
        self.members: list[Member] = []
        self.starts = [0]  # of each array among the columns, and their number
        with error_context(path), zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                array = f"{path}: array {entry.filename!r}"
                if archive.getinfo(entry.filename) is not entry:
                    raise ValueError(f"{array} is in it twice")
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may take gigabytes
                    raise ValueError(f"{array} is compressed in another way than np.savez_compressed does it")
                with archive.open(entry) as stream:
                    member = Member(entry.filename, *read_header(array, stream))
                    size = entry.file_size - stream.tell()
                if math.prod(member.shape) * member.dtype.itemsize != size:
                    raise ValueError(f"{array} has shape {member.shape}, dtype {member.dtype} and {size:,} bytes")
                if member.row_bytes > MAX_ROW_BYTES:
                    raise ValueError(f"{array} has rows of {member.row_bytes:,} bytes; the limit is {MAX_ROW_BYTES:,}")
                self.starts.append(self.starts[-1] + member.width)
                if self.starts[-1] > MAX_COLUMNS:
                    total = f"{self.starts[-1]:,} with those before it"
                    raise ValueError(f"{array} has {member.width:,} columns, {total}; the limit is {MAX_COLUMNS:,}")
                self.members.append(member)
        lengths = {member.shape[0] for member in self.members}
        if len(lengths) != 1:
            shapes = ", ".join(f"{member.name} {member.shape}" for member in self.members)
            raise ValueError(f"{path}: all arrays must have the same number of rows; it has {shapes or 'none'}")
        self.length = lengths.pop()
        columns = [column for member in self.members for column in member.columns]
        self.numbers = {column: number for number, column in enumerate(columns)}
        if len(self.numbers) < len(columns):
            duplicates = [column for column, count in Counter(columns).items() if count > 1]
            raise ValueError(f"{path}: duplicate columns {abbreviate(duplicates)}; names must be unique")
        super().__init__(path, columns)

    def read(self, features: Sequence[str], target: str | None, size: int) -> Iterator[Chunk]:
        numbers = np.array([self.numbers[column] for column in features])
        order = np.argsort(numbers)  # the features by array
        edges = np.searchsorted(numbers[order], self.starts)
        inputs = []
        for member, start, (low, high) in zip(self.members, self.starts, pairwise(edges), strict=False):
            if low < high:
                if member.dtype.kind == "U":
                    raise ValueError(f"{self.path}: array {member.name!r} holds text, not numbers")
                inputs.append((member, as_slice(numbers[order[low:high]] - start), as_slice(order[low:high])))
        labeled = None if target is None else self.place(target)
        if labeled is not None and labeled[0].dtype.kind == "U" and labeled[0].dtype.itemsize > 4 * MAX_LABEL:
            found = f"array {labeled[0].name!r} holds texts of up to {labeled[0].dtype.itemsize // 4:,} characters"
            raise ValueError(f"{self.path}: {found}; {LABELS_NEEDED}")

        with error_context(self.path), zipfile.ZipFile(self.path) as archive:
            streams = [open_rows(archive, member) for member, *_ in inputs]
            label_stream = None if labeled is None else open_rows(archive, labeled[0])
            for start in range(0, self.length, size):
                n = min(size, self.length - start)
                x = np.empty((n, len(features)))
                for (member, cells, places), stream in zip(inputs, streams, strict=True):
                    for rows, block in read_rows(member, n, stream):
                        x[rows, places] = block[:, cells]
                targets = [pl.Series([], dtype=pl.String)] if labeled is None else []
                if labeled is not None and label_stream is not None:
                    for rows, block in read_rows(labeled[0], n, label_stream):
                        column = block[:, labeled[1]]
                        if (invalid := invalid_text(column)).any():
                            row = start + rows.start + int(invalid.argmax()) + 1
                            raise ValueError(f"row {row}, column {target!r} is not valid Unicode")
                        targets.append(pl.Series(column))
                yield x, pl.concat(targets)

    def place(self, column: str) -> tuple[Member, int]:
        """Find the array of a column, and its cell in each row."""
        number = self.numbers[column]
        at = bisect_right(self.starts, number) - 1
        return self.members[at], number - self.starts[at]

    def cell(self, row: int, column: str) -> Any:
        for _, values in self.read([], column, CHUNK_ROWS):
            if row < len(values):
                return values[row]
            row -= len(values)
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


def open_rows(archive: zipfile.ZipFile, member: Member) -> IO[bytes]:
    """Open an array at its first row."""
    stream = archive.open(member.file)
    if read_header(f"array {member.file!r}", stream) != (member.shape, member.dtype):
        raise ValueError(f"array {member.file!r} has changed since the file was opened")
    return stream


def read_rows(member: Member, n: int, stream: IO[bytes]) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the next `n` rows in blocks of at most MAX_ROW_BYTES, each with its place among them."""
    step = MAX_ROW_BYTES // member.row_bytes
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        size = (rows.stop - start) * member.row_bytes
        content = stream.read(size)
        if len(content) != size:
            raise EOFError(f"array {member.name!r} is truncated")
        yield rows, np.frombuffer(content, member.dtype).reshape(-1, member.width)


def as_slice(numbers: np.ndarray) -> slice | np.ndarray:
    """Convert successive numbers to a slice, which NumPy copies faster."""
    first, n = int(numbers[0]), len(numbers)
    return slice(first, first + n) if np.array_equal(numbers, np.arange(first, first + n)) else numbers


def invalid_text(column: np.ndarray) -> np.ndarray:
    """Mask of cells that are not valid Unicode: NumPy accepts any 32 bits as a character."""
    if column.dtype.kind != "U":
        return np.zeros(len(column), bool)
    codes = np.ascontiguousarray(column).view(np.dtype("u4").newbyteorder(column.dtype.byteorder))
    return np.asarray(((codes > 0x10FFFF) | (codes >> 11 == 0x1B)).reshape(len(column), -1).any(axis=1))
