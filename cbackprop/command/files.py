"""Table files by their extension: opened, and written as a stream of frames."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from cbackprop._files import atomic_open
from cbackprop.command.npz import NpzTable
from cbackprop.command.streamed import StreamedTable
from cbackprop.command.tables import Table

READERS: dict[str, Callable[[Path], Table]] = {".csv": StreamedTable, ".parquet": StreamedTable, ".npz": NpzTable}


def open_table(path: Path, *, skip_bad_rows: bool = False) -> Table:
    """Open a table; the extension of its name determines the format."""
    if (suffix := path.suffix.lower()) not in READERS:
        raise ValueError(f"{path}: the name of a table must end in {' or '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    table = READERS[suffix](path)
    table.skip_bad_rows = skip_bad_rows
    return table


def write_table(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, Any]) -> None:
    """Write a stream of frames to CSV or Parquet; an existing file is replaced only by a complete new one."""
    rows = register_io_source(lambda *_: frames(), schema=schema)
    sink = rows.sink_csv if path.suffix.lower() == ".csv" else rows.sink_parquet
    try:
        with atomic_open(path) as file:
            sink(file)
    except pl.exceptions.PolarsError as error:  # from writing; reading raises ValueError
        raise OSError(f"{path}: {error}; nothing was written, and an existing file is unchanged") from None
