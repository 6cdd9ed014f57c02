"""What the command line looks like: every subcommand, its options and their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cbackprop._extras import require

app = typer.Typer(
    help="Two-layer networks, learned one sample at a time by compiled backpropagation.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class OnBadRow(StrEnum):
    """What to do about a row with a value missing or not finite, or with too many fields."""

    STOP = "stop"
    SKIP = "skip"


Seed = Annotated[int, typer.Option(min=0, help="Seed of every random number.")]


def examples(*commands: str) -> str:
    """Lay out the end of a help text; the first line keeps the others from being rewrapped."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])


@app.command(epilog=examples("cbackprop demo", "cbackprop demo --seed 1 --output figure.png"))
def demo(
    seed: Seed = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the digits.")] = 30,
    output: Annotated[Path, typer.Option(help="The figure.")] = Path("demo.png"),
) -> None:
    """Learn to read handwritten digits, then repeat the article's two experiments."""
    for module in ("sklearn", "matplotlib"):
        require(module, "demo")
    from cbackprop.command.demo import run

    run(seed=seed, epochs=epochs, output=output)


@app.command(
    epilog=examples(
        "cbackprop train iris.csv --target species --hidden 8 --epochs 100",
        "cbackprop train iris.parquet --target species --batch-size 4 --output iris.safetensors --plot iris.png",
    )
)
def train(
    data: Annotated[Path, typer.Argument(help="A table: CSV, Parquet or NPZ.")],
    target: Annotated[str, typer.Option(help="The column of class labels, numbers or text.")],
    ignore: Annotated[list[str] | None, typer.Option(help="A column to leave out; may be repeated.")] = None,
    hidden: Annotated[int, typer.Option(min=1, help="Hidden units.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 30,
    learning_rate: Annotated[float, typer.Option(help="Factor of the gradient in each update.")] = 0.1,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows in an update.")] = 1,
    seed: Seed = 0,
    validation: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the rows held out to measure accuracy.")
    ] = 0.2,
    standardize: Annotated[
        bool, typer.Option(help="Shift and scale each input to mean 0 and variance 1; the model keeps the numbers.")
    ] = True,
    output: Annotated[Path, typer.Option(help="The model.")] = Path("model.safetensors"),
    plot: Annotated[Path | None, typer.Option(help="A figure: learning curve and confusion matrix.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A file to go on from, should the training be cut.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.")] = False,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="A value is missing, not finite or too many.")] = OnBadRow.STOP,
) -> None:
    """Train a network on a table and save it.

    All columns but the target are inputs. In an NPZ file an array of one dimension is a column, a larger one is a
    column per cell: x0, x1, ... The file is read in chunks of at most 65,536 rows, so it may be larger than memory;
    rows are shuffled within a chunk, and the chunks keep their order. A file of one chunk is read once.

    Ctrl-C stops after a whole sample, saves the model and exits with status 130; SIGTERM does so with status 143. What
    was learned before a row that cannot be read, or before learning diverged, is saved, too. The checkpoint is written
    every ten seconds and at the end; resumed with the same data and options, but for a larger --epochs, a training ends
    with the model of one that was never cut.
    """
    if resume and checkpoint is None:
        raise typer.BadParameter("it needs --checkpoint", param_hint="'--resume'")
    require("polars", "cli")
    if plot is not None:
        require("matplotlib", "plot")
    from cbackprop.command.train import run

    run(
        data,
        target=target,
        ignore=ignore or [],
        hidden=hidden,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        validation=validation,
        standardize=standardize,
        output=output,
        plot=plot,
        checkpoint=checkpoint,
        resume=resume,
        skip_bad_rows=on_bad_row is OnBadRow.SKIP,
    )


@app.command(
    epilog=examples(
        "cbackprop predict model.safetensors iris.csv",
        "cbackprop predict model.safetensors iris.csv --output predictions.parquet",
    )
)
def predict(
    model: Annotated[Path, typer.Argument(help="A model saved by train or by Network.save.")],
    data: Annotated[Path, typer.Argument(help="A table: CSV, Parquet or NPZ.")],
    output: Annotated[Path, typer.Option(help="The predictions: CSV or Parquet.")] = Path("predictions.csv"),
) -> None:
    """Predict the class of every row of a table, with the probability of each class.

    Columns are found by name, in any order, if the model has names for its inputs. The output has one row for each
    row of the table: the column "class", then for each class its probability.
    """
    require("polars", "cli")
    from cbackprop.command.predict import run

    run(model, data, output=output)


@app.command(epilog=examples("cbackprop info", "cbackprop info model.safetensors"))
def info(
    model: Annotated[Path | None, typer.Argument(help="A model to describe.")] = None,
) -> None:
    """Show version, kernels, CPU and compiler, or what a model file holds."""
    from cbackprop.command.info import run

    run(model)


def run(arguments: list[str]) -> int:
    """Run a command line; return the exit status."""
    return app(arguments or ["--help"], prog_name="cbackprop", standalone_mode=False) or 0
