"""Tables of any size, by the endings of their names: opened, and written as they come."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from cbackprop import _gate as gate
from cbackprop._model_file import _privately
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
    target = os.path.realpath(path)
    part = Path(gate.partial_path(target))
    try:
        mode = gate.replaceable(str(path))
        with open(part, "xb", opener=None if mode is None else _privately) as file:
            if mode is not None and os.name == "posix":
                os.fchmod(file.fileno(), mode)
            sink(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except (OSError, pl.exceptions.PolarsError) as error:  # of the writing; reading raises ValueError
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path}: {reason}; nothing was written, and what was there is unchanged") from None
    finally:
        try:
            part.unlink(missing_ok=True)
        except KeyboardInterrupt:  # Python's own, that follows the one Polars has raised
            part.unlink(missing_ok=True)
