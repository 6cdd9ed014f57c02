from libc.math cimport INFINITY, NAN, isfinite
from libc.string cimport memcpy, memset

# The direct engine: one sample after the other, in the article's order and on the article's own arrays.
#
#   Forward from x, w, v;  the new v from z, y, t;  the new w from x, z, v, y, t;  both are stored.
#
# (18) needs the old v, so every hidden error is formed before (17) touches v. Costs three passes over w a sample
# (read, read, write), which is the best order for a handful of hidden units; blocked.pxi has the order for the rest.
# On lanes the same code works on as many samples as there are lanes, each lane holding one sample and the same w, v.


cdef extern from "signals.h":
    ctypedef struct patience:
        bint stop
    void look_every(patience *p, Py_ssize_t samples) noexcept nogil
    bint stopped(patience *p, Py_ssize_t samples) noexcept nogil
    int error_waits() except -1


# Looks at signals some 1 to 20 ms apart
cdef inline void be_patient(patience *p, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                            Py_ssize_t operations) noexcept nogil:
    look_every(p, operations // (6 * (M * (D + 1) + K * (M + 1))))


cdef enum:
    ONE_BY_ONE = 100_000_000    # operations between two looks, where samples are taken by themselves


# What one sample needs beside its inputs and the weights: room for the symbols of the equations.
cdef inline Py_ssize_t scratch_size(Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    return 3 * M + 2 * whole_lanes(K)


# Room for K reals in whole lanes
cdef inline Py_ssize_t whole_lanes(Py_ssize_t K) noexcept nogil:
    return (K + LANES - 1) // LANES * LANES


# x - x is 0 for finite x and NaN otherwise
cdef bint all_finite(const real *numbers, Py_ssize_t n) noexcept nogil:
    cdef lanes chain = lanes_spread(0)
    cdef real sum = 0
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        chain = chain + ((<const lanes *> (numbers + i))[0] - (<const lanes *> (numbers + i))[0])
        i += LANES
    while i < n:
        sum += numbers[i] - numbers[i]
        i += 1
    return sum + lanes_sum(chain) == 0


# z = h(b) for all hidden units: lanes of them, the last ones up to the end, so that equal b have equal z to the last
# bit; fewer than fill the lanes one by one
cdef inline void sigmoids(const value *b, value *z, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j = 0
    if value is real:
        if M >= LANES:
            while j + LANES <= M:
                (<lanes *> (z + j))[0] = sigmoid((<const lanes *> (b + j))[0])
                j += LANES
            (<lanes *> (z + M - LANES))[0] = sigmoid((<const lanes *> (b + M - LANES))[0])
            return
    while j < M:
        z[j] = sigmoid(b[j])
        j += 1


# b, z and a of one sample
cdef inline void layers(const value *x, const value *w, const value *v, value *b, value *z, value *a,
                        Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t j, k
    for j in range(M):
        b[j] = hidden_sum(w + j * (D + 1), x, D)
    sigmoids(b, z, M)
    for k in range(K):
        a[k] = output_sum(v + k * (M + 1), z, M)


# (18)  sum_k (y_k - t_k) v_kj for all j: row by row of v where a row fills lanes, else column by column
cdef inline void back(const value *errors, const value *v, value *sums, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef value sum
    cdef Py_ssize_t j, k
    if M < LANES:
        for j in range(M):
            sum = errors[0] * v[j]
            for k in range(1, K):
                sum = sum + errors[k] * v[k * (M + 1) + j]
            sums[j] = sum
    else:
        for j in range(M):
            sums[j] = spread(0, errors[0])
        for k in range(K):
            add_scaled(sums, errors[k], v + k * (M + 1), M)


# E_n of one sample and, times a factor, its errors: those of the outputs in the place of y, of the hidden units in e
cdef inline value find_errors(const value *x, const value *t, Py_ssize_t label, const value *w, const value *v,
                              value factor, value *scratch, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef value *b = scratch
    cdef value *z = b + M
    cdef value *e = z + M
    cdef value *a = e + M
    cdef value *y = a + whole_lanes(K)
    cdef value largest, rest, E_n
    cdef Py_ssize_t j
    layers(x, w, v, b, z, a, D, M, K)
    rest = softmax(a, y, &largest, K)
    E_n = cross_entropy(t, label, a, largest, rest, K)
    output_errors(y, t, label, factor, K)
    back(y, v, e, M, K)
    for j in range(M):
        e[j] = hidden_error(e[j], z[j])
    return E_n


# dE_n/dv (16) and dE_n/dw (18) of one sample, times a factor, added to dv and dw. These may be v and w themselves:
# with the factor -alpha that is the update (17). Returns E_n before it; where one E_n is not finite, nothing is added.
cdef inline value add_gradients(const value *x, const value *t, Py_ssize_t label, const value *w, const value *v,
                                value factor, value *dw, value *dv, value *scratch,
                                Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef value E_n = find_errors(x, t, label, w, v, factor, scratch, D, M, K)
    if value is real:
        if not isfinite(E_n):
            return E_n
    add_errors(x, dw, dv, scratch, D, M, K)
    return E_n


# What was found, added to the rows of v and w
cdef inline void add_errors(const value *x, value *dw, value *dv, const value *scratch,
                            Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef const value *z = scratch + M
    cdef const value *e = z + M
    cdef const value *y = e + M + whole_lanes(K)
    cdef Py_ssize_t j, k
    for k in range(K):
        add_gradient_v(dv + k * (M + 1), y[k], z, M)
    for j in range(M):
        add_gradient_w(dw + j * (D + 1), e[j], x, D)


# The largest of |p_i|
cdef real largest_of(const real *p, Py_ssize_t n) noexcept nogil:
    cdef lanes most = lanes_spread(0)
    cdef real one = 0
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        most = larger((<const lanes *> (p + i))[0], larger(-(<const lanes *> (p + i))[0], most))
        i += LANES
    while i < n:
        one = larger(p[i], larger(-p[i], one))
        i += 1
    return larger(one, lanes_largest(most))


# Whether p + c q is finite
cdef bint sum_is_finite(const real *p, real c, const real *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(p[i] + c * q[i]):
            return False
    return isfinite(p[n] + c)


# Whether w and v stay finite if errors are added. Changes below HARMLESS are lost in the rounding of any weight that
# could overflow, so weights are only looked at if there are larger ones.
cdef bint stays_finite(const real *x, const real *w, const real *v, const real *scratch,
                       Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef const real *z = scratch + M
    cdef const real *e = z + M
    cdef const real *y = e + M + whole_lanes(K)
    cdef Py_ssize_t j, k
    if not all_finite(e, M):
        return False
    if largest_of(y, K) < HARMLESS and largest_of(e, M) * larger(largest_of(x, D), ONE) < HARMLESS:
        return True
    for k in range(K):
        if not sum_is_finite(v + k * (M + 1), y[k], z, M):
            return False
    for j in range(M):
        if not sum_is_finite(w + j * (D + 1), e[j], x, D):
            return False
    return True


# One update (17) that is made only if E_n and all weights are finite then: E_n before it, or infinity
cdef double learn_safely(const real *x, const real *t, Py_ssize_t label, real *w, real *v, real learning_rate,
                         real *scratch, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef double E_n = find_errors(x, t, label, w, v, -learning_rate, scratch, D, M, K)
    if not (isfinite(E_n) and stays_finite(x, w, v, scratch, D, M, K)):
        return INFINITY
    add_errors(x, w, v, scratch, D, M, K)
    return E_n


# The user's row of t, or NULL where targets are labels
cdef inline const real *row_of(const real *t, Py_ssize_t n, Py_ssize_t K) noexcept nogil:
    return NULL if t == NULL else t + n * K


# The sample's weight
cdef inline real weight_of(const real *sample_weight, Py_ssize_t n) noexcept nogil:
    return 1 if sample_weight == NULL else sample_weight[n]


# The label, if there is one
cdef inline Py_ssize_t label_of(const Py_ssize_t *labels, Py_ssize_t n) noexcept nogil:
    return 0 if labels == NULL else labels[n]


# What the gradient of a batch is divided by: the sum of its samples' weights; for one sample by itself, 1
cdef real batch_weight(const real *sample_weight, const Py_ssize_t *order, Py_ssize_t first, Py_ssize_t size,
                       Py_ssize_t batch_size) noexcept nogil:
    cdef double sum = 0
    cdef Py_ssize_t n
    if batch_size == 1 or sample_weight == NULL:
        return size
    for n in range(first, first + size):
        sum += sample_weight[order[n]]
    return sum


# u_i for n weights, before a batch
cdef void carry_on(real *u, const real *weights, real momentum, real decay, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    if momentum == 0 and decay == 0:
        memset(u, 0, n * sizeof(real))
        return
    while i + LANES <= n:
        (<lanes *> (u + i))[0] = carried_on((<lanes *> (u + i))[0], (<const lanes *> (weights + i))[0],
                                            lanes_spread(momentum), lanes_spread(decay))
        i += LANES
    while i < n:
        u[i] = carried_on(u[i], weights[i], momentum, decay)
        i += 1


# One epoch of (17), sample by sample in the given order: the sum of E_n, each taken before its own update
cdef double learn_one_by_one(const real *x, const real *t, const Py_ssize_t *labels, const real *sample_weight,
                             const Py_ssize_t *order, Py_ssize_t count, real *w, real *v, real learning_rate,
                             real *scratch, patience *looks, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef double total = 0
    cdef real weight
    cdef Py_ssize_t n
    for n in range(count):
        weight = weight_of(sample_weight, order[n])
        total += weight * add_gradients(x + order[n] * D, row_of(t, order[n], K), label_of(labels, order[n]), w, v,
                                        -learning_rate * weight, w, v, scratch, D, M, K)
        if stopped(looks, 1):
            break
    return total


# Batches of (17) with the mean gradient (3) of each. All samples of a batch see the same w and v; what they change is
# gathered in u. With momentum, and with the penalty l2/2 sum of w_ji^2 beside the sum of E_n; biases go without it.
# A batch that is stopped in its midst has no effect. With momentum it is finished instead, since u goes on from batch
# to batch; but not the one batch of a whole epoch, whose weights and u the caller drops.
cdef double learn_by_batches(const real *x, const real *t, const Py_ssize_t *labels, const real *sample_weight,
                             const Py_ssize_t *order, Py_ssize_t count, Py_ssize_t batch_size, real *w, real *v,
                             real learning_rate, real momentum, real l2, real *u_w, real *u_v, real *scratch,
                             patience *looks, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef double total = 0
    cdef real together, weight
    cdef Py_ssize_t first = 0, size, n, j, k
    while first < count:
        size = min(batch_size, count - first)
        together = batch_weight(sample_weight, order, first, size, batch_size)
        if together > 0:
            for j in range(M):
                carry_on(u_w + j * (D + 1), w + j * (D + 1), momentum, learning_rate * l2 / together, D)
                carry_on(u_w + j * (D + 1) + D, w + j * (D + 1) + D, momentum, 0, 1)
            for k in range(K):
                carry_on(u_v + k * (M + 1), v + k * (M + 1), momentum, learning_rate * l2 / together, M)
                carry_on(u_v + k * (M + 1) + M, v + k * (M + 1) + M, momentum, 0, 1)
            for n in range(first, first + size):
                weight = weight_of(sample_weight, order[n])
                total += weight * add_gradients(x + order[n] * D, row_of(t, order[n], K), label_of(labels, order[n]),
                                                w, v, -learning_rate * weight / together, u_w, u_v, scratch, D, M, K)
                if stopped(looks, 1) and (momentum == 0 or size == count):
                    return total
            add_scaled(w, <real> 1, u_w, M * (D + 1))
            add_scaled(v, <real> 1, u_v, K * (M + 1))
        if looks.stop:
            break
        first += size
    return total
