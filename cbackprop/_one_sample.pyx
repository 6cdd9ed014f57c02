"""The compiled base class of `cbackprop.Network`: calls for one sample with as little overhead as possible.

An array that kernels can use as it is bypasses validation; any other is converted or rejected by it.
"""
cimport numpy as cnp
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, exp, fabs, fmax, fmin, isfinite
from libc.string cimport memcpy

from ._memory cimport span
from ._mixture_weights cimport drop_members, update_weights
from ._running cimport number, set_number
from ._standardization cimport Standardization
from ._training_lock cimport TrainingLock, fork_count, held_locks

import numpy as np

from . import _layout as layout
from . import _validation as validate
from ._catalog import OUTPUTS
from ._docstrings import inherits
from ._results import REMEDY, DivergenceError
from ._sparse import SparseRows, input_arrays

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
    void *y             # where its outputs belong or, if it is to be learned, NULL
    const void *t       # a row of targets or, if it is NULL, ...
    Py_ssize_t label    # ... a class index
    double weight
    const cnp.npy_bool *missing    # which targets are not to be learned; NULL if there are none


cdef class OneSample:
    """Validated weights, and learning rate and scratch memory for calls with one sample.

    `module` has the kernels for the dtype of the weights. Rates adapt with accumulators of row-wise AdaGrad, of shapes
    (M,) and (K,). The standardization comes before the kernels.
    """

    cdef readonly cnp.ndarray w
    cdef readonly cnp.ndarray v
    cdef readonly object functions    # their names
    cdef cnp.ndarray s_w, s_v         # accumulators; None if α is the same for all units
    cdef double _learning_rate
    cdef OneSampleAPI *api
    cdef Py_ssize_t D, M, K
    cdef Py_ssize_t units     # M or, of several networks, the sum of all
    cdef void *memory         # allocated
    cdef void *net            # aligned address in it: the network as kernels see it, bound to ...
    cdef Weights bound        # ... these weights
    cdef void *y
    cdef void *t              # a row of targets
    cdef void *given          # where targets are put: in t or, if they are to be standardized, in memory of ...
    cdef int given_type       # ... this type
    cdef void *places         # for the addresses of ...
    cdef Py_ssize_t capacity  # ... so many weights
    cdef bint by_column       # the order of w
    cdef cnp.npy_intp[2] w_strides, v_strides    # in bytes
    cdef bint exclusive, probabilities    # of the output, as in _catalog.py
    cdef double lowest, highest           # the limits of its targets
    cdef double tolerance                 # of the sum of probabilities, at most as in validation
    cdef tuple names                      # of inputs and target, in errors
    cdef object prediction
    cdef int type
    cdef double E_n
    cdef Py_ssize_t largest           # index of the largest y_k, or NOT_FINITE
    cdef cnp.ndarray all_w, all_v     # these weights, or the memory of those of all networks
    cdef Py_ssize_t w_span, v_span    # their bytes
    cdef long in_use          # fork_count during a call without the GIL, else 0
    cdef TrainingLock lock
    cdef Loan loan            # to c_api
    cdef tuple networks       # those of an ensemble
    cdef readonly Standardization _standardization
    cdef bint standardizes    # whether there is one
    cdef const void *raw      # inputs to standardize, or NULL, ...
    cdef int raw_type         # ... of this type, ...
    cdef void *z              # ... and where they go
    cdef public Py_ssize_t _until_look, _looks, _saturated    # see _saturation.py

    def __init__(self, cnp.ndarray w, cnp.ndarray v, functions, learning_rate, module, tuple accumulators=None,
                 Standardization standardization=None, tuple names=("x", "t")):
        if self.memory != NULL:
            raise RuntimeError("a network must be initialized only once")
        self.w, self.v, self.functions, self.networks, self.names = w, v, functions, (), names
        self.separate_from(w, v)
        self.s_w, self.s_v = (None, None) if accumulators is None else accumulators
        output = OUTPUTS[functions.output]
        self.exclusive, self.probabilities = output.exclusive, output.probabilities
        self.lowest, self.highest = output.limits or (-np.inf, np.inf)
        self.prediction = output.prediction
        self.lock = TrainingLock(w, v)
        validate.learning_rate(learning_rate, w.dtype)
        self._learning_rate = learning_rate    # not rounded to the dtype: kernels do that
        self.D, self.M, self.K = w.shape[1] - 1, w.shape[0], v.shape[0]
        self.units = self.M
        self.type = cnp.PyArray_TYPE(w)
        self.tolerance = 1e-4 if self.type == cnp.NPY_FLOAT else 1e-8
        self.by_column = layout.order_of(w) == "F"
        for axis in range(2):
            self.w_strides[axis], self.v_strides[axis] = cnp.PyArray_STRIDE(w, axis), cnp.PyArray_STRIDE(v, axis)
        self.bound.unit_stride = 1 if self.by_column else self.D + 1
        self.bound.input_stride = self.w_strides[1] // cnp.PyArray_ITEMSIZE(w)
        self.bound.output_stride = layout.row_stride(v)
        api = module.ONE_SAMPLE
        cdef OneSampleAPI *kernels = <OneSampleAPI *> PyCapsule_GetPointer(api, "cbackprop.one_sample")
        cdef Py_ssize_t size = kernels.size(self.D, self.M, self.K)
        cdef Py_ssize_t scratch = 0 if standardization is None else self.D + self.K    # numbers
        self.memory = PyMem_Calloc(size + (2 * self.K + scratch) * sizeof(double) + 64, 1)
        if self.memory == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        self.net = <char *> self.memory + (64 - <size_t> self.memory % 64)
        self.y = <char *> self.net + size
        self.t = <char *> self.y + self.K * sizeof(double)
        self.z = <double *> self.t + 2 * self.K
        self.standardize_by(standardization)
        kernels.init(self.net, self.D, self.M, self.K, module.HIDDEN_FUNCTIONS[functions.hidden],
                     module.OUTPUTS[functions.output])
        self.api = kernels

    # Inputs and targets that share this memory need validation
    cdef int separate_from(self, w, v) except -1:
        self.all_w, self.all_v = w, v
        self.w_span, self.v_span = span(w), span(v)
        return 0

    cdef int standardize_by(self, Standardization standardization) except -1:
        self._standardization, self.standardizes, self.raw = standardization, standardization is not None, NULL
        self.given, self.given_type = self.t, self.type
        if self.standardizes and not self.probabilities:
            self.given, self.given_type = <double *> self.t + self.K, cnp.NPY_DOUBLE
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
        self._learning_rate = value

    @property
    def standardize(self):
        """Whether inputs and, if outputs are linear, targets are standardized by those learned so far."""
        return self._standardization is not None

    @property
    def missing(self):
        """What a NaN among inputs is: an "error", or the "mean" of the input."""
        return "error" if self._standardization is None else self._standardization.missing

    def _for_sparse(self, bint learns):
        """Do without the standardization from the first sparse sample on, or raise ValueError if there is one."""
        if self._standardization is None:
            return
        if self._standardization.required or self._standardization.started:
            raise ValueError("x is sparse, and this network standardizes its inputs, which would lose their zeros: "
                             "create it with standardize=False, or use x.toarray()")
        if learns:
            self.standardize_by(None)

    def _lend(self):
        """Lock the network, for C code that learns, and return the address of a `Loan`; see `c_api.Handle`."""
        if self._standardization is not None:
            raise ValueError("this network standardizes its inputs, which the functions of c_api do not: create it "
                             "with standardize=False, and scale what it learns")
        cdef Loan *loan = &self.loan
        self.check(True)
        if self.D > self.capacity:
            self.reserve(self.D)
        loan.api, loan.net, loan.K, loan.learning_rate = self.api, self.net, self.K, &self._learning_rate
        loan.inputs.indices32, loan.inputs.indices64 = NULL, NULL
        loan.inputs.count, loan.inputs.places = self.D, self.places
        self.hold(True)
        return <size_t> loan

    def _take_back(self):
        """Unlock it."""
        self.release(True)

    def _require_probabilities(self):
        """Raise ValueError if the outputs are not probabilities."""
        if not self.probabilities:
            raise ValueError(f"output is {self.functions.output!r}, which has no probabilities: use predict")

    def learn_one(self, x, t, sample_weight=1.0):
        """Learn from one sample: one update (17) of the weights, in place.

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
        float, or of an ensemble ndarray of shape (R,)
            E_n before the update, without the weight. Infinity for networks that have diverged.

        Raises
        ------
        DivergenceError
            If E_n or an updated weight would not be finite: of an ensemble, those of every network. If this happens to
            some networks only, they are left out from then on.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(2, 3, 2, learning_rate=0.5, rng=0)
        >>> losses = [network.learn_one([0.5, -1.0], 1) for _ in range(10)]
        >>> losses[9] < losses[0]
        True
        """
        return self.learn(x, None, t, sample_weight, None)

    def learn_one_sparse(self, indices not None, values, t, sample_weight=1.0):
        """Learn from one sample given by its non-zeros: one update (17) of the weights of these inputs, in place.

        It takes time in proportion to their number, whatever D, and less with weights in Fortran order, the default.

        Parameters
        ----------
        indices : array_like of int, shape (L,)
            The inputs that are not 0, in any order. One that comes twice counts with the sum of its values. Contiguous
            arrays of int32 or int64, and values of the network's dtype, are fastest.
        values : array_like of shape (L,)
            Their values.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(2**18, 16, 2, dtype="float32", rng=0)
        >>> indices, values = [3, 141592], [1.0, 0.5]
        >>> losses = [network.learn_one_sparse(indices, values, 1) for _ in range(10)]
        >>> losses[9] < losses[0]
        True
        """
        return self.learn(values, indices, t, sample_weight, None)

    def predict_one(self, x):
        """What the network, or the mixture of an ensemble, predicts for one sample: its class, numbers or labels.

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
            If sums overflow.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_one([0.5, -1.0]) in (0, 1)
        True
        """
        return self.predict(x, None, False)

    def predict_one_sparse(self, indices not None, values):
        """The prediction for one sample given by its non-zeros, as `predict_one`.

        Parameters
        ----------
        indices : array_like of int, shape (L,)
            The inputs that are not 0, as for `learn_one_sparse`.
        values : array_like of shape (L,)
            Their values.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(100, 3, 2, rng=0)
        >>> network.predict_one_sparse([3, 14], [0.5, -1.0]) in (0, 1)
        True
        """
        return self.predict(values, indices, False)

    def predict_proba_one(self, x):
        """Probabilities y of one sample: of its classes (7), or of each label by itself.

        Returns
        -------
        ndarray of shape (K,)
            Probabilities in the network's dtype, which sum to 1 with softmax outputs.

        Raises
        ------
        ValueError
            If outputs are linear, or sums overflow.

        Examples
        --------
        >>> import cbackprop
        >>> cbackprop.Network(2, 3, 2, rng=0).predict_proba_one([0.5, -1.0]).shape
        (2,)
        """
        return self.predict(x, None, True)

    def predict_proba_one_sparse(self, indices not None, values):
        """Probabilities y of one sample given by its non-zeros, as `predict_proba_one`.

        Examples
        --------
        >>> import cbackprop
        >>> network = cbackprop.Network(100, 3, 2, rng=0)
        >>> network.predict_proba_one_sparse([3, 14], [0.5, -1.0]).shape
        (2,)
        """
        return self.predict(values, indices, True)

    # --------------------------------------------------------------------------------------------- what they all do

    cdef inline learn(self, x, indices, t, sample_weight, missing):
        cdef Sample n
        if self.standardizes and is_sparse(x, indices):
            self._for_sparse(False)
            self.validated(x, indices, True)
            validate.sample_target(self.names[1], t, self.w, self.v, self.functions.output)
            self._for_sparse(True)
        _kept = self.set_sample(&n, x, indices, t, sample_weight)
        n.missing = NULL
        if missing is not None:
            n.missing = self.mask(missing)
        self.run(&n)
        losses = self.learned(&n)
        if losses is None:
            if self.raw != NULL:
                self._standardization.take_back()
            self.refuse(x, indices)
            raise DivergenceError(f"E_n or a weight would not be finite: {REMEDY}")
        self._until_look -= 1
        if self._until_look == 0:
            self._look(x, indices, losses)
        return losses

    cdef inline predict(self, x, indices, bint proba):
        cdef cnp.npy_intp K = self.K
        cdef cnp.ndarray y = None
        cdef Sample n
        if proba and not self.probabilities:
            self._require_probabilities()
        n.y = self.y
        if proba or not self.exclusive:
            y = cnp.PyArray_EMPTY(1, &K, self.type, 0)
            n.y = cnp.PyArray_DATA(y)
        self.begin()
        _kept = self.set_inputs(&n.inputs, x, indices, False)
        self.run(&n)
        if self.largest == NOT_FINITE:
            self.refuse(x, indices)
            validate.refuse_overflow(self.w, self.v)
        if self.raw != NULL:
            self._standardization.targets.restore_numbers(n.y, self.type)
        if y is None:
            return self.largest
        if proba:
            return y
        y = self.prediction(y)
        return y.item() if K == 1 else y

    # Learn, or predict, without the GIL where that gains more than it costs
    cdef inline int run(self, Sample *n) except -1:
        cdef bint learns = n.y == NULL
        self.check(learns)    # from here on no Python code runs
        if self.raw != NULL:
            self.standardize_sample(learns)
        if (n.inputs.count + self.K) * self.units < MIN_OPS_WITHOUT_GIL:
            self.compute(n)
            return 0
        self.hold(learns)
        with nogil:
            self.compute(n)
        self.release(learns)
        return 0

    cdef void compute(self, const Sample *n) noexcept nogil:
        if n.y == NULL:
            self.E_n = self.api.learn_one(self.net, &n.inputs, n.t, n.label, self._learning_rate, n.weight)
        else:
            self.largest = self.api.predict_one(self.net, &n.inputs, n.y)

    # Statistics as they were before the sample are kept until it is sure to be learned
    cdef void standardize_sample(self, bint learns) noexcept nogil:
        if learns:
            self._standardization.keep()
            self._standardization.targets.standardize(self.given, cnp.NPY_DOUBLE, self.t, self.type, 0, True)
        self._standardization.inputs.standardize(self.raw, self.raw_type, self.z, self.type, 0, learns)

    cdef int hold(self, bint learns) except -1:
        cdef OneSample network
        for network in self.networks:
            network.hold(learns)
        if learns:
            self.lock.begin()
        self.in_use = fork_count
        return 0

    cdef int release(self, bint learns) except -1:
        cdef OneSample network
        self.in_use = 0
        if learns:
            self.lock.end()
        for network in self.networks:
            network.release(learns)
        return 0

    # E_n, or None if the sample has not been learned
    cdef learned(self, const Sample *n):
        return self.E_n if 0 <= self.E_n < INFINITY else None

    # Raise the error of inputs or weights that are not finite, if there are any
    cdef int refuse(self, x, indices) except -1:
        self.validated(x, indices, False)
        validate.finite_weights(self.w, self.v)
        return 0

    # ------------------------------------------------------------------------------------------- samples and weights

    # A sample to learn. Returns what keeps the memory of its inputs.
    cdef inline object set_sample(self, Sample *n, x, indices, t, sample_weight):
        cdef int overflow
        cdef cnp.ndarray rows = None
        n.y, n.t, n.label, n.weight = NULL, NULL, -1, 1
        self.begin()
        if not (PyFloat_CheckExact(sample_weight) and PyFloat_AS_DOUBLE(sample_weight) == 1):
            n.weight = validate.weight(sample_weight, self.w.dtype)
        if self.exclusive and PyLong_CheckExact(t):
            n.label = PyLong_AsLongLongAndOverflow(t, &overflow)    # -1 on overflow
        elif self.set_target(t):
            n.t = self.t
        if n.t == NULL and not 0 <= n.label < self.K:
            rows, labels = validate.sample_target(self.names[1], t, self.w, self.v, self.functions.output,
                                                  self.given != self.t)
            if rows is None:
                n.label = labels[0]
            else:
                validate.check_no_overlap(self.names[1], rows, self.all_w, self.all_v, True)
                rows = rows.copy()    # Python code that still runs may change the original
                self.begin()
                n.t = self.t
        kept = self.set_inputs(&n.inputs, x, indices, True)
        # last, since Python code that has run may have learned another sample
        if rows is not None:
            memcpy(self.given, cnp.PyArray_DATA(rows), self.K * cnp.PyArray_ITEMSIZE(rows))
        elif n.t != NULL and kept is not x and not self.set_target(t):
            raise RuntimeError("t has changed while x was converted")
        return kept

    # Which targets are missing, of a sample that gives any as numbers
    cdef const cnp.npy_bool *mask(self, cnp.ndarray missing) except NULL:
        if (self.exclusive or cnp.PyArray_TYPE(missing) != cnp.NPY_BOOL or not PyArray_ISCARRAY_RO(missing)
                or cnp.PyArray_NDIM(missing) != 1 or cnp.PyArray_DIM(missing, 0) != self.K):
            raise ValueError(f"missing has shape {np.shape(missing)}; it must be {(self.K,)}, one per target")
        return <const cnp.npy_bool *> cnp.PyArray_DATA(missing)

    # The inputs of a sample; with indices, those that are not 0. Returns what keeps their memory.
    cdef inline object set_inputs(self, Inputs *inputs, x, indices, bint writeable):
        cdef bint usable, raw = False
        cdef cnp.ndarray array
        kept = x
        if self.standardizes:
            raw = not is_sparse(x, indices)
            if not raw:
                self._for_sparse(False)
                self.raw = NULL
        if raw:
            usable = is_raw(x, self.D) and self._standardization.check(x)
        elif indices is not None:
            usable = self.is_row(x, indices)
        else:
            usable = PyArray_CheckExact(x) and self.is_vector(<cnp.ndarray> x, self.D)
        if not usable:
            kept = x = self.validated(x, indices, writeable and not raw)
            if raw and not self.standardizes:
                raise RuntimeError("the network has learned a sparse sample while x was converted")
            if isinstance(kept, SparseRows):
                x, indices = kept.data, kept.indices
        array = <cnp.ndarray> x
        inputs.x, inputs.count = cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array)
        if raw:
            self.raw, self.raw_type, inputs.x = inputs.x, cnp.PyArray_TYPE(array), self.z
        inputs.indices32, inputs.indices64 = NULL, NULL
        if indices is not None:
            array = <cnp.ndarray> indices
            if cnp.PyArray_ITEMSIZE(array) == 4:
                inputs.indices32 = <const int32_t *> cnp.PyArray_DATA(array)
            else:
                inputs.indices64 = <const int64_t *> cnp.PyArray_DATA(array)
        if (self.by_column or indices is not None) and inputs.count > self.capacity:
            self.reserve(inputs.count)
        inputs.places = self.places
        return kept

    cdef validated(self, x, indices, bint writeable):
        missing = self._standardization.missing if self.standardizes and not is_sparse(x, indices) else None
        if indices is None:
            names = (self.names[0], self.names[0])
            row = validate.inputs(x, self.w, self.v, name=self.names[0], one=True, missing=missing)
        else:
            names, row = ("values", "indices"), validate.sparse_row(indices, x, self.w, self.v)
        for name, array in zip(names, input_arrays(row)):
            validate.check_no_overlap(name, array, self.all_w, self.all_v, writeable)
        return row

    cdef int reserve(self, Py_ssize_t count) except -1:
        cdef void *places = PyMem_Realloc(self.places, count * sizeof(void *))
        if places == NULL:
            raise MemoryError(f"no memory for a row of {count} non-zeros")
        self.places, self.capacity = places, count
        return 0

    # The number or the array of a target; False if it takes validation or conversion
    cdef inline bint set_target(self, t) noexcept:
        cdef cnp.ndarray array
        cdef Py_ssize_t k
        cdef double t_k, total = 0
        if PyFloat_CheckExact(t) and self.K == 1 and not self.exclusive:
            t_k = PyFloat_AS_DOUBLE(t)
            if not self.lowest <= t_k <= self.highest:    # also if it would be after rounding
                return False
            set_number(self.given, 0, self.given_type, t_k)
        elif is_raw(t, self.K) and self.is_separate(<cnp.ndarray> t):
            array = <cnp.ndarray> t
            if cnp.PyArray_TYPE(array) == self.given_type:
                memcpy(self.given, cnp.PyArray_DATA(array), self.K * cnp.PyArray_ITEMSIZE(array))
            else:
                for k in range(self.K):
                    set_number(self.given, k, self.given_type,
                               number(cnp.PyArray_DATA(array), k, cnp.PyArray_TYPE(array)))
        else:
            return False
        for k in range(self.K):
            t_k = number(self.given, k, self.given_type)
            if not (self.lowest <= t_k <= self.highest and isfinite(t_k)):
                return False
            total += t_k
        return not self.exclusive or fabs(total - 1) <= self.tolerance

    # Whether the kernels can use indices and values without conversion; they check the range of indices
    cdef inline bint is_row(self, values, indices) noexcept:
        if not (PyArray_CheckExact(values) and PyArray_CheckExact(indices)):
            return False
        cdef cnp.ndarray x = <cnp.ndarray> values, i = <cnp.ndarray> indices
        cdef Py_ssize_t size = cnp.PyArray_SIZE(x)
        return self.is_vector(x, size) and (is_flat(i, size, cnp.NPY_INT64) or is_flat(i, size, cnp.NPY_INT32))

    # Whether they can use an array as a vector of this size
    cdef inline bint is_vector(self, cnp.ndarray array, Py_ssize_t size) noexcept:
        return is_flat(array, size, self.type) and self.is_separate(array)

    # Whether a vector lies in other memory than the weights
    cdef inline bint is_separate(self, cnp.ndarray vector) noexcept:
        return disjoint(vector, self.all_w, self.w_span) and disjoint(vector, self.all_v, self.v_span)

    # Called before anything is written that a call in another thread could use
    cdef inline int begin(self) except -1:
        if self.api == NULL:
            raise RuntimeError("this network was never initialized")
        if self.in_use == fork_count:
            raise RuntimeError("this network is in use by another thread")
        return 0

    # Called after all Python code, which may have changed the weights, the user's arrays, or let another thread run
    cdef int check(self, bint writeable) except -1:
        self.begin()
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
            if not (is_flat(self.s_w, self.M, self.type) and PyArray_ISWRITEABLE(self.s_w)
                    and is_flat(self.s_v, self.K, self.type) and PyArray_ISWRITEABLE(self.s_v)):
                raise ValueError(f"accumulators now have shapes {np.shape(self.s_w)} and {np.shape(self.s_v)}; they "
                                 f"must stay writable arrays of shapes {(self.M,)} and {(self.K,)}")
            s_w, s_v = cnp.PyArray_DATA(self.s_w), cnp.PyArray_DATA(self.s_v)
        if w != bound.w or v != bound.v or s_w != bound.s_w or s_v != bound.s_v:
            bound.w, bound.v, bound.s_w, bound.s_v = w, v, s_w, s_v
            self.api.bind(self.net, bound)
        return 0


