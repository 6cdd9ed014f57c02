# The doors: what Python calls. Arrays come in as the gate let them through. Each door gets room for the symbols of the
# equations, releases the GIL and runs an engine. Arguments that are const are read, the others are written.
from cpython.pycapsule cimport PyCapsule_New

from libc.math cimport isnan

import numpy as np

include "one_sample_table.pxi"

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
    MOST_THREADS = 1 << 20    # times panels, still a number

DTYPE = np.dtype(np.float32 if sizeof(real) == 4 else np.float64)
COMPILER = compiler_name.decode()
LANES_IN_REGISTER = LANES


cdef inline const real *rows_or_null(const real[:, ::1] t) noexcept:
    return NULL if t is None else &t[0, 0]


cdef inline const Py_ssize_t *labels_or_null(const Py_ssize_t[::1] labels) noexcept:
    return NULL if labels is None else &labels[0]


cdef inline const real *sample_weight_or_null(const real[::1] sample_weight) noexcept:
    return NULL if sample_weight is None else &sample_weight[0]


cdef real[::1] room(Py_ssize_t size):
    return np.empty(size, DTYPE)


# The gate has looked at all of them, but Python code may have run since: a callback, say, can give arrays other shapes.
cdef int expect_weights(const real[:, ::1] w, const real[:, ::1] v, Py_ssize_t D, Py_ssize_t M,
                        Py_ssize_t K) except -1:
    if w.shape[0] != M or w.shape[1] != D + 1 or v.shape[0] != K or v.shape[1] != M + 1:
        raise ValueError(f"w and v now have shapes {(w.shape[0], w.shape[1])} and {(v.shape[0], v.shape[1])}; "
                         f"they must stay {(M, D + 1)} and {(K, M + 1)}")
    return 0


cdef int expect_samples(const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
                        const real[::1] sample_weight, Py_ssize_t N, Py_ssize_t D, Py_ssize_t K) except -1:
    if (x.shape[0] < N or x.shape[1] != D or (labels is not None and labels.shape[0] < N)
            or (t is not None and (t.shape[0] < N or t.shape[1] != K))
            or (sample_weight is not None and sample_weight.shape[0] < N)):
        raise ValueError("x, t or sample_weight has another shape than at the beginning; it must stay as it is")
    return 0


cdef int expect_activations(const real[:, ::1] b, const real[:, ::1] z, const real[:, ::1] a, const real[:, ::1] y,
                            Py_ssize_t N, Py_ssize_t M, Py_ssize_t K) except -1:
    if (a.shape[0] < N or a.shape[1] != K or y.shape[0] < N or y.shape[1] != K or (b is None) != (z is None)
            or (b is not None and (b.shape[0] < N or b.shape[1] != M or z.shape[0] < N or z.shape[1] != M))):
        raise ValueError(f"b, z, a or y has no room for {N} samples; they must be {(N, M)}, or None, and {(N, K)}")
    return 0


# An engine's memory is its own: whether it holds what a method is about to use, only the engine can tell.
NOT_INITIALIZED = "the engine was never initialized"
TWICE = "an engine is initialized once"
NOT_LOADED = "the engine has no weights; they must be loaded first"
ONLINE = "the engine holds the outputs of one sample; its batch_size must be above 1"
NO_VELOCITY = "the engine has no velocity; it must be made with a momentum that is not 0"


cdef int expect(bint fit, str otherwise) except -1:
    if not fit:
        raise RuntimeError(otherwise)
    return 0


# At least 1 each; and no bytes, of `copies` of the weights and what is beside them, that could not be counted
cdef int expect_sizes(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size, Py_ssize_t block,
                      Py_ssize_t copies) except -1:
    cdef double beside = LONGEST_BLOCK + 2 * LANES
    if min(D, M, K, batch_size, block) < 1:
        raise ValueError(f"D, M, K, batch_size and block are {D}, {M}, {K}, {batch_size} and {block}; "
                         f"they must be at least 1")
    if 16 * copies * sizeof(real) * (D + <double> K + beside) * (M + beside) > <double> PY_SSIZE_T_MAX:
        raise MemoryError(f"no memory to learn with {M} hidden units and {D} inputs")
    return 0


