"""Tables: files of named columns, whose rows are read in blocks and checked."""

import atexit
import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from reprlib import repr as short_repr  # a cell may be of any length
from typing import Any, BinaryIO

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from cbackprop._extras import require
from cbackprop.command.columns import MISSING, Column
from cbackprop.command.messages import abbreviate
from cbackprop.command.options import TableOptions
from cbackprop.command.outputs import STANDARD, open_output

BLOCK_ROWS = 65_536
BLOCK_VALUES = 2**22  # 32 MiB of float64, however wide the table
BLOCK_BYTES = 2**26  # of texts of any length, or little more
BATCHES = 64  # per block; small ones, since Polars reads dozens of them ahead
MAX_REASON = 500  # characters: that of Polars may quote the rest of a line
SAMPLE = 100  # rows that tell which columns of a CSV file hold text
SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = {"": "uncompressed", ".gz": "gzip", ".zst": "zstd"}
TEXTS = [kind + packed for kind in SEPARATORS for packed in COMPRESSIONS]
SVMLIGHT = [kind + packed for kind in (".svmlight", ".libsvm", ".svm") for packed in COMPRESSIONS]
PART = 2**16  # bytes
PARQUET, GZIP, ZSTANDARD = b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # first bytes of files
ZLIB = b"x\x01", b"x\x5e", b"x\x9c", b"x\xda"  # those that Polars recognizes


