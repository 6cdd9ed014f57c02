# The catalog of hidden functions, z and h' from b, and of outputs, y and E_n from a. All engines call these functions:
# another one needs a name here and a line in each function that chooses, and its equations in equations.pxi.

cdef enum:
    SIGMOID
    TANH
    RELU

cdef enum:
    SOFTMAX
    LINEAR
    LOGISTIC

HIDDEN_FUNCTIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU}
OUTPUTS = {"softmax": SOFTMAX, "linear": LINEAR, "logistic": LOGISTIC}

# h, and y with its E_n
cdef struct Functions:
    int hidden, output


# ---------------------------------------------------------------------------------------------- hidden functions


# z_j = h(b_j)
cdef inline scalar_or_vec h(int hidden, scalar_or_vec b_j) noexcept nogil:
    if hidden == SIGMOID:
        return sigmoid(b_j)
    if hidden == TANH:
        return tanh(b_j)
    return relu(b_j)


# h'(b_j), given z_j
cdef inline scalar_or_vec h_derivative(int hidden, scalar_or_vec z_j) noexcept nogil:
    if hidden == SIGMOID:
        return sigmoid_derivative(z_j)
    if hidden == TANH:
        return tanh_derivative(z_j)
    return relu_derivative(z_j)


# z_j = h(b_j) of a vector of units at a time. The last vector ends at M and overlaps the one before, so that equal b_j
# give the same bits whatever their position.
cdef void hidden_output(int hidden, const scalar_or_vec *b, scalar_or_vec *z, Py_ssize_t M) noexcept nogil:
    cdef Py_ssize_t j = 0
    if scalar_or_vec is real:
        if M >= LANES:
            while j + LANES <= M:
                (<vec *> (z + j))[0] = h(hidden, (<const vec *> (b + j))[0])
                j += LANES
            if j < M:
                (<vec *> (z + M - LANES))[0] = h(hidden, (<const vec *> (b + M - LANES))[0])
            return
    while j < M:
        z[j] = h(hidden, b[j])
        j += 1


# z_j = h(b_j) for |b_j| <= EXP_MAX, in a shorter chain of operations
cdef inline vec h_in_range(int hidden, vec b_j) noexcept nogil:
    if hidden == SIGMOID:
        return vec_broadcast(1) / (vec_broadcast(1) + exp_in_range(-b_j))
    return h(hidden, b_j)


# b_j in that range, with the same z_j but for less than the smallest number; NaN stays
cdef inline vec b_in_range(int hidden, vec b_j) noexcept nogil:
    if hidden == SIGMOID:
        return maximum(vec_broadcast(-EXP_MAX), minimum(vec_broadcast(EXP_MAX), b_j))
    return b_j


# ------------------------------------------------------------------------------------------------------- outputs
# More than a few are taken in vectors along k; a, y and t are padded to whole vectors.


cdef enum:
    MAX_SCALAR_OUTPUTS = 4    # up to so many, scalar code is faster than vectors that are mostly padding


# y_k from a_k of outputs that are independent of each other: all but softmax
cdef inline scalar_or_vec output_of_logit(int output, scalar_or_vec a_k) noexcept nogil:
    if output == LINEAR:
        return a_k
    return sigmoid(a_k)