def cross_entropy_sum(const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
                      const real[:, ::1] w, const real[:, ::1] v):
    """The sum of E_n (1) over all samples."""
    cdef Py_ssize_t D = x.shape[1], M = w.shape[0], K = v.shape[0], n
    cdef real[::1] scratch = room(scratch_size(M, K))
    cdef real *b = &scratch[0]
    cdef real *z = b + M
    cdef real *a = z + M
    cdef real *y = a + whole_lanes(K)
    cdef const real *rows = rows_or_null(t)
    cdef const Py_ssize_t *indices = labels_or_null(labels)
    cdef real largest, rest
    cdef double total = 0
    cdef patience looks
    expect_weights(w, v, D, M, K)
    expect_samples(x, t, labels, None, x.shape[0], D, K)
    be_patient(&looks, D, M, K, ONE_BY_ONE)
    with nogil:
        for n in range(x.shape[0]):
            layers(&x[n, 0], &w[0, 0], &v[0, 0], b, z, a, D, M, K)
            rest = softmax(a, y, &largest, K)
            total += cross_entropy(row_of(rows, n, K), label_of(indices, n), a, largest, rest, K)
            if stopped(&looks, 1):
                break
    error_waits()
    return total


def gradient(const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
             const real[:, ::1] w, const real[:, ::1] v, real[:, ::1] dw, real[:, ::1] dv):
    """The mean gradient (3), added to dw and dv. Returns the sum of E_n."""
    cdef Py_ssize_t N = x.shape[0], D = x.shape[1], M = w.shape[0], K = v.shape[0], n
    cdef real[::1] scratch = room(scratch_size(M, K))
    cdef const real *rows = rows_or_null(t)
    cdef const Py_ssize_t *indices = labels_or_null(labels)
    cdef double total = 0
    cdef patience looks
    expect_weights(w, v, D, M, K)
    expect_weights(dw, dv, D, M, K)
    expect_samples(x, t, labels, None, N, D, K)
    be_patient(&looks, D, M, K, ONE_BY_ONE)
    with nogil:
        for n in range(N):
            total += add_gradients(&x[n, 0], row_of(rows, n, K), label_of(indices, n), &w[0, 0], &v[0, 0],
                                   <real> 1 / N, &dw[0, 0], &dv[0, 0], &scratch[0], D, M, K)
            if stopped(&looks, 1):
                break
    error_waits()
    return total


def step(const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
         real[:, ::1] w, real[:, ::1] v, real learning_rate):
    """One update (17). Returns E_n before it; infinity, and nothing is updated, if that or a weight is not finite."""
    cdef Py_ssize_t D = x.shape[1], M = w.shape[0], K = v.shape[0]
    cdef real[::1] scratch = room(scratch_size(M, K))
    cdef const real *t_n = rows_or_null(t)
    cdef Py_ssize_t label = label_of(labels_or_null(labels), 0)
    cdef double E_n
    expect_weights(w, v, D, M, K)
    expect_samples(x, t, labels, None, 1, D, K)
    with nogil:
        E_n = learn_safely(&x[0, 0], t_n, label, &w[0, 0], &v[0, 0], learning_rate, &scratch[0], D, M, K)
    return E_n


