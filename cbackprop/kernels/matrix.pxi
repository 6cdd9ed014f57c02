# Products of matrices in register tiles of TILE_SAMPLES rows by `width` vectors, up to TILE_VECS. Each width is
# compiled by itself, so that the sums of a tile stay in registers.

cdef extern from "vec.h":
    enum: TILE_SAMPLES
    enum: TILE_VECS
    enum: VEC_BYTES

# Rows of vectors, so many vectors apart
cdef struct VecRows:
    vec *first
    Py_ssize_t stride


# b_nj = start_j + sum_i w_ji x_ni of TILE_SAMPLES samples
cdef inline void product_tile(VecRows w, const vec *start, const real *const *x, vec *b, Py_ssize_t b_stride,
                              Py_ssize_t D, int width) noexcept nogil:
    cdef vec sum[TILE_SAMPLES][TILE_VECS]
    cdef Py_ssize_t i
    cdef int n, j
    for n in range(TILE_SAMPLES):
        for j in range(width):
            sum[n][j] = start[j]
    for i in range(D):
        for n in range(TILE_SAMPLES):
            for j in range(width):
                sum[n][j] = sum[n][j] + w.first[i * w.stride + j] * x[n][i]
    for n in range(TILE_SAMPLES):
        for j in range(width):
            b[n * b_stride + j] = sum[n][j]


# w_ji <- w_ji - sum_n e_nj x_ni of `rows` inputs from i on. The sum is formed first, so that it rounds as finely as
# small numbers do.
cdef inline void update_tile(vec *w, const real *const *x, VecRows e, Py_ssize_t i, Py_ssize_t count, int rows,
                             int width) noexcept nogil:
    cdef vec sum[TILE_SAMPLES][TILE_VECS]
    cdef Py_ssize_t n
    cdef int r, j
    for r in range(rows):
        for j in range(width):
            sum[r][j] = vec_broadcast(0)
    for n in range(count):
        for r in range(rows):
            for j in range(width):
                sum[r][j] = sum[r][j] + e.first[n * e.stride + j] * x[n][i + r]
    for r in range(rows):
        for j in range(width):
            w[(i + r) * width + j] = w[(i + r) * width + j] - sum[r][j]


cdef inline void products_of_width(VecRows w, const vec *start, const real *const *x, VecRows b, Py_ssize_t D,
                                   Py_ssize_t count, int width) noexcept nogil:
    cdef Py_ssize_t n = 0
    while n < count:
        product_tile(w, start, x + n, b.first + n * b.stride, b.stride, D, width)
        n += TILE_SAMPLES


cdef inline void updates_of_width(vec *w, const real *const *x, VecRows e, Py_ssize_t begin, Py_ssize_t end,
                                  Py_ssize_t count, int width) noexcept nogil:
    cdef Py_ssize_t i = begin
    while i + TILE_SAMPLES <= end:
        update_tile(w, x, e, i, count, TILE_SAMPLES, width)
        i += TILE_SAMPLES
    while i < end:
        update_tile(w, x, e, i, count, 1, width)
        i += 1


# b of `count` samples for one panel of units
cdef void products(VecRows w, const vec *start, const real *const *x, VecRows b, Py_ssize_t D, Py_ssize_t count,
                   Py_ssize_t width) noexcept nogil:
    if width == 1:
        products_of_width(w, start, x, b, D, count, 1)
    elif width == 2:
        products_of_width(w, start, x, b, D, count, 2)
    else:
        products_of_width(w, start, x, b, D, count, TILE_VECS)


# w of one panel after `count` samples, for the inputs from `begin` to `end`
cdef void updates(vec *w, const real *const *x, VecRows e, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t count,
                  Py_ssize_t width) noexcept nogil:
    if width == 1:
        updates_of_width(w, x, e, begin, end, count, 1)
    elif width == 2:
        updates_of_width(w, x, e, begin, end, count, 2)
    else:
        updates_of_width(w, x, e, begin, end, count, TILE_VECS)


# G_nm = sum_i x_ni x_mi + 1 of 4 x 4 pairs of samples
cdef inline void gram_tile(const real *const *x_n, const real *const *x_m, real *gram, Py_ssize_t stride,
                           Py_ssize_t D) noexcept nogil:
    cdef vec sum[4][4]
    cdef real tail[4][4]
    cdef Py_ssize_t i = 0
    cdef int n, m
    for n in range(4):
        for m in range(4):
            sum[n][m] = vec_broadcast(0)
            tail[n][m] = 1
    while i + LANES <= D:
        for n in range(4):
            for m in range(4):
                sum[n][m] = sum[n][m] + (<const vec *> (x_n[n] + i))[0] * (<const vec *> (x_m[m] + i))[0]
        i += LANES
    while i < D:
        for n in range(4):
            for m in range(4):
                tail[n][m] = tail[n][m] + x_n[n][i] * x_m[m][i]
        i += 1
    for n in range(4):
        for m in range(4):
            gram[n * stride + m] = vec_reduce_add(sum[n][m]) + tail[n][m]
