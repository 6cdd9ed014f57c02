"""Output files: checks before the work, so that no result is lost after it, and figures."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, BinaryIO

from cbackprop._extras import require
from cbackprop.files.atomic import atomic_open, writable_path

STANDARD = Path("-")  # standard input, or standard output


def name_of(path: Path) -> str:
    return "standard output" if path == STANDARD else str(path)


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file for atomic writing, or standard output."""
    if path == STANDARD:
        with standard_output():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    else:
        with atomic_open(path) as file:
            yield file


@contextmanager
def standard_output() -> Iterator[None]:
    """Name standard output in errors of writing to it; raise BrokenPipeError if its reader has closed it."""
    try:
        yield
    except OSError as error:
        sys.stdout = None  # at exit, what it holds would be written again, and fail again
        if isinstance(error, BrokenPipeError) or "os error 32" in str(error):  # of Polars, without its number
            raise BrokenPipeError from None
        raise OSError(f"standard output: {error.strerror or error}") from None


def check_distinct(files: dict[str, Path | None]) -> None:
    """Raise if two purposes share one file, before it is overwritten."""
    given = [(purpose, file) for purpose, file in files.items() if file is not None and file != STANDARD]
    for (purpose, file), (other_purpose, other) in combinations(given, 2):
        same = file.exists() and other.exists() and file.samefile(other)
        if same or os.path.realpath(file) == os.path.realpath(other):
            raise ValueError(f"{other} is both {purpose} and {other_purpose}; use different files")


def check_output(option: str, path: Path | None, *suffixes: str, standard: bool = True) -> None:
    """Raise if an output cannot be written, or if its name lacks one of the suffixes."""
    if path == STANDARD and not (standard and sys.stdout):
        raise ValueError(f"{option} is -; " + ("standard output is closed" if standard else "it must be a file"))
    if path is not None and path != STANDARD:
        writable_path(option, path)
        if suffixes and not path.name.lower().endswith(suffixes):
            raise ValueError(f"{option} is {str(path)!r}; the name must end in {', '.join(suffixes)}")


def check_figure(option: str, path: Path | None) -> None:
    """Raise if a figure cannot be written, or if Matplotlib does not support its format."""
    if path is not None:
        canvas = require("matplotlib.backend_bases", "plot").FigureCanvasBase
        formats = [f".{name}" for name in canvas.get_supported_filetypes() if name != "pgf"]  # pgf needs LaTeX
        check_output(option, path, *formats, standard=False)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure; an existing file is replaced only by a complete new one."""
    name = path.suffix[1:].lower()
    with atomic_open(path) as file:
        figure.savefig(file, format=name, dpi=150, metadata={"Software": None} if name == "png" else None)
