# The functions and classes that Python calls. Arrays have been validated; memoryviews hold their shapes and memory from
# then on. Engines release the GIL, and check their own state: a call that an engine does not support raises.
from cpython.pycapsule cimport PyCapsule_New

import numpy as np

from cbackprop._sparse import SparseRows

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define COMPILER "MSVC"
    #elif defined(__clang__)
    #define COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define COMPILER "GCC " __VERSION__
    #else
    #define COMPILER "unknown"
    #endif
    """
    const char *compiler_name "COMPILER"

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    MAX_THREADS = 1 << 20    # times panels, still a number

DTYPE = np.dtype(np.float32 if sizeof(real) == 4 else np.float64)
COMPILER = compiler_name.decode()
LANES_IN_REGISTER = LANES


cdef int check_shapes(const real[:, :] w, const real[:, :] v, Py_ssize_t D, Py_ssize_t M,
                      Py_ssize_t K) except -1:
    if w.shape[0] != M or w.shape[1] != D + 1 or v.shape[0] != K or v.shape[1] != M + 1:
        raise ValueError(f"w and v have shapes {(w.shape[0], w.shape[1])} and {(v.shape[0], v.shape[1])}; "
                         f"they must be {(M, D + 1)} and {(K, M + 1)}")
    return 0


# From names
cdef Functions functions_of(hidden, output) except *:
    cdef Functions functions
    for name, value, known in (("hidden", hidden, HIDDEN_FUNCTIONS), ("output", output, OUTPUTS)):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
    functions.hidden, functions.output = HIDDEN_FUNCTIONS[hidden], OUTPUTS[output]
    return functions


cdef class Engine


cdef class Samples:
    """Inputs, and targets as rows or class indices, and sample weights, as engines take them.

    Parameters
    ----------
    x : ndarray of shape (N, D), or SparseRows
    t : ndarray of shape (N, K), optional
    labels : ndarray of shape (N,), optional
    sample_weight : ndarray of shape (N,), optional
    """

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
        if isinstance(x, SparseRows):
            self.set_sparse(x)
        else:
            self.set_dense(x)
        N = self.all.count
        if ((t is not None and (t.shape[0] != N or t.shape[1] == 0)) or (labels is not None and labels.shape[0] != N)
                or (sample_weight is not None and sample_weight.shape[0] != N)):
            raise ValueError(f"t, labels and sample_weight must have {N} rows, as many as x")
        self.t, self.labels, self.sample_weight = t, labels, sample_weight
        if t is not None:
            self.all.t, self.all.K = &t[0, 0], t.shape[1]
        elif labels is not None:
            self.all.labels = &labels[0]
            for n in range(N):
                if not 0 <= labels[n] < PY_SSIZE_T_MAX:    # K is one more
                    raise ValueError(f"labels[{n}] is {labels[n]}; it must be a class index")
                self.all.K = max(self.all.K, labels[n] + 1)
        if sample_weight is not None:
            self.all.sample_weight = &sample_weight[0]

    cdef int set_dense(self, const real[:, ::1] x) except -1:
        if x is None:
            raise TypeError("x is None; it must be an array or SparseRows")
        if x.shape[0] == 0 or x.shape[1] == 0:
            raise ValueError(f"x has shape {(x.shape[0], x.shape[1])}; it must not be empty")
        self.x = x
        self.all.x, self.all.count, self.all.D = &x[0, 0], x.shape[0], x.shape[1]
        return 0

    cdef int set_sparse(self, x) except -1:
        cdef Py_ssize_t N, D, n, nnz
        cdef bint short = x.indices.dtype == np.int32
        N, D = x.shape
        self.values, self.indptr = x.data, x.indptr
        if self.values is None or self.indptr is None:
            raise TypeError("x holds None; it must hold arrays")
        if short:
            self.indices32 = x.indices
            nnz = self.indices32.shape[0]
        else:
            self.indices64 = x.indices
            nnz = self.indices64.shape[0]
        if N < 1 or D < 1 or self.indptr.shape[0] != N + 1 or self.values.shape[0] != nnz:
            raise ValueError(f"x has shape {(N, D)}, {self.indptr.shape[0]} row pointers, {nnz} indices and "
                             f"{self.values.shape[0]} values; they do not fit")
        for n in range(N):
            if not 0 <= self.indptr[n] <= self.indptr[n + 1] <= nnz:
                raise ValueError(f"x.indptr[{n}] and [{n + 1}] are {self.indptr[n]} and {self.indptr[n + 1]}; they "
                                 f"must increase within 0..{nnz}")
            self.all.longest = max(self.all.longest, self.indptr[n + 1] - self.indptr[n])
        self.all.indptr, self.all.count, self.all.D = &self.indptr[0], N, D
        if nnz > 0:
            self.all.x = &self.values[0]
            self.all.max_x = max_abs(self.all.x, nnz)
            if short:
                self.all.indices32 = &self.indices32[0]
            else:
                self.all.indices64 = &self.indices64[0]
        return 0

    def __len__(self):
        return self.all.count

    # For an engine
    cdef SampleSet of(self, Engine engine) except *:
        cdef SampleSet samples = self.all
        if (samples.indptr != NULL) != isinstance(engine, SparseEngine):
            raise ValueError(f"samples are {'sparse' if samples.indptr != NULL else 'dense'}; "
                             f"a {type(engine).__name__} does not take them")
        if samples.indptr != NULL and samples.longest > engine.block:
            raise ValueError(f"samples have {samples.longest} non-zeros in a row; the engine takes {engine.block}")
        if samples.D != engine.D or samples.K > engine.K or (samples.t != NULL and samples.K != engine.K):
            raise ValueError(f"samples have {samples.D} inputs and {samples.K} outputs; the engine has {engine.D} and "
                             f"{engine.K}")
        samples.K = engine.K
        return samples


cdef class Engine:
    """Weights in the form that kernels work on, and how to learn with them.

    Parameters
    ----------
    D, M, K : int
        Sizes of the network.
    batch_size : int
        Samples in an update.
    block : int
        Samples that the blocked engine takes together.
    momentum, l2 : float
    adaptive : bool
        Whether learning rates adapt, by row-wise AdaGrad.
    hidden, output : str
        Names in HIDDEN_FUNCTIONS and OUTPUTS.
    """

    cdef readonly Py_ssize_t D, M, K
    cdef readonly tuple states               # names of what is learned besides the weights
    cdef readonly bint supports_gradient     # updates are accumulated
    cdef readonly bint supports_forward      # so is `loss`
    cdef readonly bint supports_epochs
    cdef readonly bint supports_threads
    cdef readonly bint in_place              # learns in the arrays that are loaded, with nothing to store
    cdef LearningRule rule
    cdef real[::1] s_w, s_v                  # of row-wise AdaGrad, padded to whole vectors
    cdef Functions functions
    cdef Py_ssize_t block
    cdef bint loaded

    def __cinit__(self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size=1, *, Py_ssize_t block=8,
                  real momentum=0, real l2=0, bint adaptive=False, hidden="sigmoid", output="softmax"):
        if min(D, M, K, batch_size, block) < 1:
            raise ValueError(f"D, M, K, batch_size and block are {D}, {M}, {K}, {batch_size} and {block}; "
                             f"they must be at least 1")
        # more bytes than an address can count, for the weights in every lane and what comes with them
        if 32.0 * LANES * sizeof(real) * (D + <double> K + 2 * MAX_BLOCK) * (M + <double> MAX_BLOCK) > PY_SSIZE_T_MAX:
            raise MemoryError(f"no memory for a network of {D} inputs, {M} hidden units and {K} outputs")
        self.D, self.M, self.K, self.block, self.functions = D, M, K, block, functions_of(hidden, output)
        self.rule.batch_size, self.rule.momentum, self.rule.l2 = batch_size, momentum, l2
        self.rule.adaptive = adaptive
        if adaptive and momentum != 0:
            raise ValueError(f"momentum is {momentum}; with adaptive rates it must be 0")
        if adaptive:
            self.s_w, self.s_v = np.zeros(padded(M), DTYPE), np.zeros(padded(K), DTYPE)
        self.states = ("velocity",) if momentum != 0 else ("accumulators",) if adaptive else ()

    # What each engine implements, on memory that has been checked: w and v are weights, or their velocity

    cdef void copy_from(self, const real *w, const real *v, bint velocity) noexcept:
        pass

    cdef void copy_to(self, real *w, real *v, bint velocity) noexcept:
        pass

    cdef bint weights_are_finite(self) noexcept nogil:
        return True

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        return NAN

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        return NAN

    cdef double gradient_of_set(self, const SampleSet *samples, real *dw, real *dv) noexcept nogil:
        return NAN

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        return False

    cdef SignalPoll *signal_poll(self) noexcept nogil:
        return NULL

    # A matrix like w with its rows as they lie in memory, or a copy
    cdef rows_of(self, w):
        return in_c_order(w)

    cdef int check_layers(self, w, const real[:, ::1] rows, const real[:, ::1] v) except -1:
        return check_shapes(rows, v, self.D, self.M, self.K)

    # What Python calls

    cdef int require(self, bint supported, what) except -1:
        if not supported:
            raise RuntimeError(f"this {type(self).__name__} does not support {what}")
        if not self.loaded:
            raise RuntimeError("the engine has no weights; load them first")
        return 0

    def samples(self, x, t=None, labels=None, sample_weight=None):
        """Samples of the arrays, for the engines of this module."""
        return Samples(x, t, labels, sample_weight)

    def load(self, w, v, dict states=None):
        """Copy weights of shapes (M, D+1) and (K, M+1), and the named `states`: pairs of arrays.

        The velocity has the shapes of the weights, accumulators have shapes (M,) and (K,). Weights and velocity may
        have any strides.
        """
        cdef const real[:, ::1] w_rows = in_c_order(w), v_rows = in_c_order(v), u_w, u_v
        check_shapes(w_rows, v_rows, self.D, self.M, self.K)
        if states and self.rule.adaptive:
            self.set_accumulators(states)
        elif states:
            first, second = self.state_of(states)
            u_w, u_v = in_c_order(first), in_c_order(second)
            check_shapes(u_w, u_v, self.D, self.M, self.K)
            self.copy_from(&u_w[0, 0], &u_v[0, 0], True)
        self.copy_from(&w_rows[0, 0], &v_rows[0, 0], False)
        self.loaded = True

    cdef int set_accumulators(self, dict states) except -1:
        cdef const real[::1] s_w, s_v
        s_w, s_v = self.accumulators_of(states)
        self.s_w[:self.M], self.s_v[:self.K] = s_w, s_v
        return 0

    def store(self, w, v, dict states=None):
        """Copy them back, all or none: no signal handler runs in between."""
        cdef real[:, ::1] w_rows = in_c_order(w), v_rows = in_c_order(v), u_w_rows, u_v_rows
        cdef real[::1] s_w, s_v
        self.require(True, "store")
        check_shapes(w_rows, v_rows, self.D, self.M, self.K)
        if states and self.rule.adaptive:
            s_w, s_v = self.accumulators_of(states)
        elif states:
            u_w, u_v = self.state_of(states)
            u_w_rows, u_v_rows = in_c_order(u_w), in_c_order(u_v)
            check_shapes(u_w_rows, u_v_rows, self.D, self.M, self.K)
            self.copy_to(&u_w_rows[0, 0], &u_v_rows[0, 0], True)
            copy_back(u_w, u_w_rows)
            copy_back(u_v, u_v_rows)
        self.copy_to(&w_rows[0, 0], &v_rows[0, 0], False)
        copy_back(w, w_rows)
        copy_back(v, v_rows)
        if states and self.rule.adaptive:
            s_w[:], s_v[:] = self.s_w[:self.M], self.s_v[:self.K]

    cdef state_of(self, dict states):
        if self.states != tuple(states):
            raise RuntimeError(f"states are {tuple(states)}; this {type(self).__name__} has {self.states}")
        first, second = states[self.states[0]]
        if first is None or second is None:
            raise TypeError(f"{self.states[0]} holds None; it must hold arrays")
        return first, second

    cdef accumulators_of(self, dict states):
        s_w, s_v = self.state_of(states)
        if s_w.shape != (self.M,) or s_v.shape != (self.K,):
            raise ValueError(f"accumulators have shapes {s_w.shape} and {s_v.shape}; they must be {(self.M,)} and "
                             f"{(self.K,)}")
        return s_w, s_v

    def finite(self):
        """Whether all weights, and accumulators, are finite."""
        self.require(True, "finite")
        return self.weights_are_finite() and (not self.rule.adaptive or (
            all_finite(&self.s_w[0], self.M) and all_finite(&self.s_v[0], self.K)))

    def defer_signals(self):
        """Run no signal handler within calls."""
        cdef SignalPoll *poll = self.signal_poll()
        if poll != NULL:
            poll_never(poll)

    def stop(self):
        """Ask a running call to return soon, with the weights of a state between two samples or batches."""
        cdef SignalPoll *poll = self.signal_poll()
        if poll == NULL:
            raise RuntimeError(f"this {type(self).__name__} does not support stop")
        poll.stop = True

    def learn(self, Samples samples not None, const Py_ssize_t[::1] order not None, real learning_rate,
              Py_ssize_t threads=1, double[::1] losses=None):
        """Learn from the samples in the given order. Returns the sum of E_n, each before its own update.

        Each E_n, without the weight of its sample, goes to `losses`, if given.
        """
        cdef SampleSet ordered = self.in_order(samples, order)
        cdef double total
        if losses is not None:
            if losses.shape[0] != ordered.count:
                raise ValueError(f"losses has {losses.shape[0]} elements; it must have {ordered.count}")
            ordered.losses = &losses[0]
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads is {threads}; it must lie in 1..{<int> MAX_THREADS}")
        self.require(self.signal_poll() != NULL, "learn")
        self.require(threads == 1 or self.supports_threads, "threads")
        self.rule.learning_rate = learning_rate
        with nogil:
            enter_kernel(self.signal_poll())
            total = self.learn_set(&ordered, threads)
            leave_kernel(self.signal_poll())
        check_error()
        return total

    def learn_epochs(self, Samples samples not None, const Py_ssize_t[::1] order not None, real learning_rate,
                     double[::1] totals not None):
        """As many epochs as there are totals, up to the one that ends with NaN. Returns how many there were."""
        cdef SampleSet ordered = self.in_order(samples, order)
        cdef Py_ssize_t epoch = -1
        self.require(self.supports_epochs, "learn_epochs")
        self.rule.learning_rate = learning_rate
        with nogil:
            enter_kernel(self.signal_poll())
            for epoch in range(totals.shape[0]):
                totals[epoch] = self.learn_set(&ordered, 1)
                if isnan(totals[epoch]) or self.signal_poll().stop:
                    break
            leave_kernel(self.signal_poll())
        check_error()
        return epoch + 1

    def loss(self, Samples samples not None):
        """E (2) of all samples, without sample weights."""
        cdef SampleSet targets = self.unweighted(samples)
        cdef double E
        self.require(self.supports_forward, "loss")
        with nogil:
            enter_kernel(self.signal_poll())
            E = self.loss_of_set(&targets)
            leave_kernel(self.signal_poll())
        check_error()
        return E

    def gradient(self, Samples samples not None, dw, real[:, ::1] dv not None):
        """Write the mean gradient (3) to dw and dv. Returns E (2), or infinity if a derivative is not finite.

        Both are without sample weights.
        """
        cdef SampleSet targets = self.unweighted(samples)
        cdef double E
        self.require(self.supports_gradient, "gradient")
        cdef real[:, ::1] rows = self.rows_of(dw)
        self.check_layers(dw, rows, dv)
        with nogil:
            enter_kernel(self.signal_poll())
            E = self.gradient_of_set(&targets, &rows[0, 0], &dv[0, 0])
            leave_kernel(self.signal_poll())
            if not (all_finite(&rows[0, 0], self.M * (self.D + 1)) and all_finite(&dv[0, 0], self.K * (self.M + 1))):
                E = INFINITY
        copy_back(dw, rows)
        check_error()
        return E

    def forward(self, Samples samples not None, real[:, ::1] b, real[:, ::1] z, real[:, ::1] a not None,
                real[:, ::1] y not None):
        """Write the activations of all samples; b and z may be None. Returns whether all b are finite."""
        cdef SampleSet inputs = samples.of(self)
        cdef Activations out = self.outputs_to(inputs.count, b, z, a, y)
        cdef bint finite
        self.require(self.supports_forward, "forward")
        inputs.t, inputs.labels = NULL, NULL
        with nogil:
            enter_kernel(self.signal_poll())
            finite = self.forward_set(&inputs, &out)
            leave_kernel(self.signal_poll())
        check_error()
        return finite

    cdef SampleSet with_targets(self, Samples samples) except *:
        cdef SampleSet targets = samples.of(self)
        if not have_targets(&targets):
            raise ValueError("samples have no targets; they must have t or labels")
        return targets

    # For (2) and (3), in which all samples have the same weight
    cdef SampleSet unweighted(self, Samples samples) except *:
        cdef SampleSet targets = self.with_targets(samples)
        targets.sample_weight = NULL
        return targets

    # Some of the samples in some order; keep `order` alive
    cdef SampleSet in_order(self, Samples samples, const Py_ssize_t[::1] order) except *:
        cdef SampleSet ordered = self.with_targets(samples)
        cdef Py_ssize_t n
        if order.shape[0] == 0:
            raise ValueError("order is empty; it must name a sample")
        for n in range(order.shape[0]):
            if not 0 <= order[n] < ordered.count:
                raise ValueError(f"order[{n}] is {order[n]}; it must lie in 0..{ordered.count - 1}")
        ordered.order, ordered.count = &order[0], order.shape[0]
        return ordered

    cdef Activations outputs_to(self, Py_ssize_t N, real[:, ::1] b, real[:, ::1] z, real[:, ::1] a,
                                real[:, ::1] y) except *:
        cdef Activations out
        memset(&out, 0, sizeof(out))
        if (b is None) != (z is None):
            raise ValueError("b and z must be given together")
        if b is not None:
            check_rows(b, N, self.M)
            check_rows(z, N, self.M)
            out.b, out.z = &b[0, 0], &z[0, 0]
        check_rows(a, N, self.K)
        check_rows(y, N, self.K)
        out.a, out.y = &a[0, 0], &y[0, 0]
        return out


# Weights in C order: of others a copy, which copy_back() writes to them
cdef in_c_order(weights):
    if weights is None:
        raise TypeError("weights are None; they must be an array")
    return np.ascontiguousarray(weights) if isinstance(weights, np.ndarray) else weights


cdef int copy_back(weights, real[:, ::1] rows) except -1:
    if isinstance(weights, np.ndarray) and weights.ctypes.data != <size_t> &rows[0, 0]:
        weights[...] = rows
    return 0


# Where arrays are whose columns, or rows, are contiguous
cdef Weights weights_at(const real[:, :] w, const real[:, :] v) except *:
    cdef Weights weights
    cdef Py_ssize_t itemsize = sizeof(real)
    if (w.strides[0] != itemsize and w.strides[1] != itemsize) or v.strides[1] != itemsize:
        raise ValueError(f"w and v have strides {(w.strides[0], w.strides[1])} and {(v.strides[0], v.strides[1])}; "
                         f"the columns or rows of w and the rows of v must be contiguous")
    weights.w, weights.v, weights.s_w, weights.s_v = <void *> &w[0, 0], <void *> &v[0, 0], NULL, NULL
    weights.unit_stride, weights.input_stride = w.strides[0] // itemsize, w.strides[1] // itemsize
    weights.output_stride = v.strides[0] // itemsize
    return weights


cdef int check_rows(const real[:, ::1] array, Py_ssize_t N, Py_ssize_t columns) except -1:
    if array.shape[0] != N or array.shape[1] != columns:
        raise ValueError(f"activations have shape {(array.shape[0], array.shape[1])}; they must have {(N, columns)}")
    return 0


cdef class DirectEngine(Engine):
    """Learns sample by sample, or batch by batch, on a copy of the weights in the article's own order."""

    cdef Net net
    cdef real[:, ::1] w, v, u_w, u_v    # u only where updates are accumulated
    cdef void *memory
    cdef SignalPoll poll
    cdef bint online

    def __cinit__(self, *sizes, **settings):
        cdef Py_ssize_t D = self.D, M = self.M, K = self.K
        self.online = self.rule.batch_size == 1 and self.rule.momentum == 0 and self.rule.l2 == 0
        if not net_init(&self.net, D, M, K, self.functions, &self.memory):
            raise MemoryError(f"no memory for a network of {D} inputs, {M} hidden units and {K} outputs")
        self.w, self.v = np.empty((M, D + 1), DTYPE), np.empty((K, M + 1), DTYPE)
        set_rows(self.net.w, &self.w[0, 0], M, D + 1)
        set_rows(self.net.v, &self.v[0, 0], K, M + 1)
        if not self.online:
            self.u_w, self.u_v = np.zeros((M, D + 1), DTYPE), np.zeros((K, M + 1), DTYPE)
            self.set_velocity(&self.u_w[0, 0], &self.u_v[0, 0])
        if self.rule.adaptive:
            self.net.s_w, self.net.s_v = &self.s_w[0], &self.s_v[0]
        set_interval(&self.poll, D, M, K, POLL_OPS_DIRECT)
        self.supports_gradient = self.supports_forward = True

    def __dealloc__(self):
        free(self.memory)

    cdef SignalPoll *signal_poll(self) noexcept nogil:
        return &self.poll

    cdef void set_velocity(self, real *u_w, real *u_v) noexcept nogil:
        set_rows(self.net.u_w, u_w, self.M, self.D + 1)
        set_rows(self.net.u_v, u_v, self.K, self.M + 1)

    cdef void copy_from(self, const real *w, const real *v, bint velocity) noexcept:
        memcpy(self.net.u_w[0] if velocity else self.net.w[0], w, self.M * (self.D + 1) * sizeof(real))
        memcpy(self.net.u_v[0] if velocity else self.net.v[0], v, self.K * (self.M + 1) * sizeof(real))

    cdef void copy_to(self, real *w, real *v, bint velocity) noexcept:
        memcpy(w, self.net.u_w[0] if velocity else self.net.w[0], self.M * (self.D + 1) * sizeof(real))
        memcpy(v, self.net.u_v[0] if velocity else self.net.v[0], self.K * (self.M + 1) * sizeof(real))

    cdef bint weights_are_finite(self) noexcept nogil:
        return (all_finite(&self.w[0, 0], self.M * (self.D + 1))
                and all_finite(&self.v[0, 0], self.K * (self.M + 1)))

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        if self.online:
            return learn_online_direct(&self.net, samples, &self.rule, &self.poll)
        return learn_batches_direct(&self.net, samples, &self.rule, &self.poll)

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        return loss_direct(&self.net, samples, &self.poll)

    cdef double gradient_of_set(self, const SampleSet *samples, real *dw, real *dv) noexcept nogil:
        cdef double E
        memset(dw, 0, self.M * (self.D + 1) * sizeof(real))
        memset(dv, 0, self.K * (self.M + 1) * sizeof(real))
        self.set_velocity(dw, dv)
        E = gradient_direct(&self.net, samples, &self.poll)
        if not self.online:
            self.set_velocity(&self.u_w[0, 0], &self.u_v[0, 0])
        return E

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        return forward_direct(&self.net, samples, out, &self.poll)


