"""Table files by their extension: opened, and written as a stream of frames."""

import atexit
import gzip
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from cbackprop._extras import require
from cbackprop.command.options import OnBadRow, TableOptions
from cbackprop.command.outputs import STANDARD, open_output
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import Table, error_context, open_csv, open_parquet

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {"": "uncompressed", ".gz": "gzip", ".zst": "zstd"}
TEXTS = [kind + packed for kind in SEPARATORS for packed in COMPRESSIONS]
SVMLIGHT = [kind + packed for kind in (".svmlight", ".libsvm", ".svm") for packed in COMPRESSIONS]
PART = 2**16  # bytes
PARQUET, GZIP, ZSTANDARD = b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # first bytes of files
ZLIB = b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"  # those that Polars recognizes


def open_table(options: TableOptions) -> Table:
    """Open a table; unless it is given, the extension of the name determines the format, or the content of a pipe.

    Standard input and pipes are copied to a temporary file, since a table is read more than once.
    """
    path, name = options.data, str(options.data)
    file, suffix = path, suffix_of(path) if options.format is None else f".{options.format}"
    if path == STANDARD:
        if sys.stdin is None:
            raise OSError("standard input is closed")
        name = "standard input"
        file, suffix = copy_stream(name, sys.stdin.buffer, options)
    elif not path.is_file():
        with path.open("rb") as stream:
            file, suffix = copy_stream(name, stream, options)
    if suffix not in (".parquet", *TEXTS, *SVMLIGHT):
        known = ", ".join([*TEXTS, ".parquet", *SVMLIGHT])
        raise ValueError(f"{path}: the name of a table must end in {known}; --format tells another format")
    if suffix not in TEXTS and (options.separator is not None or options.no_header):
        raise ValueError(f"{name} is no CSV file; --separator and --no-header are for those only")
    if suffix == ".parquet":
        table = open_parquet(name, file)
    else:
        with error_context(name):
            check_lines(file, options.max_line)
        if suffix in SVMLIGHT:
            table = SvmlightTable(name, file)
        else:
            separator = options.separator or SEPARATORS[suffix[:4]]
            table = open_csv(name, file, separator, header=not options.no_header)
    table.skip_bad_rows = options.on_bad_row is OnBadRow.SKIP
    table.remedy, table.text_remedy = options.remedy, options.text_remedy
    return table


def suffix_of(path: Path) -> str:
    """Return the extension of a file name, which has two parts if the file is compressed."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix in COMPRESSIONS else suffix


def copy_stream(name: str, stream: BinaryIO, options: TableOptions) -> tuple[Path, str]:
    """Copy a stream to a temporary file; return path and extension, which the content tells unless --format does."""
    folder = tempfile.mkdtemp(prefix="cbackprop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "table")
    start = stream.read(4)
    suffix = f".{options.format}" if options.format else ".parquet" if start == PARQUET else ".csv"
    is_text = suffix != ".parquet" and not start.startswith((GZIP, ZSTANDARD))
    try:
        with path.open("wb") as file:
            file.writelines(read_parts(stream, options.max_line if is_text else math.inf, start))
    except OSError as error:
        remedy = "the environment variable TMPDIR names another folder"
        raise OSError(f"{name} cannot be copied to {path}: {error.strerror or error}; {remedy}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return path, suffix


def check_lines(file: Path, limit: int) -> None:
    """Raise for a line of more than `limit` bytes, which Polars would hold several times over."""
    with file.open("rb") as stream:
        start = stream.read(4)
    if start.startswith(ZLIB):
        raise ValueError("it is compressed by zlib; gzip or Zstandard is needed")
    open_text: Callable[..., Any] = open
    if start.startswith(GZIP):
        open_text = gzip.open
    elif start.startswith(ZSTANDARD):
        open_text = require("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "cli").open
    elif file.stat().st_size <= limit:
        return
    with open_text(file, "rb") as text:
        for _ in read_parts(text, limit):
            pass


def read_parts(stream: BinaryIO, limit: float, start: bytes = b"") -> Iterator[bytes]:
    """Yield a text, of which `start` was read before, in parts; raise for a line of more than `limit` bytes.

    No part is longer, so only lines across parts need be measured.
    """
    length = 0  # of the line that continues in the next part
    for part in chain([start], iter(partial(stream.read, int(min(PART, limit))), b"")):
        end = part.find(b"\n")
        if length + (len(part) if end < 0 else end) > limit:
            raise ValueError(f"a line has more than {limit:,} bytes; --max-line raises the limit")
        yield part
        length = length + len(part) if end < 0 else len(part) - 1 - part.rfind(b"\n")


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
