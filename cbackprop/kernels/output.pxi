# The output: y from a, E_n, and the error y - t. All engines call these functions: another output is chosen here.
# More than a few classes are taken in vectors along k; a, y and t are padded to whole vectors.

cdef enum:
    MAX_SCALAR_CLASSES = 4    # up to so many, scalar code is faster than vectors that are mostly padding


# y from a: softmax
cdef inline scalar_or_vec output_function(scalar_or_vec *a, scalar_or_vec *y, scalar_or_vec *max_a,
                                          Py_ssize_t K) noexcept nogil:
    if scalar_or_vec is real:
        if K > MAX_SCALAR_CLASSES:
            return softmax_in_vectors(a, y, max_a, K)
    return softmax(a, y, max_a, K)


# softmax in vectors along k; the padding of a becomes -inf. Each sum is compensated (Kahan, 1965), so that its error
# does not grow with K.
cdef inline real softmax_in_vectors(real *a, real *y, real *max_a, Py_ssize_t K) noexcept nogil:
    cdef vec zero = vec_broadcast(0), one = vec_broadcast(1)
    cdef vec below = zero, equal = zero, compensation = zero    # terms below the largest, and those equal to it
    cdef vec largest, top, difference, e, term, sum
    cdef real sum_exp_minus_1
    cdef Py_ssize_t k, end = padded(K)
    cdef vec *last = <vec *> (a + end - LANES)
    last[0] = vec_mask_tail(last[0], K - end + LANES)
    largest = (<vec *> a)[0]
    for k in range(1, end // LANES):
        largest = maximum((<vec *> a)[k], largest)
    max_a[0] = vec_reduce_max(largest)
    top = vec_broadcast(max_a[0])
    for k in range(end // LANES):
        difference = (<vec *> a)[k] - top
        e = exp_diff((<vec *> a)[k], top)
        (<vec *> y)[k] = e
        equal += select_nonnegative(difference, one, zero)
        term = select_nonnegative(difference, zero, e) - compensation
        sum = below + term
        compensation = (sum - below) - term
        below = sum
    sum_exp_minus_1 = (vec_reduce_add(equal) - ONE) + vec_reduce_add(below)
    top = vec_broadcast(ONE + sum_exp_minus_1)
    for k in range(end // LANES):
        (<vec *> y)[k] = (<vec *> y)[k] / top
    return sum_exp_minus_1


# The first term of (1) in vectors along k
cdef inline scalar_or_vec error_linear_term(const scalar_or_vec *t, const scalar_or_vec *a, scalar_or_vec max_a,
                                            Py_ssize_t K) noexcept nogil:
    cdef vec zero = vec_broadcast(0), sum = zero, term
    cdef Py_ssize_t k
    if scalar_or_vec is real:
        if K > MAX_SCALAR_CLASSES:
            for k in range(padded(K) // LANES):
                term = (<const vec *> t)[k] * (max_a - (<const vec *> a)[k])
                sum += select_nonnegative(-(<const vec *> t)[k], zero, term)
            return vec_reduce_add(sum)
    return cross_entropy_linear_term(t, a, max_a, K)


# (1)  E_n, its first term in vectors along k
cdef inline scalar_or_vec sample_error(const scalar_or_vec *t, const scalar_or_vec *a, scalar_or_vec max_a,
                                       scalar_or_vec sum_exp_minus_1, Py_ssize_t K) noexcept nogil:
    return error_linear_term(t, a, max_a, K) + log1p(sum_exp_minus_1)


# (12) for all k, times a factor, in the place of y
cdef inline void output_errors(real *y, const real *t, real factor, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    if K <= MAX_SCALAR_CLASSES:
        for k in range(K):
            y[k] = output_error(y[k], t[k]) * factor
    else:
        for k in range(padded(K) // LANES):
            (<vec *> y)[k] = output_error((<vec *> y)[k], (<const vec *> t)[k]) * factor
