"""Running statistics of the inputs of a stream, or of its targets, and numbers standardized by them."""
cimport numpy as cnp
from libc.math cimport NAN, copysign, fabs, fmax, fmin, isfinite, sqrt
from libc.string cimport memcpy

import numpy as np

cnp.import_array()

cdef double WINDOW = 1000          # samples: earlier ones fade, so that statistics follow a stream that changes
cdef double MIN_REL_STD = 1e-12    # standard deviation relative to the mean below which numbers differ by rounding only
cdef double MAX_ABS = 1e150        # larger numbers count as this one: squares stay finite
cdef double MIN_ABS = 1e-150       # likewise, so that squares are not 0
cdef double CLIP_STD = 5           # standard deviations, by default


cdef class RunningScaler:
    """Standardizes numbers by the mean m and the variance q of those so far.

    The k-th sample, with k at most WINDOW, changes them by ::

        d = x - m, at most `limit` standard deviations
        m <- m + d / k
        q <- q + (d**2 * (1 - 1 / k) - q) / k

    which are the mean and the variance of all samples until the first that is limited, or fades. Standardized numbers
    lie in -limit..limit; they are 0 as long as all have been the same. A NaN or an infinity changes nothing and
    becomes NaN.

    Parameters
    ----------
    size : int
        D, how many numbers a sample has.
    limit : float
        How many standard deviations a number counts at most, so that a gross error does not spoil mean and variance.
    """

    cdef readonly double limit
    cdef readonly Py_ssize_t size
    cdef cnp.ndarray current, previous    # rows: mean, variance, count

    def __cinit__(self, Py_ssize_t size, double limit=CLIP_STD):
        self.limit, self.size = limit, size
        self.current, self.previous = np.zeros((3, size)), np.zeros((3, size))

    @property
    def state(self):
        """Means, variances and counts, shape (3, D): a copy."""
        return self.current.copy()

    def learn(self, x):
        """Update the statistics with a sample, shape (D,), or several, (N, D), in order; return them standardized.

        Each is standardized by the statistics that include it.
        """
        memcpy(cnp.PyArray_DATA(self.previous), cnp.PyArray_DATA(self.current), 3 * self.size * sizeof(double))
        return self.standardized(x, True)

    def undo(self):
        """Take the last `learn` back."""
        self.current, self.previous = self.previous, self.current

    def saved(self, inputs):
        """A copy of the statistics, for `restore`."""
        return self.state

    def restore(self, saved):
        """Take back all that was learned since `saved`."""
        self.current[...] = saved

    def transform(self, x):
        """Standardize a sample, shape (D,), or several, shape (N, D), by the statistics as they are."""
        return self.standardized(x, False)

    def inverse(self, z):
        """Return the numbers, shape (D,) or (N, D), whose standardized ones are z."""
        cdef cnp.ndarray result = self.checked(z).copy()
        cdef double *number = <double *> cnp.PyArray_DATA(result)
        cdef const double *mean = <const double *> cnp.PyArray_DATA(self.current)
        cdef Py_ssize_t i, n
        for n in range(0, result.size, max(1, self.size)):
            for i in range(self.size):
                number[n + i] = number[n + i] * sqrt(mean[self.size + i]) + mean[i]
        return result

    def grown(self, Py_ssize_t size, double count):
        """Return a scaler for samples of a larger size, whose added numbers were 0 in `count` samples so far."""
        cdef RunningScaler scaler = RunningScaler(size, self.limit)
        scaler.current[:, :self.size] = self.current
        scaler.current[2, self.size:] = count
        return scaler

    def __reduce__(self):
        return type(self), (self.size, self.limit), self.state

    def __setstate__(self, state):
        self.current[...] = checked_state(state, 3, self.size)

    cdef cnp.ndarray checked(self, x):
        cdef cnp.ndarray array = cnp.PyArray_GETCONTIGUOUS(cnp.PyArray_FROM_OT(x, cnp.NPY_DOUBLE))
        if array.ndim not in (1, 2) or array.shape[array.ndim - 1] != self.size:
            raise ValueError(f"x has shape {np.shape(x)}; it must be ({self.size},) or (N, {self.size})")
        return array

    cdef cnp.ndarray standardized(self, given, bint learn):
        cdef cnp.ndarray x = self.checked(given)
        cdef cnp.ndarray result = cnp.PyArray_EMPTY(x.ndim, cnp.PyArray_DIMS(x), cnp.NPY_DOUBLE, 0)
        cdef const double *row = <const double *> cnp.PyArray_DATA(x)
        cdef double *z = <double *> cnp.PyArray_DATA(result)
        cdef double *mean = <double *> cnp.PyArray_DATA(self.current)
        cdef double *variance = mean + self.size
        cdef double *count = variance + self.size
        cdef double number, deviation, d, k
        cdef Py_ssize_t i, _n
        for _n in range(x.shape[0] if x.ndim == 2 else 1):
            for i in range(self.size):
                number = row[i]
                if not isfinite(number):
                    z[i] = NAN
                    continue
                number = clip(number, MAX_ABS)
                deviation = sqrt(variance[i])
                if learn:
                    d = number - mean[i]
                    if deviation > MIN_REL_STD * fabs(mean[i]):
                        d = clip(d, self.limit * deviation)
                    count[i] += 1
                    k = fmin(count[i], WINDOW)
                    mean[i] += d / k
                    variance[i] += (d * d * (1 - 1 / k) - variance[i]) / k
                    deviation = sqrt(variance[i])
                varies = deviation > MIN_REL_STD * fabs(mean[i])
                z[i] = clip((number - mean[i]) / deviation, self.limit) if varies else 0
            row += self.size
            z += self.size
        return result


