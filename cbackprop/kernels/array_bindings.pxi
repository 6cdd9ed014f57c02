# Arrays that Python passes: samples, and the rows of weights and of what is learned beside them. They have been
# validated; memoryviews hold their shapes and memory from then on.
import numpy as np

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef class Engine


cdef class Samples:
    """Inputs, which may be SparseRows, targets as rows or class indices, and sample weights, as engines take them."""

    cdef const real[:, ::1] x, t
    cdef const real[::1] values              # of sparse rows, with indptr and indices
    cdef const Py_ssize_t[::1] indptr
    cdef const int32_t[::1] indices32
    cdef const int64_t[::1] indices64
    cdef const Py_ssize_t[::1] labels
    cdef const real[::1] sample_weight
    cdef SampleSet all

    def __cinit__(self, x, const real[:, ::1] t=None, const Py_ssize_t[::1] labels=None,
                  const real[::1] sample_weight=None):
        cdef Py_ssize_t N, n
        assert min(x.shape) > 0
        if hasattr(x, "indptr"):
            self.set_sparse(x)
        else:
            self.x = x
            self.all.x, self.all.count, self.all.D = &self.x[0, 0], self.x.shape[0], self.x.shape[1]
        N = self.all.count
        self.t, self.labels, self.sample_weight = t, labels, sample_weight
        if t is not None:
            assert t.shape[0] == N
            self.all.t, self.all.K = &t[0, 0], t.shape[1]
        elif labels is not None:
            assert labels.shape[0] == N
            self.all.labels = &labels[0]
            for n in range(N):
                assert 0 <= labels[n] < PY_SSIZE_T_MAX    # K is one more
                self.all.K = max(self.all.K, labels[n] + 1)
        if sample_weight is not None:
            assert sample_weight.shape[0] == N
            self.all.sample_weight = &sample_weight[0]

    cdef int set_sparse(self, x) except -1:
        cdef Py_ssize_t n, nnz = x.indices.shape[0]
        self.values, self.indptr = x.data, x.indptr
        self.all.count, self.all.D = x.shape
        assert self.indptr.shape[0] == self.all.count + 1 and self.values.shape[0] == nnz
        for n in range(self.all.count):
            assert 0 <= self.indptr[n] <= self.indptr[n + 1] <= nnz
            self.all.longest = max(self.all.longest, self.indptr[n + 1] - self.indptr[n])
        self.all.indptr = &self.indptr[0]
        if nnz > 0:
            self.all.x = &self.values[0]
            if x.indices.dtype == np.int32:
                self.indices32 = x.indices
                self.all.indices32 = &self.indices32[0]
            else:
                self.indices64 = x.indices
                self.all.indices64 = &self.indices64[0]
        return 0

    def __len__(self):
        return self.all.count

    # For an engine
    cdef SampleSet of(self, Engine engine) except *:
        cdef SampleSet samples = self.all
        assert (samples.indptr != NULL) == ("sparse" in engine.supports) and samples.D == engine.D
        assert samples.indptr == NULL or samples.longest <= engine.block
        assert samples.K == engine.K if samples.t != NULL else samples.K <= engine.K
        samples.K = engine.K
        return samples


# Rows of numbers side by side: those of a matrix, or its columns where these are contiguous, or a vector
cdef struct Rows:
    real *first
    Py_ssize_t count, length, stride
    bint columns


# How many numbers after a single row are its padding: all that its stride has room for, if they are 0, or none
cdef Py_ssize_t zeros_after(array, const real *end, Py_ssize_t count) except -1:
    cdef Py_ssize_t i
    while isinstance(array.base, np.ndarray):
        array = array.base
    if count <= 0 or not array.flags.forc or <size_t> (end + count) > <size_t> (array.ctypes.data + array.nbytes):
        return 0
    for i in range(count):
        if end[i] != 0:
            return 0
    return count


cdef Rows rows_of(array) except *:
    if array.ndim == 1:
        array = array[np.newaxis]
    cdef const real[:, :] matrix = array
    cdef Py_ssize_t size = sizeof(real)
    cdef Rows rows
    rows.columns = matrix.strides[0] == size and (matrix.strides[1] != size or matrix.shape[1] == 1 < matrix.shape[0])
    assert rows.columns or matrix.shape[1] == 1 or matrix.strides[1] == size, "rows or columns must be contiguous"
    rows.first = <real *> &matrix[0, 0]
    rows.count, rows.length = matrix.shape[rows.columns], matrix.shape[1 - rows.columns]
    rows.stride = array.strides[rows.columns] // size
    if rows.count == 1:
        rows.stride = rows.length + zeros_after(array, rows.first + rows.length, rows.stride - rows.length)
    return rows


# The rows of w and v, and of the velocity or accumulators if there are any
cdef int find_rows(list arrays, Rows *rows) except -1:
    cdef Py_ssize_t a
    memset(rows, 0, 4 * sizeof(Rows))
    for a in range(len(arrays)):
        rows[a] = rows_of(arrays[a])
    return 0


# Where weights and accumulators are, of which a unit or an input has a row
cdef Weights weights_in(const Rows *rows) noexcept nogil:
    cdef Weights weights
    cdef const Rows *w = &rows[0]
    weights.w, weights.v = w.first, rows[1].first
    weights.unit_stride, weights.input_stride = 1 if w.columns else w.stride, w.stride if w.columns else 1
    weights.output_stride = rows[1].stride
    weights.s_w, weights.s_v = rows[2].first, rows[3].first
    return weights


cdef bint rows_are_finite(const Rows *rows) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(rows.count):
        if not all_finite(rows.first + row * rows.stride, rows.length):
            return False
    return True
