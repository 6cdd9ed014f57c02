"""Terminal output: tables on standard output, progress bars on standard error if it is a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cbackprop.command.messages import escape_control
from cbackprop.command.outputs import standard_output

LINE_INTERVAL = 10  # seconds between the lines that replace a bar


@contextmanager
def progress_bar(
    description: str, *, total: float | None = None, completed: int = 0, quiet: bool = False
) -> Iterator[Callable[..., None]]:
    """Show a progress bar or, where standard error is no terminal, a line now and then.

    Yield a function, whose arguments are a note beside the bar, and the steps by which it advances.
    """
    terminal, printed = sys.stderr.isatty(), monotonic()
    texts = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}")
    console, disable = Console(stderr=True), quiet or not terminal
    progress = Progress(*texts, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=disable)
    progress.add_task(description, total=total, completed=completed, note="")
    task = progress.tasks[0]

    def update(note: str | None = None, advance: float = 0) -> None:
        nonlocal printed
        progress.update(task.id, advance=advance, note=task.fields["note"] if note is None else note)
        if not (quiet or terminal) and monotonic() - printed >= LINE_INTERVAL:
            printed = monotonic()
            done = "" if task.total is None else f"{task.percentage:.0f} %"
            state = ", ".join(filter(None, (task.fields["note"], done)))
            print(f"cbackprop: {description}: {state}", file=sys.stderr, flush=True)

    try:
        with progress:
            yield update
    except KeyboardInterrupt:  # a second one, which Python raises after that of Polars, may have interrupted the stop
        progress.stop()
        raise


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", note: str = "", stderr: bool = False
) -> None:
    """Print a table; every column but the first is right-aligned."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(escape_control(column), justify="right" if number else "left")
    show(table, rows, stderr)
    if note:
        show(escape_control(note), stderr=stderr)


def print_confusion(matrix: Any, classes: Sequence[str]) -> None:
    """Print how many rows of each class were predicted to be of each."""
    rows = [[name, *(f"{n:,}" if n else "·" for n in row)] for name, row in zip(classes, matrix, strict=True)]
    print_table(["true \\ predicted", *classes], rows)


def print_fields(fields: Iterable[tuple[str, Any]], *, stderr: bool = False) -> None:
    """Print names and values in two columns, on standard error if the output itself goes to standard output."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    show(table, fields, stderr)


def show(content: Any, rows: Iterable[Sequence[Any]] = (), stderr: bool = False) -> None:
    """Print text or a table without markup, so that names from files appear as they are."""
    for row in rows:
        content.add_row(*(escape_control(str(cell)) for cell in row))
    with nullcontext() if stderr else standard_output():
        console = Console(markup=False, emoji=False, highlight=False, stderr=stderr)
        console.print(content, soft_wrap=isinstance(content, str))
