"""Kinds of columns: what their cells must be, and the conversion of these."""

from collections.abc import Sequence

import polars as pl

MAX_LABEL = 1000  # bytes: a block of longer ones, which compress well in a file, could take any amount of memory
MAX_INPUTS = 2**24  # a line of a few bytes can name any: their weights would take any amount of memory
BOOLEANS = {"false": "0", "true": "1"}  # in any case


class Column:
    """A kind of column: here text of any length, which may be missing."""

    needed = "text"  # in messages
    remedy = ""  # of a bad cell
    n_inputs = 1
    unbounded = True  # cells may be of any length

    def convert(self, cells: pl.Series) -> pl.Series:
        """Return what the cells mean; null for a bad one."""
        return as_text(cells).fill_null("")


class Number(Column):
    """Finite numbers."""

    needed = "a finite number"
    unbounded = False

    def __init__(self, remedy: str = "") -> None:
        self.remedy = remedy

    def convert(self, cells: pl.Series) -> pl.Series:
        numbers = as_floats(cells)
        return numbers.set(~numbers.is_finite(), None)


class Label(Column):
    """Text of a length that a class or a category may have; NaN is missing."""

    needed = f"a text of at most {MAX_LABEL:,} bytes"
    unbounded = False

    def convert(self, cells: pl.Series) -> pl.Series:
        labels = as_text(cells)
        return labels.set(labels.str.len_bytes() > MAX_LABEL, None)


class NumericLabel(Label):
    """Text that is a finite number, as the classes of SVMlight files."""

    needed = Number.needed

    def convert(self, cells: pl.Series) -> pl.Series:
        return super().convert(cells).set(Number().convert(cells).is_null(), None)


class Category(Column):
    """Text among known levels, converted to their indices."""

    needed = "a value that the training has seen"
    unbounded = False

    def __init__(self, levels: Sequence[str]) -> None:
        self.levels = pl.Enum(levels)
        self.n_inputs = len(levels)

    def convert(self, cells: pl.Series) -> pl.Series:
        return as_text(cells).cast(self.levels, strict=False).to_physical()


class Pairs(Column):
    """Sparse inputs, "index:value" of ascending indices, converted to structs of two lists."""

    n_inputs = 0  # the length of the text limits a block

    def __init__(self, D: int = MAX_INPUTS) -> None:
        self.D = D

    @property
    def needed(self) -> str:  # type: ignore[override]
        return f"a list of index:value, of finite numbers and with ascending indices in 0..{self.D - 1:,}"

    def convert(self, cells: pl.Series) -> pl.Series:
        part = pl.element()
        pairs = pl.lit(cells).str.extract_all(r"\S+")
        index, value = (part.str.splitn(":", 2).struct.field(f"field_{i}") for i in range(2))
        good_index = part.is_between(0, self.D - 1).fill_null(False) & (part.diff() > 0).fill_null(True)
        lists = pl.select(
            index=pairs.list.eval(index.cast(pl.Int64, strict=False)),
            value=pairs.list.eval(value.cast(pl.Float64, strict=False).cast(pl.Float32)),
        )
        good = pl.col("index").list.eval(good_index).list.all()
        good &= pl.col("value").list.eval(part.is_finite().fill_null(False)).list.all()
        return lists.select(pl.when(good).then(pl.struct("index", "value"))).to_series()


class Surplus(Column):
    """A column that collects the fields of rows with more of them than there are columns."""

    n_inputs = 0

    def convert(self, cells: pl.Series) -> pl.Series:
        return cells.is_null().set(cells.is_not_null(), None)


def as_text(cells: pl.Series) -> pl.Series:
    """Convert to text; NaN becomes null."""
    return (cells.fill_nan(None) if cells.dtype.is_float() else cells).cast(pl.String)


def as_floats(cells: pl.Series) -> pl.Series:
    """Convert to float64; what is no number becomes null. True and false are 1 and 0."""
    if not (cells.dtype.is_numeric() or cells.dtype == pl.Boolean):
        cells = cells.cast(pl.String)
    numbers = cells.cast(pl.Float64, strict=False)
    if cells.dtype == pl.String and numbers.null_count() > cells.null_count():
        numbers = cells.str.strip_chars().str.to_lowercase().replace(BOOLEANS).cast(pl.Float64, strict=False)
    return numbers
