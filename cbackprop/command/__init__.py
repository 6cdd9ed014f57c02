"""The command `cbackprop`: `main` runs it, `app` declares it, and each other module does the work of one subcommand.

Needs the extra `cli`: ``pip install "cbackprop[cli]"``.
"""

import io
import os
import signal
import sys
import warnings

from cbackprop._extras import require
from cbackprop.command.text import plain


def main() -> None:
    """Run the command line; what the user can mend is one line on standard error and a non-zero status."""
    prepare_streams()
    try:
        require("typer", "cli")
        require("rich", "cli")
        from typer.exceptions import TyperException

        from cbackprop.command.app import run

        with warnings.catch_warnings():  # Polars warns of an open quote; the cell it spoils is reported as an error
            warnings.filterwarnings("ignore", "CSV malformed")
            try:
                status = run(sys.argv[1:])
            except TyperException as error:
                status = complain(error.format_message(), status=2)
    except (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        status = complain(str(error) or type(error).__name__)
    except KeyboardInterrupt:  # while modules are imported
        status = 128 + signal.SIGINT
    sys.exit(status)


def prepare_streams() -> None:
    """Let standard error be closed, and either stream lack characters that are printed: they are escaped."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain(reason: str, status: int = 1) -> int:
    """Print what went wrong on one line; return the exit status."""
    print("cbackprop: error:", plain(" ".join(reason.split())), file=sys.stderr)
    return status
