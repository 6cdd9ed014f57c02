"""Standardization of columns: statistics found chunk by chunk, and scaling that notices overflows."""

import numpy as np

from cbackprop._running import RunningScaler
from cbackprop.command.tables import Table


class ColumnStatistics:
    """Mean, standard deviation, minimum and maximum of each column, chunk by chunk."""

    def __init__(self, n_columns: int) -> None:
        self.n, self.scaler = 0, RunningScaler(n_columns)
        self.minimum, self.maximum = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)

    def update(self, x: np.ndarray) -> None:
        if not len(x):
            return
        self.n += len(x)
        self.scaler.update(x)
        self.minimum = np.minimum(self.minimum, x.min(axis=0))
        self.maximum = np.maximum(self.maximum, x.max(axis=0))

    @property
    def mean(self) -> np.ndarray:
        """The means."""
        return self.scaler.mean

    @property
    def squares(self) -> np.ndarray:
        """The sums of squared deviations from the mean."""
        return self.scaler.state[1] * self.n

    def root_mean_square(self, n_ones: int) -> float:
        """Return that of all columns, and of others of 1 and -1."""
        with np.errstate(over="ignore"):
            squares = self.mean**2 + self.squares / self.n
        root = float(np.sqrt((squares.sum() + n_ones) / (len(squares) + n_ones)))
        return root if np.isfinite(root) else 1  # numbers as large as that are refused when they are read

    def standardization(self, table: Table, columns: list[str], n_others: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of each column, and of others that stay as they are; raise if one overflowed."""
        mean, scale = self.mean, self.scaler.scale
        check_range(np.isfinite(mean) & np.isfinite(scale), table, columns)
        return np.append(mean, np.zeros(n_others)), np.append(scale, np.ones(n_others))


def apply_scaling(
    x: np.ndarray, mean: np.ndarray | None, scale: np.ndarray | None, table: Table, columns: list[str]
) -> np.ndarray:
    """Shift and scale columns in place; values outside the training rows may overflow, which raises."""
    with np.errstate(over="raise"):  # cheaper than a check of every value
        try:
            x -= 0 if mean is None else mean
            x /= 1 if scale is None else scale
        except FloatingPointError:
            check_range(np.isfinite(x).all(axis=0), table, columns)
            raise
    return x


def check_range(finite: np.ndarray, table: Table, columns: list[str]) -> None:
    """Raise for the first column that standardization makes non-finite."""
    if not finite.all():
        column = columns[int(finite.argmin())]
        raise ValueError(f"{table.name}: column {column!r} has values too large to standardize; rescale it")
