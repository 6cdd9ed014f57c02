"""The inputs of a network from the rows of a table: scaled numbers, indicators of categories, hashed names."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl

from cbackprop._extras import require
from cbackprop._model_file import indicators
from cbackprop.command.scaling import apply_scaling, check_range
from cbackprop.command.svmlight import SvmlightTable
from cbackprop.command.tables import Chunk, Table
from cbackprop.command.text import abbreviate

MAX_LEVELS = 1000  # of a column


class Inputs(ABC):
    """What a network takes of each row."""

    sparse = True  # whether rows are CSR arrays of float32
    root_mean_square: float = 1  # of the numbers in sparse rows

    @property
    @abstractmethod
    def D(self) -> int: ...

    @property
    @abstractmethod
    def row_values(self) -> int:
        """How many numbers a row holds in memory."""

    @property
    def non_zeros(self) -> float:
        """The mean number of inputs of a row that are not 0, if rows are sparse."""
        return self.row_values

    @property
    @abstractmethod
    def description(self) -> str: ...

    @abstractmethod
    def metadata(self, standardize: bool) -> dict[str, Any]:
        """Return what a model file tells of the inputs."""

    @abstractmethod
    def chunks(self, target: str | None = None, **options: Any) -> Iterator[Chunk]:
        """Yield what the table holds of inputs and targets; options are those of `Table.chunks`."""

    @abstractmethod
    def prepare(self, chunk: Chunk) -> Any:
        """Return the inputs (n, D); the numbers of the chunk may be overwritten."""


@dataclass
class DenseInputs(Inputs):
    """Columns of numbers, followed by an indicator of each level of each column of categories."""

    table: Table
    numbers: list[str]
    categories: dict[str, list[str]]
    mean: np.ndarray
    scale: np.ndarray
    sparse = False

    @cached_property
    def names(self) -> list[str]:
        return [*self.numbers, *indicators(self.categories)]

    @property
    def D(self) -> int:
        return len(self.names)

    @property
    def row_values(self) -> int:
        return self.D

    @property
    def description(self) -> str:
        return f"{self.D}: {abbreviate(self.names)}"

    def metadata(self, standardize: bool) -> dict[str, Any]:
        known: dict[str, Any] = {"features": self.names, "categories": self.categories or None}
        return known | ({"mean": self.mean, "scale": self.scale} if standardize else {})

    def chunks(self, target: str | None = None, **options: Any) -> Iterator[Chunk]:
        return self.table.chunks(self.numbers, target, categories=self.categories, **options)

    def prepare(self, chunk: Chunk) -> np.ndarray:
        x = chunk.x
        if self.categories:
            x = np.hstack([x, *(one_hot(chunk.categories[c], levels) for c, levels in self.categories.items())])
        return apply_scaling(x, self.mean, self.scale, self.table, self.names)


@dataclass
class HashedInputs(Inputs):
    """Hashed names of columns of numbers, and "column=text" of columns of text, as by scikit-learn's FeatureHasher."""

    table: Table
    numbers: list[str]
    texts: list[str]
    hasher: Any  # of `name_hasher`
    mean: np.ndarray  # of the numbers
    scale: np.ndarray
    root_mean_square: float = 1

    @property
    def D(self) -> int:
        return int(self.hasher.n_features)

    @property
    def row_values(self) -> int:
        return len(self.numbers) + len(self.texts)

    @property
    def description(self) -> str:
        kinds = {"numbers": self.numbers, "text": self.texts}
        columns = "; ".join(f"{kind}: {abbreviate(names)}" for kind, names in kinds.items() if names)
        return f"{self.D:,}, hashed; {columns}"

    def metadata(self, standardize: bool) -> dict[str, Any]:
        bits = self.D.bit_length() - 1
        known: dict[str, Any] = {"hash": {"bits": bits, "numbers": self.numbers, "texts": self.texts}}
        return known | ({"mean": self.mean, "scale": self.scale} if standardize and self.numbers else {})

    def chunks(self, target: str | None = None, **options: Any) -> Iterator[Chunk]:
        return self.table.chunks(self.numbers, target, texts=self.texts, **options)

    def prepare(self, chunk: Chunk) -> Any:
        n, n_numbers, width = len(chunk.x), len(self.numbers), self.row_values
        indices, values = np.empty((n, width), np.int32), np.empty((n, width), np.float32)
        if n_numbers:
            indices[:, :n_numbers], signs = self.hash(self.numbers)
            with np.errstate(over="ignore"):
                values[:, :n_numbers] = signs * apply_scaling(chunk.x, self.mean, self.scale, self.table, self.numbers)
            finite = np.atleast_1d(np.isfinite(values[:, :n_numbers]).all(axis=0))
            check_range(finite, self.table, self.numbers)
        for i, column in enumerate(self.texts, n_numbers):
            texts = chunk.categories[column]
            levels = texts.unique()  # hashed once each
            level_indices, signs = self.hash(f"{column}=" + levels)
            level = codes(texts, levels)
            indices[:, i], values[:, i] = level_indices[level], signs[level]
        starts = np.arange(0, n * width + 1, width)
        csr_array = require("scipy.sparse", "sparse").csr_array
        return csr_array((values.ravel(), indices.ravel(), starts), shape=(n, self.D))

    def hash(self, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the input of each name, and its sign."""
        rows = self.hasher.transform(zip(names, strict=True))  # rows of one name each
        return rows.indices, rows.data


def name_hasher(bits: int) -> Any:
    """Return scikit-learn's hasher of rows of one name each to 2^bits inputs."""
    hasher = require("sklearn.feature_extraction", "sklearn").FeatureHasher
    return hasher(2**bits, input_type="string", dtype=np.float32)


@dataclass
class SvmlightInputs(Inputs):
    """The numbers of an SVMlight file, as they are."""

    table: SvmlightTable
    non_zeros: float = 0
    root_mean_square: float = 1

    @property
    def D(self) -> int:
        return self.table.n_inputs

    @property
    def row_values(self) -> int:
        return 0  # the table limits the size of its chunks

    @property
    def description(self) -> str:
        return f"{self.D:,}, sparse"

    def metadata(self, standardize: bool) -> dict[str, Any]:
        return {}

    def chunks(self, target: str | None = None, **options: Any) -> Iterator[Chunk]:
        return self.table.chunks([], target, **options)

    def prepare(self, chunk: Chunk) -> Any:
        chunk.sparse.resize(chunk.sparse.shape[0], self.D)
        return chunk.sparse


def one_hot(values: pl.Series, levels: Sequence[str]) -> np.ndarray:
    """Return an indicator of each level."""
    indicator = np.zeros((len(values), len(levels)))
    indicator[np.arange(len(values)), codes(values, levels)] = 1
    return indicator


def codes(values: pl.Series, levels: Sequence[str] | pl.Series) -> np.ndarray:
    """Return the index of each value among `levels`."""
    return values.cast(pl.Enum(levels)).to_physical().to_numpy().astype(np.intp)


class CategoryColumn:
    """The levels of a column, counted chunk by chunk."""

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name
        self.counts: Counter[str] = Counter()
        self.checksum = 0  # a running one, which does not depend on the chunk size

    def update(self, values: pl.Series) -> None:
        self.checksum = label_checksum(values, self.checksum)
        self.counts.update(dict(values.value_counts().iter_rows()))
        if len(self.counts) > MAX_LEVELS:
            found = f"{self.path}: column {self.name!r} has more than {MAX_LEVELS:,} different categories"
            raise ValueError(f"{found}; --hash 18 learns any number of them, --ignore leaves the column out")

    def levels(self) -> list[str]:
        return in_order(self.counts)


def label_checksum(labels: pl.Series, checksum: int) -> int:
    """Continue a checksum of labels."""
    return crc32(f"{labels.str.join(chr(10)).item()}\n".encode(), checksum) if len(labels) else checksum


def in_order(names: Iterable[str]) -> list[str]:
    """Sort labels by value if all are numbers, else alphabetically."""
    names = sorted(names)
    try:
        return sorted(names, key=float)
    except ValueError:
        return names
