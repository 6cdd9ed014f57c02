# The equations one by one: for tests, and for anyone who wants to try them.


cdef class Equations(DirectEngine):
    """The equations by themselves, in the memory of the direct engine.

    ``equations[symbol] = array`` sets a symbol on the right side of one; those that are not set are 0.
    """

    cdef dict symbols                        # arrays by name
    cdef real[::1] x

    def __cinit__(self, *sizes, **settings):
        cdef Net *net = &self.net
        cdef Py_ssize_t M = self.M, K = self.K
        self.x = np.zeros(self.D, DTYPE)
        net.x = &self.x[0]
        self.load(*self.make())
        e, y = np.asarray(<real[:M]> net.e), np.asarray(<real[:K]> net.y)
        self.symbols = {
            "x": np.asarray(self.x), "w": self.arrays[0], "v": self.arrays[1], "dw": self.g[0], "dv": self.g[1],
            "b": np.asarray(<real[:M]> net.b), "z": np.asarray(<real[:M]> net.z), "h'": e, "e": e,
            "a": np.asarray(<real[:K]> net.a), "y": y, "t": np.asarray(<real[:K]> net.t), "error": y,
            "alpha_w": np.asarray(<real[:M]> net.alpha_w), "alpha_v": np.asarray(<real[:K]> net.alpha_v),
            "E_n": np.asarray(<real[:1]> &net.E_n),
        }
        np.asarray(<real[:padded(K)]> net.a)[K:] = 7    # padding may be anything

    def __setitem__(self, symbol, array):
        assert np.shape(array) == self.symbols[symbol].shape
        self.symbols[symbol][...] = array

    def compute(self, symbol):
        """The left side of an equation: b, z, h', a, y, E_n from a, the error y - t, e, dv, dw, v or w."""
        cdef Net *net = &self.net
        cdef Py_ssize_t D = self.D, M = self.M, K = self.K, j
        if symbol == "b":
            hidden_sum(net.w, net.x, net.b, D, M)
        elif symbol == "z":
            hidden_output(net.functions.hidden, net.b, net.z, M)
        elif symbol == "h'":
            for j in range(M):
                net.e[j] = h_derivative(net.functions.hidden, net.z[j])
        elif symbol == "a":
            output_sum(net.v, net.z, net.a, M, K)
        elif symbol == "y":
            output_function(net.functions.output, net.a, net.y, &net.max_a, K)
        elif symbol == "E_n":
            net.sum_exp_minus_1 = output_function(net.functions.output, net.a, net.y, &net.max_a, K)
            net.E_n = sample_error(net.functions.output, net.t, net.a, net.max_a, net.sum_exp_minus_1, K)
        elif symbol == "error":
            output_errors_in_vectors(<vec *> net.y, <const vec *> net.t, 1, padded(K) // LANES)
        elif symbol == "e":
            hidden_error(net.e, net.y, net.t, net.v, net.z, net.functions.hidden, M, K)
        elif symbol == "dv":
            gradient_v(net.u_v, net.y, net.t, net.z, M, K)
        elif symbol == "dw":
            gradient_w(net.u_w, net.e, net.x, D, M)
        elif symbol == "v":
            update_v(net.v, net.y, net.t, net.z, net.alpha_v, M, K)
        elif symbol == "w":
            update_w(net.w, net.e, net.x, net.alpha_w, D, M)
        return self.symbols[symbol].copy()


def softmax_derivative_of(const real[::1] y not None):
    """(7) (8)  dy_l/da_k."""
    cdef Py_ssize_t K = y.shape[0], k, l
    cdef real[:, ::1] derivative = np.empty((K, K), DTYPE)
    for l in range(K):
        for k in range(K):
            derivative[l, k] = softmax_derivative(y[l], y[k], l == k)
    return np.asarray(derivative)


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


cdef scalar_or_vec elementary(int function, scalar_or_vec x) noexcept nogil:
    if function == 0:
        return exp(x)
    if function == 1:
        return expm1(x)
    if function == 2:
        return log1p(x)
    if scalar_or_vec is vec:
        return exp_in_range(x)
    else:
        return exp(x)    # there is no shorter chain for one number


def elementary_of(name, const real[::1] x not None):
    """e^x, in a range or not; e^x - 1, x <= 0; or log(1 + x), x >= 0."""
    cdef real[::1] result = np.empty(x.shape[0], DTYPE)
    cdef int function = ("exp", "expm1", "log1p", "exp_in_range").index(name)
    cdef Py_ssize_t i = 0
    while i + LANES <= x.shape[0]:
        (<vec *> &result[i])[0] = elementary(function, (<const vec *> &x[i])[0])
        i += LANES
    for i in range(i, x.shape[0]):
        result[i] = elementary(function, x[i])
    return np.asarray(result)
