# Arithmetic on arrays, as in BLAS. Numbers that do not fill a vector come first: as a whole vector, which overlaps the
# next one, whose lanes in common count once. Fewer than LANES numbers are taken one by one. The order of each sum
# depends on n alone, never on alignment, so the same numbers always give the same bits.
from libc.math cimport INFINITY, NAN, isfinite, isnan
from libc.string cimport memcpy, memset

# Elements of n numbers padded to whole vectors
cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + LANES - 1) // LANES * LANES


# sum_i p_i q_i, of numbers in four vectors of sums
cdef inline scalar_or_vec dot(const scalar_or_vec *p, const scalar_or_vec *q, Py_ssize_t n) noexcept nogil:
    cdef scalar_or_vec total
    cdef Py_ssize_t i
    if scalar_or_vec is real:
        if n >= LANES:
            return dot_in_vectors(p, q, n)
        total = 0
    else:
        total = vec_broadcast(0)
    for i in range(n):
        total += p[i] * q[i]
    return total


cdef real dot_in_vectors(const real *p, const real *q, Py_ssize_t n) noexcept nogil:
    cdef vec sums[4]
    cdef Py_ssize_t i, c
    for c in range(4):
        sums[c] = vec_broadcast(0)
    i = n % LANES
    if i > 0:
        sums[0] = vec_mask((<const vec *> p)[0] * (<const vec *> q)[0], vec_tail_mask(i))
    while i + 4 * LANES <= n:
        for c in range(4):
            sums[c] += (<const vec *> (p + i))[c] * (<const vec *> (q + i))[c]
        i += 4 * LANES
    while i < n:
        sums[0] += (<const vec *> (p + i))[0] * (<const vec *> (q + i))[0]
        i += LANES
    return vec_reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]))


# Whether all p_i are finite: p - p is 0 for finite p and NaN otherwise
cdef bint all_finite(const real *p, Py_ssize_t n) noexcept nogil:
    cdef vec sums
    cdef real total = 0
    cdef Py_ssize_t i
    if n < LANES:
        for i in range(n):
            total += p[i] - p[i]
        return total == 0
    sums = (<const vec *> p)[0] - (<const vec *> p)[0]
    i = (n - 1) % LANES + 1
    while i < n:
        sums += (<const vec *> (p + i))[0] - (<const vec *> (p + i))[0]
        i += LANES
    return vec_reduce_add(sums) == 0


# The largest |p_i|
cdef inline real max_abs(const real *p, Py_ssize_t n) noexcept nogil:
    cdef real largest = 0
    cdef Py_ssize_t i
    if n >= LANES:
        return max_abs_in_vectors(p, n)
    for i in range(n):
        largest = maximum(p[i], maximum(-p[i], largest))
    return largest


cdef real max_abs_in_vectors(const real *p, Py_ssize_t n) noexcept nogil:
    cdef vec largest = maximum((<const vec *> p)[0], -(<const vec *> p)[0])
    cdef Py_ssize_t i = (n - 1) % LANES + 1
    while i < n:
        largest = maximum((<const vec *> (p + i))[0], maximum(-(<const vec *> (p + i))[0], largest))
        i += LANES
    largest = vec_max_of_lanes(largest)
    return (<real *> &largest)[0]


# The index of the first p equal to a number, or 0
cdef inline Py_ssize_t first_equal_in_vectors(const vec *p, real a, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i
    cdef int lane
    for i in range(width):
        lane = vec_first_equal(p[i], vec_broadcast(a))
        if lane < LANES:
            return i * LANES + lane
    return 0