# y from a. Returns the argument of the logarithm in (1), less 1: 0 but for softmax, and NaN if y is not finite.
cdef inline scalar_or_vec output_function(int output, scalar_or_vec *a, scalar_or_vec *y, scalar_or_vec *max_a,
                                          Py_ssize_t K) noexcept nogil:
    cdef scalar_or_vec not_finite = broadcast(0, a[0])    # 0, or NaN
    cdef Py_ssize_t k
    if scalar_or_vec is real:
        if K > MAX_SCALAR_OUTPUTS:
            return output_in_vectors(output, <vec *> a, <vec *> y, max_a, K, padded(K) // LANES)
    if output == SOFTMAX:
        return softmax(<const scalar_or_vec *> a, y, max_a, K)
    max_a[0] = broadcast(0, a[0])
    for k in range(K):
        y[k] = output_of_logit(output, a[k])
        not_finite += y[k] - y[k]
    return not_finite


# The same in `width` vectors along k
cdef real output_in_vectors(int output, vec *a, vec *y, real *max_a, Py_ssize_t K,
                            Py_ssize_t width) noexcept nogil:
    cdef vec not_finite = vec_broadcast(0), sum
    cdef real sum_exp_minus_1
    cdef Py_ssize_t k
    mask_logits(output, a, K, width)
    if output == SOFTMAX:
        sum_exp_minus_1 = sum_exp_in_vectors(a, y, max_a, width)
        sum = vec_broadcast(ONE + sum_exp_minus_1)
        for k in range(width):
            y[k] = y[k] / sum
        return sum_exp_minus_1
    max_a[0] = 0
    for k in range(width):
        y[k] = output_of_logit(output, a[k])
        not_finite += y[k] - y[k]
    return vec_reduce_add(not_finite)


# The padding of a becomes -inf, where y is 0, or 0
cdef inline void mask_logits(int output, vec *a, Py_ssize_t K, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t units = K - (width - 1) * LANES    # of the last vector
    a[width - 1] = (vec_mask(a[width - 1], vec_tail_mask(units)) if output == LINEAR
                    else vec_mask_tail(a[width - 1], units))


# sum_l e^(a_l - max_a) - 1, as softmax() has it, and unless y is NULL the terms. The sum is compensated (Kahan, 1965),
# so that its error does not grow with K.
cdef inline real sum_exp_in_vectors(const vec *a, vec *y, real *max_a, Py_ssize_t width) noexcept nogil:
    cdef vec zero = vec_broadcast(0), one = vec_broadcast(1)
    cdef vec below = zero, equal = zero, compensation = zero    # terms below the largest, and those equal to it
    cdef vec largest = a[0], top, difference, e, term, sum
    cdef Py_ssize_t k
    for k in range(1, width):
        largest = maximum(a[k], largest)
    top = vec_max_of_lanes(largest)
    max_a[0] = (<real *> &top)[0]
    for k in range(width):
        difference = a[k] - top
        e = exp_diff(a[k], top)
        if y != NULL:
            y[k] = e
        equal += select_nonnegative(difference, one, zero)
        term = select_nonnegative(difference, zero, e) - compensation
        sum = below + term
        compensation = (sum - below) - term
        below = sum
    return (vec_reduce_add(equal) - ONE) + vec_reduce_add(below)


# What output k adds to E_n, but for the logarithm in (1)
cdef inline scalar_or_vec error_term(int output, scalar_or_vec t_k, scalar_or_vec a_k,
                                     scalar_or_vec max_a) noexcept nogil:
    if output == SOFTMAX:
        return cross_entropy_term(t_k, a_k, max_a)
    if output == LINEAR:
        return squared_error_term(t_k, a_k)
    return logistic_error_term(t_k, a_k)


# Their sum over k
cdef inline scalar_or_vec sum_of_error_terms(int output, const scalar_or_vec *t, const scalar_or_vec *a,
                                             scalar_or_vec max_a, Py_ssize_t K) noexcept nogil:
    cdef scalar_or_vec total = broadcast(0, max_a)
    cdef Py_ssize_t k
    if scalar_or_vec is real:
        if K > MAX_SCALAR_OUTPUTS:
            return sum_of_error_terms_in_vectors(output, <const vec *> t, <const vec *> a, max_a, padded(K) // LANES)
    for k in range(K):
        total += error_term(output, t[k], a[k], max_a)
    return total


# The same in vectors along k, compensated, except where it is infinite
cdef real sum_of_error_terms_in_vectors(int output, const vec *t, const vec *a, real max_a,
                                        Py_ssize_t width) noexcept nogil:
    cdef vec zero = vec_broadcast(0), sum = zero, old, error = zero, term
    cdef Py_ssize_t k
    for k in range(width):
        term = error_term(output, t[k], a[k], vec_broadcast(max_a)) - error
        old, sum = sum, sum + term
        error = (sum - old) - term
        error = select_nonnegative(error - error, error, zero)
    return vec_reduce_add(sum)


# (1)  E_n, or that of the other outputs
cdef inline scalar_or_vec sample_error(int output, const scalar_or_vec *t, const scalar_or_vec *a, scalar_or_vec max_a,
                                       scalar_or_vec sum_exp_minus_1, Py_ssize_t K) noexcept nogil:
    if output == SOFTMAX and (scalar_or_vec is vec or K <= MAX_SCALAR_OUTPUTS):
        return cross_entropy(t, a, max_a, sum_exp_minus_1, K)
    return sum_of_error_terms(output, t, a, max_a, K) + log1p(sum_exp_minus_1)


# (12) for all k, times a factor, in the place of y: in vectors along k
cdef inline void output_errors_in_vectors(vec *y, const vec *t, real factor, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(width):
        y[k] = output_error(y[k], t[k]) * factor
