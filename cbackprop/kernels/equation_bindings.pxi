# The equations one by one, as functions on arrays: for tests, and for anyone who wants to try them. Arrays are
# C-contiguous.


cdef real[::1] empty_vector(Py_ssize_t size):
    return np.empty(size, DTYPE)


cdef scalar_or_vec elementary(int function, scalar_or_vec x) noexcept nogil:
    if function == 0:
        return exp(x)
    if function == 1:
        return expm1(x)
    return log1p(x)


def elementary_of(name, const real[::1] x not None):
    """e^x; e^x - 1, x <= 0; or log(1 + x), x >= 0."""
    cdef real[::1] result = empty_vector(x.shape[0])
    cdef int function = ("exp", "expm1", "log1p").index(name)
    cdef Py_ssize_t i = 0
    while i + LANES <= x.shape[0]:
        (<vec *> &result[i])[0] = elementary(function, (<const vec *> &x[i])[0])
        i += LANES
    for i in range(i, x.shape[0]):
        result[i] = elementary(function, x[i])
    return np.asarray(result)


# Where the rows of a matrix begin; keep `matrix` alive
cdef size_t[::1] starts_of(const real[:, ::1] matrix):
    cdef size_t[::1] rows = np.empty(matrix.shape[0], np.uintp)
    set_rows(<real **> &rows[0], <real *> &matrix[0, 0], matrix.shape[0], matrix.shape[1])
    return rows


def hidden_sum_of(const real[:, ::1] w not None, const real[::1] x not None):
    """b_j = sum_{i=0..D} w_ji x_i."""
    assert w.shape[0] > 0 and x.shape[0] > 0 and w.shape[1] == x.shape[0] + 1
    cdef real[::1] b = empty_vector(w.shape[0])
    cdef size_t[::1] rows = starts_of(w)
    hidden_sum(<real **> &rows[0], &x[0], &b[0], x.shape[0], w.shape[0])
    return np.asarray(b)


def hidden_output_of(const real[::1] b not None, hidden="sigmoid"):
    """z_j = h(b_j)."""
    cdef real[::1] z = empty_vector(b.shape[0])
    cdef int kind = HIDDEN_FUNCTIONS[hidden]
    hidden_output(kind, &b[0], &z[0], b.shape[0])
    return np.asarray(z)


def hidden_derivative_of(const real[::1] z not None, hidden="sigmoid"):
    """h'(b_j)."""
    cdef real[::1] derivative = empty_vector(z.shape[0])
    cdef int kind = HIDDEN_FUNCTIONS[hidden]
    cdef Py_ssize_t j
    for j in range(z.shape[0]):
        derivative[j] = h_derivative(kind, z[j])
    return np.asarray(derivative)


def output_sum_of(const real[:, ::1] v not None, const real[::1] z not None):
    """(13)  a_k = sum_{j=0..M} v_kj z_j."""
    assert v.shape[0] > 0 and z.shape[0] > 0 and v.shape[1] == z.shape[0] + 1
    cdef real[::1] a = empty_vector(v.shape[0])
    cdef size_t[::1] rows = starts_of(v)
    output_sum(<real **> &rows[0], &z[0], &a[0], z.shape[0], v.shape[0])
    return np.asarray(a)


def output_of(const real[::1] a not None, output="softmax"):
    """y_k."""
    cdef Py_ssize_t K = a.shape[0]
    cdef real[::1] padded_a = empty_vector(padded(K)), y = empty_vector(padded(K))
    cdef real max_a
    cdef int kind = OUTPUTS[output]
    assert K > 0
    padded_a[:K] = a
    output_function(kind, &padded_a[0], &y[0], &max_a, K)
    return np.asarray(y)[:K].copy()


def softmax_derivative_of(const real[::1] y not None):
    """(7) (8)  dy_l/da_k."""
    cdef real[:, ::1] derivative = np.empty((y.shape[0], y.shape[0]), DTYPE)
    cdef Py_ssize_t k, l
    for l in range(y.shape[0]):
        for k in range(y.shape[0]):
            derivative[l, k] = softmax_derivative(y[l], y[k], l == k)
    return np.asarray(derivative)


def sample_error_of(const real[::1] t not None, const real[::1] a not None, output="softmax"):
    """(1)  E_n, from a."""
    cdef Py_ssize_t K = a.shape[0]
    cdef real[::1] padded_a = empty_vector(padded(K)), y = empty_vector(padded(K)), padded_t = empty_vector(padded(K))
    cdef real max_a, sum_exp_minus_1
    cdef int kind = OUTPUTS[output]
    assert K > 0 and t.shape[0] == K
    padded_a[:K], padded_t[:] = a, 0
    padded_t[:K] = t
    sum_exp_minus_1 = output_function(kind, &padded_a[0], &y[0], &max_a, K)
    return sample_error(kind, <const real *> &padded_t[0], <const real *> &padded_a[0], max_a, sum_exp_minus_1, K)