class Table:
    """A file of named columns. A row with a bad cell raises, or is skipped and counted.

    Unless it is given, the extension of the name determines the format, or the content of a pipe. Standard input and
    pipes are copied to a temporary file, since a table is read more than once.
    """

    def __init__(self, options: TableOptions, on_read: Callable[[str], object] = lambda note: None) -> None:
        self.options, self.on_read = options, on_read  # is told how many rows were read
        self.n_rows, self.skipped, self.first_error = 0, 0, ""  # of the latest pass; of that with most bad rows
        self.file, self.name, suffix = options.data, str(options.data), suffix_of(options.data)
        if self.file == STANDARD or not self.file.is_file():
            if self.file == STANDARD and sys.stdin is None:
                raise OSError("standard input is closed")
            self.name = "standard input" if self.file == STANDARD else self.name
            with nullcontext(sys.stdin.buffer) if self.file == STANDARD else self.file.open("rb") as stream:
                self.file = copy_stream(self.name, stream)
            suffix = ".parquet" if first_bytes(self.file) == PARQUET else ".csv"
        suffix = f".{options.format}" if options.format else suffix
        if suffix not in (".parquet", *TEXTS, *SVMLIGHT):
            known = ", ".join([*TEXTS, ".parquet", *SVMLIGHT])
            raise ValueError(f"{self.name}: the name of a table must end in {known}; --format tells another format")
        if suffix not in TEXTS and (options.separator is not None or options.no_header):
            raise ValueError(f"{self.name} is no CSV file; --separator and --no-header are for those only")
        self.sparse, self.surplus = suffix in SVMLIGHT, ""  # a column that collects surplus fields
        with error_context(self.name):
            if suffix != ".parquet":
                check_lines(self.file, options.max_line)
            path = os.path.abspath(self.file)  # Polars interprets a leading ~ and file:
            if suffix in TEXTS:
                separator = options.separator or SEPARATORS[suffix[:4]]
                self.rows, schema, self.surplus = scan_csv(path, separator, options.no_header)
            else:
                self.rows = scan_svmlight(path) if self.sparse else pl.scan_parquet(path, glob=False)
                schema = self.rows.collect_schema()
        self.columns = list(schema)
        # those that hold text, as far as is known before reading all rows
        self.texts = [column for column in schema if schema[column] in (pl.String, pl.Categorical, pl.Enum)]

    @property
    def bad_rows(self) -> str:
        """Tell how many rows were skipped, and what is wrong with the first."""
        return f"{self.skipped:,} bad rows; the first: {self.first_error}" if self.skipped else ""

    def require(self, columns: Sequence[str]) -> None:
        """Raise if the file lacks a column."""
        known = set(self.columns)
        if missing := [column for column in columns if column not in known]:
            raise ValueError(f"{self.name}: no column {abbreviate(missing)}; it has {abbreviate(self.columns)}")

    def blocks(self, kinds: Mapping[str, Column], n_outputs: int = 1) -> Iterator[tuple[pl.DataFrame, np.ndarray]]:
        """Yield the good ones of successive rows, with converted columns, and the mask of these among all.

        So many outputs for each row must fit in memory, too.
        """
        required = [column for column, kind in kinds.items() if not kind.optional]
        self.n_rows = skipped = 0
        with error_context(self.name):
            for frame in self.read(kinds, n_outputs):
                columns = pl.DataFrame([kind.convert(frame[column]).alias(column) for column, kind in kinds.items()])
                good = columns.select(pl.all_horizontal(pl.col(required).is_not_null())).to_series()
                if self.surplus:
                    good &= frame[self.surplus].is_null()
                if not good.all():
                    if not skipped:
                        self.find_error(frame, columns, good.arg_min() or 0, kinds)
                    skipped += int((~good).sum())
                    self.skipped = max(self.skipped, skipped)
                    columns = columns.filter(good)
                self.n_rows += len(good)
                self.on_read(f"{self.n_rows:,} rows")
                yield columns, good.to_numpy()

    def read(self, kinds: Mapping[str, Column], n_outputs: int) -> Iterator[pl.DataFrame]:
        """Yield rows as they are in the file, in blocks of the same sizes in every pass."""
        # in the order of the file: reordering costs Polars half as much memory again
        wanted = [column for column in self.columns if column in kinds] + [self.surplus] * bool(self.surplus)
        texts = [column for column, kind in kinds.items() if kind.unbounded]
        size = min(BLOCK_ROWS, BLOCK_VALUES // max(n_outputs, sum(kind.n_inputs for kind in kinds.values())))
        n_rows = max(1, size // BATCHES)
        batches = self.rows.select(wanted).collect_batches(chunk_size=n_rows, engine="streaming")
        parts, n_bytes = [], 0
        for part in batches:
            parts.append(part)
            n_bytes += sum(part[column].cast(pl.String).str.len_bytes().to_numpy().sum() for column in texts)
            if len(parts) == max(1, size // n_rows) or n_bytes >= BLOCK_BYTES:
                yield pl.concat(parts)
                parts, n_bytes = [], 0
        if parts:
            yield pl.concat(parts)

    def find_error(self, frame: pl.DataFrame, columns: pl.DataFrame, i: int, kinds: Mapping[str, Column]) -> None:
        """Describe row i of a block, which is bad; raise unless bad rows are skipped."""
        bad = [column for column, kind in kinds.items() if columns[i, column] is None and not kind.optional]
        problem, remedy = " has more fields than there are columns", ""
        if bad:
            cell, kind = frame[i, bad[0]], kinds[bad[0]]
            found = "has no value" if cell in (None, "") else f"is {short_repr(cell)}; {kind.needed} is needed"
            problem, remedy = f", column {bad[0]!r} {found}", kind.remedy
        self.first_error = f"row {self.n_rows + i + 1}{problem}"  # counted from 1, below the header
        if self.options.on_bad_row == "stop":
            raise ValueError(f"{self.first_error}; {remedy}{self.options.remedy}")


def scan_csv(path: str, separator: str, no_header: bool) -> tuple[pl.LazyFrame, Mapping[str, Any], str]:
    """Return the rows of a CSV file as text, the types that its first rows have, and a column of surplus fields."""
    separator = "\t" if separator in ("tab", "\\t") else separator
    scan = partial(pl.scan_csv, path, separator=separator, has_header=not no_header, glob=False)
    types = scan(infer_schema_length=SAMPLE, null_values=MISSING).collect_schema()
    schema = {f"column{i}" if no_header else name: kind for i, (name, kind) in enumerate(types.items(), 1)}
    surplus = "".join(schema) + "+"  # longer than any other name and so different from them
    texts = dict.fromkeys([*schema, surplus], pl.String)
    return scan(schema=texts, missing_columns="insert", truncate_ragged_lines=True), schema, surplus


def scan_svmlight(path: str) -> pl.LazyFrame:
    """Return targets and pairs of a file in the format of SVMlight and LIBSVM, without comments and empty lines."""
    lines = pl.scan_lines(path, glob=False).filter(~pl.col("line").str.contains(r"^\s*(#|$)"))
    text = pl.col("line").str.replace_all(r"#.*|\sqid:\d+", "").str.strip_chars()
    return lines.select(target=text.str.extract(r"^\+?(\S+)"), pairs=text.str.replace(r"^\S+\s*", ""))


def suffix_of(path: Path) -> str:
    """Return the extension of a file name, which has two parts if the file is compressed."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() + suffix if suffix in COMPRESSIONS else suffix


def copy_stream(name: str, stream: BinaryIO) -> Path:
    """Copy a stream to a temporary file, which is removed at exit."""
    folder = tempfile.mkdtemp(prefix="cbackprop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "table")
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file)
    except OSError as error:
        remedy = "the environment variable TMPDIR names another folder"
        raise OSError(f"{name} cannot be copied to {path}: {error.strerror or error}; {remedy}") from None
    return path


def first_bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(4)


def check_lines(file: Path, limit: int) -> None:
    """Raise for a line of more than `limit` bytes, which Polars would hold several times over."""
    start = first_bytes(file)
    if start.startswith(ZLIB):
        raise ValueError("it is compressed by zlib; gzip or Zstandard is needed")
    open_text: Callable[..., Any] = open
    if start.startswith(GZIP):
        open_text = gzip.open
    elif start == ZSTANDARD:
        open_text = require("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", "cli").open
    elif file.stat().st_size <= limit:
        return
    length = 0  # of the line that continues in the next part, of which none is longer than a line may be
    with open_text(file, "rb") as text:
        while part := text.read(min(PART, limit)):
            end = part.find(b"\n")
            length += len(part) if end < 0 else end
            if length > limit:
                raise ValueError(f"a line has more than {limit:,} bytes; --max-line raises the limit")
            length = length if end < 0 else len(part) - 1 - part.rfind(b"\n")


def write_table(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, Any]) -> None:
    """Write a stream of frames to CSV or Parquet; an existing file is replaced only by a complete new one."""
    failed: list[ValueError] = []

    def source(*_: object) -> Iterator[pl.DataFrame]:
        try:
            yield from frames()
        except ValueError as error:  # Polars 1 would quote it in an error of its own
            failed.append(error)
            raise

    rows = register_io_source(source, schema=schema)
    kind = suffix_of(path)
    compression: Any = COMPRESSIONS.get(kind[4:])
    try:
        with open_output(path) as file:
            if kind == ".parquet":
                rows.sink_parquet(file)
            else:
                rows.sink_csv(file, compression=compression, separator=SEPARATORS.get(kind[:4], ","))
    except pl.exceptions.PolarsError as error:  # from writing; reading raises ValueError
        if failed:
            raise failed[0] from None
        raise OSError(f"{path}: {error}; nothing was written, and an existing file is unchanged") from None


@contextmanager
def error_context(name: str) -> Iterator[None]:
    """Prefix errors with the name of the file."""
    try:
        yield
    # a damaged file makes Polars and its dependencies raise almost anything
    except (Exception, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or ["it cannot be read"])[0]
        raise ValueError(f"{name}: {reason[:MAX_REASON]}") from error