cdef class SamplesInLanesEngine(Engine):
    """Learns batches of a tiny network, one sample in each lane, on a copy of the weights in every lane."""

    cdef LanesState state

    def __cinit__(self, *sizes, **settings):
        if self.rule.momentum != 0 or self.rule.l2 != 0:
            raise ValueError(f"momentum and l2 are {self.rule.momentum} and {self.rule.l2}; with samples in lanes they "
                             f"must be 0")
        if not lanes_init(&self.state, self.D, self.M, self.K, self.functions, &self.rule):
            raise MemoryError(f"no memory for {self.M} hidden units and {self.D} inputs in each lane")
        self.supports_epochs = True

    def __dealloc__(self):
        free(self.state.memory)

    cdef SignalPoll *signal_poll(self) noexcept nogil:
        return &self.state.poll

    cdef void copy_from(self, const real *w, const real *v, bint velocity) noexcept:
        cdef Py_ssize_t size = self.M * (self.D + 1), c
        for c in range(size):
            self.state.weights[c] = vec_broadcast(w[c])
        for c in range(self.state.size - size):
            self.state.weights[size + c] = vec_broadcast(v[c])
        for c in range(self.state.squares):
            self.state.weights[self.state.size + c] = vec_broadcast(self.s_w[c] if c < self.M else self.s_v[c - self.M])

    cdef void copy_to(self, real *w, real *v, bint velocity) noexcept:
        cdef Py_ssize_t size = self.M * (self.D + 1), c
        for c in range(size):
            w[c] = (<real *> (self.state.weights + c))[0]
        for c in range(self.state.size - size):
            v[c] = (<real *> (self.state.weights + size + c))[0]
        for c in range(self.state.squares):
            if c < self.M:
                self.s_w[c] = (<real *> (self.state.weights + self.state.size + c))[0]
            else:
                self.s_v[c - self.M] = (<real *> (self.state.weights + self.state.size + c))[0]

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        return learn_in_lanes(&self.state, samples, &self.rule)    # returns before a weight is not finite


