"""The rows of a table prepared for training: targets, scaling, and the split into training and held-out rows."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import typer

from cbackprop.command.columns import Category, Column, Label, Number, Pairs, Text
from cbackprop.command.inputs import Inputs
from cbackprop.command.messages import abbreviate
from cbackprop.command.options import TrainOptions
from cbackprop.command.statistics import ColumnStatistics, apply_scaling
from cbackprop.command.tables import Table
from cbackprop.command.target import Target, in_order
from cbackprop.files.checks import indicators

MAX_LEVELS = 1000  # of a column of categories
REMEDY = "--categories or --hash learns text, --ignore leaves a column out, --missing mean fills gaps; "


class Split(NamedTuple):
    """Rows to learn: inputs (n, D), dense or CSR, targets (n,), class indices or scaled numbers, and weights."""

    x: Any
    t: np.ndarray
    weight: np.ndarray


class Dataset:
    """A table with all that a first pass over it finds: classes or numbers, categories, scaling, and D.

    `metadata` is what a model file tells of it. Sparse rows are learned as they are: `size` is the root mean square of
    their numbers, if above 1.
    """

    def __init__(self, table: Table, options: TrainOptions) -> None:
        self.table, self.options = table, options
        self.target, self.numbers, self.categories, self.texts = choose_columns(table, options)
        self.weights: dict[str, Column] = {options.weight: Number(lowest=0)} if options.weight else {}
        self.inputs: Inputs  # set when the model is known
        self.kept: Split | None = None  # a table of a single block, which is not read in each epoch
        self.n_training, self.D = 0, max(1, len(self.numbers))
        self.statistics = ColumnStatistics(1 if table.sparse else len(self.numbers))
        self.levels: dict[str, set[str]] = {name: set() for name in self.categories}
        target = Target(f"{table.name}: column {self.target!r}", options.task)
        self.scan(target)
        self.n_held_out = target.n - self.n_training
        if not self.n_training:
            found = f"{table.name}: there are no training rows; at least one is needed; {table.bad_rows}"
            raise ValueError(found.rstrip("; "))
        self.regression = target.decide() == "regression"
        self.classes = [] if self.regression else target.classes()
        if self.regression and options.class_weight is not None:
            found = f"--class-weight is {options.class_weight}, and {self.target!r} holds numbers"
            raise ValueError(f"{found}; --task classification makes them classes, --weight takes weights from a column")
        self.metadata: dict[str, Any] = {"classes": self.classes, "target": self.target}
        self.target_scaling: tuple[Any, Any] = None, None
        if self.regression:
            if options.standardize:
                self.target_scaling = target.statistics.standardization(table, [self.target])
            mean, scale = self.target_scaling
            self.metadata = {"targets": [self.target], "target_mean": mean, "target_scale": scale}
        self.size = self.find_inputs()

    def scan(self, target: Target) -> None:
        """Read the table once."""
        missing, sparse = self.options.missing, self.table.sparse
        columns: dict[str, Column] = {name: Number(missing, REMEDY) for name in self.numbers}
        columns |= dict.fromkeys(self.categories, Label(missing)) | dict.fromkeys(self.texts, Text())
        columns |= {"pairs": Pairs(base=self.options.base)} if sparse else {}
        target_kind = Number() if self.options.task == "regression" else Label(numeric=sparse)
        columns |= {**self.weights, self.target: target_kind}
        rng = self.split_rng()
        for rows, _ in self.table.blocks(columns):
            training = rng.random(len(rows)) >= self.options.validation
            self.n_training += int(training.sum())
            target.update(rows[self.target], training)
            if sparse:
                pairs = rows["pairs"].struct
                index, value = (pairs.field(name).explode().drop_nulls().to_numpy() for name in ("index", "value"))
                self.D = max(self.D, 1 + int(index.max(initial=0)))
                self.statistics.add(value[:, np.newaxis].astype(float))
            else:
                x = rows.select(self.numbers).to_numpy().reshape(len(rows), len(self.numbers))[training]
                self.statistics.add(x if missing == "error" else with_means(x))
            for name, known in self.levels.items():
                known.update(rows[name].drop_nulls().unique())
                if len(known) > MAX_LEVELS:
                    found = f"{self.table.name}: column {name!r} has more than {MAX_LEVELS:,} different categories"
                    raise ValueError(f"{found}; --hash 18 learns any number of them, --ignore leaves the column out")

    def find_inputs(self) -> float:
        """Find out D and what a model file tells of the inputs; return their size."""
        options, size, metadata = self.options, 1.0, self.metadata
        levels = {name: in_order(known) for name, known in self.levels.items()}
        if options.hash is not None:
            self.D = 2**options.hash
            metadata["hash"] = {"bits": options.hash, "numbers": self.numbers, "texts": self.texts}
        elif not self.table.sparse:
            metadata |= {"features": [*self.numbers, *indicators(levels)], "categories": levels or None}
            self.D = len(metadata["features"])
        if self.table.sparse or (options.hash is not None and not options.standardize):
            size = max(1, self.statistics.root_mean_square(len(self.texts)))
        if options.standardize and (self.numbers or levels):
            # the indicators of categories stay 0 and 1: that of a rare one would become large
            mean, scale = self.statistics.standardization(self.table, self.numbers)
            n_indicators = sum(map(len, levels.values()))
            metadata |= {"mean": np.append(mean, [0] * n_indicators), "scale": np.append(scale, [1] * n_indicators)}
        return size

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each block: the same ones at every call."""
        rng, n_blocks, counts = self.split_rng(), 0, np.zeros(max(1, len(self.classes)))  # of each class so far
        for rows in [self.kept] if self.kept else self.read():
            n_blocks += 1
            held_out = rng.random(len(rows.t)) < self.options.validation
            training, others = (Split(*(part[chosen] for part in rows)) for chosen in (~held_out, held_out))
            if self.options.class_weight is not None:
                so_far = counts + np.cumsum(np.eye(len(counts))[training.t], axis=0)
                counts += np.bincount(training.t, minlength=len(counts))
                n_k = so_far[np.arange(len(training.t)), training.t]
                training = training._replace(weight=training.weight * so_far.sum(axis=1) / (len(counts) * n_k))
            yield training, others
        if n_blocks == 1:
            self.kept = rows

    def read(self) -> Iterator[Split]:
        """Yield what a network learns."""
        target = Number() if self.regression else Category(self.classes)
        columns = {**self.inputs.columns, **self.weights, self.target: target}
        for rows, _ in self.table.blocks(columns, len(self.classes)):
            if not len(rows):
                continue
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
    if table.sparse:
        for option in ("target", "ignore", "categories", "hash", "weight"):
            if getattr(options, option):
                found = f"{table.name} has no named columns, and its lines begin with the target"
                raise typer.BadParameter(found, param_hint=f"'--{option}'")
        return "target", [], [], []
    if options.target is None:
        found = f"it must be one of the columns {abbreviate(table.columns)}"
        raise typer.BadParameter(found, param_hint="'--target'")
    categories = dict.fromkeys(options.categories or [])
    left_out = dict.fromkeys([options.target, *(options.ignore or []), options.weight or options.target])
    table.require([*left_out, *categories])
    if both := left_out.keys() & categories:
        found = f"--categories is {both.pop()!r}, which is the target, the weight or ignored"
        raise ValueError(f"{found}; it must be an input")
    columns = [column for column in table.columns if column not in left_out]
    if not columns:
        found = f"{table.name}: no column remains besides the target {options.target!r}"
        raise ValueError(f"{found}; at least one input is needed")
    known = {*categories, *(table.texts if options.hash else [])}
    texts = [column for column in columns if column in known]
    numbers = [column for column in columns if column not in known]
    return (options.target, numbers, [], texts) if options.hash else (options.target, numbers, [*categories], [])