def output_error_of(const real[::1] y not None, const real[::1] t not None):
    """(5) ... (12)  dE_n/da_k = y_k - t_k."""
    cdef real[::1] error = empty_vector(y.shape[0])
    cdef Py_ssize_t k
    assert t.shape[0] == y.shape[0]
    for k in range(y.shape[0]):
        error[k] = output_error(y[k], t[k])
    return np.asarray(error)


def gradient_v_of(const real[::1] y not None, const real[::1] t not None, const real[::1] z not None):
    """(4) (14) (15) (16)  dE_n/dv_kj."""
    cdef Py_ssize_t M = z.shape[0], K = y.shape[0]
    assert M > 0 and K > 0 and t.shape[0] == K
    cdef real[:, ::1] dv = np.zeros((K, M + 1), DTYPE)
    cdef size_t[::1] rows = starts_of(dv)
    gradient_v(<real **> &rows[0], &y[0], &t[0], &z[0], M, K)
    return np.asarray(dv)


def hidden_error_of(const real[::1] y not None, const real[::1] t not None, const real[:, ::1] v not None,
                    const real[::1] z not None, hidden="sigmoid"):
    """(18)  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j)."""
    cdef Py_ssize_t M = z.shape[0], K = y.shape[0]
    assert M > 0 and K > 0 and t.shape[0] == K and v.shape[0] == K and v.shape[1] == M + 1
    cdef real[::1] e = empty_vector(M)
    cdef size_t[::1] rows = starts_of(v)
    cdef int kind = HIDDEN_FUNCTIONS[hidden]
    hidden_error(&e[0], <const real *> &y[0], <const real *> &t[0], <real **> &rows[0], <const real *> &z[0],
                 kind, M, K)
    return np.asarray(e)


def gradient_w_of(const real[::1] e not None, const real[::1] x not None):
    """(18)  dE_n/dw_ji = e_j x_i."""
    cdef Py_ssize_t D = x.shape[0], M = e.shape[0]
    assert D > 0 and M > 0
    cdef real[:, ::1] dw = np.zeros((M, D + 1), DTYPE)
    cdef size_t[::1] rows = starts_of(dw)
    gradient_w(<real **> &rows[0], &e[0], &x[0], D, M)
    return np.asarray(dw)


def update_v_of(const real[:, ::1] v not None, const real[::1] y not None, const real[::1] t not None,
                const real[::1] z not None, const real[::1] alpha not None):
    """(17)  v_kj - alpha_k dE_n/dv_kj."""
    assert z.shape[0] > 0 and v.shape[1] == z.shape[0] + 1
    assert v.shape[0] == y.shape[0] == t.shape[0] == alpha.shape[0] > 0
    cdef real[:, ::1] updated = np.array(v, DTYPE)
    cdef size_t[::1] rows = starts_of(updated)
    update_v(<real **> &rows[0], <const real *> &y[0], <const real *> &t[0], <const real *> &z[0],
             <const real *> &alpha[0], z.shape[0], y.shape[0])
    return np.asarray(updated)


def update_w_of(const real[:, ::1] w not None, const real[::1] e not None, const real[::1] x not None,
                const real[::1] alpha not None):
    """(17)  w_ji - alpha_j dE_n/dw_ji."""
    assert x.shape[0] > 0 and w.shape[1] == x.shape[0] + 1
    assert w.shape[0] == e.shape[0] == alpha.shape[0] > 0
    cdef real[:, ::1] updated = np.array(w, DTYPE)
    cdef size_t[::1] rows = starts_of(updated)
    update_w(<real **> &rows[0], <const real *> &e[0], <const real *> &x[0], <const real *> &alpha[0], x.shape[0],
             e.shape[0])
    return np.asarray(updated)


def mean_square_of(const real[::1] x not None):
    """1/(D+1) sum_{i=0..D} x_i^2."""
    assert x.shape[0] > 0
    return mean_square(<const real *> &x[0], x.shape[0])


def sum_of_squares_of(real s_j, real e_j, real mean_square_x):
    """s_j + e_j^2 mean_square_x."""
    return sum_of_squares(s_j, e_j, mean_square_x)


def adaptive_rate_of(real alpha, real s_j):
    """alpha_j = alpha / sqrt(s_j + EPSILON)."""
    return adaptive_rate(alpha, s_j)
