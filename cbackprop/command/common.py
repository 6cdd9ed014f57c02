"""What subcommands share: progress on standard error, only on a terminal; tables on standard output; output files."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import combinations
from pathlib import Path
from types import FrameType
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from cbackprop import _gate as gate
from cbackprop._extras import require
from cbackprop._model_file import write_whole
from cbackprop.command.text import plain


class Terminated(KeyboardInterrupt):
    """SIGTERM, which does what Ctrl-C does."""


def terminate(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM."""
    raise Terminated


class Stop:
    """Handles SIGINT and SIGTERM: while it is armed, the first of them interrupts; all others are ignored."""

    def __init__(self) -> None:
        self.armed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.armed:
            self.armed = False
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def handling(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Handle signals in another way for a while."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def console() -> Console:
    """Open standard output; names out of files are shown as they are, but for what a terminal obeys."""
    return Console(markup=False, emoji=False, highlight=False)


def progress(*, transient: bool = False) -> Progress:
    """Make a progress bar for use in a with statement, which may vanish at its end; its tasks have the field `note`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=transient,
        disable=not sys.stderr.isatty(),
    )


def show(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", note: str = "") -> None:
    """Print a table; every column but the first is aligned to the right."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.caption, table.caption_justify = plain(note) or None, "left"
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(plain(str(cell)) for cell in row))
    console().print(table)


def summarize(rows: Iterable[tuple[str, Any]]) -> None:
    """Print names and what they stand for."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, plain(str(value)))
    console().print(table)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def writable(option: str, path: Path, *suffixes: str) -> None:
    """Refuse an output file before the work, not after it."""
    gate.new_file(option, path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: the name must end in {' or '.join(suffixes)}")


def writable_figure(option: str, path: Path) -> None:
    """Refuse the file of a figure before the work, too if Matplotlib has no such format."""
    canvas = require("matplotlib.backend_bases", "plot").FigureCanvasBase
    kinds = [kind for kind in canvas.get_supported_filetypes() if kind != "pgf"]  # which takes LaTeX to write
    writable(option, path, *(f".{kind}" for kind in kinds))


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure; an existing one is replaced only by a complete new one."""
    kind = path.suffix[1:].lower()
    content = BytesIO()
    figure.savefig(content, format=kind, dpi=150, metadata={"Software": None} if kind == "png" else None)
    write_whole(path, content.getvalue())


def separate(files: dict[str, Path | None]) -> None:
    """Refuse one file for two purposes, before anything is overwritten."""
    given = [(what, file) for what, file in files.items() if file is not None]
    for (what, file), (other_what, other) in combinations(given, 2):
        if os.path.realpath(file) == os.path.realpath(other) or (
            file.exists() and other.exists() and file.samefile(other)
        ):
            raise ValueError(f"{other}: it is both {what} and {other_what}; they must be different files")


def few(names: Sequence[str]) -> str:
    """Name at most eight things in a message."""
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