cdef class BlockedEngine(Engine):
    """Learns block by block, on a copy of the weights in panels of hidden units side by side."""

    cdef BlockedState state

    def __cinit__(self, *sizes, **settings):
        if not blocked_init(&self.state, self.D, self.M, self.K, self.block, self.functions, &self.rule):
            raise MemoryError(f"no memory for {self.M} hidden units and {self.D} inputs in blocks of {self.block}")
        if self.rule.adaptive:
            self.state.s_w, self.state.s_v = <vec *> &self.s_w[0], <vec *> &self.s_v[0]
        self.supports_gradient = self.state.accumulates and self.rule.momentum == 0    # it uses the velocity
        self.supports_forward = not self.state.online    # online, the outputs of one sample are held, not of a block
        self.supports_threads = not self.state.fused

    def __dealloc__(self):
        free(self.state.memory)

    cdef SignalPoll *signal_poll(self) noexcept nogil:
        return &self.state.poll

    cdef void copy_from(self, const real *w, const real *v, bint velocity) noexcept:
        if velocity:
            load_layer(&self.state.hidden, self.state.hidden.velocity, w)
            load_layer(&self.state.output, self.state.output.velocity, v)
        else:
            load_panels(&self.state, w, v)

    cdef void copy_to(self, real *w, real *v, bint velocity) noexcept:
        if velocity:
            store_layer(&self.state.hidden, self.state.hidden.velocity, w)
            store_layer(&self.state.output, self.state.output.velocity, v)
        else:
            store_panels(&self.state, w, v)

    cdef bint weights_are_finite(self) noexcept nogil:
        return panels_are_finite(&self.state)

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        return learn_blocked(&self.state, samples, &self.rule, threads)

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        cdef Activations none
        cdef bint finite = True
        memset(&none, 0, sizeof(none))
        return mean_error(forward_blocked(&self.state, samples, &none, &finite), samples.count)

    cdef double gradient_of_set(self, const SampleSet *samples, real *dw, real *dv) noexcept nogil:
        return gradient_blocked(&self.state, samples, dw, dv)

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        cdef bint finite = True
        forward_blocked(&self.state, samples, out, &finite)
        return finite


