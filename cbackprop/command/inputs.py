"""The inputs of a network from the rows of a table: scaled numbers, indicators of categories, hashed names."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from cbackprop._extras import require
from cbackprop.command.columns import Category, Column, Number, Pairs, Text
from cbackprop.command.messages import abbreviate, describe_hashed
from cbackprop.command.statistics import apply_scaling
from cbackprop.command.tables import Table
from cbackprop.files.checks import indicators
from cbackprop.files.model_file import Model

REMEDY = "--missing mean fills gaps; "


class Inputs:
    """The inputs that a model finds in a table: `columns` are the kinds of the columns that it reads.

    Dense inputs are numbers, followed by an indicator of each level of each category. Sparse ones are CSR arrays of
    float32: the numbers of an SVMlight file as they are, or hashed names of columns of numbers, and of "column=text",
    as by scikit-learn's FeatureHasher.
    """

    def __init__(self, table: Table, model: Model, path: Any, target: str = "") -> None:
        self.table, self.D, self.scaling = table, model.w.shape[1] - 1, (model.mean, model.scale)
        self.columns: dict[str, Column]
        if table.sparse:
            if model.features is not None or model.hash is not None or model.mean is not None:
                found = f"{path} has named or scaled inputs; {table.name} has neither"
                raise ValueError(f"{found}: give a table with columns")
            self.encode, self.description = self.from_pairs, f"{self.D:,}, sparse"
            self.columns = {"pairs": Pairs(self.D, table.options.base)}
            return
        categories = model.categories or {}
        if model.hash is not None:
            self.names = self.numbers = model.hash["numbers"]
            self.texts = model.hash["texts"]
            hasher = require("sklearn.feature_extraction", "sklearn").FeatureHasher
            self.hasher = hasher(self.D, input_type="string", dtype=np.float32)  # of rows of one name each
            self.encode = self.hashed
            self.description = f"{self.D:,}, hashed; {describe_hashed(self.numbers, self.texts)}"
        else:
            self.names = model.features or [column for column in table.columns if column != target]
            if len(self.names) != self.D:
                found = f"{table.name} has {len(self.names)} columns; {path} has unnamed inputs"
                raise ValueError(f"{found}, so the table must have exactly {self.D}")
            self.numbers, self.texts = self.names[: self.D - len(indicators(categories))], list(categories)
            self.encode, self.description = self.dense, f"{self.D}: {abbreviate(self.names)}"
        table.require([*self.numbers, *self.texts])
        missing = table.options.missing
        self.running = model.standardize or {}  # how the network itself standardizes
        if missing == "mean" and self.numbers and model.mean is None and self.running.get("missing") != "mean":
            raise ValueError(f"{path} does not hold the means of its inputs, which --missing mean needs")
        self.columns = {column: Number(missing, REMEDY) for column in self.numbers}
        for column in self.texts:
            self.columns[column] = Category(categories[column], missing, REMEDY) if categories else Text()

    def scaled(self, rows: pl.DataFrame, *indicators: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        """Return scaled numbers; a gap is 0, their mean, unless the network itself standardizes."""
        numbers = rows.select(self.numbers).to_numpy(order="c").reshape(len(rows), len(self.numbers))
        x = apply_scaling(np.hstack([numbers, *indicators]), *self.scaling, self.table, self.names, dtype)
        return x if self.running else np.nan_to_num(x, copy=False)

    def dense(self, rows: pl.DataFrame) -> np.ndarray:
        """Return scaled numbers and indicators, (n, D): none is 1 for the code that follows those of the levels."""
        sizes = [(column, self.columns[column].n_inputs) for column in self.texts]
        return self.scaled(rows, *(np.eye(n + 1)[rows[column].to_numpy(), :n] for column, n in sizes))

    @property
    def unknown(self) -> str:
        """Tell how many cells hold unknown categories, of all rows that were read."""
        n = sum(kind.unknown for kind in self.columns.values() if isinstance(kind, Category))
        return f"{n:,} unknown categories, which count as none" if n else ""

    def hashed(self, rows: pl.DataFrame) -> Any:
        """Return a number for each column, or its sign for text, at the input to which the name is hashed."""
        n, width, n_numbers = len(rows), len(self.columns), len(self.numbers)
        indices, values = np.empty((n, width), np.int32), np.empty((n, width), np.float32)
        if n_numbers:
            indices[:, :n_numbers], signs = self.hash(self.numbers)
            values[:, :n_numbers] = signs * self.scaled(rows, dtype=np.float32)
        for i, column in enumerate(self.texts, n_numbers):
            texts = rows[column]
            known = texts.unique()  # hashed once each
            code = texts.cast(pl.Enum(known)).to_physical().to_numpy()
            indices[:, i], values[:, i] = (found[code] for found in self.hash(f"{column}=" + known))
        return self.csr_array(values.ravel(), indices.ravel(), np.arange(0, n * width + 1, width))

    def hash(self, names: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the input of each name, and its sign."""
        rows = self.hasher.transform(zip(names, strict=True))
        return rows.indices, rows.data

    def from_pairs(self, rows: pl.DataFrame) -> Any:
        """Return the numbers of an SVMlight file."""
        lists = rows["pairs"].struct
        lengths = lists.field("index").list.len()
        index, value = (lists.field(name).filter(lengths > 0).explode().to_numpy() for name in ("index", "value"))
        return self.csr_array(value, index.astype(np.int32), np.append(0, lengths.cum_sum()))

    def csr_array(self, values: np.ndarray, indices: np.ndarray, starts: np.ndarray) -> Any:
        matrix = require("scipy.sparse", "sparse").csr_array
        return matrix((values, indices, starts), shape=(len(starts) - 1, self.D))
