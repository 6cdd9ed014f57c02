"""Running mean and variance of the inputs of a stream, or of its targets, and numbers standardized by them."""
cimport numpy as cnp
from libc.math cimport NAN, fabs, fmax, fmin, isfinite, sqrt
from libc.string cimport memcpy

import numpy as np

cnp.import_array()

cdef double MEMORY = 1000        # samples: earlier ones fade, so that statistics follow a stream that changes
cdef double CONSTANT = 1e-12     # standard deviation relative to the mean below which numbers differ by rounding only
cdef double LARGEST = 1e150      # larger numbers count as this one: squares stay finite


cdef class RunningScaler:
    """Standardizes numbers by the mean m and the variance q of those so far.

    The k-th sample, with k at most MEMORY, changes them by ::

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

    def __init__(self, Py_ssize_t size, double limit=5):
        self.limit = limit
        self.set_state(np.zeros((3, size)))

    cdef int set_state(self, cnp.ndarray state) except -1:
        self.size = state.shape[1]
        self.current, self.previous = state, state.copy()
        return 0

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
        state = np.zeros((3, size))
        state[:, :self.size] = self.current
        state[2, self.size:] = count
        return restored(self.limit, state)

    def __reduce__(self):
        return restored, (self.limit, self.state)

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
                number = clip(number, LARGEST)
                deviation = sqrt(variance[i])
                if learn:
                    d = number - mean[i]
                    if deviation > CONSTANT * fabs(mean[i]):
                        d = clip(d, self.limit * deviation)
                    count[i] += 1
                    k = fmin(count[i], MEMORY)
                    mean[i] += d / k
                    variance[i] += (d * d * (1 - 1 / k) - variance[i]) / k
                    deviation = sqrt(variance[i])
                varies = deviation > CONSTANT * fabs(mean[i])
                z[i] = clip((number - mean[i]) / deviation, self.limit) if varies else 0
            row += self.size
            z += self.size
        return result


cdef inline double clip(double number, double limit) noexcept:
    return fmax(-limit, fmin(limit, number))


def restored(double limit, cnp.ndarray state):
    """A scaler with the given state."""
    cdef RunningScaler scaler = RunningScaler(0, limit)
    scaler.set_state(state)
    return scaler
