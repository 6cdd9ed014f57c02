"""One-sample calls without Python in between: the compiled base of `cbackprop.Network`.

An array that is already what the kernels want goes straight to them; anything else goes through the gate, which
converts it or says what is wrong.
"""
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_GetPointer

from ._in_training cimport InTraining, in_training, refuse_another_thread

import os

import numpy as np

from . import _gate as gate
from ._results import REMEDY, DivergenceError

include "kernels/one_sample_table.pxi"

cnp.import_array()

# Of this process: one more after each fork. A thread that was at work before it is not there in the child.
cdef long generation = 1


def count_fork():
    """In the child of a fork."""
    global generation
    generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=count_fork)

# Multiplications a call from which the GIL is released: for less, releasing and taking it again is not worth while.
cdef enum:
    RELEASE_GIL_FROM = 20000

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISCARRAY_RO(cnp.ndarray)   # C-contiguous, aligned, native byte order
    bint PyArray_ISWRITEABLE(cnp.ndarray)
    bint PyArray_CheckExact(object)


cdef class OneSample:
    """Weights, learning rate and the room for one sample's symbols.

    Parameters
    ----------
    w, v : ndarray
        Weights that the gate has let through.
    learning_rate : float
        α of (17).
    table : capsule
        ``ONE_SAMPLE`` of the kernels for the weights' dtype.
    """

    cdef readonly cnp.ndarray w
    cdef readonly cnp.ndarray v
    cdef double _learning_rate
    cdef OneSampleTable *table
    cdef Py_ssize_t D, M, K
    cdef void *scratch
    cdef void *y
    cdef int type
    cdef long in_use    # generation of the process whose thread is at work
    cdef InTraining training

    def __init__(self, cnp.ndarray w, cnp.ndarray v, learning_rate, table):
        if self.scratch != NULL:
            raise RuntimeError("a network is initialized once")
        self.w, self.v = w, v
        self.training = InTraining(w, v)
        self.learning_rate = learning_rate
        self.D, self.M, self.K = w.shape[1] - 1, w.shape[0], v.shape[0]
        self.type = cnp.PyArray_TYPE(w)
        self.table = <OneSampleTable *> PyCapsule_GetPointer(table, "cbackprop.one_sample")
        cdef Py_ssize_t size = self.table.scratch_bytes(self.M, self.K)
        self.scratch = PyMem_Malloc(size + self.K * sizeof(double))
        if self.scratch == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        self.y = <char *> self.scratch + size

    def __dealloc__(self):
        PyMem_Free(self.scratch)

    @property
    def learning_rate(self):
        """α of (17); may be changed at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        gate.learning_rate(value, self.w.dtype)
        self._learning_rate = value    # as it was given; all that compute with it round it

    def learn_one(self, x, t):
        """Learn from one sample: one update (17), in place.

        Parameters
        ----------
        x : array_like of shape (D,)
            One sample. Fastest as a contiguous array of the network's dtype.
        t : int or array_like of shape (K,)
            Its class index, or a row of probabilities that sum to 1.

        Returns
        -------
        float
            E_n before the update, in nats.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it. The weights are unchanged.
        DivergenceError
            If E_n or a weight would not be finite. The weights are unchanged.
        RuntimeError
            If another thread is training these weights. They are unchanged by this call.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(2, 3, 2, learning_rate=0.5, rng=0)
        >>> losses = [network.learn_one([0.5, -1.0], 1) for _ in range(10)]
        >>> losses[9] < losses[0]
        True
        """
        cdef const void *row = NULL
        cdef Py_ssize_t label = -1
        cdef int overflow
        cdef double E_n
        self.check(True)
        if PyLong_CheckExact(t):
            label = PyLong_AsLongLongAndOverflow(t, &overflow)    # -1 beyond
        if not 0 <= label < self.K:
            rows, labels = gate.sample_target("t", t, self.w, self.v)
            if rows is None:
                label = labels[0]
            else:
                rows = rows.copy()    # Python code may still run, and change the user's
                row = cnp.PyArray_DATA(rows)
            self.check(True)
        x_n = x
        if not self.is_sample(x):
            x_n = gate.sample("x", x, self.w, self.v, written=True)
            self.check(True)
        cdef const void *data = cnp.PyArray_DATA(x_n)
        cdef void *w = cnp.PyArray_DATA(self.w)
        cdef void *v = cnp.PyArray_DATA(self.v)
        if (self.D + self.K) * self.M >= RELEASE_GIL_FROM:
            self.training.begin()
            self.in_use = generation
            with nogil:
                E_n = self.table.learn_one(data, row, label, w, v, self._learning_rate, self.scratch,
                                           self.D, self.M, self.K)
            self.in_use = 0
            self.training.end()
        else:
            E_n = self.table.learn_one(data, row, label, w, v, self._learning_rate, self.scratch,
                                       self.D, self.M, self.K)
        if not 0 <= E_n < float("inf"):
            gate.sample("x", x, self.w, self.v)
            raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
        return E_n

    def predict_one(self, x):
        """The most probable class of one sample.

        Parameters
        ----------
        x : array_like of shape (D,)
            One sample.

        Returns
        -------
        int
            Class index, the first if several are equally probable.

        Raises
        ------
        TypeError, ValueError
            If x is not what is described here, or weights are not finite or so large that sums overflow.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_one([0.5, -1.0]) in (0, 1)
        True
        """
        return self.predict_into(x, self.y)

    def predict_proba_one(self, x):
        """Class probabilities of one sample, y of (7).

        Parameters
        ----------
        x : array_like of shape (D,)
            One sample.

        Returns
        -------
        ndarray of shape (K,)
            Probabilities that sum to 1, in the network's dtype.

        Raises
        ------
        TypeError, ValueError
            If x is not what is described here, or weights are not finite or so large that sums overflow.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_proba_one([0.5, -1.0]).shape
        (2,)
        """
        cdef cnp.npy_intp K = self.K
        cdef cnp.ndarray y
        self.check(False)
        y = cnp.PyArray_EMPTY(1, &K, cnp.PyArray_TYPE(self.w), 0)
        self.predict_into(x, cnp.PyArray_DATA(y))
        return y

    cdef Py_ssize_t predict_into(self, x, void *y) except -1:
        cdef Py_ssize_t k
        self.check(False)
        x_n = x
        if not self.is_sample(x):
            x_n = gate.sample("x", x, self.w, self.v)
            self.check(False)
        cdef const void *data = cnp.PyArray_DATA(x_n)
        cdef const void *w = cnp.PyArray_DATA(self.w)
        cdef const void *v = cnp.PyArray_DATA(self.v)
        if (self.D + self.K) * self.M >= RELEASE_GIL_FROM:
            self.in_use = generation
            with nogil:
                k = self.table.predict_one(data, w, v, self.scratch, y, self.D, self.M, self.K)
            self.in_use = 0
        else:
            k = self.table.predict_one(data, w, v, self.scratch, y, self.D, self.M, self.K)
        if k == NOT_FINITE:
            gate.sample("x", x, self.w, self.v)
            gate.refuse_overflow(self.w, self.v)
        return k

    cdef inline bint is_sample(self, x) noexcept:
        """Whether x can go to the kernels as it is."""
        if not PyArray_CheckExact(x):
            return False
        cdef cnp.ndarray array = x
        return (cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == self.D
                and cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(self.w) and PyArray_ISCARRAY_RO(array)
                and apart(array, self.D, self.w, self.M * (self.D + 1))
                and apart(array, self.D, self.v, self.K * (self.M + 1)))

    cdef inline int check(self, bint written) except -1:
        """Whether another thread works here, and whether the weights, the user's arrays, still are what they were.

        Looked at in each call, and once more after Python has run for it, when anything may have happened.
        """
        if self.table == NULL:
            raise RuntimeError("this network was never initialized")
        if self.in_use == generation:
            raise RuntimeError("this network is in use by another thread")
        if written and in_training:
            refuse_another_thread(self.w, self.v)
        if not (intact(self.w, self.type, self.M, self.D + 1, written)
                and intact(self.v, self.type, self.K, self.M + 1, written)):
            gate.weights(self.w, self.v, written=written)
            raise ValueError(f"w and v now have shapes {np.shape(self.w)} and {np.shape(self.v)} of {self.w.dtype} and "
                             f"{self.v.dtype}; they must stay {(self.M, self.D + 1)} and {(self.K, self.M + 1)} of "
                             f"{cnp.PyArray_DescrFromType(self.type)}")
        return 0


# `overlap` of arrays whose sizes are known: NumPy would have to multiply their shapes
cdef inline bint apart(cnp.ndarray a, Py_ssize_t a_size, cnp.ndarray b, Py_ssize_t b_size) noexcept:
    cdef const char *first_a = <const char *> cnp.PyArray_DATA(a)
    cdef const char *first_b = <const char *> cnp.PyArray_DATA(b)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(a)
    return first_a + a_size * itemsize <= first_b or first_b + b_size * itemsize <= first_a


cdef inline bint intact(cnp.ndarray array, int type, Py_ssize_t rows, Py_ssize_t columns, bint written) noexcept:
    return (cnp.PyArray_TYPE(array) == type and cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == rows
            and cnp.PyArray_DIM(array, 1) == columns and PyArray_ISCARRAY_RO(array)
            and (not written or PyArray_ISWRITEABLE(array)))