cdef class SparseEngine(Engine):
    """Learns from sparse rows of up to `block` non-zeros, on the user's own arrays, by columns or rows."""

    cdef SparseNet net
    cdef const real[:, :] w, v      # they keep the memory
    cdef bint writeable
    cdef void *memory
    cdef SignalPoll poll

    def __cinit__(self, *sizes, **settings):
        if self.rule.momentum != 0:
            raise ValueError(f"momentum is {self.rule.momentum}; with sparse rows it must be 0")
        if not sparse_init(&self.net, self.D, self.M, self.K, self.rule.batch_size, self.block, self.rule.adaptive,
                           self.functions, &self.memory):
            raise MemoryError(f"no memory for batches of {self.rule.batch_size} samples and {self.M} hidden units")
        set_interval(&self.poll, self.block, self.M, self.K, POLL_OPS_DIRECT)
        self.supports_gradient = self.supports_forward = self.in_place = True

    def __dealloc__(self):
        free(self.memory)

    cdef SignalPoll *signal_poll(self) noexcept nogil:
        return &self.poll

    cdef rows_of(self, w):
        return w.T if w is not None and self.net.input_stride != 1 else Engine.rows_of(self, w)

    cdef int check_layers(self, w, const real[:, ::1] rows, const real[:, ::1] v) except -1:
        if w.shape != (self.M, self.D + 1) or v.shape[0] != self.K or v.shape[1] != self.M + 1:
            raise ValueError(f"w and v have shapes {w.shape} and {(v.shape[0], v.shape[1])}; they must be "
                             f"{(self.M, self.D + 1)} and {(self.K, self.M + 1)}")
        return 0

    def load(self, w, v, dict states=None):
        """Take weights of shapes (M, D+1) and (K, M+1), w by columns or rows, and accumulators: without a copy."""
        if w is None or v is None:
            raise TypeError("w or v is None; they must be arrays")
        check_shapes(w, v, self.D, self.M, self.K)
        cdef Weights weights = weights_at(w, v)
        if states:
            self.s_w, self.s_v = self.accumulators_of(states)
        if self.rule.adaptive:
            self.net.net.s_w, self.net.net.s_v = &self.s_w[0], &self.s_v[0]
        self.w, self.v = w, v
        self.writeable = w.flags.writeable and v.flags.writeable
        bind_weights(&self.net, &weights)
        self.loaded = True

    def learn(self, Samples samples not None, const Py_ssize_t[::1] order not None, real learning_rate,
              Py_ssize_t threads=1, double[::1] losses=None):
        """Learn as other engines do, but in the user's arrays. The sum is NaN, or a weight would not be finite."""
        if self.loaded and not self.writeable:
            raise ValueError("w or v is read-only; they must be writable")
        return Engine.learn(self, samples, order, learning_rate, threads, losses)

    def store(self, w, v, dict states=None):
        """Do nothing: the weights are the user's own."""
        self.require(True, "store")

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        if self.rule.batch_size == 1:
            return learn_online_sparse(&self.net, samples, &self.rule, &self.poll)
        return learn_batches_sparse(&self.net, samples, &self.rule, &self.poll)

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        return gradient_sparse(&self.net, samples, NULL, NULL, &self.poll)

    cdef double gradient_of_set(self, const SampleSet *samples, real *dw, real *dv) noexcept nogil:
        memset(dw, 0, self.M * (self.D + 1) * sizeof(real))
        memset(dv, 0, self.K * (self.M + 1) * sizeof(real))
        return gradient_sparse(&self.net, samples, dw, dv, &self.poll)

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        return forward_samples_sparse(&self.net, samples, out, &self.poll)


