# The equations on rows wider than a vector: the same sums, in vectors along j or i, in another order. A row narrower
# than a vector, and a vector of samples or networks, take the equations as they stand; only their updates keep the
# factor of a row in a register.


# b_j = sum_i w_ji x_i as a dot product for each j
cdef inline void hidden_sum_rows(scalar_or_vec **w, const scalar_or_vec *x, scalar_or_vec *b,
                                 Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    if scalar_or_vec is real:
        if D >= LANES:
            dot_rows(w, x, b, D, M)
            return
    hidden_sum(w, x, b, D, M)


# (13)  a_k = sum_j v_kj z_j as a dot product for each k
cdef inline void output_sum_rows(scalar_or_vec **v, const scalar_or_vec *z, scalar_or_vec *a,
                                 Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    if scalar_or_vec is real:
        if M >= LANES:
            dot_rows(v, z, a, M, K)
            return
    output_sum(v, z, a, M, K)


# (18)  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j) of a vector of units at a time; the last one ends at M, too
cdef inline void hidden_error_rows(scalar_or_vec *e, const scalar_or_vec *y, const scalar_or_vec *t, scalar_or_vec **v,
                                   const scalar_or_vec *z, int hidden, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef vec e_j
    cdef Py_ssize_t j = 0, k
    if scalar_or_vec is real:
        if M >= LANES:
            while j < M:
                j = min(j, M - LANES)
                e_j = vec_broadcast(0)
                for k in range(K):
                    e_j += (<const vec *> (v[k] + j))[0] * (y[k] - t[k])
                (<vec *> (e + j))[0] = e_j * h_derivative(hidden, (<const vec *> (z + j))[0])
                j += LANES
            return
    hidden_error(e, y, t, v, z, hidden, M, K)


# (16)  dv_kj <- dv_kj + (y_k - t_k) z_j, row by row
cdef inline void gradient_v_rows(real **dv, const real *y, const real *t, const real *z,
                                 Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    if M < LANES:
        gradient_v(dv, y, t, z, M, K)
        return
    for k in range(K):
        axpy(dv[k], y[k] - t[k], z, M)
        dv[k][M] += y[k] - t[k]


# (18)  dw_ji <- dw_ji + e_j x_i, row by row
cdef inline void gradient_w_rows(real **dw, const real *e, const real *x, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j
    if D < LANES:
        gradient_w(dw, e, x, D, M)
        return
    for j in range(M):
        axpy(dw[j], e[j], x, D)
        dw[j][D] += e[j]


# (17)  v_kj <- v_kj - alpha (y_k - t_k) z_j, row by row
cdef inline void update_v_rows(scalar_or_vec **v, const scalar_or_vec *y, const scalar_or_vec *t,
                               const scalar_or_vec *z, const scalar_or_vec *alpha, Py_ssize_t M,
                               Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    if scalar_or_vec is vec:
        for k in range(K):
            axpy_in_lanes(v[k], -alpha[k] * (y[k] - t[k]), z, M)
            v[k][M] -= alpha[k] * (y[k] - t[k])
    elif M >= LANES:
        for k in range(K):
            axpy(v[k], -alpha[k] * (y[k] - t[k]), z, M)
            v[k][M] -= alpha[k] * (y[k] - t[k])
    else:
        update_v(v, y, t, z, alpha, M, K)


# (17)  w_ji <- w_ji - alpha e_j x_i, row by row
cdef inline void update_w_rows(scalar_or_vec **w, const scalar_or_vec *e, const scalar_or_vec *x,
                               const scalar_or_vec *alpha, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j
    if scalar_or_vec is vec:
        for j in range(M):
            axpy_in_lanes(w[j], -alpha[j] * e[j], x, D)
            w[j][D] -= alpha[j] * e[j]
    elif D >= LANES:
        for j in range(M):
            axpy(w[j], -alpha[j] * e[j], x, D)
            w[j][D] -= alpha[j] * e[j]
    else:
        update_w(w, e, x, alpha, D, M)


# 1/(D+1) sum_{i=0..D} x_i^2 as a dot product
cdef inline scalar_or_vec mean_square_row(const scalar_or_vec *x, Py_ssize_t D) noexcept nogil:
    if scalar_or_vec is real:
        if D >= LANES:
            return dot(1, x, x, D) / (D + 1)
    return mean_square(x, D)


# 1/(n+1) sum_i u_i^2, i = 0..n: of a row of a gradient, which has its own last element
cdef inline scalar_or_vec mean_square_of_gradient(const scalar_or_vec *u, Py_ssize_t n) noexcept nogil:
    cdef scalar_or_vec squares = broadcast(0, u[0])
    cdef Py_ssize_t i
    if scalar_or_vec is real:
        squares = dot(0, u, u, n + 1)
    else:
        for i in range(n + 1):
            squares += u[i] * u[i]
    return squares / broadcast(n + 1, u[0])
