"""Options of the subcommands that read a table: fields of dataclasses, of which `app` makes parameters."""

import math
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from typer import Argument, BadParameter, Option

from cbackprop._catalog import HIDDEN_FUNCTIONS

AUTO = "auto"

Activation = StrEnum("Activation", {name.upper(): name for name in HIDDEN_FUNCTIONS})  # type: ignore[misc]
Format = Literal["csv", "tsv", "parquet", "svmlight"]
Task = Literal["classification", "regression"]


def parse_learning_rate(text: str) -> float | str:
    """Convert the value of --learning-rate."""
    with suppress(ValueError):
        if text == AUTO or 0 < float(text) < math.inf:
            return text if text == AUTO else float(text)
    raise BadParameter(f"{text!r} must be a positive number, or auto")


Seed = Annotated[int, Option(min=0, help="Seed of the random numbers.")]
Rate = Annotated[Any, Option(parser=parse_learning_rate, metavar="RATE", help="A number, or auto: adapt to each unit.")]
Json = Annotated[bool, Option("--json", help="Print JSON.")]
ModelFile = Annotated[Path, Argument(help="A model saved by train or by Network.save.")]
Columns = list[str] | None


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Arguments and options of all subcommands that read a table."""

    remedy: ClassVar[str] = "--on-bad-row skip leaves such rows out"

    data: Annotated[Path, Argument(help="A table: CSV, TSV, Parquet or SVMlight; - is standard input.")]
    on_bad_row: Annotated[
        Literal["stop", "skip"],
        Option(help="Action for rows with a value that is missing, not finite or unknown, or surplus fields."),
    ] = "stop"
    format: Annotated[Format | None, Option(help="Format, if neither the name nor the content of a pipe tells.")] = None
    separator: Annotated[
        str | None, Option(metavar="CHARACTER", help="What separates the fields of a CSV file; or tab.")
    ] = None
    no_header: Annotated[
        bool, Option("--no-header", help="A CSV file begins with data; the columns are column1, column2, ...")
    ] = False
    missing: Annotated[
        Literal["error", "mean"], Option(help="Missing numbers: bad, or the mean; unknown categories: bad, or none.")
    ] = "error"
    base: Annotated[int, Option(min=0, max=1, help="First index in an SVMlight file.")] = 0
    max_line: Annotated[int, Option(min=1024, metavar="BYTES", help="Length of a line, at most.")] = 2**26
    threads: Annotated[int | None, Option(min=1, help="Threads; by default, one, and all processors to read.")] = None
    quiet: Annotated[bool, Option("--quiet", "-q", help="Print errors only.")] = False


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TableOptions):
    """Arguments and options of `cbackprop train`."""

    target: Annotated[
        str | None, Option(metavar="COLUMN", help="Column to predict: classes or numbers. SVMlight needs none.")
    ] = None
    ignore: Annotated[Columns, Option(metavar="COLUMN", help="Column to leave out; may be repeated.")] = None
    categories: Annotated[
        Columns, Option(metavar="COLUMN", help="Column whose values become an input each; may be repeated.")
    ] = None
    weight: Annotated[str | None, Option(metavar="COLUMN", help="Column of sample weights, at least 0.")] = None
    class_weight: Annotated[
        Literal["balanced"] | None, Option(help="Weight of a row: inversely, how often its class came so far.")
    ] = None
    progressive: Annotated[
        bool, Option("--progressive", help="Predict each row, then learn it: one pass in order, no rows held out.")
    ] = False
    hash: Annotated[
        int | None, Option(min=1, max=24, metavar="BITS", help="Hash names of inputs, and text, to 2^BITS inputs.")
    ] = None
    task: Annotated[Task | None, Option(help="What to learn. By default, the target decides.")] = None
    hidden: Annotated[int, Option(min=1, help="Number of hidden units.")] = 32
    activation: Annotated[
        Activation | None, Option(help="Hidden function: by default, tanh, or sigmoid with a number as the rate.")
    ] = None
    epochs: Annotated[int, Option(min=1, help="Passes over the rows.")] = 30
    learning_rate: Rate = AUTO
    batch_size: Annotated[int, Option(min=1, help="Rows per update.")] = 1
    seed: Seed = 0
    validation: Annotated[float, Option(min=0, max=0.9, help="Fraction of the rows that are held out.")] = 0.2
    standardize: Annotated[bool, Option(help="Scale inputs, and a target of numbers, to mean 0 and variance 1.")] = True
    output: Annotated[Path, Option(help="Model file to write; - is standard output.")] = Path("model.safetensors")
    plot: Annotated[Path | None, Option(help="Figure of the learning curve and of the predictions.")] = None
    checkpoint: Annotated[Path | None, Option(help="Checkpoint file, from which --resume continues.")] = None
    resume: Annotated[bool, Option("--resume", help="Continue from the checkpoint if it exists.")] = False


@dataclass(frozen=True, kw_only=True)
class PredictOptions(TableOptions):
    """Arguments and options of `cbackprop predict`."""

    remedy = "--on-bad-row skip leaves the predictions of such rows empty"

    model: ModelFile
    output: Annotated[Path, Option(help="Predictions to write: CSV, TSV or Parquet; - is standard output, as CSV.")] = (
        Path("predictions.csv")
    )


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(TableOptions):
    """Arguments and options of `cbackprop evaluate`."""

    model: ModelFile
    target: Annotated[str | None, Option(metavar="COLUMN", help="Column of the truth. By default, as of train.")] = None
    json: Json = False
