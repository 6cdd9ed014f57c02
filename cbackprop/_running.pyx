"""Running statistics of inputs or targets, sample by sample or in blocks, and numbers standardized by them."""
cimport numpy as cnp
from libc.math cimport NAN, copysign, fabs, fmax, fmin, isfinite, sqrt

import numpy as np

cnp.import_array()

cdef double WINDOW = 1000          # samples: earlier ones fade, so that statistics follow a stream that changes
cdef double MIN_REL_STD = 1e-12    # standard deviation relative to the mean below which numbers differ by rounding only
cdef double MAX_ABS = 1e150        # larger numbers of a stream count as this one: squares stay finite
cdef double MIN_ABS = 1e-150       # likewise, so that squares are not 0
cdef double CLIP_STD = 5           # standard deviations, by default

cdef enum:
    BLOCK = 16384    # numbers whose mean and variance are found at a time, in cache


cdef class Scaler:
    """Statistics of `size` numbers of a sample, and what all scalers do with them.

    A number counts at most `limit` standard deviations or root mean squares, so that a gross error does not spoil the
    statistics. With more than `window` samples, which may be infinity, earlier ones fade.
    """

    def __cinit__(self, Py_ssize_t size, double limit=CLIP_STD, double window=WINDOW):
        self.size, self.limit, self.window = size, limit, window

    @property
    def state(self):
        """The statistics: a copy."""
        return self.statistics.copy()

    def __reduce__(self):
        return type(self), (self.size, self.limit, self.window), self.state

    def __setstate__(self, state):
        cdef tuple shape = (<object> self.statistics).shape
        if np.shape(state) != shape or not (np.isfinite(state).all() and (state[shape[0] - 2:] >= 0).all()):
            raise ValueError(f"statistics must be finite numbers of shape {shape}, not negative but for means")
        self.statistics[...] = state

    def learn(self, x):
        """Update the statistics with a sample or several, in order; return each scaled by those that include it."""
        return self.scaled(x, True)

    def transform(self, x):
        """Scale a sample or several by the statistics as they are."""
        return self.scaled(x, False)

    cdef scaled(self, x, bint learn):
        raise NotImplementedError

    def share(self, cnp.ndarray statistics):
        """Use these statistics, which others update, too, from now on."""
        if statistics.dtype != np.float64 or not (statistics.flags.c_contiguous and statistics.flags.writeable):
            raise ValueError(f"statistics are of {statistics.dtype}; they must be contiguous, writable, of float64")
        self.__setstate__(statistics)
        self.statistics = statistics


