"""Rows with few non-zeros, as the kernels take them."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class CSR(Protocol):
    """A CSR array or matrix of `scipy.sparse`."""

    data: Any  # the non-zeros, row after row
    indices: Any  # the column of each
    indptr: Any  # where each row begins
    shape: tuple[int, ...]  # (N, D)


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Validated inputs of shape (N, D) in compressed rows (CSR), as in `scipy.sparse`.

    The non-zeros of row n are ``data[indptr[n]:indptr[n + 1]]``, of the inputs ``indices[indptr[n]:indptr[n + 1]]``
    in any order. Duplicate indices add up.
    """

    data: np.ndarray  # in the dtype of the weights
    indices: np.ndarray  # int32 or int64
    indptr: np.ndarray  # intp, of N + 1 numbers
    shape: tuple[int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> "SparseRows":
        start, stop, _step = rows.indices(len(self))
        return SparseRows(self.data, self.indices, self.indptr[start : stop + 1], (stop - start, self.shape[1]))

    def toarray(self) -> np.ndarray:
        """The same rows with their zeros."""
        dense = np.zeros(self.shape, self.data.dtype)
        begin, end = self.indptr[0], self.indptr[-1]
        n = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        np.add.at(dense, (n, self.indices[begin:end]), self.data[begin:end])
        return dense


def input_arrays(x: np.ndarray | SparseRows) -> tuple[np.ndarray, ...]:
    """The arrays that hold validated inputs."""
    return (x.data, x.indices, x.indptr) if isinstance(x, SparseRows) else (x,)
