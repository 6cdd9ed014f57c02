# The vector type, and e^x, e^x - 1 and log(1 + x) of one number or of a vector.

cdef extern from "vec.h":
    # LANES numbers. "long double" only tells Cython that real * vec is vec.
    ctypedef long double vec
    ctypedef long double sixteen_bytes    # QUARTER numbers, a part of a vec
    enum: LANES
    enum: QUARTER
    enum: PARTS
    enum: EXP_TERMS
    enum: ATANH_TERMS
    const real ONE    # in the precision of real: a plain 1 beside a float would make it a double
    const real EPSILON
    const real MAX_UPDATE, EXP_MIN, EXP_MAX, EXPM1_MIN, LN2_HIGH, LN2_LOW, SHIFT
    const real EXP_COEFFS[EXP_TERMS]
    const real ATANH_COEFFS[ATANH_TERMS]
    real real_sqrt(real a) noexcept nogil
    vec vec_sqrt(vec a) noexcept nogil
    real real_exp2i(real shifted) noexcept nogil
    real real_split_exponent(real u, real *shifted) noexcept nogil
    vec vec_split_exponent(vec u, vec *shifted) noexcept nogil
    vec vec_exp2i(vec shifted) noexcept nogil
    vec vec_ldexp(vec a, vec shifted) noexcept nogil
    vec vec_lane_mask(long lane) noexcept nogil
    vec vec_mask_out(vec a, vec mask) noexcept nogil
    bint vec_within(vec a, vec limit) noexcept nogil
    int vec_first_equal(vec a, vec b) noexcept nogil
    vec vec_ldexp_above(vec a, vec shifted, vec x, vec limit) noexcept nogil
    vec vec_maximum(vec a, vec b) noexcept nogil
    vec vec_minimum(vec a, vec b) noexcept nogil
    vec vec_select_nonnegative(vec condition, vec yes, vec no) noexcept nogil
    vec vec_in_register(vec a) noexcept nogil
    vec vec_broadcast(real a) noexcept nogil
    vec vec_tail_mask(long count) noexcept nogil
    vec vec_mask(vec a, vec mask) noexcept nogil
    vec vec_mask_tail(vec a, long count) noexcept nogil
    real vec_reduce_add(vec a) noexcept nogil
    sixteen_bytes vec_reduce_add_each(const vec *a) noexcept nogil
    sixteen_bytes vec_of_each(vec *const *rows, Py_ssize_t j) noexcept nogil
    vec vec_join(const sixteen_bytes *parts) noexcept nogil
    vec vec_sum_of_lanes(vec a) noexcept nogil
    vec vec_max_of_lanes(vec a) noexcept nogil
    void prefetch_row(const real *row, Py_ssize_t n) noexcept nogil

ctypedef fused scalar_or_vec:
    real
    vec


cdef inline scalar_or_vec broadcast(real a, scalar_or_vec like) noexcept nogil:
    if scalar_or_vec is real:
        return a
    else:
        return vec_broadcast(a)


cdef inline scalar_or_vec maximum(scalar_or_vec a, scalar_or_vec b) noexcept nogil:
    if scalar_or_vec is real:
        return a if a > b else b
    else:
        return vec_maximum(a, b)


cdef inline scalar_or_vec minimum(scalar_or_vec a, scalar_or_vec b) noexcept nogil:
    if scalar_or_vec is real:
        return a if a < b else b
    else:
        return vec_minimum(a, b)


cdef inline scalar_or_vec select_nonnegative(scalar_or_vec condition, scalar_or_vec yes,
                                             scalar_or_vec no) noexcept nogil:
    if scalar_or_vec is real:
        return yes if condition >= 0 else no
    else:
        return vec_select_nonnegative(condition, yes, no)


cdef inline scalar_or_vec sqrt(scalar_or_vec a) noexcept nogil:
    if scalar_or_vec is real:
        return real_sqrt(a)
    else:
        return vec_sqrt(a)


# e^r - 1 = sum_{n>0} r^n / n!,  r = x - k ln 2,  k = x / ln 2 rounded,  shifted = k + SHIFT
#
# Adding SHIFT rounds to an integer and leaves it in the lowest bits. The even and the odd terms of the series are
# summed separately, which halves the chain of dependent operations; r is added last, to lose no digits.
cdef inline scalar_or_vec exp_reduced(scalar_or_vec x, scalar_or_vec *shifted) noexcept nogil:
    cdef scalar_or_vec k, r, square, even, odd
    cdef int n
    shifted[0] = x * <real> 1.4426950408889634 + SHIFT
    k = shifted[0] - SHIFT
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    square = r * r
    even = broadcast(EXP_COEFFS[EXP_TERMS - 2], x)
    odd = broadcast(EXP_COEFFS[EXP_TERMS - 1], x)
    for n in range(EXP_TERMS - 4, 0, -2):
        even = even * square + EXP_COEFFS[n]
        odd = odd * square + EXP_COEFFS[n + 1]
    return (even + odd * r) * square + r


