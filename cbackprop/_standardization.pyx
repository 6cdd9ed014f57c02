"""Running standardization of what networks learn: of inputs and, with linear outputs, of targets.

It comes before all engines: they learn standardized samples, whose statistics do not depend on the weights.
"""
cimport numpy as cnp
from libc.math cimport NAN, isinf, isnan
from libc.string cimport memcpy

from ._running cimport RunningScaler, number

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef Py_ssize_t PART = 1 << 16    # numbers standardized at a time: some milliseconds, after which Ctrl-C acts


cdef class Standardization:
    """Statistics of D inputs and, with linear outputs, of K targets, else 0, of the samples so far.

    A NaN among the inputs is an "error", or counts as the "mean". Unless standardization is `required`, because the
    user has asked for it, networks whose first samples are sparse do without. Given `statistics`, a pair of arrays of
    float64 and shapes (3, D) and (3, K), are used and updated.
    """

    def __init__(self, Py_ssize_t D, Py_ssize_t K, str missing, bint required, statistics=None):
        self.inputs, self.targets, self.missing, self.required = RunningScaler(D), RunningScaler(K), missing, required
        self.before = np.zeros(3 * (D + K))
        self.filler = 0 if missing == "mean" else NAN
        if statistics is not None:
            self.inputs.share(statistics[0])
            self.targets.share(statistics[1])

    @property
    def statistics(self):
        """Those of inputs and targets: a pair of arrays, live."""
        return self.inputs.statistics, self.targets.statistics

    @property
    def settings(self):
        """What a model file holds besides."""
        return {"missing": self.missing, "required": self.required}

    @property
    def started(self):
        """Whether there are statistics already."""
        return bool(self.inputs.statistics.any() or self.targets.statistics.any())

    def copy(self):
        """Another one with copies of the statistics."""
        statistics = self.inputs.state, self.targets.state
        return Standardization(self.inputs.size, self.targets.size, self.missing, self.required, statistics)

    def learn(self, x, t, const Py_ssize_t[::1] order, z, u):
        """Update the statistics with rows of inputs x and targets t in this order; standardize them into z and u.

        All arrays are C-contiguous, of float32 or float64. Targets are None unless they are standardized.
        """
        standardize_rows(self.inputs, self.filler, x, order, z, True)
        if self.targets.size > 0:
            standardize_rows(self.targets, NAN, t, order, u, True)

    def transform(self, x, dtype):
        """Inputs of shape (N, D), standardized by the statistics as they are."""
        z = np.empty(x.shape, dtype)
        standardize_rows(self.inputs, self.filler, x, np.arange(len(x)), z, False)
        return z

    def transform_targets(self, t, dtype):
        """Targets of shape (N, K), standardized likewise; none is limited, so that losses show gross errors."""
        return ((t - self.targets.mean) / self.targets.scale).astype(dtype)

    def restore(self, cnp.ndarray y):
        """Convert outputs of shape (N, K), in place, to the units of the targets."""
        cdef Py_ssize_t n, K = self.targets.size
        cdef char *row = <char *> cnp.PyArray_DATA(y)
        if K > 0:
            for n in range(y.shape[0]):
                self.targets.restore_numbers(row + n * K * cnp.PyArray_ITEMSIZE(y), cnp.PyArray_TYPE(y))
        return y

    # Whether inputs of a sample can be standardized: all are finite, or missing where that counts as the mean
    cdef int check(self, cnp.ndarray x) noexcept:
        cdef Py_ssize_t i
        cdef double x_i
        for i in range(self.inputs.size):
            x_i = number(cnp.PyArray_DATA(x), i, cnp.PyArray_TYPE(x))
            if isinf(x_i) or (isnan(x_i) and isnan(self.filler)):
                return False
        return True

    # Before a sample is learned, and if it could not be
    cdef void keep(self) noexcept nogil:
        cdef double *before = <double *> cnp.PyArray_DATA(self.before)
        memcpy(before, cnp.PyArray_DATA(self.inputs.statistics), 3 * self.inputs.size * sizeof(double))
        memcpy(before + 3 * self.inputs.size, cnp.PyArray_DATA(self.targets.statistics),
               3 * self.targets.size * sizeof(double))

    cdef void take_back(self) noexcept nogil:
        cdef const double *before = <const double *> cnp.PyArray_DATA(self.before)
        memcpy(cnp.PyArray_DATA(self.inputs.statistics), before, 3 * self.inputs.size * sizeof(double))
        memcpy(cnp.PyArray_DATA(self.targets.statistics), before + 3 * self.inputs.size,
               3 * self.targets.size * sizeof(double))


# Rows of x, in this order, into those of z
cdef int standardize_rows(RunningScaler scaler, double missing, cnp.ndarray x, const Py_ssize_t[::1] order,
                          cnp.ndarray z, bint learn) except -1:
    cdef const char *first = <const char *> cnp.PyArray_DATA(x)
    cdef char *result = <char *> cnp.PyArray_DATA(z)
    cdef Py_ssize_t width = scaler.size * cnp.PyArray_ITEMSIZE(x), z_width = scaler.size * cnp.PyArray_ITEMSIZE(z)
    cdef int type = cnp.PyArray_TYPE(x), z_type = cnp.PyArray_TYPE(z)
    cdef Py_ssize_t every = max(1, PART // scaler.size), start, n
    assert x.ndim == z.ndim == 2 and x.shape[1] == z.shape[1] == scaler.size and x.shape[0] == z.shape[0]
    for n in range(order.shape[0]):
        assert 0 <= order[n] < x.shape[0]
    for start in range(0, order.shape[0], every):
        with nogil:
            for n in range(start, min(start + every, order.shape[0])):
                scaler.standardize(first + order[n] * width, type, result + order[n] * z_width, z_type, missing, learn)
        PyErr_CheckSignals()
    return 0