def step(Samples samples not None, real[:, ::1] w not None, real[:, :] v not None, real learning_rate, *,
         real[::1] s_w=None, real[::1] s_v=None, hidden="sigmoid", output="softmax"):
    """One update (17) by the first sample. Returns E_n before it; infinity, and no update, if not all stays finite.

    s_w and s_v are accumulators of shapes (M,) and (K,), with which alpha adapts.
    """
    cdef Py_ssize_t D = w.shape[1] - 1, M = w.shape[0], K = v.shape[0]
    cdef Net net
    cdef void *memory
    cdef double E_n
    cdef unsigned int control
    check_shapes(w, v, samples.all.D, M, K)
    cdef Weights weights = weights_at(w, v)
    if (s_w is None) != (s_v is None) or (s_w is not None and (s_w.shape[0] != M or s_v.shape[0] != K)):
        raise ValueError(f"s_w and s_v must have {M} and {K} elements")
    if not have_targets(&samples.all) or samples.all.K > K or (samples.all.t != NULL and samples.all.K != K):
        raise ValueError(f"samples have {samples.all.K} outputs; v has {K} rows")
    if samples.all.indptr != NULL:
        raise ValueError("samples are sparse; they must be dense")
    if not net_init(&net, D, M, K, functions_of(hidden, output), &memory):
        raise MemoryError(f"no memory for a network of {D} inputs, {M} hidden units and {K} outputs")
    set_rows(net.w, &w[0, 0], M, D + 1)
    set_rows(net.v, &v[0, 0], K, weights.output_stride)
    if s_w is not None:
        net.s_w, net.s_v = &s_w[0], &s_v[0]
    net.x, net.learning_rate, net.weight = samples.all.x, learning_rate, weight_of(&samples.all, 0)
    if samples.t is not None:
        set_target(net.t, samples.all.t, 0, K)
    else:
        set_target(net.t, NULL, samples.labels[0], K)
    with nogil:
        control = flush_subnormals()
        E_n = step_if_finite(&net)
        restore_subnormals(control)
    free(memory)
    return E_n


