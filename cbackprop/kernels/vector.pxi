# Arithmetic on arrays, as in BLAS. Numbers that do not fill a vector come first: as a whole vector, which overlaps the
# next one, whose lanes in common count once. Fewer than LANES numbers are taken one by one. The order of each sum
# depends on n alone, never on alignment, so the same numbers always give the same bits.
from libc.math cimport INFINITY, NAN, isfinite, isnan
from libc.string cimport memcpy, memset

cdef enum:
    ROWS_TOGETHER = 4    # whose sums are in registers at once; a multiple of QUARTER


# Elements of n numbers padded to whole vectors
cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + LANES - 1) // LANES * LANES


# start + sum_i p_i q_i, in four vectors of sums
cdef inline real dot(real start, const real *p, const real *q, Py_ssize_t n) noexcept nogil:
    cdef vec sums[4]
    cdef real total = start
    cdef Py_ssize_t i, c
    if n < LANES:
        for i in range(n):
            total += p[i] * q[i]
        return total
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
    return total + vec_reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]))


# sum_i p_ri q_i, n >= LANES, of `count` rows, whose sums are reduced together
cdef inline void dot_of_each(real *const *p, const real *q, real *sums, Py_ssize_t n, int count) noexcept nogil:
    cdef vec sum[ROWS_TOGETHER]
    cdef vec rest
    cdef Py_ssize_t i = n % LANES
    cdef int r
    for r in range(count):
        sum[r] = vec_broadcast(0)
    if i > 0:
        rest = vec_tail_mask(i)
        for r in range(count):
            sum[r] = vec_mask((<const vec *> p[r])[0] * (<const vec *> q)[0], rest)
    while i < n:
        for r in range(count):
            sum[r] += (<const vec *> (p[r] + i))[0] * (<const vec *> (q + i))[0]
        i += LANES
    if count < ROWS_TOGETHER:
        for r in range(count):
            sums[r] = vec_reduce_add(sum[r])
    else:
        for r in range(ROWS_TOGETHER // QUARTER):
            (<sixteen_bytes *> sums)[r] = vec_reduce_add_each(sum + r * QUARTER)


# p_rn + sum_i p_ri q_i, n >= LANES, of all rows r. The last ones together may be among those before, too.
cdef inline void dot_rows(real *const *p, const real *q, real *sums, Py_ssize_t n, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t r = 0
    if rows < ROWS_TOGETHER:
        for r in range(rows):
            dot_of_each(p + r, q, sums + r, n, 1)
    else:
        while r + ROWS_TOGETHER <= rows:
            dot_of_each(p + r, q, sums + r, n, ROWS_TOGETHER)
            r += ROWS_TOGETHER
        if r < rows:
            dot_of_each(p + rows - ROWS_TOGETHER, q, sums + rows - ROWS_TOGETHER, n, ROWS_TOGETHER)
    for r in range(rows):
        sums[r] += p[r][n]


# p_i <- p_i + c q_i
cdef inline void axpy(real *p, real c, const real *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef vec first
    if n < LANES:
        for i in range(n):
            p[i] += c * q[i]
        return
    first = (<vec *> p)[0] + (<const vec *> q)[0] * c
    i = (n - 1) % LANES + 1
    while i < n:
        (<vec *> (p + i))[0] = (<vec *> (p + i))[0] + (<const vec *> (q + i))[0] * c
        i += LANES
    (<vec *> p)[0] = first


# The same with a vector of numbers for each i
cdef inline void axpy_in_lanes(vec *p, vec c, const vec *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        p[i] = p[i] + c * q[i]


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
cdef real max_abs(const real *p, Py_ssize_t n) noexcept nogil:
    cdef vec largest
    cdef real result = 0
    cdef Py_ssize_t i
    if n < LANES:
        for i in range(n):
            result = maximum(p[i], maximum(-p[i], result))
        return result
    largest = maximum((<const vec *> p)[0], -(<const vec *> p)[0])
    i = (n - 1) % LANES + 1
    while i < n:
        largest = maximum((<const vec *> (p + i))[0], maximum(-(<const vec *> (p + i))[0], largest))
        i += LANES
    largest = vec_max_of_lanes(largest)
    return (<real *> &largest)[0]


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
