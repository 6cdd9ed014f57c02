"""Standardization of columns: statistics found chunk by chunk, and scaling that notices overflows."""

from typing import Any

import numpy as np

from cbackprop._running import RunningScaler
from cbackprop.command.tables import Table


class ColumnStatistics(RunningScaler):
    """Mean, standard deviation, minimum and maximum of each column, chunk by chunk."""

    def __init__(self, n_columns: int) -> None:
        self.n, self.minimum, self.maximum = 0, np.full(n_columns, np.inf), np.full(n_columns, -np.inf)

    def add(self, x: np.ndarray) -> None:
        if len(x):
            self.update(x)
            self.n += len(x)
            self.minimum = np.minimum(self.minimum, x.min(axis=0))
            self.maximum = np.maximum(self.maximum, x.max(axis=0))

    @property
    def squares(self) -> np.ndarray:
        """The sums of squared deviations from the mean."""
        return self.state[1] * self.n

    def root_mean_square(self, n_ones: int) -> float:
        """Return that of all columns, and of others of 1 and -1."""
        with np.errstate(over="ignore"):
            squares = self.mean**2 + self.squares / max(1, self.n)
        root = float(np.sqrt((squares.sum() + n_ones) / (len(squares) + n_ones)))
        return root if np.isfinite(root) else 1  # numbers as large as that are refused when they are read

    def standardization(self, table: Table, columns: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each column; raise if one overflowed."""
        check_range(np.isfinite(self.mean) & np.isfinite(self.scale), table, columns)
        return self.mean, self.scale


def apply_scaling(x: np.ndarray, mean: Any, scale: Any, table: Table, columns: list[str], dtype: Any = float) -> Any:
    """Shift and scale columns in place; raise if a value overflows, as those outside the training rows may."""
    with np.errstate(over="ignore"):
        x -= 0 if mean is None else mean
        x /= 1 if scale is None else scale
        x = x.astype(dtype, copy=False)
    check_range(~np.isinf(x).any(axis=0), table, columns)
    return x


def check_range(finite: np.ndarray, table: Table, columns: list[str]) -> None:
    """Raise for the first column that standardization makes non-finite."""
    if not finite.all():
        column = columns[int(finite.argmin())]
        raise ValueError(f"{table.name}: column {column!r} has values too large to standardize; rescale it")
