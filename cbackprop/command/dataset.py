"""The rows of a table prepared for training: targets, scaling, and the split into training and held-out rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import typer

from cbackprop._rates import HASHED_RATE, TABLE_RATE
from cbackprop.command.inputs import HashedInputs, Inputs, Scaling, SvmlightInputs, codes
from cbackprop.command.messages import abbreviate
from cbackprop.command.options import Task, TrainOptions
from cbackprop.command.statistics import ColumnStatistics, apply_scaling
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import CHUNK_VALUES, Chunk, Table, as_numbers
from cbackprop.command.target import TargetColumn, in_order

MAX_LEVELS = 1000  # of a column of categories

Split = tuple[Any, np.ndarray]  # inputs (n, D), dense or CSR, and targets (n,): class indices, or scaled numbers


@dataclass
class Dataset:
    """A table with all that a first pass over it found."""

    table: Table
    inputs: Inputs
    target: str
    options: TrainOptions
    task: Task
    classes: list[str]  # none in a regression
    target_scaling: Scaling  # of numbers, which are learned as (t - mean) / scale
    rate: float  # of --learning-rate auto
    n_training: int
    n_held_out: int
    skipped: int
    only_chunk: Split | None = None  # a table of a single chunk is kept, and not read again

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each chunk: the same ones at every call."""
        rng = split_rng(self.options)
        numeric = self.task is Task.REGRESSION
        chunks = self.inputs.chunks(self.target, classes=self.classes or None, numeric=numeric)
        for x, t in [self.only_chunk] if self.only_chunk else map(self.prepare, chunks):
            held_out = rng.random(len(t)) < self.options.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])

    def prepare(self, chunk: Chunk) -> Split:
        """Return what a network learns from a chunk, whose inputs are overwritten."""
        if self.task is Task.CLASSIFICATION:
            t = codes(chunk.targets, self.classes)
        else:
            t = apply_scaling(chunk.targets.to_numpy(writable=True), *self.target_scaling, self.table, [self.target])
        return self.inputs.prepare(chunk), t

    def fingerprint(self) -> str:
        """Describe the file for a checkpoint."""
        checksum = 0
        with self.table.file.open("rb") as file:
            while part := file.read(2**20):
                checksum = crc32(part, checksum)
        return f"{self.n_training + self.n_held_out:,} rows with checksum {checksum:08x}"