cdef class RunningSparseScaler:
    """Scales sparse rows by how large the numbers of an input are, and by how rare.

    In n samples, those of input i that are not 0 number c_i, and q_i is the mean of their squares ::

        x_i <- x_i / sqrt(q_i) * (n / c_i)**(1/4)

    The step of a weight goes as the square of its input, here sqrt(n / c_i), like with a rate of AdaGrad for each
    input, whose sum of squares goes as c_i. The first factor lies in -limit..limit; q_i follows the last WINDOW
    numbers. Zeros, a NaN and an infinity stay as they are and change nothing.

    Parameters
    ----------
    size : int
        D, the number of inputs.
    limit : float
        How many root mean squares a number counts at most.
    """

    cdef readonly double limit
    cdef readonly Py_ssize_t size
    cdef cnp.ndarray statistics    # rows: mean square, count
    cdef double n
    cdef object previous

    def __cinit__(self, Py_ssize_t size, double limit=CLIP_STD):
        self.limit, self.size, self.n = limit, size, 0
        self.statistics = np.zeros((2, size))
        self.previous = None

    @property
    def state(self):
        """Mean squares and counts of the inputs, shape (2, D): a copy; and the number of samples."""
        return self.statistics.copy(), self.n

    def learn(self, x):
        """Update the statistics with the indices and values of a sample, or with a CSR matrix; return them scaled.

        Each is scaled by the statistics that include it.
        """
        self.previous = self.saved(x[0] if isinstance(x, tuple) else x.indices)
        return self.scaled(x, True)

    def undo(self):
        """Take the last `learn` back."""
        self.restore(self.previous)

    def transform(self, x):
        """Scale a sample, or a CSR matrix, each row as if it were the next to be learned."""
        return self.scaled(x, False)

    def saved(self, inputs):
        """A copy of the statistics of some inputs, for `restore`."""
        return self.n, inputs, self.statistics[:, inputs]

    def restore(self, saved):
        """Take back what was learned from these inputs since `saved`."""
        self.n, inputs, statistics = saved
        self.statistics[:, inputs] = statistics

    def __reduce__(self):
        return type(self), (self.size, self.limit), self.state

    def __setstate__(self, state):
        statistics, n = state
        self.statistics[...] = checked_state(statistics, 2, self.size)
        self.n = n

    cdef scaled(self, x, bint learn):
        if isinstance(x, tuple):
            indices, values = x
            result = np.empty((2, len(values)))
            self.scale(np.asarray(indices, np.int64), np.asarray(values, np.float64), result, learn)
            return indices, result[0]
        result = np.empty((2, x.nnz))
        bounds, indices, values = x.indptr.tolist(), x.indices.astype(np.int64), x.data.astype(np.float64)
        for start, stop in zip(bounds, bounds[1:]):
            self.scale(indices[start:stop], values[start:stop], result[:, start:stop], learn)
        return type(x)((result[0], x.indices, x.indptr), x.shape)

    cdef int scale(self, const cnp.int64_t[::1] indices, const double[::1] x, double[:, :] result,
                   bint learn) except -1:
        """Scale a row into `result[0]`; two numbers of the same input do not count each other."""
        cdef double[:, ::1] statistics = self.statistics
        cdef double size, q, c
        cdef Py_ssize_t entry, i
        if indices.shape[0] != x.shape[0]:
            raise ValueError(f"a row has {indices.shape[0]} indices and {x.shape[0]} values; it must have as many")
        for entry in range(x.shape[0]):
            i = indices[entry]
            if not 0 <= i < self.size:
                raise IndexError(f"an index is {i}; it must lie in 0..{self.size - 1}")
            result[0, entry], result[1, entry] = x[entry], 0
            if x[entry] == 0 or not isfinite(x[entry]):
                continue
            size, q, c = fmin(fmax(fabs(x[entry]), MIN_ABS), MAX_ABS), statistics[0, i], statistics[1, i] + 1
            if c > 1:
                size = fmin(size, self.limit * sqrt(q))
            q += (size * size - q) / fmin(c, WINDOW)
            result[0, entry] = copysign(size / sqrt(q) * sqrt(sqrt((self.n + 1) / c)), x[entry])
            result[1, entry] = size
        if learn:
            self.n += 1
            for entry in range(x.shape[0]):
                i, size = indices[entry], result[1, entry]
                if size > 0:
                    statistics[1, i] += 1
                    statistics[0, i] += (size * size - statistics[0, i]) / fmin(statistics[1, i], WINDOW)
        return 0


cdef inline double clip(double number, double limit) noexcept:
    return fmax(-limit, fmin(limit, number))


cdef checked_state(state, Py_ssize_t rows, Py_ssize_t size):
    """Statistics of shape (rows, D), of which all but means are at least 0."""
    if np.shape(state) != (rows, size) or not (np.isfinite(state).all() and (state[rows - 2:] >= 0).all()):
        raise ValueError(f"statistics must be finite numbers of shape ({rows}, {size}), not negative but for means")
    return state
