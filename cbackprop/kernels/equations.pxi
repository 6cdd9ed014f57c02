# The equations (1) to (18) of a two-layer network, one small function each, in the article's symbols and indices:
#
#   x  (D)       inputs of sample n; x_D = 1 is implied       w  (M, D+1)  hidden weights w_ji, bias last
#   b, z  (M)    hidden pre-activations and activations       v  (K, M+1)  output weights v_kj, bias last
#   a, y  (K)    logits and outputs; z_M = 1 is implied       t  (K)       targets
#
#   i runs over inputs, j over hidden units, k and l over outputs, n over samples.
#
#   (1)   E_n = -sum_k t_k log y_k                                  cross_entropy
#   (2)   E = (1/N) sum_n E_n                                       mean_error
#   (3)   dE/dw_ji = (1/N) sum_n dE_n/dw_ji, and for v              mean_gradient
#   (4)   dE_n/dv_kj = dE_n/da_k da_k/dv_kj                         gradient_v, as (12) times (15)
#   (5)   dE_n/da_k = sum_l dE_n/dy_l dy_l/da_k                     output_error
#   (6)   ... = -sum_l t_l / y_l dy_l/da_k                          output_error
#   (7)   dy_k/da_k = y_k (1 - y_k)                                 softmax_derivative
#   (8)   dy_l/da_k = -y_l y_k, l != k                              softmax_derivative
#   (9)-(11)  ... = y_k sum_l t_l - t_k                             output_error
#   (12)  dE_n/da_k = y_k - t_k                                     output_error
#   (13)  a_k = sum_{j=0..M} v_kj z_j                               output_sum
#   (14)  da_k/dv_kj = d/dv_kj sum_{j'} v_kj' z_j'                  gradient_v
#   (15)  ... = z_j                                                 gradient_v
#   (16)  dE_n/dv_kj = (y_k - t_k) z_j                              gradient_v
#   (17)  v_kj <- v_kj - alpha dE_n/dv_kj, and for w                update_v, update_w
#   (18)  dE_n/dw_ji = (sum_k (y_k - t_k) v_kj) h'(b_j) x_i         hidden_error, gradient_w
#
#   alpha of (17) for each unit, by row-wise AdaGrad                rules.pxi
#
# The article's network has h = sigmoid and y = softmax, where sum_k t_k = 1. (12) to (18) are the same for the other
# hidden functions, which enter (18) as h' only, and for the other outputs, since each y comes with an E_n of which
# (12) is the derivative: y_k = a_k with half the squared error, and y_k = 1 / (1 + e^-a_k) with the cross-entropy of
# each output by itself.
#
# The direct engine runs these functions as they stand, on the user's own arrays. The compiler takes the loops over i, j
# and k in vectors; a sum over a row is one that it may not reorder, so `dot` does (vector.pxi). scalar_or_vec is one
# number, or a vector of them. Other engines reorder the sums: each says at its top how, and why they are the same.


