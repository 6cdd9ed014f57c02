# Arithmetic on arrays, as in BLAS: whole vectors first, then a scalar tail. The order of each sum depends on n alone,
# never on alignment, so the same numbers always give the same bits.
from libc.math cimport INFINITY, NAN, isfinite, isnan
from libc.string cimport memcpy, memset


# Elements of n numbers padded to whole vectors
cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + LANES - 1) // LANES * LANES


# start + sum_i p_i q_i, in four vector accumulators and a scalar tail
cdef inline real dot(real start, const real *p, const real *q, Py_ssize_t n) noexcept nogil:
    cdef vec sums[4]
    cdef real total = start
    cdef Py_ssize_t i = 0, c
    if n >= LANES:
        for c in range(4):
            sums[c] = vec_broadcast(0)
        while i + 4 * LANES <= n:
            for c in range(4):
                sums[c] += (<const vec *> (p + i))[c] * (<const vec *> (q + i))[c]
            i += 4 * LANES
        while i + LANES <= n:
            sums[0] += (<const vec *> (p + i))[0] * (<const vec *> (q + i))[0]
            i += LANES
        total += vec_reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]))
    while i < n:
        total += p[i] * q[i]
        i += 1
    return total


# p_i <- p_i + c q_i
cdef inline void axpy(real *p, real c, const real *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        (<vec *> (p + i))[0] = (<vec *> (p + i))[0] + (<const vec *> (q + i))[0] * c
        i += LANES
    while i < n:
        p[i] += c * q[i]
        i += 1


# The same with a vector of numbers for each i
cdef inline void axpy_in_lanes(vec *p, vec c, const vec *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        p[i] = p[i] + c * q[i]


# Whether all p_i are finite: p - p is 0 for finite p and NaN otherwise
cdef bint all_finite(const real *p, Py_ssize_t n) noexcept nogil:
    cdef vec sums = vec_broadcast(0)
    cdef real total = 0
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        sums += (<const vec *> (p + i))[0] - (<const vec *> (p + i))[0]
        i += LANES
    while i < n:
        total += p[i] - p[i]
        i += 1
    return total + vec_reduce_add(sums) == 0


# The largest |p_i|
cdef real max_abs(const real *p, Py_ssize_t n) noexcept nogil:
    cdef vec largest = vec_broadcast(0)
    cdef real result = 0
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        largest = maximum((<const vec *> (p + i))[0], maximum(-(<const vec *> (p + i))[0], largest))
        i += LANES
    while i < n:
        result = maximum(p[i], maximum(-p[i], result))
        i += 1
    largest = vec_max_of_lanes(largest)
    return maximum(result, (<real *> &largest)[0])


# Whether all p_i + c q_i are finite
cdef bint sum_is_finite(const real *p, real c, const real *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not isfinite(p[i] + c * q[i]):
            return False
    return True


# u_i <- momentum u_i - decay w_i
cdef void decay_velocity(real *u, const real *w, real momentum, real decay, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    if momentum == 0 and decay == 0:    # u may be anything, NaN included
        memset(u, 0, n * sizeof(real))
        return
    while i + LANES <= n:
        (<vec *> (u + i))[0] = momentum * (<vec *> (u + i))[0] - decay * (<const vec *> (w + i))[0]
        i += LANES
    while i < n:
        u[i] = momentum * u[i] - decay * w[i]
        i += 1
