# The update rules: what (17) does with a gradient, and with which alpha. Every engine calls these functions.
#
#   sample by sample    w_ji <- w_ji - alpha dE_n/dw_ji, with the update formed where it is applied
#   a penalty           E plus l2/2 sum of w_ji^2, biases apart: w_ji <- (1 - alpha l2) w_ji first
#   batches, momentum   the update is formed in the velocity u:
#
#       u_ji <- momentum u_ji - alpha l2 w_ji / N            begin_update
#       u_ji <- u_ji - alpha / N dE_n/dw_ji for all n        in each engine, as (16) and (18) with another target
#       w_ji <- w_ji + u_ji                                  end_update
#
#   row-wise AdaGrad    alpha falls as the squares of a unit's gradients add up in s_j, the mean over its weights:
#
#       alpha_j = alpha / sqrt(s_j + EPSILON),   s_j <- s_j + 1/(D+1) sum_{i=0..D} (dE_n/dw_ji)^2
#
#     By (18) the sum is e_j^2 sum_i x_i^2; for v, by (16), (y_k - t_k)^2 sum_j z_j^2. For a batch it is that of the
#     mean gradient (3), which u holds, negated: u_ji <- alpha_j u_ji - alpha l2 w_ji / N. J. Duchi, E. Hazan and Y.
#     Singer, JMLR 12, 2011; one s for a row: D. Mudigere et al., ISCA 2022.
#
# Of v and of the user's w each unit has a row; where units lie side by side, each input has a column of `width`
# vectors.

cdef struct LearningRule:
    Py_ssize_t batch_size
    real learning_rate, momentum, l2
    bint adaptive                # alpha by row-wise AdaGrad


# 1/(D+1) sum_{i=0..D} x_i^2,  x_D = 1
cdef real mean_square(const real *x, Py_ssize_t D) noexcept nogil:
    return (dot(x, x, D) + ONE) / (D + 1)


# s_j <- s_j + e_j^2 mean_square
cdef inline scalar_or_vec sum_of_squares(scalar_or_vec s_j, scalar_or_vec e_j,
                                         scalar_or_vec mean_square_x) noexcept nogil:
    return s_j + e_j * e_j * mean_square_x


# alpha_j = alpha / sqrt(s_j + EPSILON)
cdef inline scalar_or_vec adaptive_rate(scalar_or_vec alpha, scalar_or_vec s_j) noexcept nogil:
    return alpha / sqrt(s_j + EPSILON)


# The decay of an update: alpha l2, for a batch divided by the weights of its samples
cdef inline real decay_of(const LearningRule *rule, real total_weight) noexcept nogil:
    return rule.learning_rate * rule.l2 / total_weight


# ----------------------------------------------------------------------------------------------------------- rows


# u_i <- momentum u_i - decay w_i
cdef void decay_velocity(real *u, const real *w, real momentum, real decay, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if momentum == 0 and decay == 0:    # u may be anything, NaN included
        memset(u, 0, n * sizeof(real))
        return
    for i in range(n):
        u[i] = momentum * u[i] - decay * w[i]


# The same of a row with a bias, which has no decay, at n
cdef void begin_update(real *u, const real *w, real momentum, real decay, Py_ssize_t n) noexcept nogil:
    decay_velocity(u, w, momentum, decay, n)
    decay_velocity(u + n, w + n, momentum, 0, 1)


# s_j with the gradient in u, and u_i <- alpha_j u_i - decay w_i
cdef void adapt_update(real *u, const real *w, real *s_j, real learning_rate, real decay, Py_ssize_t n) noexcept nogil:
    cdef real alpha_j
    s_j[0] = sum_of_squares(s_j[0], ONE, dot(u, u, n + 1) / (n + 1))
    alpha_j = adaptive_rate(learning_rate, s_j[0])
    begin_update(u, w, alpha_j, decay, n)


# w_i <- w_i + u_i
cdef void end_update(real *w, const real *u, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        w[i] += u[i]


# -------------------------------------------------------------------------------------------------------- columns


# Weights of `width` vectors of units, and their velocity, by input; and which inputs an update is for
cdef struct Columns:
    real *w
    real *u
    vec *s                       # [width], sums of squares of row-wise AdaGrad ...
    vec *alpha                   # ... and the rates
    Py_ssize_t stride            # numbers from one input to the next
    Py_ssize_t inputs            # of which the last is the bias
    Py_ssize_t width
    Py_ssize_t begin, end


# u_ji <- momentum u_ji - decay w_ji; the bias has no decay
cdef void begin_columns(const Columns *c, real momentum, real decay) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(c.begin, c.end):
        decay_velocity(c.u + i * c.stride, c.w + i * c.stride, momentum, decay if i < c.inputs - 1 else 0,
                       c.width * LANES)


# s_j with the gradients in u of all inputs, and alpha_j
cdef void adapt_columns(const Columns *c, real learning_rate) noexcept nogil:
    cdef vec sum, u_ji
    cdef Py_ssize_t i, j
    for j in range(c.width):
        sum = vec_broadcast(0)
        for i in range(c.inputs):
            u_ji = (<const vec *> (c.u + i * c.stride))[j]
            sum = sum + u_ji * u_ji
        c.s[j] = sum_of_squares(c.s[j], vec_broadcast(1), sum / vec_broadcast(c.inputs))
        c.alpha[j] = adaptive_rate(vec_broadcast(learning_rate), c.s[j])


# u_ji <- alpha_j u_ji - decay w_ji; the bias has no decay
cdef void scale_columns(const Columns *c, real decay) noexcept nogil:
    cdef vec *u
    cdef const vec *w
    cdef real decay_i
    cdef Py_ssize_t i, j
    for i in range(c.begin, c.end):
        u, w = <vec *> (c.u + i * c.stride), <const vec *> (c.w + i * c.stride)
        decay_i = decay if i < c.inputs - 1 else 0
        for j in range(c.width):
            u[j] = u[j] * c.alpha[j] - w[j] * decay_i


# w_ji <- w_ji + u_ji
cdef void end_columns(const Columns *c) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(c.begin, c.end):
        end_update(c.w + i * c.stride, c.u + i * c.stride, c.width * LANES)