inherits(OneSample.learn_one)(OneSample.learn_one_sparse)
inherits(OneSample.predict_one)(OneSample.predict_one_sparse)
inherits(OneSample.predict_one)(OneSample.predict_proba_one)
inherits(OneSample.predict_one_sparse)(OneSample.predict_proba_one_sparse)


cdef struct Member:
    void *net
    OneSampleAPI *api
    double learning_rate


cdef class OneSampleOfAll(OneSample):
    """Calls with one sample for several networks, and the mixture of their predictions.

    The sample is validated once, and the networks learn it or predict it in turn. A call that raises has changed
    nothing; no signal handler runs between the update of the first network and that of the mixture's weights.

    The networks have the same inputs, outputs and dtype. `memory` is that of w and of v of all networks, if it is one,
    and `whole` their arrays of shapes (R, M, D+1) and (R, K, M+1), if there are, which are read-only or not as one.
    """

    cdef tuple whole
    cdef double[::1] log_weights, dropped, scale    # of the mixture, as ...
    cdef double[:, ::1] limits                      # ... the limits of targets
    cdef double eta, share
    cdef bint relative
    cdef Member *each      # the networks, as of the last `check`
    cdef double *E         # their losses
    cdef double *p         # numbers for each of them ...
    cdef double *total     # ... or for each output

    def __init__(self, networks, module, mixture, memory=None, tuple whole=()):
        cdef Py_ssize_t R = len(networks)
        cdef OneSample network, first = <OneSample?> networks[0]
        OneSample.__init__(self, first.w, first.v, first.functions, first._learning_rate, module, None,
                           first._standardization)
        self.units = 0
        for each in networks:
            network = <OneSample?> each
            if ((network.D, network.K, network.type) != (self.D, self.K, self.type)
                    or network.functions.output != first.functions.output):
                raise ValueError("networks must have the same inputs, outputs and dtype")
            self.units += network.M
            self.by_column |= network.by_column    # so that there is scratch memory
        if memory is not None:
            self.separate_from(memory[0], memory[1])
        self.networks, self.whole = tuple(networks), whole
        self.log_weights, self.dropped = state(mixture.log_weights, (R,)), state(mixture.dropped, (R,))
        self.limits, self.scale = state(mixture.limits, (2, self.K)), state(mixture.scale, (2,))
        self.eta, self.relative, self.share = mixture.rate, mixture.relative, mixture.share
        self.each = <Member *> PyMem_Calloc(R * sizeof(Member) + (2 * R + self.K) * sizeof(double), 1)
        if self.each == NULL:
            raise MemoryError(f"no memory for {R} networks")
        self.E = <double *> (self.each + R)
        self.p, self.total = self.E + R, self.E + 2 * R

    def __dealloc__(self):
        PyMem_Free(self.each)

    def learn_present(self, x, indices, t, missing, sample_weight):
        """Learn from one sample as `learn_one`, or with indices as `learn_one_sparse`, but not from missing targets.

        Those are any valid numbers in t. `missing` is an array of bool, shape (K,), or None, as for softmax outputs.
        """
        return self.learn(x, indices, t, sample_weight, missing)

    cdef int check(self, bint writeable) except -1:
        cdef OneSample network
        cdef cnp.ndarray array
        cdef Py_ssize_t r = 0
        self.begin()
        for array in self.whole:
            if writeable and not PyArray_ISWRITEABLE(array):
                validate.weights(self.whole[0][0], self.whole[1][0], writeable=True)
        for network in self.networks:
            network.check(writeable)
            self.each[r] = Member(network.net, network.api, network._learning_rate)
            r += 1
        return 0

    cdef int refuse(self, x, indices) except -1:
        self.validated(x, indices, False)
        for network, out in zip(self.networks, self.dropped):
            if not out:
                validate.finite_weights(network.w, network.v)
        return 0

    cdef void compute(self, const Sample *n) noexcept nogil:
        if n.y == NULL:
            self.learn_all(n)
        else:
            self.largest = self.predict_all(&n.inputs, n.y)

    cdef void learn_all(self, const Sample *n) noexcept nogil:
        cdef const void *t = n.t
        cdef const Member *each
        cdef Py_ssize_t r
        for r in range(self.dropped.shape[0]):
            each = &self.each[r]
            self.E[r] = INFINITY
            if self.dropped[r] != 0:
                continue
            if n.missing != NULL:
                t = self.total
                if not self.fill_missing(each, n):
                    continue
            self.E[r] = each.api.learn_one(each.net, &n.inputs, t, n.label, each.learning_rate, n.weight)

    # The targets, with y in place of those that are missing, so that (12), y_k - t_k, is 0 there
    cdef bint fill_missing(self, const Member *each, const Sample *n) noexcept nogil:
        cdef Py_ssize_t k
        cdef double y_k
        if each.api.predict_one(each.net, &n.inputs, self.y) == NOT_FINITE:
            return False
        for k in range(self.K):
            y_k = number(self.y, k, self.type)
            set_number(self.total, k, self.type, y_k if n.missing[k] else number(n.t, k, self.type))
        return True

    # Update the mixture with the losses, and leave out networks that failed: they diverged, or their weights were not
    # finite before. If all failed, nothing has changed.
    cdef learned(self, const Sample *n):
        cdef Py_ssize_t r, k, learned = 0
        cdef cnp.npy_intp R = self.dropped.shape[0]
        cdef cnp.ndarray losses = cnp.PyArray_EMPTY(1, &R, cnp.NPY_DOUBLE, 0)
        cdef double t_k
        for r in range(R):
            learned += 0 <= self.E[r] < INFINITY
        if learned == 0:
            return None
        if learned < R:
            for r in range(R):
                if not 0 <= self.E[r] < INFINITY:
                    self.E[r], self.dropped[r] = INFINITY, 1
            drop_members(&self.log_weights[0], &self.dropped[0], R)
        for k in range(0 if self.probabilities else self.K):
            t_k = number(self.t, k, self.type)
            self.limits[0, k], self.limits[1, k] = fmin(self.limits[0, k], t_k), fmax(self.limits[1, k], t_k)
        update_weights(&self.log_weights[0], &self.scale[0], self.E, R, 1, self.eta, self.relative, self.share,
                       &n.weight, self.p)
        memcpy(cnp.PyArray_DATA(losses), self.E, R * sizeof(double))
        return losses

    # The mean of the networks' y, each in turn in y, by their weights, and the index of its largest number. Networks
    # that fail are left out, as those that have diverged; NOT_FINITE if all do.
    cdef Py_ssize_t predict_all(self, const Inputs *inputs, void *y) noexcept nogil:
        cdef bint clips = not self.probabilities and self.limits[0, 0] <= self.limits[1, 0]
        cdef bint whole = True
        cdef double p, y_k, sum_p = 0
        cdef Py_ssize_t r, k, largest = 0
        for k in range(self.K):
            self.total[k] = 0
        for r in range(self.dropped.shape[0]):
            p = exp(self.log_weights[r])
            if p == 0:
                continue
            if self.each[r].api.predict_one(self.each[r].net, inputs, y) == NOT_FINITE:
                whole = False
                continue
            sum_p += p
            for k in range(self.K):
                y_k = number(y, k, self.type)
                self.total[k] += p * (fmin(fmax(y_k, self.limits[0, k]), self.limits[1, k]) if clips else y_k)
        if sum_p == 0:
            return NOT_FINITE
        for k in range(self.K):
            set_number(y, k, self.type, self.total[k] if whole else self.total[k] / sum_p)
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