cdef class RunningScaler(Scaler):
    """Standardizes samples, shape (D,) or (N, D), by the mean m and the variance q of those so far.

    The k-th sample, with k at most `window`, changes them by ::

        d = x - m, at most `limit` standard deviations
        m <- m + d / k
        q <- q + (d**2 * (1 - 1 / k) - q) / k

    which are the mean and the variance of all samples until the first that is limited, or fades. Standardized numbers
    lie in -limit..limit; they are 0 as long as all have been the same. A NaN or an infinity changes nothing and
    becomes NaN. The state has the means, variances and counts, shape (3, D).
    """

    def __cinit__(self, *arguments, **options):
        self.statistics = np.zeros((3, self.size))

    @property
    def mean(self):
        """Means, shape (D,)."""
        return self.state[0]

    @property
    def scale(self):
        """Standard deviations, shape (D,); 1 for numbers that differ by rounding only."""
        return np.where(self.varies, np.sqrt(self.statistics[1]), 1)

    @property
    def varies(self):
        """Whether numbers differ by more than rounding; others are 0."""
        return np.sqrt(self.statistics[1]) > MIN_REL_STD * np.abs(self.statistics[0])

    def update(self, x, weights=None):
        """Update the statistics with a block of samples, shape (N, D), so that they are those of all samples.

        None is limited or fades, and a NaN or an infinity changes nothing; statistics that overflow are not finite.
        The weights, shape (N,), are how many times each sample counts.
        """
        cdef Py_ssize_t step = max(1, BLOCK // max(1, self.size)), start
        cdef cnp.ndarray block, counts = np.ones(step)
        for start in range(0, len(x), step):
            block = self.checked(x[start:start + step])
            if weights is not None:
                counts = np.ascontiguousarray(weights[start:start + step], np.float64)
            self.merge(<const double *> cnp.PyArray_DATA(block), <const double *> cnp.PyArray_DATA(counts), len(block))

    # Chan, Golub and LeVeque, 1979; relative to the first number, so that the variance of equal ones is 0
    cdef void merge(self, const double *x, const double *weights, Py_ssize_t N) noexcept:
        cdef double *mean = <double *> cnp.PyArray_DATA(self.statistics)
        cdef double *variance = mean + self.size
        cdef double *count = variance + self.size
        cdef double total, added, first, center, squares, d
        cdef Py_ssize_t i, n
        for i in range(self.size):
            added = total = squares = d = 0
            first = NAN
            for n in range(N):
                if isfinite(x[n * self.size + i]) and weights[n] > 0:
                    if added == 0:
                        first = x[n * self.size + i]
                    added += weights[n]
                    total += weights[n] * (x[n * self.size + i] - first)
            if added == 0:
                continue
            center = first + total / added
            for n in range(N):
                if isfinite(x[n * self.size + i]):
                    squares += weights[n] * (x[n * self.size + i] - center) ** 2
            if count[i] > 0:
                d = center - mean[i]
            total = count[i] + added
            mean[i] = mean[i] + d * (added / total) if count[i] > 0 else center
            variance[i] = (variance[i] * count[i] + squares + d * d * (count[i] * (added / total))) / total
            count[i] = total

    def inverse(self, z):
        """Return the numbers, shape (D,) or (N, D), whose standardized ones are z."""
        mean, variance, _ = self.statistics
        return self.checked(z) * np.sqrt(variance) + mean

    def saved(self, inputs):
        """What is needed to take back what is learned from now on: arrays, places in them, and copies."""
        return [(self.statistics, ..., self.state)]

    def grown(self, Py_ssize_t size, double count):
        """Return a scaler for samples of a larger size, whose added numbers were 0 in `count` samples so far."""
        cdef RunningScaler scaler = RunningScaler(size, self.limit, self.window)
        scaler.statistics[:, :self.size] = self.statistics
        scaler.statistics[2, self.size:] = count
        return scaler

    cdef cnp.ndarray checked(self, x):
        cdef cnp.ndarray array = cnp.PyArray_GETCONTIGUOUS(cnp.PyArray_FROM_OT(x, cnp.NPY_DOUBLE))
        if array.ndim not in (1, 2) or array.shape[array.ndim - 1] != self.size:
            raise ValueError(f"x has shape {np.shape(x)}; it must be ({self.size},) or (N, {self.size})")
        return array

    cdef scaled(self, given, bint learn):
        cdef cnp.ndarray x = self.checked(given)
        cdef cnp.ndarray result = cnp.PyArray_EMPTY(x.ndim, cnp.PyArray_DIMS(x), cnp.NPY_DOUBLE, 0)
        cdef const double *row = <const double *> cnp.PyArray_DATA(x)
        cdef double *z = <double *> cnp.PyArray_DATA(result)
        cdef Py_ssize_t n
        for n in range(x.shape[0] if x.ndim == 2 else 1):
            self.standardize(row + n * self.size, cnp.NPY_DOUBLE, z + n * self.size, cnp.NPY_DOUBLE, NAN, learn)
        return result

    # One sample into z; both are of float32 or float64. What is not finite becomes `missing`.
    cdef void standardize(self, const void *x, int type, void *z, int z_type, double missing,
                          bint learn) noexcept nogil:
        cdef double *mean = <double *> cnp.PyArray_DATA(self.statistics)
        cdef double *variance = mean + self.size
        cdef double *count = variance + self.size
        cdef double x_i, deviation, d, k
        cdef bint varies
        cdef Py_ssize_t i
        for i in range(self.size):
            x_i = number(x, i, type)
            if not isfinite(x_i):
                set_number(z, i, z_type, missing)
                continue
            x_i = clip(x_i, MAX_ABS)
            deviation = sqrt(variance[i])
            if learn:
                d = x_i - mean[i]
                if deviation > MIN_REL_STD * fabs(mean[i]):
                    d = clip(d, self.limit * deviation)
                count[i] += 1
                k = fmin(count[i], self.window)
                mean[i] += d / k
                variance[i] += (d * d * (1 - 1 / k) - variance[i]) / k
                deviation = sqrt(variance[i])
            varies = deviation > MIN_REL_STD * fabs(mean[i])
            set_number(z, i, z_type, clip((x_i - mean[i]) / deviation, self.limit) if varies else 0)

    # The numbers, in place, of a sample that is standardized
    cdef void restore_numbers(self, void *y, int type) noexcept nogil:
        cdef const double *mean = <const double *> cnp.PyArray_DATA(self.statistics)
        cdef const double *variance = mean + self.size
        cdef Py_ssize_t k
        for k in range(self.size):
            set_number(y, k, type, number(y, k, type) * sqrt(variance[k]) + mean[k])


cdef class RunningSparseScaler(Scaler):
    """Scales sparse rows by how large the numbers of an input are, and by how rare.

    A sample is a pair of indices and values; several are a CSR matrix. Each is scaled as if it were learned.

    In n samples, those of input i that are not 0 number c_i, and q_i is the mean of their squares ::

        x_i <- x_i / sqrt(q_i) * (n / c_i)**(1/4)

    The step of a weight goes as the square of its input, here sqrt(n / c_i), like with a rate of AdaGrad for each
    input, whose sum of squares goes as c_i. The first factor lies in -limit..limit; q_i follows the last numbers in the
    window. Zeros, a NaN and an infinity stay as they are and change nothing. The state has the mean squares and counts,
    shape (2, D+1): the last count is that of the bias, n.
    """

    def __cinit__(self, *arguments, **options):
        self.statistics = np.zeros((2, self.size + 1))

    def saved(self, inputs):
        """What is needed to take back what is learned from some inputs: arrays, places in them, and copies."""
        where, bias = (slice(None), inputs), (1, self.size)
        return [(self.statistics, where, self.statistics[where]), (self.statistics, bias, self.statistics[bias])]

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
        cdef double size, q, c, n = statistics[1, self.size] + 1
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
            q += (size * size - q) / fmin(c, self.window)
            result[0, entry] = copysign(size / sqrt(q) * sqrt(sqrt(n / c)), x[entry])
            result[1, entry] = size
        if learn:
            statistics[1, self.size] = n
            for entry in range(x.shape[0]):
                i, size = indices[entry], result[1, entry]
                if size > 0:
                    statistics[1, i] += 1
                    statistics[0, i] += (size * size - statistics[0, i]) / fmin(statistics[1, i], self.window)
        return 0


cdef inline double clip(double number, double limit) noexcept nogil:
    return fmax(-limit, fmin(limit, number))
