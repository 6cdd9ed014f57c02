"""Terminal output: tables on standard output, progress bars on standard error if it is a terminal."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cbackprop.command.text import escape_control


def console(*, stderr: bool = False) -> Console:
    """Open standard output or error without markup, so that names from files appear as they are."""
    return Console(markup=False, emoji=False, highlight=False, stderr=stderr)


@contextmanager
def progress_bar(*, transient: bool = False) -> Iterator[Progress]:
    """Show a progress bar; its tasks have the field `note`. A transient one disappears at the end."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
        disable=not sys.stderr.isatty(),
    )
    try:
        with bar:
            yield bar
    except KeyboardInterrupt:  # a second one, which Python raises after that of Polars, may have interrupted bar.stop
        bar.stop()
        raise


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", note: str = "") -> None:
    """Print a table; every column but the first is right-aligned."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.caption, table.caption_justify = escape_control(note) or None, "left"
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(escape_control(str(cell)) for cell in row))
    console().print(table)


def print_fields(fields: Iterable[tuple[str, Any]], *, stderr: bool = False) -> None:
    """Print names and values in two columns, on standard error if the output itself goes to standard output."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(name, escape_control(str(value)))
    console(stderr=stderr).print(table)
