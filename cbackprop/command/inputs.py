"""The inputs of a network from the rows of a table: scaled numbers, indicators of categories, hashed names."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from cbackprop._extras import require
from cbackprop.command.messages import abbreviate, describe_hashed
from cbackprop.command.statistics import apply_scaling, check_range
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import CHUNK_VALUES, Chunk, Table
from cbackprop.files.checks import indicators
from cbackprop.files.model_file import Model

Scaling = tuple[np.ndarray | None, np.ndarray | None]  # mean and scale; None for inputs as they are


class Inputs:
    """What a network takes of each row: numbers, followed by an indicator of each level of each category.

    `metadata` is what a model file tells of it.
    """

    sparse = False  # whether rows are CSR arrays of float32

    def __init__(self, table: Table, numbers: list[str], categories: dict[str, list[str]], scaling: Scaling) -> None:
        self.table, self.categories, self.scaling = table, categories, scaling
        self.names = [*numbers, *indicators(categories)]
        self.D = self.row_values = len(self.names)
        self.description = f"{self.D}: {abbreviate(self.names)}"
        self.metadata: dict[str, Any] = {"features": self.names, "categories": categories or None}
        self.metadata |= {"mean": scaling[0], "scale": scaling[1]}
        self.columns: dict[str, Any] = {"numbers": numbers, "categories": categories}

    def chunks(self, target: str | None = None, **options: Any) -> Iterator[Chunk]:
        """Yield what the table holds of inputs and targets; options are those of `Table.chunks`."""
        return self.table.chunks(target=target, **self.columns, **options)

    def prepare(self, chunk: Chunk) -> Any:
        """Return the inputs (n, D); the numbers of the chunk may be overwritten."""
        one_hot = [np.eye(len(levels))[codes(chunk.texts[name], levels)] for name, levels in self.categories.items()]
        return apply_scaling(np.hstack([chunk.x, *one_hot]), *self.scaling, self.table, self.names)


class HashedInputs(Inputs):
    """Hashed names of columns of numbers, and "column=text" of columns of text, as by scikit-learn's FeatureHasher."""

    sparse = True

    def __init__(self, table: Table, bits: int, numbers: list[str], texts: list[str], scaling: Scaling) -> None:
        self.table, self.numbers, self.texts, self.scaling = table, numbers, texts, scaling
        hasher = require("sklearn.feature_extraction", "sklearn").FeatureHasher
        self.hasher = hasher(2**bits, input_type="string", dtype=np.float32)  # of rows of one name each
        self.D, self.row_values = 2**bits, len(numbers) + len(texts)
        self.description = f"{self.D:,}, hashed; {describe_hashed(numbers, texts)}"
        self.metadata = {"hash": {"bits": bits, "numbers": numbers, "texts": texts}}
        self.metadata |= {"mean": scaling[0], "scale": scaling[1]} if numbers else {}
        self.columns = {"numbers": numbers, "texts": texts}

    def prepare(self, chunk: Chunk) -> Any:
        n, n_numbers, width = len(chunk.x), len(self.numbers), self.row_values
        indices, values = np.empty((n, width), np.int32), np.empty((n, width), np.float32)
        if n_numbers:
            indices[:, :n_numbers], signs = self.hash(self.numbers)
            with np.errstate(over="ignore"):
                values[:, :n_numbers] = signs * apply_scaling(chunk.x, *self.scaling, self.table, self.numbers)
            check_range(np.atleast_1d(np.isfinite(values[:, :n_numbers]).all(axis=0)), self.table, self.numbers)
        for i, column in enumerate(self.texts, n_numbers):
            texts = chunk.texts[column]
            levels = texts.unique()  # hashed once each
            level_indices, signs = self.hash(f"{column}=" + levels)
            level = codes(texts, levels)
            indices[:, i], values[:, i] = level_indices[level], signs[level]
        starts = np.arange(0, n * width + 1, width)
        csr_array = require("scipy.sparse", "sparse").csr_array
        return csr_array((values.ravel(), indices.ravel(), starts), shape=(n, self.D))

    def hash(self, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the input of each name, and its sign."""
        rows = self.hasher.transform(zip(names, strict=True))
        return rows.indices, rows.data


class SvmlightInputs(Inputs):
    """The numbers of an SVMlight file, as they are."""

    sparse = True

    def __init__(self, table: SvmlightTable, D: int) -> None:
        table.n_inputs = D
        self.table, self.D, self.row_values = table, D, 0  # the table limits the size of its chunks
        self.description = f"{D:,}, sparse"
        self.metadata, self.columns = {}, {}

    def prepare(self, chunk: Chunk) -> Any:
        chunk.sparse.resize(chunk.sparse.shape[0], self.D)
        return chunk.sparse


def inputs_of(model: Model, path: Any, table: Table) -> Inputs:
    """Find the inputs of a model in a table."""
    D, categories = model.w.shape[1] - 1, model.categories or {}
    scaling = model.mean, model.scale
    if isinstance(table, SvmlightTable):
        if model.features is not None or model.hash is not None or model.mean is not None:
            raise ValueError(f"{path} has named or scaled inputs; {table.name} has neither: give a table with columns")
        return SvmlightInputs(table, D)
    if model.hash is not None:
        table.require([*model.hash["numbers"], *model.hash["texts"]])
        return HashedInputs(table, **model.hash, scaling=scaling)
    numbers = table.columns if model.features is None else model.features[: D - sum(map(len, categories.values()))]
    table.require([*numbers, *categories])
    if model.features is None and len(numbers) != D:
        found = f"{table.name} has {len(numbers)} columns; {path} has unnamed inputs"
        raise ValueError(f"{found}, so the table must have exactly {D}")
    return Inputs(table, numbers, categories, scaling)


def codes(values: pl.Series, levels: Sequence[str] | pl.Series) -> np.ndarray:
    """Return the index of each value among `levels`."""
    return values.cast(pl.Enum(levels)).to_physical().to_numpy().astype(np.intp)


def blocks(x: Any, K: int) -> Iterator[Any]:
    """Split rows so that the K outputs for each block are no larger than a chunk."""
    size = max(1, CHUNK_VALUES // K)
    return (x[start : start + size] for start in range(0, x.shape[0], size))
