"""The rows of a table prepared for training: targets, scaling, and the split into training and held-out rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import typer

from cbackprop import Network
from cbackprop.command.columns import Category, Column, Label, Number, NumericLabel, Pairs, Text, Weight
from cbackprop.command.inputs import Inputs
from cbackprop.command.messages import abbreviate
from cbackprop.command.options import TrainOptions
from cbackprop.command.statistics import ColumnStatistics, apply_scaling
from cbackprop.command.tables import Table
from cbackprop.command.target import Target, in_order
from cbackprop.files.checks import indicators
from cbackprop.files.model_file import Model

PAIR = "index", "value"
MAX_LEVELS = 1000  # of a column of categories
REMEDY = "--categories or --hash learns text, --ignore leaves a column out, --missing mean fills gaps; "


class Split(NamedTuple):
    """Rows to learn: inputs (n, D), dense or CSR, targets (n,), class indices or scaled numbers, and weights."""

    x: Any
    t: np.ndarray
    weight: np.ndarray


class Dataset:
    """A table with all that a first pass over it finds: classes or numbers, categories, and scaling.

    Attributes
    ----------
    D : int
        Number of inputs.
    metadata : dict
        What a model file tells of the inputs.
    size : float
        The root mean square of numbers in sparse rows, which are learned as they are, if above 1.
    """

    def __init__(self, table: Table, options: TrainOptions) -> None:
        self.table, self.options = table, options
        self.target, self.numbers, self.categories, self.texts = choose_columns(table, options)
        self.weights = {} if options.weight is None else {options.weight: Weight()}
        self.inputs: Inputs  # set when the model is known
        self.kept: Split | None = None  # a table of a single block, which is not read in each epoch
        self.n_training, self.D = 0, max(1, len(self.numbers))
        self.statistics, self.values = (
            ColumnStatistics(len(self.numbers)),
            ColumnStatistics(1),
        )  # values: of sparse rows
        self.levels: dict[str, set[str]] = {name: set() for name in self.categories}
        target = Target(f"{table.name}: column {self.target!r}", options.task)
        self.scan(target)
        self.skipped, self.n_held_out = table.skipped, target.n - self.n_training
        if not self.n_training:
            skipped = f"; {table.skipped:,} bad rows skipped; the first: {table.first_error}" if table.skipped else ""
            raise ValueError(f"{table.name}: there are no training rows; at least one is needed{skipped}")
        self.regression = target.decide() == "regression"
        self.classes = [] if self.regression else target.classes()
        if self.regression and options.class_weight is not None:
            found = f"--class-weight is {options.class_weight}, and {self.target!r} holds numbers"
            raise ValueError(f"{found}; --task classification makes them classes, --weight takes weights from a column")
        self.target_scaling: tuple[Any, Any] = None, None
        if self.regression and options.standardize:
            self.target_scaling = target.statistics.standardization(table, [self.target])
        self.metadata, self.size = self.find_inputs()

    def scan(self, target: Target) -> None:
        """Read the table once."""
        missing = self.options.missing
        columns: dict[str, Column] = {name: Number(missing, REMEDY) for name in self.numbers}
        columns |= dict.fromkeys(self.categories, Label(missing)) | dict.fromkeys(self.texts, Text())
        columns |= {"pairs": Pairs(base=self.options.base)} if self.table.sparse else {}
        text = NumericLabel() if self.table.sparse else Label()
        columns |= self.weights
        columns[self.target] = Number() if self.options.task == "regression" else text
        rng = self.split_rng()
        for rows, _ in self.table.blocks(columns):
            training = rng.random(len(rows)) >= self.options.validation
            self.n_training += int(training.sum())
            target.update(rows[self.target], training)
            x = rows.select(self.numbers).to_numpy().reshape(len(rows), len(self.numbers))[training]
            self.statistics.update(x if missing == "error" else with_means(x))
            for name, known in self.levels.items():
                known.update(rows[name].drop_nulls().unique())
                if len(known) > MAX_LEVELS:
                    found = f"{self.table.name}: column {name!r} has more than {MAX_LEVELS:,} different categories"
                    raise ValueError(f"{found}; --hash 18 learns any number of them, --ignore leaves the column out")
            if self.table.sparse:
                index, value = (rows["pairs"].struct.field(name).explode().drop_nulls().to_numpy() for name in PAIR)
                self.D = max(self.D, 1 + int(index.max(initial=0)))
                self.values.update(value[:, np.newaxis].astype(float))

    def find_inputs(self) -> tuple[dict[str, Any], float]:
        """Return what a model file tells of the inputs, and their size; set D."""
        table, options, size = self.table, self.options, 1.0
        metadata: dict[str, Any] = {}
        levels = {name: in_order(known) for name, known in self.levels.items()}
        if table.sparse:
            size = self.values.root_mean_square(0) if self.values.n else 1
        elif options.hash is not None:
            self.D = 2**options.hash
            metadata["hash"] = {"bits": options.hash, "numbers": self.numbers, "texts": self.texts}
            size = 1 if options.standardize else self.statistics.root_mean_square(len(self.texts))
        else:
            metadata |= {"features": [*self.numbers, *indicators(levels)], "categories": levels or None}
            self.D = len(metadata["features"])
        if options.standardize and (self.numbers or levels):
            # the indicators of categories stay 0 and 1: that of a rare one would become large
            n_others = sum(map(len, levels.values()))
            metadata["mean"], metadata["scale"] = self.statistics.standardization(table, self.numbers, n_others)
        return metadata, max(1, size)

    def describe(self, network: Network) -> Model:
        """Describe network and table for the model file."""
        model = Model(network.w, network.v, network.learning_rate, functions=network.functions, **self.metadata)
        if network.accumulators is not None:
            model.states["accumulators"] = network.accumulators
        if self.regression:
            model.targets = [self.target]
            model.target_mean, model.target_scale = self.target_scaling
        else:
            model.classes, model.target = self.classes, self.target
        return model

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each block: the same ones at every call."""
        rng, n_blocks = self.split_rng(), 0
        for rows in [self.kept] if self.kept else self.read():
            n_blocks += 1
            held_out = rng.random(len(rows.t)) < self.options.validation
            yield Split(*(part[~held_out] for part in rows)), Split(*(part[held_out] for part in rows))
        if n_blocks == 1:
            self.kept = rows

    def read(self) -> Iterator[Split]:
        """Yield what a network learns."""
        target = Number() if self.regression else Category(self.classes)
        columns = {**self.inputs.columns, **self.weights, self.target: target}
        for rows, _ in self.table.blocks(columns, len(self.classes)):
            t = rows[self.target].to_numpy(writable=True)
            if self.regression:
                t = apply_scaling(t, *self.target_scaling, self.table, [self.target])
            weight = rows[self.options.weight].to_numpy() if self.options.weight else np.ones(len(rows))
            yield Split(self.inputs.encode(rows), t, weight)

    def fingerprint(self) -> str:
        """Describe the file for a checkpoint."""
        checksum = 0
        with self.table.file.open("rb") as file:
            while part := file.read(2**20):
                checksum = crc32(part, checksum)
        return f"{self.n_training + self.n_held_out:,} rows with checksum {checksum:08x}"

    def split_rng(self) -> np.random.Generator:
        """Return the generator that splits: one number per row, so that block sizes do not matter."""
        return np.random.default_rng([self.options.seed, 1])


