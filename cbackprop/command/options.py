"""Options of `cbackprop train`, declared once: as parameters of the command line and as fields of a dataclass."""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from cbackprop._catalog import HIDDEN_FUNCTIONS
from cbackprop.command.lines import MAX_LINE

Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]

# of all that read a table
Data = Annotated[Path, typer.Argument(help="A table: CSV, TSV, Parquet or SVMlight; - is standard input.")]


class Format(StrEnum):
    """The format of a table."""

    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    SVMLIGHT = "svmlight"


TableFormat = Annotated[
    Format | None,
    typer.Option(help="Format of the table. By default, its name tells, or the content of a pipe: Parquet or CSV."),
]


def parse_separator(text: str) -> str:
    """Convert the value of --separator."""
    separator = "\t" if text in ("tab", "\\t") else text
    if len(separator) != 1 or not separator.isascii() or separator in '\r\n"':
        raise typer.BadParameter(f"{text!r} must be one ASCII character, or tab")
    return separator


Separator = Annotated[
    str | None,
    typer.Option(
        parser=parse_separator,
        metavar="CHARACTER",
        help="What separates the fields of a CSV file: one character, or tab. By default, a tab in .tsv files, else a "
        "comma.",
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option("--no-header", help="The first row of a CSV file is data; the columns are column1, column2, ..."),
]
MaxLine = Annotated[
    int,
    typer.Option(
        min=1024, metavar="BYTES", help="Length of a line of a CSV or SVMlight file, at most; it is held in memory."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads, at most. By default, as many as processors read the table, and one learns or predicts."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


class OnBadRow(StrEnum):
    """Action for a row with a missing or non-finite value, an unknown category, or surplus fields."""

    STOP = "stop"
    SKIP = "skip"


class Task(StrEnum):
    """What is learned: classes, or numbers."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


Activation = StrEnum("Activation", {name.upper(): name for name in HIDDEN_FUNCTIONS})  # type: ignore[misc]

AUTO = "auto"


def parse_learning_rate(text: str) -> float | str:
    """Convert the value of --learning-rate."""
    with suppress(ValueError):
        if text == AUTO or 0 < float(text) < math.inf:
            return text if text == AUTO else float(text)
    raise typer.BadParameter(f"{text!r} must be a positive number, or auto")


@dataclass(frozen=True)
class TrainOptions:
    """Arguments and options of `cbackprop train`."""

    data: Data
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column to predict: classes or numbers. Required but for SVMlight files, which tell it.",
        ),
    ] = None
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column to leave out; may be repeated.")
    ] = None
    categories: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of text, or of other categories, each of which becomes an input; may be repeated.",
        ),
    ] = None
    hash: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=24,
            metavar="BITS",
            help="Hash the names of all inputs, and text columns as COLUMN=TEXT, to 2^BITS inputs, most of which are 0 "
            "in each row. 18 is usual.",
        ),
    ] = None
    task: Annotated[
        Task | None, typer.Option(help="What to learn. By default, the target decides, as described above.")
    ] = None
    hidden: Annotated[int, typer.Option(min=1, help="Number of hidden units.")] = 32
    activation: Annotated[
        Activation | None,
        typer.Option(
            help="Function of the hidden units. By default, tanh, or sigmoid if --learning-rate is a number, "
            "which must be small for relu, such as 0.01."
        ),
    ] = None
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 30
    learning_rate: Annotated[
        Any,
        typer.Option(
            parser=parse_learning_rate,
            metavar="RATE",
            help="Factor of the gradient in each update: a number, or auto, which adapts it to each unit.",
        ),
    ] = AUTO
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per update.")] = 1
    seed: Seed = 0
    validation: Annotated[float, typer.Option(min=0, max=0.9, help="Fraction of the rows held out for validation.")] = (
        0.2
    )
    standardize: Annotated[
        bool,
        typer.Option(
            help="Shift and scale each input, and the target of a regression, to mean 0 and variance 1; the model "
            "stores both numbers."
        ),
    ] = True
    output: Annotated[Path, typer.Option(help="Model file to write; - is standard output.")] = Path("model.safetensors")
    plot: Annotated[
        Path | None,
        typer.Option(help="Figure to write: learning curve and confusion matrix, or predicted against true numbers."),
    ] = None
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint file, from which --resume continues.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint if it exists.")] = False
    on_bad_row: Annotated[
        OnBadRow, typer.Option(help="Action for rows with a missing or non-finite value, or that cannot be read.")
    ] = OnBadRow.STOP
    format: TableFormat = None
    separator: Separator = None
    no_header: NoHeader = False
    max_line: MaxLine = MAX_LINE
    threads: Threads = None
    quiet: Quiet = False


@dataclass(frozen=True)
class PredictOptions:
    """Arguments and options of `cbackprop predict`."""

    model: Annotated[Path, typer.Argument(help="A model saved by train or by Network.save.")]
    data: Data
    output: Annotated[
        Path,
        typer.Option(help="Predictions to write: CSV, TSV or Parquet; - is standard output, as CSV."),
    ] = Path("predictions.csv")
    on_bad_row: Annotated[
        OnBadRow,
        typer.Option(
            help="Action for rows with a missing or non-finite value, an unknown category, or surplus fields: skip "
            "leaves their predictions empty."
        ),
    ] = OnBadRow.STOP
    format: TableFormat = None
    separator: Separator = None
    no_header: NoHeader = False
    max_line: MaxLine = MAX_LINE
    threads: Threads = None
    quiet: Quiet = False


def takes(options: type) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Make the fields of a dataclass the parameters of a command, which is called with an instance of it."""

    def decorate(command: Callable[[Any], None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: Any) -> None:
            command(options(**values))

        call.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]
        return call

    return decorate