# e^x = 2^k e^r for x <= EXP_MAX, and 0 up to EXP_MIN, where it would be subnormal: no lane computes it and underflows.
# Error below 1.1 ULP (tests/test_elementary.py); exact at 0 and -inf; propagates NaN.
cdef inline scalar_or_vec exp(scalar_or_vec x) noexcept nogil:
    cdef scalar_or_vec shifted, series, lowest = broadcast(EXP_MIN, x)
    if scalar_or_vec is real:
        if x <= EXP_MIN:
            return 0
        return (exp_reduced(x, &shifted) + ONE) * real_exp2i(shifted)
    else:
        series = exp_reduced(maximum(lowest, x), &shifted) + ONE
        return vec_ldexp_above(series, shifted, x, lowest)


# e^x for EXP_MIN < x <= EXP_MAX, in a shorter chain of dependent operations: the terms of the series in pairs, all but
# the first, 1 + r, in fours, and the exponent added. Error below 1.5 ULP; propagates NaN.
cdef inline vec exp_in_range(vec x) noexcept nogil:
    cdef vec shifted = x * <real> 1.4426950408889634 + SHIFT, k = shifted - SHIFT
    cdef vec r = (x - k * LN2_HIGH) - k * LN2_LOW, square = r * r, fourth = square * square
    cdef vec series = exp_terms(EXP_TERMS - 2, r)
    cdef int n
    if EXP_TERMS % 4 == 2:
        series = exp_terms(EXP_TERMS - 4, r) + series * square
    for n in range((EXP_TERMS - 4) // 4 * 4 - 2, 0, -4):
        series = (exp_terms(n, r) + exp_terms(n + 2, r) * square) + series * fourth
    return vec_ldexp(exp_terms(0, r) + series * square, shifted)


# 1/n! + r/(n+1)!
cdef inline vec exp_terms(int n, vec r) noexcept nogil:
    return EXP_COEFFS[n] + r * EXP_COEFFS[n + 1]


# e^x - 1 = 2^k (e^r - 1) + (2^k - 1) for x <= 0, without the cancellation of e^x - 1 near 0; below EXPM1_MIN it rounds
# to -1. Error below 2 ULP.
cdef inline scalar_or_vec expm1(scalar_or_vec x) noexcept nogil:
    cdef scalar_or_vec shifted = x, reduced = exp_reduced(maximum(broadcast(EXPM1_MIN, x), x), &shifted)
    cdef scalar_or_vec power
    if scalar_or_vec is real:
        power = real_exp2i(shifted)
    else:
        power = vec_exp2i(shifted)
    return reduced * power + (power - ONE)


# e^(p - q). The rounding error of p - q, found by Knuth's two-sum (1969), returns as a factor: e^(d + err) =
# e^d (1 + err). An infinite difference has no such error, and e^d = 0.
cdef inline scalar_or_vec exp_diff(scalar_or_vec p, scalar_or_vec q) noexcept nogil:
    cdef scalar_or_vec d = p - q, part = d - p, err = (p - (d - part)) - (q + part), e = exp(d)
    return select_nonnegative(-e, e, e * (ONE + err))


# log(1 + x) for x >= 0, with u = ONE + x rounded:
#
#   log(1 + x) = k ln 2 + log(m) + (x - (u - 1)) / u,  u = 2^k m,  log(m) = 2 atanh(s),  s = (m - ONE) / (m + ONE)
#
# The third term restores what the rounding of u loses; for tiny x it is the whole result. Error below 2 ULP.
cdef inline scalar_or_vec log1p(scalar_or_vec x) noexcept nogil:
    cdef scalar_or_vec u = ONE + x, shifted, m, k, s, square, series = broadcast(ATANH_COEFFS[ATANH_TERMS - 1], x)
    cdef int n
    if scalar_or_vec is real:
        m = real_split_exponent(u, &shifted)
    else:
        m = vec_split_exponent(u, &shifted)
    k = shifted - SHIFT
    s = (m - ONE) / (m + ONE)
    square = s * s
    for n in range(ATANH_TERMS - 2, 0, -1):
        series = series * square + ATANH_COEFFS[n]
    return k * LN2_HIGH + (s + s + ((s + s) * square * series + (k * LN2_LOW + (x - (u - ONE)) / u)))
