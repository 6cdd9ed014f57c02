"""Tables of any size, by the endings of their names: opened, and written as they come."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

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
    """Write frames as they come to CSV or Parquet; the file appears when it is complete."""
    rows = register_io_source(lambda *_: frames(), schema=schema)
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.partial")  # no file of the user's has this name
    try:
        if path.suffix.lower() == ".csv":
            rows.sink_csv(part)
        else:
            rows.sink_parquet(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        try:
            part.unlink(missing_ok=True)
        except KeyboardInterrupt:  # Python's own, that follows the one Polars has raised
            part.unlink(missing_ok=True)
