"""Options of `cbackprop train`, declared once: as parameters of the command line and as fields of a dataclass."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

Seed = Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")]


class OnBadRow(StrEnum):
    """Action for a row with a missing or non-finite value, or with surplus fields."""

    STOP = "stop"
    SKIP = "skip"


class Task(StrEnum):
    """What is learned: classes, or numbers."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Activation(StrEnum):
    """The hidden function."""

    SIGMOID = "sigmoid"
    TANH = "tanh"
    RELU = "relu"


@dataclass(frozen=True)
class TrainOptions:
    """Arguments and options of `cbackprop train`."""

    data: Annotated[Path, typer.Argument(help="A table: CSV, Parquet or NPZ.")]
    target: Annotated[str, typer.Option(help="Column to predict: classes or numbers.")]
    ignore: Annotated[list[str] | None, typer.Option(help="Column to leave out; may be repeated.")] = None
    task: Annotated[
        Task | None, typer.Option(help="What to learn. By default, the target decides, as described above.")
    ] = None
    hidden: Annotated[int, typer.Option(min=1, help="Number of hidden units.")] = 32
    activation: Annotated[
        Activation,
        typer.Option(help="Function of the hidden units. relu needs a smaller --learning-rate, such as 0.01."),
    ] = Activation.SIGMOID
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 30
    learning_rate: Annotated[float, typer.Option(help="Factor of the gradient in each update.")] = 0.1
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
    output: Annotated[Path, typer.Option(help="Model file to write.")] = Path("model.safetensors")
    plot: Annotated[
        Path | None,
        typer.Option(help="Figure to write: learning curve and confusion matrix, or predicted against true numbers."),
    ] = None
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint file, from which --resume continues.")] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint if it exists.")] = False
    on_bad_row: Annotated[
        OnBadRow, typer.Option(help="Action for rows with a missing or non-finite value, or with surplus fields.")
    ] = OnBadRow.STOP


def takes(options: type) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Make the fields of a dataclass the parameters of a command, which is called with an instance of it."""

    def decorate(command: Callable[[Any], None]) -> Callable[..., None]:
        @wraps(command)
        def call(**values: Any) -> None:
            command(options(**values))

        call.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]
        return call

    return decorate