# b_j = sum_{i=0..D} w_ji x_i,  x_D = 1
cdef void hidden_sum(scalar_or_vec **w, const scalar_or_vec *x, scalar_or_vec *b,
                     Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(M):
        b[j] = dot(<const scalar_or_vec *> w[j], x, D) + w[j][D]


# z_j = h(b_j) = 1 / (1 + e^-b_j), and 0 where e^-b_j would overflow
cdef inline scalar_or_vec sigmoid(scalar_or_vec b_j) noexcept nogil:
    cdef scalar_or_vec zero = broadcast(0, b_j), one = broadcast(1, b_j)
    cdef scalar_or_vec exp_minus_b = exp(minimum(broadcast(EXP_MAX, b_j), -b_j)), z_j
    z_j = one / (one + exp_minus_b)
    return select_nonnegative(-b_j - EXP_MAX, zero, z_j)


# h'(b_j) = z_j (1 - z_j)
cdef inline scalar_or_vec sigmoid_derivative(scalar_or_vec z_j) noexcept nogil:
    return z_j * (ONE - z_j)


# z_j = h(b_j) = tanh b_j = (1 - e^-2|b_j|) / (1 + e^-2|b_j|), with the sign of b_j
cdef inline scalar_or_vec tanh(scalar_or_vec b_j) noexcept nogil:
    cdef scalar_or_vec minus_abs = minimum(b_j, -b_j), difference = -expm1(minus_abs + minus_abs)
    return select_nonnegative(b_j, difference, -difference) / (2 - difference)


# h'(b_j) = 1 - z_j^2 = (1 - z_j) (1 + z_j)
cdef inline scalar_or_vec tanh_derivative(scalar_or_vec z_j) noexcept nogil:
    return (ONE - z_j) * (ONE + z_j)


# z_j = h(b_j) = max(0, b_j)
cdef inline scalar_or_vec relu(scalar_or_vec b_j) noexcept nogil:
    return maximum(broadcast(0, b_j), b_j)


# h'(b_j) = 1 where z_j > 0, and 0 elsewhere
cdef inline scalar_or_vec relu_derivative(scalar_or_vec z_j) noexcept nogil:
    return select_nonnegative(-z_j, broadcast(0, z_j), broadcast(1, z_j))


# (13)  a_k = sum_{j=0..M} v_kj z_j,  z_M = 1
cdef void output_sum(scalar_or_vec **v, const scalar_or_vec *z, scalar_or_vec *a,
                     Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(K):
        a[k] = dot(<const scalar_or_vec *> v[k], z, M) + v[k][M]


# y_k = e^a_k / sum_l e^a_l = e^(a_k - max_a) / sum_l e^(a_l - max_a), so that nothing overflows. Returns
# sum_l e^(a_l - max_a) - 1, all terms but the largest: (1) takes its logarithm, in which a 1 would swallow tiny terms.
cdef inline scalar_or_vec softmax(const scalar_or_vec *a, scalar_or_vec *y, scalar_or_vec *max_a,
                                  Py_ssize_t K) noexcept nogil:
    cdef scalar_or_vec sum_exp, sum_exp_minus_1, max_exp
    cdef Py_ssize_t k
    max_a[0] = a[0]
    for k in range(1, K):
        max_a[0] = maximum(a[k], max_a[0])
    y[0] = exp_diff(a[0], max_a[0])
    sum_exp, sum_exp_minus_1, max_exp = y[0], broadcast(0, a[0]), y[0]
    for k in range(1, K):
        y[k] = exp_diff(a[k], max_a[0])
        sum_exp_minus_1 += minimum(y[k], max_exp)    # of two terms the smaller: in the end all but one that is 1
        max_exp = maximum(y[k], max_exp)
        sum_exp += y[k]
    for k in range(K):
        y[k] = y[k] / (ONE + sum_exp_minus_1)
    return sum_exp_minus_1 + (sum_exp - sum_exp)    # propagates NaN, which minimum and maximum may drop


# (7) (8)  dy_l/da_k = y_k (1 - y_k) for l = k, and -y_l y_k otherwise
cdef inline scalar_or_vec softmax_derivative(scalar_or_vec y_l, scalar_or_vec y_k, bint same) noexcept nogil:
    return y_k * (ONE - y_k) if same else -y_l * y_k


# (1)  E_n = -sum_k t_k log y_k = log(1 + sum_exp_minus_1) + sum_k t_k (max_a - a_k), since sum_k t_k = 1
cdef inline scalar_or_vec cross_entropy(const scalar_or_vec *t, const scalar_or_vec *a, scalar_or_vec max_a,
                                        scalar_or_vec sum_exp_minus_1, Py_ssize_t K) noexcept nogil:
    cdef scalar_or_vec E_n = log1p(sum_exp_minus_1)
    cdef Py_ssize_t k
    for k in range(K):
        E_n += cross_entropy_term(t[k], a[k], max_a)
    return E_n


# t_k (max_a - a_k): a class with t_k = 0 adds nothing, even where a_k is -inf
cdef inline scalar_or_vec cross_entropy_term(scalar_or_vec t_k, scalar_or_vec a_k, scalar_or_vec max_a) noexcept nogil:
    return select_nonnegative(-t_k, broadcast(0, t_k), t_k * (max_a - a_k))


# E_n = 1/2 sum_k (a_k - t_k)^2 of linear outputs, y_k = a_k: the term of output k
cdef inline scalar_or_vec squared_error_term(scalar_or_vec t_k, scalar_or_vec a_k) noexcept nogil:
    return <real> 0.5 * (a_k - t_k) * (a_k - t_k)


# E_n = -sum_k [t_k log y_k + (1 - t_k) log(1 - y_k)] of logistic outputs, y_k = 1 / (1 + e^-a_k): the term of output k,
# as log(1 + e^-|a_k|) + (1 - t_k) max(a_k, 0) + t_k max(-a_k, 0), in which nothing overflows or cancels
cdef inline scalar_or_vec logistic_error_term(scalar_or_vec t_k, scalar_or_vec a_k) noexcept nogil:
    cdef scalar_or_vec zero = broadcast(0, a_k), minus_abs = minimum(a_k, -a_k)
    cdef scalar_or_vec wrong = select_nonnegative(a_k, ONE - t_k, t_k)    # the share of the less probable side
    return log1p(exp(minus_abs)) + select_nonnegative(-wrong, zero, -wrong * minus_abs)


# (2)  E = (1/N) sum_n E_n, given the sum
cdef inline double mean_error(double sum_E_n, Py_ssize_t N) noexcept nogil:
    return sum_E_n / N


# (5) ... (12)  dE_n/da_k = y_k - t_k; for softmax since sum_k t_k = 1
cdef inline scalar_or_vec output_error(scalar_or_vec y_k, scalar_or_vec t_k) noexcept nogil:
    return y_k - t_k


# (4) (14) (15) (16)  dE_n/dv_kj = (y_k - t_k) z_j,  j = 0..M, z_M = 1: added to dv
cdef void gradient_v(real **dv, const real *y, const real *t, const real *z,
                     Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef real error_k
    cdef Py_ssize_t j, k
    for k in range(K):
        error_k = y[k] - t[k]
        for j in range(M):
            dv[k][j] += error_k * z[j]
        dv[k][M] += error_k


# (18)  e_j = dE_n/db_j = (sum_k (y_k - t_k) v_kj) h'(b_j)
cdef void hidden_error(scalar_or_vec *e, const scalar_or_vec *y, const scalar_or_vec *t, scalar_or_vec **v,
                       const scalar_or_vec *z, int hidden, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t j, k
    cdef scalar_or_vec error_k
    for j in range(M):
        e[j] = broadcast(0, z[j])
    for k in range(K):
        error_k = y[k] - t[k]
        for j in range(M):
            e[j] += error_k * v[k][j]
    for j in range(M):
        e[j] *= h_derivative(hidden, z[j])


# (18)  dE_n/dw_ji = e_j x_i,  i = 0..D, x_D = 1: added to dw
cdef void gradient_w(real **dw, const real *e, const real *x, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef real e_j
    cdef Py_ssize_t i, j
    for j in range(M):
        e_j = e[j]
        for i in range(D):
            dw[j][i] += e_j * x[i]
        dw[j][D] += e_j


# (3)  dE/dw_ji = (1/N) sum_n dE_n/dw_ji, given the sums; and for v
cdef void mean_gradient(real **dw, Py_ssize_t N, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t i, j
    for j in range(M):
        for i in range(D + 1):
            dw[j][i] /= N


# (17)  v_kj <- v_kj - alpha dE_n/dv_kj, where alpha may differ from unit to unit
cdef void update_v(scalar_or_vec **v, const scalar_or_vec *y, const scalar_or_vec *t, const scalar_or_vec *z,
                   const scalar_or_vec *alpha, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef scalar_or_vec change_k
    cdef Py_ssize_t j, k
    for k in range(K):
        change_k = alpha[k] * (y[k] - t[k])
        for j in range(M):
            v[k][j] -= change_k * z[j]
        v[k][M] -= change_k


# (17)  w_ji <- w_ji - alpha dE_n/dw_ji
cdef void update_w(scalar_or_vec **w, const scalar_or_vec *e, const scalar_or_vec *x,
                   const scalar_or_vec *alpha, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    cdef scalar_or_vec change_j
    cdef Py_ssize_t i, j
    for j in range(M):
        change_j = alpha[j] * e[j]
        for i in range(D):
            w[j][i] -= change_j * x[i]
        w[j][D] -= change_j