def with_means(x: np.ndarray) -> np.ndarray:
    """Put the mean of each column in place of NaN."""
    present = ~np.isnan(x)
    mean = np.where(present, x, 0).sum(axis=0) / np.maximum(1, present.sum(axis=0))
    return np.where(present, x, mean)


def choose_columns(table: Table, options: TrainOptions) -> tuple[str, list[str], list[str], list[str]]:
    """Return the target, and the columns that are numbers, categories and hashed text."""
    ignore, categories = options.ignore or [], list(dict.fromkeys(options.categories or []))
    if table.sparse:
        for option in ("target", "ignore", "categories", "hash", "weight"):
            if getattr(options, option):
                found = f"{table.name} has no named columns, and its lines begin with the target"
                raise typer.BadParameter(found, param_hint=f"'--{option}'")
        return "target", [], [], []
    if options.target is None:
        found = f"it must be one of the columns {abbreviate(table.columns)}"
        raise typer.BadParameter(found, param_hint="'--target'")
    weight = [] if options.weight is None else [options.weight]
    table.require([options.target, *ignore, *categories, *weight])
    left_out = {options.target, *ignore, *weight}
    if both := left_out.intersection(categories):
        raise ValueError(
            f"--categories is {both.pop()!r}, which is the target, the weight or ignored; it must be an input"
        )
    columns = [column for column in table.columns if column not in left_out]
    if not columns:
        found = f"{table.name}: no column remains besides the target {options.target!r}"
        raise ValueError(f"{found}; at least one input is needed")
    known = {*categories, *(table.texts if options.hash else [])}
    texts = [column for column in columns if column in known]
    numbers = [column for column in columns if column not in known]
    return (options.target, numbers, [], texts) if options.hash else (options.target, numbers, categories, [])