cdef class DirectEngine:
    """Learns sample by sample, or batch by batch, on a copy of the weights in the article's own order."""

    cdef real[:, ::1] w, v, u_w, u_v
    cdef real[::1] scratch
    cdef Py_ssize_t D, M, K, batch_size
    cdef real momentum, l2
    cdef patience looks
    cdef bint initialized, loaded

    def __init__(self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size, real momentum=0, real l2=0):
        expect(not self.initialized, TWICE)
        expect_sizes(D, M, K, batch_size, 1, 1)
        self.D, self.M, self.K, self.batch_size = D, M, K, batch_size
        self.momentum, self.l2 = momentum, l2
        be_patient(&self.looks, D, M, K, ONE_BY_ONE)
        self.w, self.v = np.empty((M, D + 1), DTYPE), np.empty((K, M + 1), DTYPE)
        self.u_w, self.u_v = np.zeros((M, D + 1), DTYPE), np.zeros((K, M + 1), DTYPE)
        self.scratch = room(scratch_size(M, K))
        self.initialized = True

    def load(self, const real[:, ::1] w, const real[:, ::1] v):
        expect(self.initialized, NOT_INITIALIZED)
        expect_weights(w, v, self.D, self.M, self.K)
        self.w[:], self.v[:] = w, v
        self.loaded = True

    def store(self, real[:, ::1] w, real[:, ::1] v):
        expect(self.loaded, NOT_LOADED)
        expect_weights(w, v, self.D, self.M, self.K)
        w[:], v[:] = self.w, self.v

    def load_velocity(self, const real[:, ::1] u_w, const real[:, ::1] u_v):
        expect(self.momentum != 0, NO_VELOCITY)
        expect_weights(u_w, u_v, self.D, self.M, self.K)
        self.u_w[:], self.u_v[:] = u_w, u_v

    def store_velocity(self, real[:, ::1] u_w, real[:, ::1] u_v):
        expect(self.momentum != 0, NO_VELOCITY)
        expect_weights(u_w, u_v, self.D, self.M, self.K)
        u_w[:], u_v[:] = self.u_w, self.u_v

    def stop(self):
        """Ask a running `forward` to return soon."""
        self.looks.stop = True

    def finite(self):
        expect(self.loaded, NOT_LOADED)
        return all_finite(&self.w[0, 0], self.w.size) and all_finite(&self.v[0, 0], self.v.size)

    def learn(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
              const real[::1] sample_weight, const Py_ssize_t[::1] order, real learning_rate):
        """Learn from the samples in the given order. Returns the sum of E_n, each before its own update."""
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef const real *each = sample_weight_or_null(sample_weight)
        cdef double total
        expect(self.loaded, NOT_LOADED)
        expect_samples(x, t, labels, sample_weight, order.shape[0], self.D, self.K)
        with nogil:
            if self.batch_size == 1 and self.momentum == 0 and self.l2 == 0:
                total = learn_one_by_one(&x[0, 0], rows, indices, each, &order[0], order.shape[0], &self.w[0, 0],
                                         &self.v[0, 0], learning_rate, &self.scratch[0], &self.looks, self.D, self.M,
                                         self.K)
            else:
                total = learn_by_batches(&x[0, 0], rows, indices, each, &order[0], order.shape[0], self.batch_size,
                                         &self.w[0, 0], &self.v[0, 0], learning_rate, self.momentum, self.l2,
                                         &self.u_w[0, 0], &self.u_v[0, 0], &self.scratch[0], &self.looks, self.D,
                                         self.M, self.K)
        error_waits()
        return total

    def forward(self, const real[:, ::1] x, real[:, ::1] b, real[:, ::1] z, real[:, ::1] a, real[:, ::1] y):
        """Activations of all samples; b and z may be None. Whether all b are finite."""
        cdef Py_ssize_t n
        cdef bint finite = True
        cdef real *b_n
        cdef real *z_n
        cdef real *a_n
        cdef real *y_n
        cdef real largest
        cdef bint hidden = b is not None
        expect(self.loaded, NOT_LOADED)
        expect_samples(x, None, None, None, x.shape[0], self.D, self.K)
        expect_activations(b, z, a, y, x.shape[0], self.M, self.K)
        b_n = &self.scratch[0]
        z_n = b_n + self.M
        a_n = z_n + self.M
        y_n = a_n + whole_lanes(self.K)
        with nogil:
            for n in range(x.shape[0]):
                layers(&x[n, 0], &self.w[0, 0], &self.v[0, 0], b_n, z_n, a_n, self.D, self.M, self.K)
                softmax(a_n, y_n, &largest, self.K)
                if stopped(&self.looks, 1):
                    break
                finite = finite and all_finite(b_n, self.M)
                if hidden:
                    memcpy(&b[n, 0], b_n, self.M * sizeof(real))
                    memcpy(&z[n, 0], z_n, self.M * sizeof(real))
                memcpy(&a[n, 0], a_n, self.K * sizeof(real))
                memcpy(&y[n, 0], y_n, self.K * sizeof(real))
        error_waits()
        return finite


