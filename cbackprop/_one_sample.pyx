"""The compiled base class of `cbackprop.Network`: calls for one sample with as little overhead as possible.

An array that kernels can use as it is bypasses validation; any other is converted or rejected by it.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, exp, fmax, fmin, isfinite
from libc.string cimport memcpy

from ._memory cimport span
from ._mixture_weights cimport drop_members, update_weights
from ._training_lock cimport TrainingLock, fork_count, held_locks

import numpy as np

from . import _layout as layout
from . import _validation as validate
from ._catalog import OUTPUTS
from ._results import REMEDY, DivergenceError
from ._sparse import SparseRows

include "kernels/one_sample_api.pxi"
include "kernels/loan.pxi"

cnp.import_array()

# Multiplications per call from which the GIL is released; for fewer, that costs more than it gains
cdef enum:
    MIN_OPS_WITHOUT_GIL = 20000

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISCARRAY_RO(cnp.ndarray)   # C-contiguous, aligned, native byte order
    bint PyArray_ISBEHAVED_RO(cnp.ndarray)  # the same with any strides
    bint PyArray_ISWRITEABLE(cnp.ndarray)
    bint PyArray_CheckExact(object)


cdef struct Sample:
    Inputs inputs
    const void *t       # a row of targets or, if it is NULL, ...
    Py_ssize_t label    # ... a class index
    double weight
    const cnp.npy_bool *missing    # which targets are not to be learned; NULL if there are none


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
    accumulators : pair of ndarray, optional
        Those of row-wise AdaGrad, of shapes (M,) and (K,), with which α adapts.
    """

    cdef readonly cnp.ndarray w
    cdef readonly cnp.ndarray v
    cdef readonly object functions    # their names
    cdef cnp.ndarray s_w, s_v         # accumulators; None if α is the same for all units
    cdef double _learning_rate
    cdef OneSampleAPI *api
    cdef Py_ssize_t D, M, K
    cdef void *memory         # allocated
    cdef void *net            # aligned address in it: the network as kernels see it, bound to ...
    cdef Weights bound        # ... these weights
    cdef void *y
    cdef void *t              # a row of targets
    cdef void *places         # for the addresses of ...
    cdef Py_ssize_t capacity  # ... so many weights
    cdef bint by_column       # the order of w
    cdef cnp.npy_intp[2] w_strides, v_strides    # in bytes
    cdef bint exclusive, probabilities    # of the output, as in _catalog.py
    cdef double lowest, highest           # the limits of its targets
    cdef object prediction
    cdef int type
    cdef cnp.ndarray all_w, all_v     # these weights, or the memory of those of all networks
    cdef Py_ssize_t w_span, v_span    # their bytes
    cdef long in_use          # fork_count during a call without the GIL, else 0
    cdef TrainingLock lock
    cdef Loan loan            # to c_api

    def __init__(self, cnp.ndarray w, cnp.ndarray v, functions, learning_rate, module, tuple accumulators=None):
        if self.memory != NULL:
            raise RuntimeError("a network must be initialized only once")
        self.w, self.v, self.functions = w, v, functions
        self.set_all(w, v)
        self.s_w, self.s_v = (None, None) if accumulators is None else accumulators
        output = OUTPUTS[functions.output]
        self.exclusive, self.probabilities = output.exclusive, output.probabilities
        self.lowest, self.highest = output.limits or (-np.inf, np.inf)
        self.prediction = output.prediction
        self.lock = TrainingLock(w, v)
        self.learning_rate = learning_rate
        self.D, self.M, self.K = w.shape[1] - 1, w.shape[0], v.shape[0]
        self.type = cnp.PyArray_TYPE(w)
        self.by_column = layout.order_of(w) == "F"
        for axis in range(2):
            self.w_strides[axis], self.v_strides[axis] = cnp.PyArray_STRIDE(w, axis), cnp.PyArray_STRIDE(v, axis)
        self.bound.unit_stride = 1 if self.by_column else self.D + 1
        self.bound.input_stride = self.w_strides[1] // cnp.PyArray_ITEMSIZE(w)
        self.bound.output_stride = layout.row_stride(v)
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

    cdef int set_all(self, w, v) except -1:
        self.all_w, self.all_v = w, v
        self.w_span, self.v_span = span(w), span(v)
        return 0

    def __dealloc__(self):
        PyMem_Free(self.memory)
        PyMem_Free(self.places)

    @property
    def accumulators(self):
        """Sums of squared gradients of each hidden unit, (M,), and each output, (K,); None if rates do not adapt."""
        return None if self.s_w is None else (self.s_w, self.s_v)

    @property
    def learning_rate(self):
        """α of (17). It may be changed at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        validate.learning_rate(value, self.w.dtype)
        self._learning_rate = value    # not rounded to the dtype: kernels do that

    def _lend(self):
        """Lock the network, for C code that learns, and return the address of a `Loan`; see `c_api.Handle`."""
        cdef Loan *loan = &self.loan
        self.check(True)
        if self.D > self.capacity:
            self.reserve(self.D)
        loan.api, loan.net, loan.K, loan.learning_rate = self.api, self.net, self.K, &self._learning_rate
        loan.inputs.indices32, loan.inputs.indices64 = NULL, NULL
        loan.inputs.count, loan.inputs.places = self.D, self.places
        self.lock.begin()
        self.in_use = fork_count
        return <size_t> loan

    def _take_back(self):
        """Unlock it."""
        self.in_use = 0
        self.lock.end()

    def _require_probabilities(self):
        """Raise ValueError if the outputs are not probabilities."""
        if not self.probabilities:
            raise ValueError(f"output is {self.functions.output!r}, which has no probabilities: use predict")

    def learn_one(self, x, t, sample_weight=1.0):
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
        ValueError
            If x or a weight is not finite, the weights are read-only, or x or t shares memory with them.
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
        return self.learn(x, None, t, sample_weight)

    def learn_one_sparse(self, indices, values, t, sample_weight=1.0):
        """Learn from one sample given by its non-zeros: one update (17) of the weights of these inputs, in place.

        It takes time in proportion to their number, whatever D, and less with weights in Fortran order, the default. A
        call that raises leaves the weights unchanged.

        Parameters
        ----------
        indices : array_like of int, shape (L,)
            The inputs that are not 0, in any order. One that comes twice counts with the sum of its values. Contiguous
            arrays of int32 or int64, and values of the network's dtype, are fastest.
        values : array_like of shape (L,)
            Their values.
        t : int, float or array_like of shape (K,)
            Target of the sample, as for `learn_one`.
        sample_weight : float
            A factor of the learning rate, at least 0.

        Returns
        -------
        float
            E_n before the update, without the weight.

        Raises
        ------
        ValueError
            If indices and values differ in length, or an index does not lie in 0..D-1. Other errors are those of
            `learn_one`.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(2**18, 16, 2, dtype="float32", rng=0)
        >>> indices, values = [3, 141592], [1.0, 0.5]
        >>> losses = [network.learn_one_sparse(indices, values, 1) for _ in range(10)]
        >>> losses[9] < losses[0]
        True
        """
        return self.learn(values, check_indices(indices), t, sample_weight)

    cdef learn(self, x, indices, t, sample_weight):
        cdef Sample n
        cdef double E_n, alpha = self._learning_rate
        _kept = self.set_sample(&n, x, indices, t, sample_weight)
        if self.releases_gil(&n.inputs):
            self.lock.begin()
            self.in_use = fork_count
            with nogil:
                E_n = self.api.learn_one(self.net, &n.inputs, n.t, n.label, alpha, n.weight)
            self.in_use = 0
            self.lock.end()
        else:
            E_n = self.api.learn_one(self.net, &n.inputs, n.t, n.label, alpha, n.weight)
        if not 0 <= E_n < INFINITY:
            self.validated(x, indices, False)
            validate.finite_weights(self.w, self.v)    # which are those from before
            raise_divergence()
        return E_n

    # A sample to learn. Returns what keeps the memory of its inputs.
    cdef object set_sample(self, Sample *n, x, indices, t, sample_weight):
        cdef int overflow
        n.t, n.label, n.weight, n.missing = NULL, -1, 1, NULL
        self.check(True)
        if not (PyFloat_CheckExact(sample_weight) and PyFloat_AS_DOUBLE(sample_weight) == 1):
            n.weight = validate.weight(sample_weight, self.w.dtype)
        if self.exclusive and PyLong_CheckExact(t):
            n.label = PyLong_AsLongLongAndOverflow(t, &overflow)    # -1 on overflow
        elif PyFloat_CheckExact(t) and self.set_number(t) or self.set_numbers(t):
            n.t = self.t
        if n.t == NULL and not 0 <= n.label < self.K:
            rows, labels = validate.sample_target("t", t, self.w, self.v, self.functions.output)
            if rows is None:
                n.label = labels[0]
            else:
                validate.check_no_overlap("t", rows, self.all_w, self.all_v, True)
                # Python code that still runs may change the original
                memcpy(self.t, cnp.PyArray_DATA(rows), self.K * cnp.PyArray_ITEMSIZE(self.w))
                n.t = self.t
            self.check(True)
        return self.set_inputs(&n.inputs, x, indices, True)

    cdef bint releases_gil(self, const Inputs *inputs) noexcept:
        return (inputs.count + self.K) * self.M >= MIN_OPS_WITHOUT_GIL

    # The inputs of a sample; with indices, those that are not 0. Returns what keeps their memory.
    cdef object set_inputs(self, Inputs *inputs, x, indices, bint writeable):
        kept = x
        if not (self.is_sample(x) if indices is None else self.is_row(x, indices)):
            kept = x = self.validated(x, indices, writeable)
            self.check(writeable)
            if isinstance(kept, SparseRows):
                x, indices = kept.data, kept.indices
        inputs.x, inputs.count = cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x)
        inputs.indices32, inputs.indices64 = NULL, NULL
        if indices is not None:
            if cnp.PyArray_ITEMSIZE(indices) == 4:
                inputs.indices32 = <const int32_t *> cnp.PyArray_DATA(indices)
            else:
                inputs.indices64 = <const int64_t *> cnp.PyArray_DATA(indices)
        if (self.by_column or indices is not None) and inputs.count > self.capacity:
            self.reserve(inputs.count)
        inputs.places = self.places
        return kept

    cdef validated(self, x, indices, bint writeable):
        if indices is None:
            row = validate.sample("x", x, self.w, self.v)
            arrays = [("x", array) for array in (row.arrays if isinstance(row, SparseRows) else (row,))]
        else:
            row = validate.sparse_row(indices, x, self.w, self.v)
            arrays = [("values", row.data), ("indices", row.indices)]
        for name, array in arrays:
            validate.check_no_overlap(name, array, self.all_w, self.all_v, writeable)
        return row

    cdef int reserve(self, Py_ssize_t count) except -1:
        cdef void *places = PyMem_Realloc(self.places, count * sizeof(void *))
        if places == NULL:
            raise MemoryError(f"no memory for a row of {count} non-zeros")
        self.places, self.capacity = places, count
        return 0

    cdef inline bint is_target(self, double t_k) noexcept:
        return self.lowest <= t_k <= self.highest and isfinite(t_k)

    # The target of a single output; False if it takes validation
    cdef inline bint set_number(self, double t) noexcept:
        if self.exclusive or self.K > 1 or not self.is_target(t):
            return False
        if self.type == cnp.NPY_FLOAT:
            (<float *> self.t)[0] = <float> t
            return bool(isfinite((<float *> self.t)[0]))
        (<double *> self.t)[0] = t
        return True

    # Those of several; False if they take validation or conversion
    cdef inline bint set_numbers(self, t) noexcept:
        cdef cnp.ndarray array
        if self.exclusive or not PyArray_CheckExact(t):
            return False
        array = t
        if not self.is_vector(array, self.K):
            return False
        memcpy(self.t, cnp.PyArray_DATA(array), self.K * cnp.PyArray_ITEMSIZE(array))
        for k in range(self.K):
            if not self.is_target(number(self.t, k, self.type)):
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
        ValueError
            If x or a weight is not finite, or sums overflow.
        RuntimeError
            If another thread is using this network.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_one([0.5, -1.0]) in (0, 1)
        True
        """
        return self.predict(x, None)

    def predict_one_sparse(self, indices, values):
        """What the network predicts for one sample given by its non-zeros, as `predict_one`.

        Parameters
        ----------
        indices : array_like of int, shape (L,)
            The inputs that are not 0, as for `learn_one_sparse`.
        values : array_like of shape (L,)
            Their values.

        Returns
        -------
        int, float or ndarray of shape (K,)
            As for `predict_one`.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(100, 3, 2, rng=0)
        >>> network.predict_one_sparse([3, 14], [0.5, -1.0]) in (0, 1)
        True
        """
        return self.predict(values, check_indices(indices))

    cdef predict(self, x, indices):
        cdef cnp.ndarray y
        if self.exclusive:
            return self.predict_into(x, indices, self.y)
        y = self.prediction(self.outputs(x, indices))
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
        ValueError
            If outputs are linear. Other errors are those of `predict_one`.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_proba_one([0.5, -1.0]).shape
        (2,)
        """
        if not self.probabilities:
            self._require_probabilities()
        return self.outputs(x, None)

    def predict_proba_one_sparse(self, indices, values):
        """Probabilities y of one sample given by its non-zeros, as `predict_proba_one`.

        Parameters
        ----------
        indices : array_like of int, shape (L,)
            The inputs that are not 0, as for `learn_one_sparse`.
        values : array_like of shape (L,)
            Their values.

        Returns
        -------
        ndarray of shape (K,)
            As for `predict_proba_one`.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(100, 3, 2, rng=0)
        >>> network.predict_proba_one_sparse([3, 14], [0.5, -1.0]).shape
        (2,)
        """
        if not self.probabilities:
            self._require_probabilities()
        return self.outputs(values, check_indices(indices))

    cdef cnp.ndarray outputs(self, x, indices):
        """y of one sample."""
        cdef cnp.npy_intp K = self.K
        cdef cnp.ndarray y
        self.check(False)
        y = cnp.PyArray_EMPTY(1, &K, cnp.PyArray_TYPE(self.w), 0)
        self.predict_into(x, indices, cnp.PyArray_DATA(y))
        return y

    cdef Py_ssize_t predict_into(self, x, indices, void *y) except -1:
        cdef Py_ssize_t k
        cdef Inputs inputs
        self.check(False)
        _kept = self.set_inputs(&inputs, x, indices, False)
        if self.releases_gil(&inputs):
            self.in_use = fork_count
            with nogil:
                k = self.api.predict_one(self.net, &inputs, y)
            self.in_use = 0
        else:
            k = self.api.predict_one(self.net, &inputs, y)
        if k == NOT_FINITE:
            self.validated(x, indices, False)
            validate.refuse_overflow(self.w, self.v)
        return k

    cdef inline bint is_sample(self, x) noexcept:
        """Whether the kernels can use x without conversion."""
        return PyArray_CheckExact(x) and self.is_vector(x, self.D)

    cdef inline bint is_row(self, values, indices) noexcept:
        """Whether the kernels can use indices and values without conversion; they check the range of indices."""
        if not (PyArray_CheckExact(values) and PyArray_CheckExact(indices)):
            return False
        cdef cnp.ndarray x = values, i = indices
        cdef int type = cnp.PyArray_TYPE(i)
        return (cnp.PyArray_NDIM(i) == 1 and (type == cnp.NPY_INT32 or type == cnp.NPY_INT64)
                and PyArray_ISCARRAY_RO(i) and self.is_vector(x, cnp.PyArray_DIM(i, 0)))

    cdef inline bint is_vector(self, cnp.ndarray array, Py_ssize_t size) noexcept:
        """Whether the kernels can use an array as a vector of that size without conversion."""
        return (cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == size
                and cnp.PyArray_TYPE(array) == cnp.PyArray_TYPE(self.w) and PyArray_ISCARRAY_RO(array)
                and disjoint(array, size, self.all_w, self.w_span) and disjoint(array, size, self.all_v, self.v_span))

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
        if not (layout_unchanged(self.w, self.type, self.M, self.D + 1, self.w_strides, writeable)
                and layout_unchanged(self.v, self.type, self.K, self.M + 1, self.v_strides, writeable)):
            validate.weights(self.w, self.v, writeable=writeable)
            raise ValueError(f"w and v now have shapes {np.shape(self.w)} and {np.shape(self.v)} of {self.w.dtype} and "
                             f"{self.v.dtype}, or other strides; they must stay {(self.M, self.D + 1)} and "
                             f"{(self.K, self.M + 1)} of {cnp.PyArray_DescrFromType(self.type)}")
        cdef Weights *bound = &self.bound
        cdef void *w = cnp.PyArray_DATA(self.w)
        cdef void *v = cnp.PyArray_DATA(self.v)
        cdef void *s_w = NULL
        cdef void *s_v = NULL
        if self.s_w is not None:
            if not (self.is_accumulator(self.s_w, self.M) and self.is_accumulator(self.s_v, self.K)):
                raise ValueError(f"accumulators now have shapes {np.shape(self.s_w)} and {np.shape(self.s_v)}; they "
                                 f"must stay writable arrays of shapes {(self.M,)} and {(self.K,)}")
            s_w, s_v = cnp.PyArray_DATA(self.s_w), cnp.PyArray_DATA(self.s_v)
        if w != bound.w or v != bound.v or s_w != bound.s_w or s_v != bound.s_v:
            bound.w, bound.v, bound.s_w, bound.s_v = w, v, s_w, s_v
            self.api.bind(self.net, bound)
        return 0

    cdef inline bint is_accumulator(self, cnp.ndarray array, Py_ssize_t size) noexcept:
        return (cnp.PyArray_TYPE(array) == self.type and cnp.PyArray_NDIM(array) == 1
                and cnp.PyArray_DIM(array, 0) == size and PyArray_ISCARRAY_RO(array) and PyArray_ISWRITEABLE(array))


cdef class OneSampleOfAll(OneSample):
    """Calls with one sample for several networks, and the mixture of their predictions.

    The sample is validated once, and the networks learn it or predict it in turn. A call that raises has changed
    nothing; no signal handler runs between the update of the first network and that of the mixture's weights.

    Parameters
    ----------
    networks : sequence of OneSample
        The networks, with the same inputs, outputs and dtype.
    module : module
        The kernels for the dtype of the weights.
    mixture : Mixture
        The mixture of their predictions, whose arrays are used and updated.
    memory : pair of ndarray of 1 dimension, optional
        The memory of w and of v of all networks, if it is one.
    whole : pair of ndarray of shapes (R, M, D+1) and (R, K, M+1), optional
        Those of all networks, if they are in two arrays, which must not be read-only to be learned.
    """

    cdef tuple networks, whole
    cdef Py_ssize_t units   # hidden ones, of all networks
    cdef cnp.ndarray log_weights, dropped, limits, scale    # of the mixture
    cdef double eta, share
    cdef bint relative
    cdef void *arrays      # memory for a number or two addresses for each network, or a number for each output:
    cdef void **nets
    cdef OneSampleAPI **apis    # their kernels
    cdef double *rates
    cdef double *p
    cdef double *total

    def __init__(self, networks, module, mixture, memory=None, tuple whole=()):
        cdef Py_ssize_t R = len(networks)
        if R == 0:
            raise ValueError("there are no networks; there must be at least one")
        cdef OneSample network, first = <OneSample?> networks[0]
        OneSample.__init__(self, first.w, first.v, first.functions, first._learning_rate, module)
        for each in networks:
            network = <OneSample?> each
            if ((network.D, network.K, network.type) != (self.D, self.K, self.type)
                    or network.functions.output != first.functions.output):
                raise ValueError("networks must have the same inputs, outputs and dtype")
            self.units += network.M
            self.by_column |= network.by_column    # so that there is scratch memory
        if memory is not None:
            self.set_all(memory[0], memory[1])
        self.networks, self.whole = tuple(networks), whole
        self.log_weights, self.dropped = state(mixture.log_weights, (R,)), state(mixture.dropped, (R,))
        self.limits, self.scale = state(mixture.limits, (2, self.K)), state(mixture.scale, (2,))
        self.eta, self.relative, self.share = mixture.rate, mixture.relative, mixture.share
        self.arrays = PyMem_Calloc(4 * R + self.K, sizeof(double))
        if self.arrays == NULL:
            raise MemoryError(f"no memory for {R} networks")
        self.rates = <double *> self.arrays
        self.p, self.total = self.rates + R, self.rates + 2 * R
        self.nets = <void **> (self.total + self.K)
        self.apis = <OneSampleAPI **> (self.nets + R)

    def __dealloc__(self):
        PyMem_Free(self.arrays)

    def learn_present(self, x, indices, t, missing, double sample_weight):
        """Learn from one sample as `learn_one`, but not from targets that are missing.

        Parameters
        ----------
        x : ndarray of shape (D,), or the values of non-zeros
        indices : ndarray or None
            The inputs that are not 0, if x holds their values.
        t : int, float or ndarray of shape (K,)
            Those that are missing may be any valid targets.
        missing : ndarray of bool, shape (K,), or None
            Which are missing; not for softmax outputs.
        sample_weight : float
            Already validated.
        """
        cdef Sample n
        cdef cnp.ndarray mask
        _kept = self.set_sample(&n, x, indices, t, 1.0)
        n.weight = sample_weight
        if missing is not None:
            mask = cnp.PyArray_GETCONTIGUOUS(cnp.PyArray_FROM_OT(missing, cnp.NPY_BOOL))
            if n.t == NULL or cnp.PyArray_NDIM(mask) != 1 or cnp.PyArray_DIM(mask, 0) != self.K:
                raise ValueError(f"missing has shape {np.shape(missing)}; it must be {(self.K,)}, one per target")
            n.missing = <const cnp.npy_bool *> cnp.PyArray_DATA(mask)
        return self.learn_sample(&n, x, indices)

    cdef learn(self, x, indices, t, sample_weight):
        cdef Sample n
        _kept = self.set_sample(&n, x, indices, t, sample_weight)
        return self.learn_sample(&n, x, indices)

    cdef cnp.ndarray learn_sample(self, const Sample *n, x, indices):
        cdef cnp.npy_intp R = len(self.networks)
        cdef cnp.ndarray array
        for array in self.whole:
            if not PyArray_ISWRITEABLE(array):
                validate.weights(self.whole[0][0], self.whole[1][0], writeable=True)
        self.set_networks(True)
        cdef cnp.ndarray losses = cnp.PyArray_EMPTY(1, &R, cnp.NPY_DOUBLE, 0)
        cdef double *E = <double *> cnp.PyArray_DATA(losses)
        cdef const double *dropped = <const double *> cnp.PyArray_DATA(self.dropped)
        cdef OneSample network
        if self.releases_gil(&n.inputs):
            for network in self.networks:
                network.lock.begin()
            self.set_in_use(fork_count)
            with nogil:
                self.learn_all(n, dropped, E)
            self.set_in_use(0)
            for network in self.networks:
                network.lock.end()
        else:
            self.learn_all(n, dropped, E)
        if not self.update_mixture(n, E):
            self.validated(x, indices, False)
            for network, out in zip(self.networks, self.dropped.tolist()):
                if not out:
                    validate.finite_weights(network.w, network.v)    # which are those from before
            raise_divergence()
        return losses

    # No Python code may run between this, or what checks it was given, and the kernels
    cdef int set_networks(self, bint writeable) except -1:
        cdef OneSample network
        cdef Py_ssize_t r = 0
        for network in self.networks:
            network.check(writeable)
            self.nets[r], self.apis[r], self.rates[r] = network.net, network.api, network._learning_rate
            r += 1
        return 0

    cdef void set_in_use(self, long value) noexcept:
        cdef OneSample network
        self.in_use = value
        for network in self.networks:
            network.in_use = value

    cdef inline bint releases_gil(self, const Inputs *inputs) noexcept:
        return (inputs.count + self.K) * self.units >= MIN_OPS_WITHOUT_GIL

    cdef void learn_all(self, const Sample *n, const double *dropped, double *E) noexcept nogil:
        cdef Py_ssize_t r
        cdef const void *t = n.t
        for r in range(cnp.PyArray_DIM(self.dropped, 0)):
            E[r] = INFINITY
            if dropped[r] != 0:
                continue
            if n.missing != NULL:
                t = self.total
                if not self.fill_missing(n, r):
                    continue
            E[r] = self.apis[r].learn_one(self.nets[r], &n.inputs, t, n.label, self.rates[r], n.weight)

    # The targets, with y in place of those that are missing, so that (12), y_k - t_k, is 0 there
    cdef bint fill_missing(self, const Sample *n, Py_ssize_t r) noexcept nogil:
        cdef size_t itemsize = sizeof(float) if self.type == cnp.NPY_FLOAT else sizeof(double)
        cdef Py_ssize_t k
        if self.apis[r].predict_one(self.nets[r], &n.inputs, self.y) == NOT_FINITE:
            return False
        memcpy(self.total, n.t, self.K * itemsize)
        for k in range(self.K):
            if n.missing[k]:
                memcpy(<char *> self.total + k * itemsize, <char *> self.y + k * itemsize, itemsize)
        return True

    # Update the mixture with the losses, and leave out networks that failed: they diverged, or their weights were not
    # finite before. False if all failed, so that nothing has changed.
    cdef bint update_mixture(self, const Sample *n, double *E) noexcept:
        cdef double *dropped = <double *> cnp.PyArray_DATA(self.dropped)
        cdef double *log_weights = <double *> cnp.PyArray_DATA(self.log_weights)
        cdef Py_ssize_t r, learned = 0, R = len(self.networks)
        for r in range(R):
            learned += 0 <= E[r] < INFINITY
        if learned == 0:
            return False
        if learned < R:
            for r in range(R):
                if not 0 <= E[r] < INFINITY:
                    E[r], dropped[r] = INFINITY, 1
            drop_members(log_weights, dropped, R)
        if not self.probabilities:
            self.see_target()
        update_weights(log_weights, <double *> cnp.PyArray_DATA(self.scale), E, R, 1, self.eta, self.relative,
                       self.share, &n.weight, self.p)
        return True

    cdef void see_target(self) noexcept:
        cdef double *lowest = <double *> cnp.PyArray_DATA(self.limits)
        cdef double *highest = lowest + self.K
        cdef Py_ssize_t k
        for k in range(self.K):
            lowest[k] = fmin(lowest[k], number(self.t, k, self.type))
            highest[k] = fmax(highest[k], number(self.t, k, self.type))

    cdef Py_ssize_t predict_into(self, x, indices, void *y) except -1:
        cdef Inputs inputs
        cdef OneSample network
        cdef Py_ssize_t failed
        cdef const double *log_weights = <const double *> cnp.PyArray_DATA(self.log_weights)
        cdef const double *limits = NULL
        self.check(False)
        _kept = self.set_inputs(&inputs, x, indices, False)
        self.set_networks(False)
        if not self.probabilities:
            limits = <const double *> cnp.PyArray_DATA(self.limits)
        if self.releases_gil(&inputs):
            self.set_in_use(fork_count)
            with nogil:
                failed = self.set_total(&inputs, log_weights, limits, y)
            self.set_in_use(0)
        else:
            failed = self.set_total(&inputs, log_weights, limits, y)
        if failed >= 0:
            self.validated(x, indices, False)
            network = self.networks[failed]
            validate.refuse_overflow(network.w, network.v)
        return self.set_mean(y)

    # The sum of the networks' y, each in turn in y, by their weights. Networks that fail are left out, as those that
    # have diverged; if all do, returns the number of one, else -1.
    cdef Py_ssize_t set_total(self, const Inputs *inputs, const double *log_weights, const double *limits,
                              void *y) noexcept nogil:
        cdef Py_ssize_t r, k, failed = -1
        cdef double p, y_k, sum_p = 0
        for k in range(self.K):
            self.total[k] = 0
        for r in range(cnp.PyArray_DIM(self.log_weights, 0)):
            p = exp(log_weights[r])
            if p == 0:
                continue
            if self.apis[r].predict_one(self.nets[r], inputs, y) == NOT_FINITE:
                failed = r
                continue
            sum_p += p
            for k in range(self.K):
                y_k = number(y, k, self.type)
                if limits != NULL and limits[0] <= limits[self.K]:
                    y_k = fmin(fmax(y_k, limits[k]), limits[self.K + k])
                self.total[k] += p * y_k
        if failed < 0 or sum_p == 0:
            return failed
        for k in range(self.K):
            self.total[k] /= sum_p
        return -1

    # The sum in the dtype of y, and the index of its largest number
    cdef Py_ssize_t set_mean(self, void *y) noexcept:
        cdef Py_ssize_t k, largest = 0
        for k in range(self.K):
            if self.type == cnp.NPY_FLOAT:
                (<float *> y)[k] = <float> self.total[k]
            else:
                (<double *> y)[k] = self.total[k]
            if number(y, k, self.type) > number(y, largest, self.type):
                largest = k
        return largest


# An array of a mixture, which is used as it is
cdef cnp.ndarray state(array, tuple shape):
    if not (PyArray_CheckExact(array) and cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE and PyArray_ISCARRAY_RO(array)
            and PyArray_ISWRITEABLE(array) and array.shape == shape):
        raise ValueError(f"an array of the mixture has shape {np.shape(array)}; it must be a writable array of float64 "
                         f"of shape {shape}")
    return array


cdef inline double number(const void *numbers, Py_ssize_t k, int type) noexcept nogil:
    return (<const float *> numbers)[k] if type == cnp.NPY_FLOAT else (<const double *> numbers)[k]


cdef int raise_divergence() except -1:
    raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")


# Whether a vector lies in separate memory from an array of so many bytes: NumPy would compute them from the shape
cdef inline bint disjoint(cnp.ndarray vector, Py_ssize_t size, cnp.ndarray array, Py_ssize_t nbytes) noexcept:
    cdef const char *first = <const char *> cnp.PyArray_DATA(vector)
    cdef const char *start = <const char *> cnp.PyArray_DATA(array)
    return first + size * cnp.PyArray_ITEMSIZE(vector) <= start or start + nbytes <= first


# None would be no indices, of a dense sample
cdef inline check_indices(indices):
    if indices is None:
        raise TypeError("indices is None; it must hold integers")
    return indices


cdef inline bint layout_unchanged(cnp.ndarray array, int type, Py_ssize_t rows, Py_ssize_t columns,
                                  const cnp.npy_intp *strides, bint writeable) noexcept:
    return (cnp.PyArray_TYPE(array) == type and cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == rows
            and cnp.PyArray_DIM(array, 1) == columns and PyArray_ISBEHAVED_RO(array)
            and cnp.PyArray_STRIDE(array, 0) == strides[0] and cnp.PyArray_STRIDE(array, 1) == strides[1]
            and (not writeable or PyArray_ISWRITEABLE(array)))
