# lanes, and e^x and log(1 + x) on one real or on lanes of them.

cdef extern from "lanes.h":
    # LANES reals side by side. "long double" only tells Cython that real * lanes is lanes.
    ctypedef long double lanes
    enum: LANES
    enum: TERMS
    enum: ODD_TERMS
    const real ONE    # of this precision: a plain 1 beside a float would make it a double
    const real HARMLESS, LOWEST, HIGHEST, PLAIN, LN2_HIGH, LN2_LOW, SHIFT
    const real SERIES[TERMS]
    const real ODD_SERIES[ODD_TERMS]
    real real_power_of_two(real shifted) noexcept nogil
    real real_scaled(real a, real k) noexcept nogil
    real real_split(real u, real *shifted) noexcept nogil
    lanes lanes_split(lanes u, lanes *shifted) noexcept nogil
    real lanes_largest(lanes a) noexcept nogil
    lanes lanes_scaled(lanes a, lanes k) noexcept nogil
    lanes lanes_first(lanes a, long count) noexcept nogil
    lanes lanes_one_at(long position) noexcept nogil
    lanes lanes_equal(lanes a, real b) noexcept nogil
    lanes lanes_larger(lanes a, lanes b) noexcept nogil
    lanes lanes_smaller(lanes a, lanes b) noexcept nogil
    lanes lanes_where_not_negative(lanes condition, lanes yes, lanes no) noexcept nogil
    lanes lanes_spread(real a) noexcept nogil
    real lanes_sum(lanes a) noexcept nogil

# What an equation holds: one real, or lanes of them (several samples, or several hidden units, at once).
ctypedef fused value:
    real
    lanes


cdef inline value spread(real a, value like) noexcept nogil:
    if value is real:
        return a
    else:
        return lanes_spread(a)


cdef inline value larger(value a, value b) noexcept nogil:
    if value is real:
        return a if a > b else b
    else:
        return lanes_larger(a, b)


cdef inline value smaller(value a, value b) noexcept nogil:
    if value is real:
        return a if a < b else b
    else:
        return lanes_smaller(a, b)


cdef inline value where_not_negative(value condition, value yes, value no) noexcept nogil:
    if value is real:
        return yes if condition >= 0 else no
    else:
        return lanes_where_not_negative(condition, yes, no)


cdef inline value scaled(value a, value k) noexcept nogil:
    if value is real:
        return real_scaled(a, k)
    else:
        return lanes_scaled(a, k)


# e^x = 2^k e^r,  k = x / ln 2 rounded,  r = x - k ln 2,  e^r = sum_n r^n / n!
#
# Adding SHIFT rounds to an integer and leaves it in the lowest bits. The even and the odd terms of the series from
# n = 2 on are summed side by side, to halve the chain of dependent operations; r and 1 come last, to lose no digits.
# One real that is far from overflow and from subnormal numbers is spared the care for them. Error: below 1.1 ULP in
# float64 and float32, subnormal results included (tests/test_exponential.py); exact at 0, -inf and inf; NaN stays NaN.
cdef inline value exponential(value x) noexcept nogil:
    cdef value shifted, k, r, square, even, odd, series
    cdef int n
    cdef bint plain = False
    if value is real:
        plain = -PLAIN < x < PLAIN
    if not plain:
        x = smaller(spread(HIGHEST, x), larger(spread(LOWEST, x), x))
    shifted = x * <real> 1.4426950408889634 + SHIFT
    k = shifted - SHIFT
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    square = r * r
    even = spread(SERIES[TERMS - 2], x)
    odd = spread(SERIES[TERMS - 1], x)
    for n in range(TERMS - 4, 0, -2):
        even = even * square + SERIES[n]
        odd = odd * square + SERIES[n + 1]
    series = (even + odd * r) * square + r + ONE
    if value is real:
        if plain:
            return series * real_power_of_two(shifted)
    return scaled(series, k)


cdef inline value split(value u, value *shifted) noexcept nogil:
    if value is real:
        return real_split(u, shifted)
    else:
        return lanes_split(u, shifted)


# log(1 + x) for x >= 0, with u = ONE + x rounded:
#
#   log(1 + x) = k ln 2 + log(m) + (x - (u - 1)) / u,  u = 2^k m,  log(m) = 2 atanh(s),  s = (m - ONE) / (m + ONE)
#
# The third term is what rounding u has lost, and for tiny x is all there is. Error: below 2 ULP.
cdef inline value log_one_plus(value x) noexcept nogil:
    cdef value shifted = x
    cdef value u = ONE + x
    cdef value m = split(u, &shifted)
    cdef value k = shifted - SHIFT
    cdef value s = (m - ONE) / (m + ONE)
    cdef value square = s * s
    cdef value sum = spread(ODD_SERIES[ODD_TERMS - 1], x)
    cdef int n
    for n in range(ODD_TERMS - 2, 0, -1):
        sum = sum * square + ODD_SERIES[n]
    return k * LN2_HIGH + (s + s + ((s + s) * square * sum + (k * LN2_LOW + (x - (u - ONE)) / u)))
