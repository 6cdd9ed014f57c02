"""The rows of a table prepared for training: targets, scaling, and the split into training and held-out rows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from cbackprop.command.inputs import (
    CategoryColumn,
    DenseInputs,
    HashedInputs,
    Inputs,
    SvmlightInputs,
    codes,
    label_checksum,
    name_hasher,
)
from cbackprop.command.options import Task
from cbackprop.command.scaling import ColumnStatistics, apply_scaling
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import CHUNK_VALUES, Chunk, Table, as_labels, as_numbers
from cbackprop.command.target import TargetColumn

Split = tuple[Any, np.ndarray]  # inputs (n, D), dense or CSR, and targets (n,): class indices, or scaled numbers


@dataclass
class Dataset:
    """A table with all that a first pass over it found."""

    table: Table
    inputs: Inputs
    target: str
    seed: int
    validation: float
    task: Task
    classes: list[str]  # none in a regression
    target_mean: np.ndarray  # of one number, which is learned as (t - target_mean) / target_scale
    target_scale: np.ndarray
    n_training: int
    n_held_out: int
    skipped: int
    fingerprint: str  # of everything read
    only_chunk: Split | None = None  # a table of a single chunk is kept, and not read again

    def splits(self) -> Iterator[tuple[Split, Split]]:
        """Yield training and held-out rows of each chunk: the same ones at every call."""
        rng = split_rng(self.seed)
        for x, t in [self.only_chunk] if self.only_chunk else map(self.prepare, self.chunks()):
            held_out = rng.random(len(t)) < self.validation
            yield (x[~held_out], t[~held_out]), (x[held_out], t[held_out])

    def chunks(self) -> Iterator[Chunk]:
        return self.inputs.chunks(self.target, classes=self.classes or None, numeric=self.task is Task.REGRESSION)

    def prepare(self, chunk: Chunk) -> Split:
        """Return what a network learns from a chunk, whose inputs are overwritten."""
        if self.task is Task.CLASSIFICATION:
            t = codes(chunk.targets, self.classes)
        else:
            numbers = chunk.targets.to_numpy(writable=True)[:, np.newaxis]
            t = apply_scaling(numbers, self.target_mean, self.target_scale, self.table, [self.target])[:, 0]
        return self.inputs.prepare(chunk), t


def scan(
    table: Table,
    target: str,
    ignore: Sequence[str],
    seed: int,
    validation: float,
    standardize: bool,
    task: Task | None = None,
    categories: Sequence[str] = (),
    bits: int | None = None,
) -> Dataset:
    """Find classes or numbers in a table, its categories, and the scaling of its training rows, in one pass."""
    texts: list[str] = []
    hasher = None if bits is None else name_hasher(bits)
    if hasher is not None:
        wanted = {*table.text_columns(), *categories} - {target, *ignore}
        texts = [name for name in table.columns if name in wanted]
        categories = []
    others = {target, *ignore, *categories, *texts}
    numbers = [column for column in table.columns if column not in others]
    if not (numbers or categories or texts or isinstance(table, SvmlightTable)):
        raise ValueError(f"{table.path}: no column remains besides the target {target!r}; at least one input is needed")
    column = TargetColumn(table.path, target, task)
    category_columns = {name: CategoryColumn(table.path, name) for name in categories}
    statistics = ColumnStatistics(len(numbers))
    rng = split_rng(seed)
    only_chunk = None
    checksum, text_checksums = 0, dict.fromkeys(texts, 0)  # running sums do not depend on the chunk size
    sparse = SparseRows()
    options: dict[str, Any] = {"numeric": task is Task.REGRESSION, "categories": dict.fromkeys(categories)}
    # no name for the chunks: the traceback of an error would keep them, and with them the file, open
    for number, chunk in enumerate(table.chunks(numbers, target, texts=texts, **options)):
        only_chunk = chunk if number == 0 else None
        checksum = crc32(np.ascontiguousarray(chunk.x).data, checksum)
        training = rng.random(len(chunk.x)) >= validation
        statistics.update(chunk.x[training])
        column.update(chunk.targets, training)
        for name, category_column in category_columns.items():
            category_column.update(chunk.categories[name])
        for name in texts:
            text_checksums[name] = label_checksum(chunk.categories[name], text_checksums[name])
        if chunk.sparse is not None:
            sparse.update(chunk.sparse)
    if not statistics.n:
        skipped = f"; {table.skipped:,} bad rows skipped; the first: {table.first_error}" if table.skipped else ""
        raise ValueError(f"{table.path}: there are no training rows; at least one is needed{skipped}")
    task = column.decide()
    regression = task is Task.REGRESSION
    classes = [] if regression else column.classes()
    levels = {name: category_column.levels() for name, category_column in category_columns.items()}

    mean, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    target_mean, target_scale = np.zeros(1), np.ones(1)
    if standardize:
        mean, scale = statistics.standardization(table, numbers)
        if regression:
            target_mean, target_scale = column.statistics.standardization(table, [target])
    inputs: Inputs
    if isinstance(table, SvmlightTable):
        table.n_inputs, inputs = sparse.n_inputs, SvmlightInputs(table, *sparse.means())
    elif hasher is not None:
        size = 1 if standardize else statistics.root_mean_square(len(texts))
        inputs = HashedInputs(table, numbers, texts, hasher, mean, scale, size)
    else:  # indicators stay 0 and 1: that of a rare category would become large
        n_indicators = sum(map(len, levels.values()))
        mean, scale = np.append(mean, np.zeros(n_indicators)), np.append(scale, np.ones(n_indicators))
        inputs = DenseInputs(table, numbers, levels, mean, scale)
    read = [numbers, checksum, column.checksums[task]]
    read += [(name, category_column.checksum) for name, category_column in category_columns.items()]
    read += [*text_checksums.items(), *sparse.checksums]
    checksum = crc32(repr(tuple(read)).encode())
    dataset = Dataset(
        table=table,
        inputs=inputs,
        target=target,
        seed=seed,
        validation=validation,
        task=task,
        classes=classes,
        target_mean=target_mean,
        target_scale=target_scale,
        n_training=statistics.n,
        n_held_out=column.n - statistics.n,
        skipped=table.skipped,
        fingerprint=f"{column.n:,} rows with checksum {checksum:08x}",
    )
    if only_chunk and len(only_chunk.x) * inputs.row_values <= CHUNK_VALUES:
        convert = as_numbers if regression else as_labels
        dataset.only_chunk = dataset.prepare(only_chunk._replace(targets=convert(only_chunk.targets)))
    return dataset


class SparseRows:
    """Sizes of CSR arrays that a table yields, and checksums of what they hold."""

    def __init__(self) -> None:
        self.n_inputs, self.n_rows, self.n_values, self.squares = 1, 0, 0, 0.0
        self.checksums: list[int] = []  # of the lengths of rows, of indices and of values

    def update(self, x: Any) -> None:
        self.n_inputs = max(self.n_inputs, int(x.indices.max(initial=0)) + 1)
        self.n_rows, self.n_values = self.n_rows + x.shape[0], self.n_values + x.nnz
        self.squares += float((x.data.astype(float) ** 2).sum())
        parts = np.diff(x.indptr).astype(np.int64), x.indices.astype(np.int64), x.data
        self.checksums = [crc32(part.data, sum_) for part, sum_ in zip(parts, self.checksums or [0] * 3, strict=True)]

    def means(self) -> tuple[float, float]:
        """Return the mean number of values in a row, and their root mean square."""
        return self.n_values / self.n_rows, math.sqrt(self.squares / max(1, self.n_values))


def blocks(x: Any, K: int) -> Iterator[Any]:
    """Split rows of inputs so that the K outputs for each block are no larger than a chunk."""
    size = max(1, CHUNK_VALUES // K)
    return (x[start : start + size] for start in range(0, x.shape[0], size))


def split_rng(seed: int) -> np.random.Generator:
    """Return the generator that splits: one number per row, so that chunk sizes do not matter."""
    return np.random.default_rng([seed, 1])
