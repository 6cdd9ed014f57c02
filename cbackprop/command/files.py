"""Tables of any size, by the endings of their names: opened, and written as they come."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from cbackprop._model_file import whole_file
from cbackprop.command.npz import NpzTable
from cbackprop.command.streamed import StreamedTable
from cbackprop.command.tables import Table


def open_table(path: Path, *, skip_bad_rows: bool = False) -> Table:
    """Open a table by the ending of its name."""
    kinds: dict[str, Callable[[Path], Table]] = {".csv": StreamedTable, ".parquet": StreamedTable, ".npz": NpzTable}
    if path.suffix.lower() not in kinds:
        raise ValueError(f"{path}: the name must end in {', '.join(kinds)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    table = kinds[path.suffix.lower()](path)
    table.skip_bad_rows = skip_bad_rows
    return table


def write(path: Path, frames: Callable[[], Iterator[pl.DataFrame]], schema: dict[str, Any]) -> None:
    """Write frames as they come to CSV or Parquet; the file appears when it is complete, with the mode of the old one.

    Raises
    ------
    OSError
        If it cannot be written. What was there is still there.
    """
    rows = register_io_source(lambda *_: frames(), schema=schema)
    sink = rows.sink_csv if path.suffix.lower() == ".csv" else rows.sink_parquet
    try:
        with whole_file(path) as file:
            sink(file)
    except pl.exceptions.PolarsError as error:  # of the writing; reading raises ValueError
        raise OSError(f"{path}: {error}; nothing was written, and what was there is unchanged") from None