def scan(table: Table, options: TrainOptions) -> Dataset:
    """Find classes or numbers in a table, its categories, and the scaling of its training rows, in one pass."""
    target, numbers, categories, texts = choose_columns(table, options)
    column = TargetColumn(f"{table.name}: column {target!r}", options.task)
    levels: dict[str, set[str]] = {name: set() for name in categories}
    statistics = ColumnStatistics(len(numbers))
    n_inputs, n_values, squares = 1, 0, 0.0  # of sparse rows
    rng = split_rng(options)
    only_chunk = None
    numeric = options.task is Task.REGRESSION
    chunks = table.chunks(numbers, target, texts=texts, numeric=numeric, categories=dict.fromkeys(categories))
    for number, chunk in enumerate(chunks):
        only_chunk = chunk if number == 0 else None
        training = rng.random(len(chunk.x)) >= options.validation
        statistics.update(chunk.x[training])
        column.update(chunk.targets, training)
        for name, known in levels.items():
            known.update(chunk.texts[name].unique())
            if len(known) > MAX_LEVELS:
                found = f"{table.name}: column {name!r} has more than {MAX_LEVELS:,} different categories"
                raise ValueError(f"{found}; --hash 18 learns any number of them, --ignore leaves the column out")
        if chunk.sparse is not None:
            n_inputs = max(n_inputs, int(chunk.sparse.indices.max(initial=0)) + 1)
            n_values += chunk.sparse.nnz
            squares += float((chunk.sparse.data.astype(float) ** 2).sum())
    if not statistics.n:
        skipped = f"; {table.skipped:,} bad rows skipped; the first: {table.first_error}" if table.skipped else ""
        raise ValueError(f"{table.name}: there are no training rows; at least one is needed{skipped}")
    task = column.decide()
    regression = task is Task.REGRESSION
    scaling: Scaling = None, None
    target_scaling: Scaling = None, None
    if options.standardize:
        # the indicators of categories stay 0 and 1: that of a rare one would become large
        scaling = statistics.standardization(table, numbers, sum(map(len, levels.values())))
        if regression:
            target_scaling = column.statistics.standardization(table, [target])
    if isinstance(table, SvmlightTable):
        inputs: Inputs = SvmlightInputs(table, n_inputs)
        rate = sparse_rate(n_inputs, n_values / column.n, math.sqrt(squares / max(1, n_values)))
    elif options.hash is not None:
        inputs = HashedInputs(table, options.hash, numbers, texts, scaling)
        size = 1 if options.standardize else statistics.root_mean_square(len(texts))
        rate = sparse_rate(inputs.D, inputs.row_values, size)
    else:
        inputs = Inputs(table, numbers, {name: in_order(known) for name, known in levels.items()}, scaling)
        rate = TABLE_RATE
    dataset = Dataset(
        table=table,
        inputs=inputs,
        target=target,
        options=options,
        task=task,
        classes=[] if regression else column.classes(),
        target_scaling=target_scaling,
        rate=rate,
        n_training=statistics.n,
        n_held_out=column.n - statistics.n,
        skipped=table.skipped,
    )
    if only_chunk and len(only_chunk.x) * inputs.row_values <= CHUNK_VALUES:
        targets = as_numbers(only_chunk.targets) if regression else only_chunk.targets
        dataset.only_chunk = dataset.prepare(only_chunk._replace(targets=targets))
    return dataset


def choose_columns(table: Table, options: TrainOptions) -> tuple[str, list[str], list[str], list[str]]:
    """Return the target, and the columns that are numbers, categories and hashed text."""
    ignore, categories = options.ignore or [], list(dict.fromkeys(options.categories or []))
    if table.target is not None:
        for option in ("target", "ignore", "categories", "hash"):
            if getattr(options, option):
                found = f"{table.name} has no named columns, and its lines begin with the target"
                raise typer.BadParameter(found, param_hint=f"'--{option}'")
        return table.target, [], [], []
    if options.target is None:
        found = f"it must be one of the columns {abbreviate(table.columns)}"
        raise typer.BadParameter(found, param_hint="'--target'")
    table.require([options.target, *ignore, *categories])
    left_out = {options.target, *ignore}
    if both := left_out.intersection(categories):
        raise ValueError(f"--categories is {both.pop()!r}, which is the target or ignored; it must be an input")
    columns = [column for column in table.columns if column not in left_out]
    if not columns:
        found = f"{table.name}: no column remains besides the target {options.target!r}"
        raise ValueError(f"{found}; at least one input is needed")
    known = {*categories, *(table.texts if options.hash else [])}
    texts = [column for column in columns if column in known]
    numbers = [column for column in columns if column not in known]
    return (options.target, numbers, [], texts) if options.hash else (options.target, numbers, categories, [])


def sparse_rate(D: int, non_zeros: float, root_mean_square: float) -> float:
    """Return the learning rate of row-wise AdaGrad for rows of which so many inputs are not 0 on average.

    It is divided by the root of the mean square of a unit's gradients over all inputs: where most of them are 0, a rate
    for dense rows would be too large. Numbers in sparse rows are learned as they are, and may be large.
    """
    filled = (min(non_zeros, D) + 1) / (D + 1)
    return HASHED_RATE * math.sqrt(filled) / max(1, root_mean_square)


def split_rng(options: TrainOptions) -> np.random.Generator:
    """Return the generator that splits: one number per row, so that chunk sizes do not matter."""
    return np.random.default_rng([options.seed, 1])
