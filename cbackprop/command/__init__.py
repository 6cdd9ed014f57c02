"""The command `cbackprop`: `main` is the entry point, `app` declares the subcommands, one module implements each.

Needs the extra `cli`: ``pip install "cbackprop[cli]"``.
"""

import io
import os
import sys
import warnings
from typing import Any

from cbackprop._extras import require
from cbackprop.command.messages import explain, print_line
from cbackprop.command.outputs import standard_output

BROKEN_PIPE = 128 + 13  # SIGPIPE, which Windows lacks
EXPECTED = ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError


def main() -> None:
    """Run the command line; an expected error is one line on standard error and a non-zero exit status."""
    prepare_streams()
    try:
        status = run(sys.argv[1:])
        with standard_output():
            if sys.stdout is not None:  # what is left could not fail in one line at exit
                sys.stdout.flush()
    except BrokenPipeError:  # the reader of standard output has seen enough
        status = BROKEN_PIPE
    except EXPECTED as error:
        status = print_line("error", explain(error))
    except KeyboardInterrupt:  # before a command starts
        status = 130
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run a command line with warnings on one line; return the exit status."""
    require("typer", "cli")
    require("rich", "cli")
    from typer import BadParameter

    from cbackprop.command.app import app

    CommandLineError: Any = BadParameter.__mro__[2]  # ClickException; Typer 0.26 moved it, 0.28 named its base

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print_line("warning", str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show
        warnings.filterwarnings("ignore", "CSV malformed")  # of Polars; the affected cell raises an error
        try:
            return app(arguments or ["--help"], prog_name="cbackprop", standalone_mode=False) or 0
        except CommandLineError as error:
            return print_line("error", error.format_message(), status=2)


def prepare_streams() -> None:
    """Replace a closed standard error; escape characters that the encoding of a stream lacks."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
