"""The command `cbackprop`: `main` is the entry point, `app` declares the subcommands, one module implements each.

Needs the extra `cli`: ``pip install "cbackprop[cli]"``.
"""

import io
import os
import signal
import sys
import warnings

from cbackprop._extras import require
from cbackprop.command.messages import explain, print_error, print_warning
from cbackprop.command.outputs import standard_output
from cbackprop.command.signals import Terminated

BROKEN_PIPE = 128 + 13  # SIGPIPE, which Windows lacks


def main() -> None:
    """Run the command line; an expected error is one line on standard error and a non-zero exit status."""
    prepare_streams()
    try:
        require("typer", "cli")
        require("rich", "cli")
        from typer.exceptions import TyperException

        from cbackprop.command.app import run

        with warnings.catch_warnings():
            warnings.showwarning = print_warning
            # Polars warns about an unclosed quote; the affected cell raises an error
            warnings.filterwarnings("ignore", "CSV malformed")
            try:
                status = run(sys.argv[1:])
            except TyperException as error:
                status = print_error(error.format_message(), status=2)
    except BrokenPipeError:  # the reader of standard output has seen enough
        status = BROKEN_PIPE
    except (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        status = print_error(explain(error))
    except KeyboardInterrupt as error:
        status = 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    sys.exit(flush_output(status))


def flush_output(status: int) -> int:
    """Write what is left for standard output, which at exit could not fail in one line; return the exit status."""
    try:
        with standard_output():
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        return status or BROKEN_PIPE
    except OSError as error:
        return status or print_error(explain(error))
    return status


def prepare_streams() -> None:
    """Replace a closed standard error; escape characters that the encoding of a stream lacks."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
