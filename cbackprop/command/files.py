"""Table files by their extension: opened, and written as a stream of frames."""

import atexit
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from cbackprop.command.lines import GZIP, MAX_LINE, ZSTANDARD, has_long_line, read_parts
from cbackprop.command.options import Format
from cbackprop.command.outputs import STANDARD, open_output
from cbackprop.command.streamed import CsvTable, ParquetTable
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import Table

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {"": "uncompressed", ".gz": "gzip", ".zst": "zstd"}
TEXTS = [kind + packed for kind in SEPARATORS for packed in COMPRESSIONS]
SVMLIGHT = [kind + packed for kind in (".svmlight", ".libsvm", ".svm") for packed in COMPRESSIONS]
PARQUET = b"PAR1"  # first bytes


def open_table(
    path: Path,
    *,
    kind: Format | None = None,
    separator: str | None = None,
    header: bool = True,
    max_line: int = MAX_LINE,
    skip_bad_rows: bool = False,
    for_training: bool = False,
) -> Table:
    """Open a table; unless it is given, the extension of the name determines the format, or the content of a pipe.

    Standard input and pipes are copied to a temporary file, since a table is read more than once.
    """
    file, name, suffix = path, str(path), suffix_of(path)
    if path == STANDARD:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        name = "standard input"
        file, suffix = copy_stream(name, sys.stdin.buffer, kind, max_line)
    elif path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; it must be a file")
    elif not path.is_file():
        with path.open("rb") as stream:
            file, suffix = copy_stream(name, stream, kind, max_line)
    elif kind is not None:
        suffix = f".{kind}"
    if suffix in TEXTS:
        table: Table = CsvTable(name, file, separator or SEPARATORS[suffix[:4]], header=header, max_line=max_line)
    elif suffix not in (".parquet", *SVMLIGHT):
        known = ", ".join([*TEXTS, ".parquet", *SVMLIGHT])
        raise ValueError(f"{path}: the name of a table must end in {known}; --format tells the format of another")
    elif separator is not None or not header:
        raise ValueError(f"{name} is no CSV file; --separator and --no-header are for those only")
    elif suffix in SVMLIGHT:
        table = SvmlightTable(name, file, max_line)
    else:
        table = ParquetTable(name, file)
    table.skip_bad_rows, table.for_training = skip_bad_rows, for_training
    return table


def suffix_of(path: Path) -> str:
    """Return the extension of a file name, which has two parts if the file is compressed."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix in COMPRESSIONS else suffix


def copy_stream(name: str, stream: BinaryIO, kind: Format | None, max_line: int) -> tuple[Path, str]:
    """Copy a stream to a temporary file, a text up to a line that is too long; return path and extension.

    Unless `kind` tells the extension, the content does.
    """
    folder = tempfile.mkdtemp(prefix="cbackprop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "table")
    start = stream.read(4)
    suffix = (".parquet" if start == PARQUET else ".csv") if kind is None else f".{kind}"
    has_lines = suffix != ".parquet" and not start.startswith((GZIP, ZSTANDARD))
    parts = chain([start], read_parts(stream, max_line))
    try:
        with path.open("wb") as file:
            has_long_line(copy_parts(parts, file), max_line if has_lines else math.inf)
    except OSError as error:
        remedy = "the environment variable TMPDIR names another folder"
        raise OSError(f"{name} cannot be copied to {path}: {error.strerror or error}; {remedy}") from None
    return path, suffix


def copy_parts(parts: Iterable[bytes], file: BinaryIO) -> Iterator[bytes]:
    """Write the parts of a stream to a file as they are taken."""
    for part in parts:
        file.write(part)
        yield part


def write_table(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, Any]) -> None:
    """Write a stream of frames to CSV or Parquet; an existing file is replaced only by a complete new one."""
    rows = register_io_source(lambda *_: frames(), schema=schema)
    kind = suffix_of(path)
    try:
        with open_output(path) as file:
            if kind == ".parquet":
                rows.sink_parquet(file)
            else:
                compression: Any = COMPRESSIONS[kind[4:]]
                rows.sink_csv(file, compression=compression, separator=SEPARATORS.get(kind[:4], ","))
    except pl.exceptions.PolarsError as error:  # from writing; reading raises ValueError
        raise OSError(f"{path}: {error}; nothing was written, and an existing file is unchanged") from None