cdef inline bint is_sparse(x, indices):
    return indices is not None or not (PyArray_CheckExact(x) or not validate.is_sparse(x))


# Whether an array has one dimension, of this size, and this type, and can be used without conversion
cdef inline bint is_flat(cnp.ndarray array, Py_ssize_t size, int type) noexcept:
    return (cnp.PyArray_TYPE(array) == type and cnp.PyArray_NDIM(array) == 1 and cnp.PyArray_DIM(array, 0) == size
            and PyArray_ISCARRAY_RO(array))


# The same of either precision
cdef inline bint is_raw(array, Py_ssize_t size) noexcept:
    return (PyArray_CheckExact(array) and (is_flat(<cnp.ndarray> array, size, cnp.NPY_DOUBLE)
                                           or is_flat(<cnp.ndarray> array, size, cnp.NPY_FLOAT)))


# Whether a vector lies in separate memory from an array of so many bytes: NumPy would compute them from the shape
cdef inline bint disjoint(cnp.ndarray vector, cnp.ndarray array, Py_ssize_t nbytes) noexcept:
    cdef const char *first = <const char *> cnp.PyArray_DATA(vector)
    cdef const char *start = <const char *> cnp.PyArray_DATA(array)
    return (first + cnp.PyArray_DIM(vector, 0) * cnp.PyArray_ITEMSIZE(vector) <= start
            or start + nbytes <= first)


cdef inline bint layout_unchanged(cnp.ndarray array, int type, Py_ssize_t rows, Py_ssize_t columns,
                                  const cnp.npy_intp *strides, bint writeable) noexcept:
    return (cnp.PyArray_TYPE(array) == type and cnp.PyArray_NDIM(array) == 2 and cnp.PyArray_DIM(array, 0) == rows
            and cnp.PyArray_DIM(array, 1) == columns and PyArray_ISBEHAVED_RO(array)
            and cnp.PyArray_STRIDE(array, 0) == strides[0] and cnp.PyArray_STRIDE(array, 1) == strides[1]
            and (not writeable or PyArray_ISWRITEABLE(array)))