# ---------------------------------------------------------------------- one sample at a time, for cbackprop._one_sample


cdef Py_ssize_t one_sample_size(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef SparseNet net
    net.net.D, net.net.M, net.net.K = D, M, K
    return (sizeof(SparseNet) + 63) // 64 * 64 + carve(&net.net, NULL)


cdef void one_sample_init(void *memory, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, int hidden,
                          int output) noexcept nogil:
    cdef Net *net = &(<SparseNet *> memory).net
    net.D, net.M, net.K = D, M, K
    net.functions.hidden, net.functions.output = hidden, output
    carve(net, <char *> memory + (sizeof(SparseNet) + 63) // 64 * 64)


cdef void one_sample_bind(void *memory, const Weights *weights) noexcept nogil:
    cdef SparseNet *net = <SparseNet *> memory
    net.net.s_w, net.net.s_v = <real *> weights.s_w, <real *> weights.s_v
    bind_weights(net, weights)
    if net.input_stride == 1:
        set_rows(net.net.w, <real *> weights.w, net.net.M, net.unit_stride)


# The row of a sample that the direct engine does not take; with indices, where the weights of each are. False if one is
# out of range.
cdef bint one_sample_row(SparseNet *net, const Inputs *inputs) noexcept nogil:
    cdef SparseRow *row = &net.rows[0]
    cdef Py_ssize_t i
    row.at = <Py_ssize_t *> inputs.scratch
    net.scratch = row.at + inputs.count
    cdef Py_ssize_t[2] indptr
    cdef SampleSet samples
    if inputs.indices32 == NULL and inputs.indices64 == NULL:
        row.x, row.nnz, row.valid = <const real *> inputs.x, inputs.count, True
        for i in range(row.nnz):
            row.at[i] = i * net.input_stride
    else:
        memset(&samples, 0, sizeof(samples))
        indptr[0], indptr[1] = 0, inputs.count
        samples.x, samples.indptr = <const real *> inputs.x, indptr
        samples.indices32, samples.indices64 = inputs.indices32, inputs.indices64
        gather_row(net, &samples, 0, row)
    return row.valid


# Whether the direct engine takes a sample: dense, with w by rows
cdef inline bint is_direct(const SparseNet *net, const Inputs *inputs) noexcept nogil:
    return net.input_stride == 1 and inputs.indices32 == NULL and inputs.indices64 == NULL


cdef double learn_sample(SparseNet *net, const Inputs *inputs, const real *t, Py_ssize_t label, real learning_rate,
                         real weight) noexcept nogil:
    cdef const real *x = <const real *> inputs.x
    if not all_finite(x, inputs.count):
        return NOT_FINITE
    net.net.learning_rate, net.net.weight = learning_rate, weight
    set_target(net.net.t, t, label, net.net.K)
    if is_direct(net, inputs):
        net.net.x = x
        return step_if_finite(&net.net)
    if not one_sample_row(net, inputs):
        return NOT_FINITE
    net.max_x = max_abs(x, inputs.count)
    return step_row_if_finite(net, &net.rows[0])


cdef Py_ssize_t predict_sample(SparseNet *sparse, const Inputs *inputs, real *y) noexcept nogil:
    cdef Net *net = &sparse.net
    cdef Py_ssize_t k
    if not all_finite(<const real *> inputs.x, inputs.count):
        return NOT_FINITE
    if is_direct(sparse, inputs):
        net.x = <const real *> inputs.x
        forward(net)
    elif one_sample_row(sparse, inputs):
        forward_sparse(sparse, &sparse.rows[0])
    else:
        return NOT_FINITE
    if isnan(net.sum_exp_minus_1):
        return NOT_FINITE
    memcpy(y, net.y, net.K * sizeof(real))
    for k in range(net.K):
        if net.a[k] == net.max_a:
            return k
    return 0


cdef double one_sample_learn(void *memory, const Inputs *inputs, const void *t, Py_ssize_t label,
                             double learning_rate, double weight) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef double E_n = learn_sample(<SparseNet *> memory, inputs, <const real *> t, label, <real> learning_rate,
                                   <real> weight)
    restore_subnormals(control)
    return E_n


cdef Py_ssize_t one_sample_predict(void *memory, const Inputs *inputs, void *y) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef Py_ssize_t k = predict_sample(<SparseNet *> memory, inputs, <real *> y)
    restore_subnormals(control)
    return k


cdef OneSampleAPI one_sample_api
one_sample_api.size = one_sample_size
one_sample_api.init = one_sample_init
one_sample_api.bind = one_sample_bind
one_sample_api.learn_one = one_sample_learn
one_sample_api.predict_one = one_sample_predict
ONE_SAMPLE = PyCapsule_New(&one_sample_api, "cbackprop.one_sample", NULL)