cdef class SideBySideEngine:
    """Learns batches of a tiny network, one sample in each lane, on a copy of the weights in every lane."""

    cdef SideBySide net
    cdef real[::1] memory
    cdef Py_ssize_t batch_size
    cdef bint initialized, loaded

    def __init__(self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size):
        expect(not self.initialized, TWICE)
        expect_sizes(D, M, K, batch_size, 1, LANES)
        self.net.D, self.net.M, self.net.K, self.batch_size = D, M, K, batch_size
        self.memory = room(side_by_side_lanes(D, M, K) * LANES)
        lay_side_by_side(&self.net, <lanes *> &self.memory[0])
        be_patient(&self.net.looks, D, M, K, ONE_BY_ONE)
        self.initialized = True

    def load(self, const real[:, ::1] w, const real[:, ::1] v):
        expect(self.initialized, NOT_INITIALIZED)
        expect_weights(w, v, self.net.D, self.net.M, self.net.K)
        cdef Py_ssize_t c
        for c in range(w.size):
            self.net.w[c] = lanes_spread((&w[0, 0])[c])
        for c in range(v.size):
            self.net.v[c] = lanes_spread((&v[0, 0])[c])
        self.loaded = True

    def store(self, real[:, ::1] w, real[:, ::1] v):
        expect(self.loaded, NOT_LOADED)
        expect_weights(w, v, self.net.D, self.net.M, self.net.K)
        cdef Py_ssize_t c
        for c in range(w.size):
            (&w[0, 0])[c] = (<real *> (self.net.w + c))[0]
        for c in range(v.size):
            (&v[0, 0])[c] = (<real *> (self.net.v + c))[0]

    def finite(self):
        return True    # learn() stops before a weight would not be

    def learn(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
              const real[::1] sample_weight, const Py_ssize_t[::1] order, real learning_rate):
        """Learn from the samples in the given order. The sum of E_n, or NaN."""
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef const real *each = sample_weight_or_null(sample_weight)
        cdef double total
        expect(self.loaded, NOT_LOADED)
        expect_samples(x, t, labels, sample_weight, order.shape[0], self.net.D, self.net.K)
        with nogil:
            total = learn_side_by_side(&self.net, &x[0, 0], rows, indices, each, &order[0], order.shape[0],
                                       self.batch_size, learning_rate)
        error_waits()
        return total

    def learn_epochs(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
                     const real[::1] sample_weight, const Py_ssize_t[::1] order, real learning_rate,
                     double[::1] totals):
        """As many epochs as there are totals, up to the one that ends with NaN. How many there were."""
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef const real *each = sample_weight_or_null(sample_weight)
        cdef Py_ssize_t epoch = 0
        expect(self.loaded, NOT_LOADED)
        expect_samples(x, t, labels, sample_weight, order.shape[0], self.net.D, self.net.K)
        with nogil:
            for epoch in range(totals.shape[0]):
                totals[epoch] = learn_side_by_side(&self.net, &x[0, 0], rows, indices, each, &order[0],
                                                   order.shape[0], self.batch_size, learning_rate)
                if isnan(totals[epoch]) or self.net.looks.stop:
                    break
        error_waits()
        return epoch + 1


