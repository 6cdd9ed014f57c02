"""The compiled base class of `cbackprop.Network`: calls for one sample with as little overhead as possible.

An array that kernels can use as it is bypasses validation; any other is converted or rejected by it.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite
from libc.string cimport memcpy

from ._training_lock cimport TrainingLock, held_locks

import os

import numpy as np

from . import _validation as validate
from ._results import REMEDY, DivergenceError

include "kernels/one_sample_api.pxi"

cnp.import_array()

cdef object ONE = 1.0    # the default of sample_weight, which needs no check

# Incremented by each fork: threads that ran before it do not exist in the child
cdef long fork_count = 1


def count_fork():
    """Count a fork; called in the child."""
    global fork_count
    fork_count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=count_fork)

# Multiplications per call from which the GIL is released; for fewer, that costs more than it gains
cdef enum:
    MIN_OPS_WITHOUT_GIL = 20000

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISCARRAY_RO(cnp.ndarray)   # C-contiguous, aligned, native byte order
    bint PyArray_ISWRITEABLE(cnp.ndarray)
    bint PyArray_CheckExact(object)


cdef class OneSample:
    """Weights, learning rate and scratch memory for calls with one sample.

    Parameters
    ----------
    w, v : ndarray
        Validated weights.
    functions : Functions
        Validated names.
    learning_rate : float
        α of (17).
    module : module
        The kernels for the dtype of the weights.
    """

    cdef readonly cnp.ndarray w
    cdef readonly cnp.ndarray v
    cdef readonly object functions    # their names
    cdef double _learning_rate
    cdef OneSampleAPI *api
    cdef Py_ssize_t D, M, K
    cdef void *memory         # allocated
    cdef void *net            # aligned address in it: the network as kernels see it, bound to ...
    cdef void *bound_w        # ... weights at these addresses
    cdef void *bound_v
    cdef void *y
    cdef void *t              # a row of targets
    cdef bint softmax, logistic
    cdef int type
    cdef long in_use          # fork_count during a call without the GIL, else 0
    cdef TrainingLock lock

    def __init__(self, cnp.ndarray w, cnp.ndarray v, functions, learning_rate, module):
        if self.memory != NULL:
            raise RuntimeError("a network must be initialized only once")
        self.w, self.v, self.functions = w, v, functions
        self.softmax, self.logistic = functions.output == "softmax", functions.output == "logistic"
        self.lock = TrainingLock(w, v)
        self.learning_rate = learning_rate
        self.D, self.M, self.K = w.shape[1] - 1, w.shape[0], v.shape[0]
        self.type = cnp.PyArray_TYPE(w)
        api = module.ONE_SAMPLE
        cdef OneSampleAPI *kernels = <OneSampleAPI *> PyCapsule_GetPointer(api, "cbackprop.one_sample")
        cdef Py_ssize_t size = kernels.size(self.D, self.M, self.K)
        self.memory = PyMem_Calloc(size + 2 * self.K * sizeof(double) + 64, 1)
        if self.memory == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        self.net = <char *> self.memory + (64 - <size_t> self.memory % 64)
        self.y = <char *> self.net + size
        self.t = <char *> self.y + self.K * sizeof(double)
        kernels.init(self.net, self.D, self.M, self.K, module.HIDDEN_FUNCTIONS[functions.hidden],
                     module.OUTPUTS[functions.output])
        self.api = kernels

    def __dealloc__(self):
        PyMem_Free(self.memory)

    @property
    def learning_rate(self):
        """α of (17). It may be changed at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        validate.learning_rate(value, self.w.dtype)
        self._learning_rate = value    # not rounded to the dtype: kernels do that

    def require_probabilities(self):
        """Raise ValueError if the outputs are not probabilities."""
        if self.functions.output == "linear":
            raise ValueError("output is 'linear', which has no probabilities: use predict")

    def learn_one(self, x, t, sample_weight=ONE):
        """Learn from one sample: one update (17) of the weights, in place.

        A call that raises leaves the weights unchanged.

        Parameters
        ----------
        x : array_like of shape (D,)
            Inputs of the sample. A contiguous array of the network's dtype is fastest.
        t : int, float or array_like of shape (K,)
            Target of the sample. Softmax outputs: its class index, or K probabilities that sum to 1. Linear outputs: K
            finite numbers. Logistic outputs: K numbers in [0, 1]. With K = 1, a single number.
        sample_weight : float
            A factor of the learning rate, at least 0.

        Returns
        -------
        float
            E_n before the update, without the weight.

        Raises
        ------
        TypeError
            If x does not hold real numbers, t is neither a class index nor K real numbers, or sample_weight is not a
            number.
        ValueError
            If x does not have shape (D,), x or a weight is not finite, t does not suit the output, sample_weight is
            negative or not finite, the weights are read-only, or x or t shares memory with them.
        DivergenceError
            If E_n or an updated weight would not be finite.
        RuntimeError
            If another thread is training these weights or using this network.

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
        cdef double E_n, alpha = self._learning_rate
        self.check(True)
        if sample_weight is not ONE:
            alpha *= validate.weight(sample_weight, self.w.dtype)
        if self.softmax and PyLong_CheckExact(t):
            label = PyLong_AsLongLongAndOverflow(t, &overflow)    # -1 on overflow
        elif PyFloat_CheckExact(t) and self.set_number(t) or self.set_numbers(t):
            row = self.t
        if row == NULL and not 0 <= label < self.K:
            rows, labels = validate.sample_target("t", t, self.w, self.v, self.functions.output)
            if rows is None:
                label = labels[0]
            else:
                # Python code that still runs may change the original
                memcpy(self.t, cnp.PyArray_DATA(rows), self.K * cnp.PyArray_ITEMSIZE(self.w))
                row = self.t
            self.check(True)
        x_n = x
        if not self.is_sample(x):
            x_n = validate.sample("x", x, self.w, self.v, writeable=True)
            self.check(True)
        cdef const void *data = cnp.PyArray_DATA(x_n)
        if (self.D + self.K) * self.M >= MIN_OPS_WITHOUT_GIL:
            self.lock.begin()
            self.in_use = fork_count
            with nogil:
                E_n = self.api.learn_one(self.net, data, row, label, alpha)
            self.in_use = 0
            self.lock.end()
        else:
            E_n = self.api.learn_one(self.net, data, row, label, alpha)
        if not 0 <= E_n < float("inf"):
            validate.sample("x", x, self.w, self.v)
            validate.finite_weights(self.w, self.v)    # which are those from before
            raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
        return E_n

    # The target of a single output; False if it takes validation
    cdef inline bint set_number(self, double t) noexcept:
        if self.softmax or self.K > 1 or not (0 <= t <= 1 if self.logistic else isfinite(t)):
            return False
        if self.type == cnp.NPY_FLOAT:
            (<float *> self.t)[0] = <float> t
            return bool(isfinite((<float *> self.t)[0]))
        (<double *> self.t)[0] = t
        return True

    # Those of several; False if they take validation or conversion
    cdef inline bint set_numbers(self, t) noexcept:
        cdef cnp.ndarray array
        cdef double t_k
        if self.softmax or not PyArray_CheckExact(t):
            return False
        array = t
        if not (cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == self.K
                and cnp.PyArray_TYPE(array) == self.type and PyArray_ISCARRAY_RO(array)
                and disjoint(array, self.K, self.w, self.M * (self.D + 1))
                and disjoint(array, self.K, self.v, self.K * (self.M + 1))):
            return False
        memcpy(self.t, cnp.PyArray_DATA(array), self.K * cnp.PyArray_ITEMSIZE(array))
        for k in range(self.K):
            t_k = (<float *> self.t)[k] if self.type == cnp.NPY_FLOAT else (<double *> self.t)[k]
            if not (0 <= t_k <= 1 if self.logistic else isfinite(t_k)):
                return False
        return True

    def predict_one(self, x):
        """What the network predicts for one sample: its class, numbers or labels.

        Parameters
        ----------
        x : array_like of shape (D,)
            Inputs of the sample.

        Returns
        -------
        int, float or ndarray of shape (K,)
            Softmax outputs: the index of the most probable class, of equally probable ones the first. Linear outputs: y
            itself. Logistic outputs: 1 where the probability is at least 1/2, else 0. With K = 1, a single number.

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        ValueError
            If x does not have shape (D,) or is not finite, a weight is not finite, or sums overflow.
        RuntimeError
            If another thread is using this network.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_one([0.5, -1.0]) in (0, 1)
        True
        """
        cdef cnp.ndarray y
        if self.softmax:
            return self.predict_into(x, self.y)
        y = self.outputs(x)
        if self.logistic:
            y = (y >= 0.5).astype(np.intp)
        return y.item() if self.K == 1 else y

    def predict_proba_one(self, x):
        """Probabilities y of one sample: of its classes (7), or of each label by itself.

        Parameters
        ----------
        x : array_like of shape (D,)
            Inputs of the sample.

        Returns
        -------
        ndarray of shape (K,)
            Probabilities in the network's dtype, which sum to 1 with softmax outputs.

        Raises
        ------
        TypeError
            If x does not hold real numbers.
        ValueError
            If x does not have shape (D,) or is not finite, a weight is not finite, sums overflow, or outputs are
            linear.
        RuntimeError
            If another thread is using this network.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_proba_one([0.5, -1.0]).shape
        (2,)
        """
        if not self.softmax:
            self.require_probabilities()
        return self.outputs(x)

    cdef cnp.ndarray outputs(self, x):
        """y of one sample."""
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
            x_n = validate.sample("x", x, self.w, self.v)
            self.check(False)
        cdef const void *data = cnp.PyArray_DATA(x_n)
        if (self.D + self.K) * self.M >= MIN_OPS_WITHOUT_GIL:
            self.in_use = fork_count
            with nogil:
                k = self.api.predict_one(self.net, data, y)
            self.in_use = 0
        else:
            k = self.api.predict_one(self.net, data, y)
        if k == NOT_FINITE:
            validate.sample("x", x, self.w, self.v)
            validate.refuse_overflow(self.w, self.v)
        return k

    cdef inline bint is_sample(self, x) noexcept:
        """Whether the kernels can use x without conversion."""
        if not PyArray_CheckExact(x):
            return False
        cdef cnp.ndarray array = x
        return (cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == self.D
                and cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(self.w) and PyArray_ISCARRAY_RO(array)
                and disjoint(array, self.D, self.w, self.M * (self.D + 1))
                and disjoint(array, self.D, self.v, self.K * (self.M + 1)))

    cdef inline int check(self, bint writeable) except -1:
        """Raise if another thread uses the network, or if the layout of the weights, the user's arrays, has changed.

        Called at the start of each method, and again after any Python code that may have changed them.
        """
        if self.api == NULL:
            raise RuntimeError("this network was never initialized")
        if self.in_use == fork_count:
            raise RuntimeError("this network is in use by another thread")
        if writeable and held_locks:
            self.lock.check()
        if not (layout_unchanged(self.w, self.type, self.M, self.D + 1, writeable)
                and layout_unchanged(self.v, self.type, self.K, self.M + 1, writeable)):
            validate.weights(self.w, self.v, writeable=writeable)
            raise ValueError(f"w and v now have shapes {np.shape(self.w)} and {np.shape(self.v)} of {self.w.dtype} and "
                             f"{self.v.dtype}; they must stay {(self.M, self.D + 1)} and {(self.K, self.M + 1)} of "
                             f"{cnp.PyArray_DescrFromType(self.type)}")
        cdef void *w = cnp.PyArray_DATA(self.w)
        cdef void *v = cnp.PyArray_DATA(self.v)
        if w != self.bound_w or v != self.bound_v:
            self.api.bind(self.net, w, v)
            self.bound_w, self.bound_v = w, v
        return 0


# Whether arrays of known size lie in separate memory: NumPy would compute it from the shape
cdef inline bint disjoint(cnp.ndarray a, Py_ssize_t a_size, cnp.ndarray b, Py_ssize_t b_size) noexcept:
    cdef const char *first_a = <const char *> cnp.PyArray_DATA(a)
    cdef const char *first_b = <const char *> cnp.PyArray_DATA(b)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(a)
    return first_a + a_size * itemsize <= first_b or first_b + b_size * itemsize <= first_a


cdef inline bint layout_unchanged(cnp.ndarray array, int type, Py_ssize_t rows, Py_ssize_t columns,
                                  bint writeable) noexcept:
    return (cnp.PyArray_TYPE(array) == type and cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == rows
            and cnp.PyArray_DIM(array, 1) == columns and PyArray_ISCARRAY_RO(array)
            and (not writeable or PyArray_ISWRITEABLE(array)))
