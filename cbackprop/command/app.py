"""The command line: every subcommand, its options and their help."""

import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from cbackprop import __version__
from cbackprop._extras import require
from cbackprop.command.messages import escape_control
from cbackprop.command.options import EvaluateOptions, Json, PredictOptions, Seed, TableOptions, TrainOptions
from cbackprop.command.signals import Terminated, signal_handler, terminate

app = typer.Typer(
    help="Two-layer neural networks, learned one sample at a time by compiled backpropagation.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def cbackprop(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        print(f"cbackprop {__version__}")
        raise typer.Exit


def command(*examples: str, options: type[TableOptions] | None = None) -> Callable[[Callable[..., None]], None]:
    """Declare a subcommand: a function that checks its arguments, before the module with its name runs.

    The fields of a dataclass of options, its own first, are parameters of the subcommand.
    """

    def declare(check: Callable[..., None]) -> None:
        @wraps(check)
        def call(**values: Any) -> None:
            arguments = values if options is None else {"options": options(**values)}
            check(**arguments)
            if options is not None:
                if values["threads"] is not None:
                    os.environ["POLARS_MAX_THREADS"] = str(values["threads"])  # which it reads when it is imported
                require("polars", "cli")
            with signal_handler(terminate, signal.SIGTERM):
                try:
                    import_module(f"cbackprop.command.{check.__name__}").run(**arguments)
                except KeyboardInterrupt as error:
                    number = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
                    print("cbackprop: stopped by", number.name, *map(escape_control, error.args), file=sys.stderr)
                    raise typer.Exit(128 + number) from None

        if options is not None:
            own, parameters = inspect.get_annotations(options), inspect.signature(options).parameters.values()
            order = sorted(parameters, key=lambda parameter: parameter.name not in own)
            call.__signature__ = inspect.Signature(order)  # type: ignore[attr-defined]
        lines = ["\b", "Examples:", *(f"  cbackprop {example}" for example in examples)]  # \b: they stay lines
        app.command(epilog="\n".join(lines))(call)

    return declare


@command("demo", "demo --seed 1 --output figure.png")
def demo(
    seed: Seed = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the digits.")] = 30,
    output: Annotated[Path, typer.Option(help="Figure to write.")] = Path("demo.png"),
) -> None:
    """Learn to read handwritten digits, then reproduce the article's two experiments."""
    for module in ("sklearn", "matplotlib"):
        require(module, "demo")


@command(
    "train iris.csv --target species --hidden 8 --epochs 100",
    "train iris.parquet --target species --batch-size 4 --output iris.safetensors --plot iris.png",
    "train iris.csv --target 'petal width' --categories species --output width.safetensors",
    "train iris.csv --target 'petal width' --hash 10 --output hashed.safetensors",
    options=TrainOptions,
)
def train(options: TrainOptions) -> None:
    """Train a network on a table and save it.

    The target decides what is learned: a regression if all its values are numbers and some are not whole, else classes.
    --task overrides this, and is required where that would be doubtful.

    Every other column is an input, of numbers or of true and false, or of categories if --categories names it; --ignore
    leaves one out. --hash takes text of any number of values. Lines of SVMlight files begin with the target. A table is
    read in blocks of at most 65,536 rows, so it may be larger than memory.

    Ctrl-C stops after a complete sample, saves the model and exits with status 130; SIGTERM does the same with status
    143. A training resumed with the same file and options (only --epochs may be larger) ends with exactly the model of
    an uninterrupted one.
    """
    if options.resume and options.checkpoint is None:
        raise typer.BadParameter("it requires --checkpoint", param_hint="'--resume'")
    if options.progressive and options.checkpoint is not None:
        raise typer.BadParameter("its measures are of a whole pass, without --checkpoint", param_hint="'--progressive'")
    if options.plot is not None:
        require("matplotlib", "plot")


@command(
    "predict model.safetensors iris.csv",
    "predict model.safetensors iris.csv --output predictions.parquet",
    "predict model.safetensors - --output - --quiet <iris.csv >classes.csv",
    options=PredictOptions,
)
def predict(options: PredictOptions) -> None:
    """Predict the class of every row of a table, with the probability of each class, or the number of a regression.

    If the model stores the names of its inputs, columns are found by name, in any order. The output has one row for
    each row of the table: the column "class", followed by the probability of each class; of a regression, one column
    with the name and the units of the target. CSV output has a header, and is compressed if its name ends in .gz or
    .zst.
    """


@command("evaluate model.safetensors iris.csv", "evaluate model.safetensors iris.csv --json", options=EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
    """Measure how well a model predicts the rows of a table.

    Of classes: log loss, accuracy, the area under the ROC curve of two, and the confusion matrix; of numbers: R², RMSE
    and MAE; beside them what the shares of the classes, or the mean of the numbers, would give.
    """


@command(
    "train iris.csv --target species --no-standardize --output plain.safetensors",
    "export plain.safetensors iris.h --name iris",
)
def export(
    model: Annotated[Path, typer.Argument(help="A model whose inputs and targets are not standardized.")],
    header: Annotated[Path, typer.Argument(metavar="FILE.h", help="File to write.")],
    name: Annotated[str, typer.Option(help="What all names in the header begin with.")] = "network",
    predict_only: Annotated[
        bool, typer.Option("--predict-only", help="Leave out what learns; weights are constants.")
    ] = False,
) -> None:
    """Export a model to C: one header that predicts, and goes on learning, without this library."""


@command("info", "info model.safetensors")
def info(model: Annotated[Path | None, typer.Argument(help="A model to describe.")] = None, json: Json = False) -> None:
    """Show version, kernels, CPU and compiler, or describe a model file."""