cdef class BlockedEngine:
    """Learns block by block, on a copy of the weights in panels of hidden units side by side."""

    cdef Blocked net
    cdef Py_ssize_t batch_size
    cdef bint loaded

    def __init__(self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size, Py_ssize_t block,
                 real momentum=0, real l2=0):
        expect(self.net.memory == NULL, TWICE)
        expect_sizes(D, M, K, batch_size, block, 1)
        if not begin(&self.net, D, M, K, batch_size, block, momentum, l2):
            raise MemoryError(f"no memory to learn with {M} hidden units and {D} inputs")
        self.batch_size = batch_size

    def __dealloc__(self):
        free(self.net.memory)

    def load(self, const real[:, ::1] w, const real[:, ::1] v):
        expect(self.net.memory != NULL, NOT_INITIALIZED)
        expect_weights(w, v, self.net.hidden.inputs, self.net.hidden.units, self.net.output.units)
        load_weights(&self.net, &w[0, 0], &v[0, 0])
        self.loaded = True

    def store(self, real[:, ::1] w, real[:, ::1] v):
        expect(self.loaded, NOT_LOADED)
        expect_weights(w, v, self.net.hidden.inputs, self.net.hidden.units, self.net.output.units)
        store_weights(&self.net, &w[0, 0], &v[0, 0])

    def finite(self):
        cdef Layer *hidden = &self.net.hidden
        cdef Py_ssize_t K = self.net.output.units
        expect(self.loaded, NOT_LOADED)
        return (all_finite(<const real *> hidden.weights, (hidden.inputs + 1) * hidden.width * LANES)
                and all_finite(<const real *> self.net.v, K * hidden.stride * LANES)
                and all_finite(<const real *> self.net.v_bias, K))

    def load_velocity(self, const real[:, ::1] u_w, const real[:, ::1] u_v):
        expect(self.net.momentum != 0, NO_VELOCITY)
        expect_weights(u_w, u_v, self.net.hidden.inputs, self.net.hidden.units, self.net.output.units)
        load_layer(&self.net.hidden, self.net.hidden.changes, &u_w[0, 0], 0)
        load_layer(&self.net.output, self.net.output.changes, &u_v[0, 0], 0)

    def store_velocity(self, real[:, ::1] u_w, real[:, ::1] u_v):
        expect(self.net.momentum != 0, NO_VELOCITY)
        expect_weights(u_w, u_v, self.net.hidden.inputs, self.net.hidden.units, self.net.output.units)
        store_layer(&self.net.hidden, self.net.hidden.changes, &u_w[0, 0])
        store_layer(&self.net.output, self.net.output.changes, &u_v[0, 0])

    def set_threads(self, Py_ssize_t threads):
        """From now on, `learn` is called by so many threads at once."""
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads is {threads}; it must lie in 1..{<int> MOST_THREADS}")
        self.net.meeting.threads = threads

    def stop(self):
        """Ask all threads in `learn` to return soon, with the weights of a state between two samples or batches."""
        self.net.looks.stop = True

    def learn(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
              const real[::1] sample_weight, const Py_ssize_t[::1] order, real learning_rate, Py_ssize_t thread=0):
        """Learn from the samples in the given order. The first thread gets the sum of E_n."""
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef const real *each = sample_weight_or_null(sample_weight)
        cdef double total
        expect(self.loaded, NOT_LOADED)
        if not 0 <= thread < self.net.meeting.threads:
            raise ValueError(f"thread is {thread}; it must lie in 0..{self.net.meeting.threads - 1}")
        expect_samples(x, t, labels, sample_weight, order.shape[0], self.net.hidden.inputs, self.net.output.units)
        with nogil:
            if self.net.online:
                total = learn_online(&self.net, &x[0, 0], rows, indices, each, &order[0], order.shape[0], learning_rate,
                                     thread)
            else:
                total = learn_batches(&self.net, &x[0, 0], rows, indices, each, &order[0], order.shape[0],
                                      self.batch_size, learning_rate, thread)
        error_waits()
        return total

    def gradient(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels,
                 real[:, ::1] dw, real[:, ::1] dv):
        """The mean gradient (3), written to dw and dv. Returns the sum of E_n."""
        cdef Py_ssize_t N = x.shape[0]
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef double total
        expect(self.loaded, NOT_LOADED)
        expect(self.net.gathered, "the engine gathers no gradient; its batch_size must be larger than its block")
        expect(self.net.meeting.threads == 1, "the engine is set to several threads; a gradient is taken by one")
        expect_samples(x, t, labels, None, N, self.net.hidden.inputs, self.net.output.units)
        expect_weights(dw, dv, self.net.hidden.inputs, self.net.hidden.units, self.net.output.units)
        with nogil:
            total = descend(&self.net, &x[0, 0], rows, indices, NULL, NULL, 0, N, <real> -1 / N, False, 0)
            store_layer(&self.net.hidden, self.net.hidden.changes, &dw[0, 0])
            store_layer(&self.net.output, self.net.output.changes, &dv[0, 0])
        error_waits()
        return total

    def forward(self, const real[:, ::1] x, real[:, ::1] b, real[:, ::1] z, real[:, ::1] a, real[:, ::1] y):
        """Activations of all samples; b and z may be None. Whether all b are finite."""
        cdef bint finite = True
        cdef real *to_b = NULL if b is None else &b[0, 0]
        cdef real *to_z = NULL if z is None else &z[0, 0]
        expect(self.loaded, NOT_LOADED)
        expect(not self.net.online, ONLINE)
        expect_samples(x, None, None, None, x.shape[0], self.net.hidden.inputs, self.net.output.units)
        expect_activations(b, z, a, y, x.shape[0], self.net.hidden.units, self.net.output.units)
        with nogil:
            forward_blocked(&self.net, &x[0, 0], NULL, NULL, x.shape[0], to_b, to_z, &a[0, 0], &y[0, 0], &finite)
        error_waits()
        return finite

    def cross_entropy_sum(self, const real[:, ::1] x, const real[:, ::1] t, const Py_ssize_t[::1] labels):
        """The sum of E_n (1) over all samples."""
        cdef const real *rows = rows_or_null(t)
        cdef const Py_ssize_t *indices = labels_or_null(labels)
        cdef bint finite = True
        cdef double total
        expect(self.loaded, NOT_LOADED)
        expect(not self.net.online, ONLINE)
        expect_samples(x, t, labels, None, x.shape[0], self.net.hidden.inputs, self.net.output.units)
        with nogil:
            total = forward_blocked(&self.net, &x[0, 0], rows, indices, x.shape[0], NULL, NULL, NULL, NULL, &finite)
        error_waits()
        return total


