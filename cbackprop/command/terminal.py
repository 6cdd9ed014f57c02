"""Terminal output: tables on standard output, progress bars on standard error if it is a terminal."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cbackprop.command.messages import escape_control
from cbackprop.command.outputs import standard_output


def show(content: Any, *, stderr: bool = False, **options: Any) -> None:
    """Print on standard output or error without markup, so that names from files appear as they are."""
    with nullcontext() if stderr else standard_output():
        Console(markup=False, emoji=False, highlight=False, stderr=stderr).print(content, **options)


LINE_INTERVAL = 10  # seconds between the lines that replace a bar


class Bar:
    """A progress bar; a line now and then where standard error is no terminal."""

    def __init__(self, progress: Progress, task: TaskID, lines: bool) -> None:
        self.progress, self.task, self.lines = progress, task, lines
        self.printed = monotonic()
        self.note = ""

    def update(self, note: str | None = None, *, advance: float = 0) -> None:
        """Advance the bar, and write a note beside it."""
        self.note = self.note if note is None else note
        self.progress.update(self.task, advance=advance, note=self.note)
        if self.lines and monotonic() - self.printed >= LINE_INTERVAL:
            self.printed = monotonic()
            task = self.progress.tasks[self.task]
            done = "" if task.total is None else f"{task.percentage:.0f} %"
            state = ", ".join(filter(None, (self.note, done)))
            print(f"cbackprop: {task.description}: {state}", file=sys.stderr, flush=True)

    def count(self, n_rows: int) -> None:
        """Tell how many rows were read."""
        self.update(f"{n_rows:,} rows")


@contextmanager
def progress_bar(
    description: str, *, total: float | None = None, completed: int = 0, quiet: bool = False, transient: bool = False
) -> Iterator[Bar]:
    """Show a progress bar. A transient one disappears at the end."""
    terminal = sys.stderr.isatty()
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
        disable=quiet or not terminal,
    )
    task = progress.add_task(description, total=total, completed=completed, note="")
    try:
        with progress:
            yield Bar(progress, task, lines=not (quiet or terminal))
    except KeyboardInterrupt:  # a second one, which Python raises after that of Polars, may have interrupted the stop
        progress.stop()
        raise


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", note: str = "", stderr: bool = False
) -> None:
    """Print a table; every column but the first is right-aligned."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(escape_control(str(cell)) for cell in row))
    show(table, stderr=stderr)
    if note:
        show(escape_control(note), stderr=stderr, soft_wrap=True)


def print_fields(fields: Iterable[tuple[str, Any]], *, stderr: bool = False) -> None:
    """Print names and values in two columns, on standard error if the output itself goes to standard output."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        table.add_row(name, escape_control(str(value)))
    show(table, stderr=stderr)
