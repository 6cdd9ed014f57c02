"""NPZ files as tables: the arrays of a zip archive, read in chunks of rows."""

import math
import zipfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import polars as pl

from cbackprop.command import remedies
from cbackprop.command.tables import CHUNK_ROWS, CHUNK_VALUES, MAX_LABEL, Rows, Table, error_context
from cbackprop.command.text import abbreviate

# An archive of a few bytes can declare arrays of any size: these limits hold before anything is read.
MAX_COLUMNS = 2**20
MAX_ROW_BYTES = 8 * CHUNK_VALUES  # of one array
MAX_TEXT_BYTES = 4 * MAX_LABEL * CHUNK_ROWS  # of a column in a chunk; more than MAX_ROW_BYTES


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

    def __init__(self, path: str, file: Path) -> None:
        self.file = file
        self.members: list[Member] = []
        self.starts = [0]  # of each array among the columns, and their number
        with error_context(path), zipfile.ZipFile(file) as archive:
            if {"data.npy", "format.npy", "shape.npy"} <= set(archive.namelist()):  # by scipy.sparse.save_npz
                remedy = "save it with sklearn.datasets.dump_svmlight_file, or use Network.fit in Python"
                raise ValueError(f"{path}: it holds a sparse matrix; {remedy}")
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

    def read(self, features: Sequence[str], others: Sequence[str], size: int) -> Iterator[Rows]:
        numbers = np.array([self.numbers[column] for column in features], dtype=np.intp)
        order = np.argsort(numbers)  # the features by array
        edges = np.searchsorted(numbers[order], self.starts)
        inputs = []
        for member, start, (low, high) in zip(self.members, self.starts, pairwise(edges), strict=False):
            if low < high:
                if member.dtype.kind == "U":
                    remedy = f"; {remedies.for_text(member.columns)}" if self.for_training else ""
                    raise ValueError(f"{self.path}: array {member.name!r} holds text, not numbers{remedy}")
                inputs.append((member, as_slice(numbers[order[low:high]] - start), as_slice(order[low:high])))
        places = {column: self.place(column) for column in others}
        for member, _ in places.values():
            if member.dtype.kind == "U":
                size = min(size, MAX_TEXT_BYTES // member.dtype.itemsize)

        # the file stays open until all its arrays are closed, too
        with error_context(self.path), zipfile.ZipFile(self.file) as archive, ExitStack() as arrays:
            streams = [open_rows(archive, member, arrays) for member, *_ in inputs]
            columns = {column: (place, open_rows(archive, place[0], arrays)) for column, place in places.items()}
            for start in range(0, self.length, size):
                n = min(size, self.length - start)
                x = np.empty((n, len(features)))
                for (member, cells, to), stream in zip(inputs, streams, strict=True):
                    for rows, block in read_rows(member, n, stream):
                        x[rows, to] = block[:, cells]
                yield Rows(x, pl.DataFrame([read_column(column, start, n, *at) for column, at in columns.items()]))

    def text_columns(self) -> list[str]:
        return [column for member in self.members if member.dtype.kind == "U" for column in member.columns]

    def place(self, column: str) -> tuple[Member, int]:
        """Find the array of a column, and its cell in each row."""
        number = self.numbers[column]
        at = bisect_right(self.starts, number) - 1
        return self.members[at], number - self.starts[at]

    def cells(self, row: int, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        start = 0
        for rows in self.read([], columns, CHUNK_ROWS):
            others = rows.others
            if row < start + len(others):
                yield from others.row(row - start, named=True).items()
                return
            start += len(others)


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


def open_rows(archive: zipfile.ZipFile, member: Member, arrays: ExitStack) -> IO[bytes]:
    """Open an array at its first row, until `arrays` is closed."""
    stream = arrays.enter_context(archive.open(member.file))
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


def read_column(column: str, start: int, n: int, place: tuple[Member, int], stream: IO[bytes]) -> pl.Series:
    """Read the next `n` cells of a column, from row `start` on."""
    member, cell = place
    parts = []
    for rows, block in read_rows(member, n, stream):
        values = block[:, cell]
        if (invalid := invalid_text(values)).any():
            row = start + rows.start + int(invalid.argmax()) + 1
            raise ValueError(f"row {row}, column {column!r} is not valid Unicode")
        parts.append(pl.Series(column, values))
    return pl.concat(parts)


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