cdef double learn_one(const void *x, const void *t, Py_ssize_t label, void *w, void *v, double learning_rate,
                      void *scratch, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    if not all_finite(<const real *> x, D):
        return NOT_FINITE
    return learn_safely(<const real *> x, <const real *> t, label, <real *> w, <real *> v, <real> learning_rate,
                        <real *> scratch, D, M, K)


cdef Py_ssize_t predict_one(const void *x, const void *w, const void *v, void *scratch, void *y,
                            Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef real *b = <real *> scratch
    cdef real *z = b + M
    cdef real *a = z + M
    cdef real largest
    cdef Py_ssize_t k
    if not all_finite(<const real *> x, D):
        return NOT_FINITE
    cdef real *y_n = a + whole_lanes(K)
    layers(<const real *> x, <const real *> w, <const real *> v, b, z, a, D, M, K)
    if isnan(softmax(a, y_n, &largest, K)):
        return NOT_FINITE
    memcpy(y, y_n, K * sizeof(real))
    for k in range(K):
        if a[k] == largest:
            return k
    return 0


cdef Py_ssize_t scratch_bytes(Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    return scratch_size(M, K) * sizeof(real)


cdef OneSampleTable one_sample_table
one_sample_table.learn_one = learn_one
one_sample_table.predict_one = predict_one
one_sample_table.scratch_bytes = scratch_bytes
ONE_SAMPLE = PyCapsule_New(&one_sample_table, "cbackprop.one_sample", NULL)
