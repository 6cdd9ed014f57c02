"""Kinds of columns: what their cells must be, and the conversion of these."""

import math
from collections.abc import Callable, Sequence

import polars as pl

MAX_LABEL = 1000  # bytes: a block of longer ones, which compress well in a file, could take any amount of memory
MAX_INPUTS = 2**24  # a line of a few bytes can name any: their weights would take any amount of memory
# cells of a CSV file in place of a number
MISSING = ["", "-", ".", "?", "N/A", "n/a", "NA", "na", "NaN", "nan", "nil", "None", "none", "NULL", "null"]
BOOLEANS = {"false": "0", "true": "1"}  # in any case


class Column:
    """A kind of column."""

    needed = remedy = ""  # in messages
    n_inputs = 1
    unbounded = False  # cells may be of any length
    optional = False  # null is not bad
    convert: Callable[[pl.Series], pl.Series]  # what the cells mean; null for a bad one


class Text(Column):
    """Text of any length, which may be missing."""

    unbounded = True

    def convert(self, cells: pl.Series) -> pl.Series:
        return as_text(cells).fill_null("")


class Number(Column):
    """Finite numbers, of at least `lowest`; missing ones are bad, or NaN. True and false are 1 and 0."""

    def __init__(self, missing: str = "error", remedy: str = "", lowest: float = -math.inf) -> None:
        self.missing, self.remedy, self.lowest = missing == "mean", remedy, lowest
        self.needed = "a finite number" + (f" of at least {lowest}" if lowest > -math.inf else "")

    def convert(self, cells: pl.Series) -> pl.Series:
        if not (cells.dtype.is_numeric() or cells.dtype == pl.Boolean):
            cells = cells.cast(pl.String)
        numbers = cells.cast(pl.Float64, strict=False)
        if cells.dtype == pl.String and numbers.null_count() > cells.null_count():
            numbers = cells.str.strip_chars().str.to_lowercase().replace(BOOLEANS).cast(pl.Float64, strict=False)
        numbers = numbers.set(~numbers.is_finite() | (numbers < self.lowest), None)
        if self.missing and numbers.null_count():
            absent = as_text(cells).str.strip_chars().is_in(MISSING).fill_null(True)
            numbers = numbers.set(numbers.is_null() & absent, math.nan)
        return numbers


class Label(Column):
    """Text of a length that a class or a category may have, or numbers as text; NaN is missing: bad, or null."""

    def __init__(self, missing: str = "error", *, numeric: bool = False) -> None:
        self.optional, self.numeric = missing == "mean", numeric
        self.needed = "a finite number" if numeric else f"a text of at most {MAX_LABEL:,} bytes"

    def convert(self, cells: pl.Series) -> pl.Series:
        labels = as_text(cells)
        bad = Number().convert(cells).is_null() if self.numeric else labels.str.len_bytes() > MAX_LABEL
        return labels.set(bad, None)


class Category(Column):
    """Text among known levels, converted to their indices; other text is bad, or has the next index and is counted."""

    needed = "a value that the training has seen"

    def __init__(self, levels: Sequence[str], missing: str = "error", remedy: str = "") -> None:
        self.levels, self.n_inputs, self.remedy = pl.Enum(levels), len(levels), remedy
        self.missing, self.unknown = missing == "mean", 0

    def convert(self, cells: pl.Series) -> pl.Series:
        codes = as_text(cells).cast(self.levels, strict=False).to_physical().cast(pl.Int32)
        if self.missing:
            self.unknown += codes.null_count()
            codes = codes.fill_null(self.n_inputs)
        return codes


class Pairs(Column):
    """Sparse inputs, "index:value" of ascending indices from `base` on, converted to structs of two lists."""

    n_inputs = 0  # the length of the text limits a block
    unbounded = True

    def __init__(self, D: int = MAX_INPUTS, base: int = 0) -> None:
        self.D, self.base = D, base
        indices = f"{base}..{base + D - 1:,}"
        self.needed = f"a list of index:value, of finite numbers and with ascending indices in {indices}"

    def convert(self, cells: pl.Series) -> pl.Series:
        part = pl.element()
        pairs = pl.lit(cells).str.extract_all(r"\S+")
        index, value = (part.str.splitn(":", 2).struct.field(f"field_{i}") for i in range(2))
        good_index = part.is_between(0, self.D - 1).fill_null(False) & (part.diff() > 0).fill_null(True)
        lists = pl.select(
            index=pairs.list.eval(index.cast(pl.Int64, strict=False) - self.base),
            value=pairs.list.eval(value.cast(pl.Float64, strict=False).cast(pl.Float32)),
        )
        good = pl.col("index").list.eval(good_index).list.all()
        good &= pl.col("value").list.eval(part.is_finite().fill_null(False)).list.all()
        return lists.select(pl.when(good).then(pl.struct("index", "value"))).to_series()


def as_text(cells: pl.Series) -> pl.Series:
    """Convert to text; NaN becomes null."""
    return (cells.fill_nan(None) if cells.dtype.is_float() else cells).cast(pl.String)
