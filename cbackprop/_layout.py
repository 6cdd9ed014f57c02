"""How weights that the library makes lie in memory: in lines of the cache, each of which holds one input or output.

    w (M, D+1)    by columns: the M weights of an input lie side by side, from the beginning of a line on
    v (K, M+1)    by rows: so do the M + 1 weights of an output

Kernels take whole vectors of units then, on every instruction set, and compute in these arrays without a copy. What is
left of the last line of a column or row is padding, which is 0 and stays 0. Where padding would take too much memory,
there is none.
"""

import numpy as np

LINE = 64  # bytes
MANY_LINES = 8  # from which on their number is odd: strides that are multiples of 4 kB share sets of the cache
ALLOWANCE = 1 << 16  # bytes of padding, however few the weights


def zeros_by_column(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (rows, columns), of which a column is contiguous, padded and aligned."""
    return zeros_by_row(columns, rows, dtype).T


def zeros_by_row(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (rows, columns), of which a row is contiguous, padded and aligned."""
    return zeros_of_networks(1, rows, columns, dtype)[0]


def zeros_of_networks(networks: int, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (networks, rows, columns), network after network."""
    stride = padded(rows, columns, dtype)
    memory = np.zeros(networks * rows * stride + LINE // dtype.itemsize, dtype)
    start = -memory.ctypes.data % LINE // dtype.itemsize
    whole = memory[start : start + networks * rows * stride]
    return whole.reshape((networks, rows, stride))[..., :columns]


def padded(rows: int, columns: int, dtype: np.dtype) -> int:
    """Numbers from one row to the next."""
    lines = -(-columns * dtype.itemsize // LINE)
    if lines >= MANY_LINES:
        lines |= 1
    stride = lines * LINE // dtype.itemsize
    padding, size = (rows * count * dtype.itemsize for count in (stride - columns, columns))
    return stride if padding <= max(size // 2, ALLOWANCE) else columns


def padding(array: np.ndarray) -> np.ndarray | None:
    """What lies between the rows of an array of contiguous rows, and after the last; None if rows are not contiguous.

    Of an array whose memory ends before, or whose rows overlap, there is no such thing, either.
    """
    rows, columns = array.shape
    stride, rest = divmod(array.strides[0], array.itemsize)
    if (columns > 1 and array.strides[1] != array.itemsize) or rest or (rows > 1 and stride < columns):
        return None
    if rows == 1:
        stride = max(stride, columns)
    memory = array
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    end = array.ctypes.data + rows * stride * array.itemsize
    inside = memory.flags.forc and memory.ctypes.data <= array.ctypes.data and end <= memory.ctypes.data + memory.nbytes
    if not inside:
        if rows > 1 and stride > columns:
            return None
        stride = columns
    whole = np.lib.stride_tricks.as_strided(array, (rows, stride), (stride * array.itemsize, array.itemsize))
    return whole[:, columns:]


def copy_of(array: np.ndarray) -> np.ndarray:
    """A copy of weights of any layout: by columns if a column is contiguous and a row is not, else by rows."""
    by_column = array.strides[0] == array.itemsize and not array.flags.c_contiguous
    make = zeros_by_column if by_column else zeros_by_row
    copy = make(*array.shape, np.dtype(array.dtype.type))
    copy[...] = array
    return copy
