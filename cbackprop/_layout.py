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

# Arrays of all networks of an ensemble: one array if the networks have one shape, else a tuple of one for each
Arrays = np.ndarray | tuple[np.ndarray, ...]


def zeros(
    w_shape: tuple[int, int], v_shape: tuple[int, int], dtype: np.dtype, order: str
) -> tuple[np.ndarray, np.ndarray]:
    """Zeros of the shapes of w and v: in this layout, or plain rows if the order is "C"."""
    if order == "C":
        return np.zeros(w_shape, dtype), np.zeros(v_shape, dtype)
    return zeros_by_column(*w_shape, dtype), zeros_by_row(*v_shape, dtype)


def zeros_like(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Zeros of the shapes of w and v, in the order of w."""
    return zeros(w.shape, v.shape, np.dtype(w.dtype.type), order_of(w))


def copies(w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies of weights, in the order of w."""
    copy_w, copy_v = zeros_like(w, v)
    copy_w[...], copy_v[...] = w, v
    return copy_w, copy_v


def order_of(w: np.ndarray) -> str:
    """The order of accepted weights w: "F" by columns, "C" by rows. A single row has the same memory in both."""
    return "C" if w.flags.c_contiguous else "F"


def zeros_by_column(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (rows, columns), of which a column is contiguous, padded and aligned; one row has no padding."""
    return np.zeros((1, columns), dtype) if rows == 1 else zeros_by_row(columns, rows, dtype).T


def zeros_by_row(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (rows, columns), of which a row is contiguous, padded and aligned."""
    return zeros_of_networks([(rows, columns)], dtype)[0]


def zeros_of_networks(shapes: list[tuple[int, int]], dtype: np.dtype) -> Arrays:
    """The same for several networks, in one memory: an array of 3 dimensions if they have one shape, else a tuple."""
    strides = [padded(*shape, dtype) for shape in shapes]
    line = LINE // dtype.itemsize
    sizes = [-(-rows * stride // line) * line for (rows, _), stride in zip(shapes, strides, strict=True)]
    memory = np.zeros(sum(sizes) + line, dtype)
    start = -memory.ctypes.data % LINE // dtype.itemsize
    lines = memory[start : start + sum(sizes)]
    if len(set(shapes)) == 1:
        return _rows(lines.reshape(len(shapes), -1), *shapes[0], strides[0])
    parts = np.split(lines[np.newaxis], np.cumsum(sizes[:-1]), axis=1)
    return tuple(_rows(part, *shape, stride)[0] for part, shape, stride in zip(parts, shapes, strides, strict=True))


def _rows(lines: np.ndarray, rows: int, columns: int, stride: int) -> np.ndarray:
    """The arrays of networks in the lines of each."""
    return lines[:, : rows * stride].reshape(len(lines), rows, stride)[..., :columns]


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
    if array.strides[1] != array.itemsize or rest or (rows > 1 and stride < columns):
        return None
    if rows == 1 and stride != padded(1, columns, array.dtype):  # a single row may have any stride
        stride = columns
    if stride > columns:
        memory = array
        while isinstance(memory.base, np.ndarray):
            memory = memory.base
        start, size = array.ctypes.data - memory.ctypes.data, rows * stride * array.itemsize
        if memory.flags.forc and 0 <= start <= memory.nbytes - size:
            buffer = memory if memory.flags.c_contiguous else memory.T
            return np.ndarray((rows, stride), array.dtype, buffer, start)[:, columns:]
        if rows > 1:
            return None
    return array[:, columns:]


def row_stride(array: np.ndarray) -> int:
    """Numbers from one row of accepted weights to the next; of a single row those that it has to itself."""
    free = padding(array)
    assert free is not None
    return array.shape[1] + (0 if free.any() else free.shape[1])


def new_weights(w: Arrays, v: Arrays) -> tuple[Arrays, Arrays]:
    """Copies of the weights of all networks, each in the layout of a network: w by columns, v by rows."""
    return _transposed(_copied(_transposed(w))), _copied(v)


def new_vectors(arrays: Arrays) -> Arrays:
    """Copies of a vector of each network."""
    copies = _copied(tuple(array[np.newaxis] for array in arrays))
    return tuple(copy[0] for copy in copies) if isinstance(copies, tuple) else copies[:, 0]


def _copied(arrays: Arrays) -> Arrays:
    """Copies by rows in one memory, for which one lock and one check for overlap are enough."""
    copies = zeros_of_networks([array.shape for array in arrays], np.dtype(arrays[0].dtype.type))
    for copy, array in zip(copies, arrays, strict=True):
        copy[...] = array
    return copies


def _transposed(w: Arrays) -> Arrays:
    """The columns of w as rows, or the reverse. The only row of one hidden unit stays one, without padding within."""
    if isinstance(w, tuple):
        return tuple(w_r if len(w_r) == 1 else w_r.T for w_r in w)
    return w if w.shape[1] == 1 else w.swapaxes(1, 2)


def memory(arrays: Arrays) -> np.ndarray:
    """The memory of such copies, in one dimension, padding included."""
    base = (arrays if isinstance(arrays, np.ndarray) else arrays[0]).base
    assert base is not None
    return base
