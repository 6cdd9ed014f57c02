# The equations one by one, as functions on arrays: for the tests, and for whoever wants to try them.
#
# Arrays are one-dimensional and contiguous; as in the engines, lanes of numbers first, then the rest one by one.


def exponential_of(const real[::1] x):
    """e^x."""
    cdef real[::1] e = room(x.shape[0])
    cdef Py_ssize_t i = 0
    while i + LANES <= x.shape[0]:
        (<lanes *> &e[i])[0] = exponential((<const lanes *> &x[i])[0])
        i += LANES
    while i < x.shape[0]:
        e[i] = exponential(x[i])
        i += 1
    return np.asarray(e)


def log_one_plus_of(const real[::1] x):
    """log(1 + x), x >= 0."""
    cdef real[::1] log = room(x.shape[0])
    cdef Py_ssize_t i = 0
    while i + LANES <= x.shape[0]:
        (<lanes *> &log[i])[0] = log_one_plus((<const lanes *> &x[i])[0])
        i += LANES
    while i < x.shape[0]:
        log[i] = log_one_plus(x[i])
        i += 1
    return np.asarray(log)


def sigmoid_of(const real[::1] b):
    """z_j = h(b_j)."""
    cdef real[::1] z = room(b.shape[0])
    sigmoids(&b[0], &z[0], b.shape[0])
    return np.asarray(z)


def sigmoid_derivative_of(const real[::1] z):
    """h'(b_j) = z_j (1 - z_j)."""
    cdef real[::1] derivative = room(z.shape[0])
    cdef Py_ssize_t j
    for j in range(z.shape[0]):
        derivative[j] = sigmoid_derivative(z[j])
    return np.asarray(derivative)


def hidden_sum_of(const real[::1] w_j, const real[::1] x):
    """b_j = sum_{i=0..D} w_ji x_i."""
    return hidden_sum(&w_j[0], &x[0], x.shape[0])


def output_sum_of(const real[::1] v_k, const real[::1] z):
    """(13)  a_k = sum_{j=0..M} v_kj z_j."""
    return output_sum(&v_k[0], &z[0], z.shape[0])


def softmax_of(const real[::1] a):
    """(7) (8)  y_k = e^a_k / sum_l e^a_l."""
    cdef Py_ssize_t K = a.shape[0]
    cdef real[::1] room_a = room(whole_lanes(K)), y = room(whole_lanes(K))
    cdef real largest
    room_a[:K] = a
    softmax(&room_a[0], &y[0], &largest, K)
    return np.asarray(y)[:K].copy()


def softmax_derivative_of(const real[::1] y):
    """(7) (8)  dy_i/da_k."""
    cdef real[:, ::1] derivative = np.empty((y.shape[0], y.shape[0]), DTYPE)
    cdef Py_ssize_t i, k
    for i in range(y.shape[0]):
        for k in range(y.shape[0]):
            derivative[i, k] = softmax_derivative(y[i], y[k], i == k)
    return np.asarray(derivative)


def cross_entropy_of(const real[::1] t, const real[::1] a):
    """(1)  E_n, from a."""
    cdef Py_ssize_t K = a.shape[0]
    cdef real[::1] room_a = room(whole_lanes(K)), y = room(whole_lanes(K))
    cdef real largest, rest
    room_a[:K] = a
    rest = softmax(&room_a[0], &y[0], &largest, K)
    return cross_entropy(&t[0], 0, &a[0], largest, rest, K)


def output_error_of(const real[::1] y, const real[::1] t):
    """(5) ... (12)  dE_n/da_k = y_k - t_k."""
    cdef real[::1] error = room(y.shape[0])
    error[:] = y
    output_errors(&error[0], &t[0], 0, 1, y.shape[0])
    return np.asarray(error)


def gradient_v_of(const real[::1] output_error, const real[::1] z):
    """(4) (14) (15) (16)  dE_n/dv_kj."""
    cdef Py_ssize_t M = z.shape[0], K = output_error.shape[0], k
    cdef real[:, ::1] dv = np.zeros((K, M + 1), DTYPE)
    for k in range(K):
        add_gradient_v(&dv[k, 0], output_error[k], &z[0], M)
    return np.asarray(dv)


def hidden_error_of(const real[::1] output_error, const real[:, ::1] v, const real[::1] z):
    """(18)  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j)."""
    cdef Py_ssize_t M = z.shape[0], K = output_error.shape[0], j
    cdef real[::1] e = room(M)
    back(&output_error[0], &v[0, 0], &e[0], M, K)
    for j in range(M):
        e[j] = hidden_error(e[j], z[j])
    return np.asarray(e)


def gradient_w_of(const real[::1] hidden_error, const real[::1] x):
    """(18)  dE_n/dw_ji = e_j x_i."""
    cdef Py_ssize_t D = x.shape[0], M = hidden_error.shape[0], j
    cdef real[:, ::1] dw = np.zeros((M, D + 1), DTYPE)
    for j in range(M):
        add_gradient_w(&dw[j, 0], hidden_error[j], &x[0], D)
    return np.asarray(dw)
