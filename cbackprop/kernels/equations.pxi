# The equations of a two-layer network, one function each.
#
#   x  (D)       inputs of sample n; x_D = 1 is implied      w  (M, D+1)  hidden weights, bias last
#   b, z  (M)    hidden input sums and outputs               v  (K, M+1)  output weights, bias last
#   a, y  (K)    output input sums and outputs               t  (K)       targets, summing to 1
#
# A subscript that is fixed is part of the name, one that runs stands in brackets: w_j[i] is w_ji for one j.
# Each function works on one real or on lanes of them: several samples or several hidden units side by side.


# start + sum_i p_i q_i. Long rows of reals go through four chains of lanes, then the rest one by one: the order of the
# sum depends on n alone, so the bits never depend on where in memory a row starts.
cdef inline value dot(value start, const value *p, const value *q, Py_ssize_t n) noexcept nogil:
    cdef lanes chain[4]
    cdef value total = start
    cdef Py_ssize_t i = 0, c
    if value is real:
        if n >= LANES:
            for c in range(4):
                chain[c] = lanes_spread(0)
            while i + 4 * LANES <= n:
                for c in range(4):
                    chain[c] = chain[c] + (<const lanes *> (p + i))[c] * (<const lanes *> (q + i))[c]
                i += 4 * LANES
            while i + LANES <= n:
                chain[0] = chain[0] + (<const lanes *> (p + i))[0] * (<const lanes *> (q + i))[0]
                i += LANES
            total = total + lanes_sum((chain[0] + chain[1]) + (chain[2] + chain[3]))
    while i < n:
        total = total + p[i] * q[i]
        i += 1
    return total


# p_i <- p_i + c q_i
cdef inline void add_scaled(value *p, value c, const value *q, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    if value is real:
        while i + LANES <= n:
            (<lanes *> (p + i))[0] = (<lanes *> (p + i))[0] + (<const lanes *> (q + i))[0] * c
            i += LANES
    while i < n:
        p[i] = p[i] + c * q[i]
        i += 1


# b_j = sum_{i=0..D} w_ji x_i,  x_D = 1
cdef inline value hidden_sum(const value *w_j, const value *x, Py_ssize_t D) noexcept nogil:
    return dot(w_j[D], w_j, x, D)


# z_j = h(b_j) = 1 / (1 + e^-b_j), as e^b_j / (1 + e^b_j) where b_j < 0: neither side can overflow. One real that is
# far from overflow is taken as it stands, without a choice that depends on its sign.
cdef inline value sigmoid(value b_j) noexcept nogil:
    cdef value e
    if value is real:
        if -PLAIN < b_j < PLAIN:
            return ONE / (ONE + exponential(-b_j))
    e = exponential(smaller(b_j, -b_j))
    return where_not_negative(b_j, spread(1, e), e) / (ONE + e)


# h'(b_j) = z_j (1 - z_j)
cdef inline value sigmoid_derivative(value z_j) noexcept nogil:
    return z_j * (ONE - z_j)


# (13)  a_k = sum_{j=0..M} v_kj z_j,  z_M = 1
cdef inline value output_sum(const value *v_k, const value *z, Py_ssize_t M) noexcept nogil:
    return dot(v_k[M], v_k, z, M)


# e^(p - q), exact where the difference is not: what its rounding takes, `lost` (Knuth, 1969), comes back as a factor,
# since e^(d + lost) = e^d (1 + lost). A difference that is infinite has none, and e^d = 0.
cdef inline value exponential_of_difference(value p, value q) noexcept nogil:
    cdef value d = p - q, part = d - p, lost = (p - (d - part)) - (q + part), e = exponential(d)
    return where_not_negative(-e, e, e + e * lost)


# (7) (8)  y_k = e^a_k / sum_l e^a_l, with the largest a_l taken out of every exponent. Returns what the terms below
# the largest add to its 1: sum_l e^(a_l - largest) = 1 + rest, so that log(1 + rest) in (1) keeps tiny rests.
# More than a FEW reals are taken in lanes; a and y then have room for whole lanes, and a is filled up with -inf.
cdef inline value softmax(value *a, value *y, value *largest, Py_ssize_t K) noexcept nogil:
    cdef value rest, most, sum
    cdef Py_ssize_t k
    if value is real:
        if K > FEW:
            return softmax_in_lanes(a, y, largest, K)
    largest[0] = a[0]
    for k in range(1, K):
        largest[0] = larger(a[k], largest[0])
    y[0] = exponential_of_difference(a[0], largest[0])
    most, rest, sum = y[0], spread(0, a[0]), y[0]
    for k in range(1, K):
        y[k] = exponential_of_difference(a[k], largest[0])
        rest = rest + smaller(y[k], most)    # of two terms the smaller: in the end all but one that is 1
        most = larger(y[k], most)
        sum = sum + y[k]
    for k in range(K):
        y[k] = y[k] / (ONE + rest)
    return rest + (sum - sum)    # NaN, which no comparison sees, is passed on


cdef enum:
    FEW = 4    # up to so many, filling lanes costs more than it saves


# The same, reading on from lane to lane. Each sum is corrected by what the one before it lost (Kahan, 1965): its error
# does not grow with the number of classes.
cdef inline real softmax_in_lanes(real *a, real *y, real *largest, Py_ssize_t K) noexcept nogil:
    cdef lanes zero = lanes_spread(0), one = lanes_spread(1), below = zero, equal = zero, lost = zero
    cdef lanes most, top, difference, e, term, sum
    cdef real rest
    cdef Py_ssize_t k, whole = (K + LANES - 1) // LANES * LANES
    cdef lanes *last = <lanes *> (a + whole - LANES)
    last[0] = lanes_first(last[0], K - whole + LANES)
    most = (<lanes *> a)[0]
    for k in range(1, whole // LANES):
        most = larger((<lanes *> a)[k], most)
    largest[0] = lanes_largest(most)
    top = lanes_spread(largest[0])
    for k in range(whole // LANES):
        difference = (<lanes *> a)[k] - top
        e = exponential_of_difference((<lanes *> a)[k], top)
        (<lanes *> y)[k] = e
        equal = equal + where_not_negative(difference, one, zero)
        term = where_not_negative(difference, zero, e) - lost
        sum = below + term
        lost = (sum - below) - term
        below = sum
    rest = (lanes_sum(equal) - ONE) + lanes_sum(below)
    most = lanes_spread(ONE + rest)
    for k in range(whole // LANES):
        (<lanes *> y)[k] = (<lanes *> y)[k] / most
    return rest


# (7) (8)  dy_i/da_k = y_i (1 - y_i) for i = k, and -y_i y_k otherwise
cdef inline value softmax_derivative(value y_i, value y_k, bint same) noexcept nogil:
    return y_i * (ONE - y_i) if same else -y_i * y_k


# (1)  E_n = -sum_k t_k log y_k = sum_k t_k (largest - a_k) + log(1 + rest), since sum_k t_k = 1: the sum over k alone.
# Where t_k = 0 nothing is added, even if y_k is 0. Here and below, t = NULL means t_k = 1 at the label, 0 elsewhere.
cdef inline value cross_entropy_above_log(const value *t, Py_ssize_t label, const value *a, value largest,
                                          Py_ssize_t K) noexcept nogil:
    cdef value sum = spread(0, largest), zero = spread(0, largest)
    cdef Py_ssize_t k
    if t == NULL:
        return largest - a[label]
    for k in range(K):
        sum = sum + where_not_negative(-t[k], zero, t[k] * (largest - a[k]))
    return sum


# (1)  E_n = -sum_k t_k log y_k
cdef inline value cross_entropy(const value *t, Py_ssize_t label, const value *a, value largest, value rest,
                                Py_ssize_t K) noexcept nogil:
    return cross_entropy_above_log(t, label, a, largest, K) + log_one_plus(rest)


# (5) ... (12)  dE_n/da_k = y_k - t_k, since sum_k t_k = 1
cdef inline value output_error(value y_k, value t_k) noexcept nogil:
    return y_k - t_k


# (5) ... (12) for all k, times a factor, in the place of y
cdef inline void output_errors(value *y, const value *t, Py_ssize_t label, value factor, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    if value is real:
        if t == NULL and K > FEW:
            for k in range((K + LANES - 1) // LANES):
                (<lanes *> y)[k] = output_error((<lanes *> y)[k], lanes_one_at(label - k * LANES)) * factor
            return
    if t == NULL:
        y[label] = output_error(y[label], spread(1, y[label]))
    else:
        for k in range(K):
            y[k] = output_error(y[k], t[k])
    for k in range(K):
        y[k] = factor * y[k]


# (4) (14) (15) (16)  dE_n/dv_kj = (y_k - t_k) z_j, j = 0..M, z_M = 1: added to a row, as it is or times a factor
cdef inline void add_gradient_v(value *row, value error_k, const value *z, Py_ssize_t M) noexcept nogil:
    add_scaled(row, error_k, z, M)
    row[M] = row[M] + error_k


# (18)  dE_n/dw_ji = e_j x_i,  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j): e_j, given the sum over k
cdef inline value hidden_error(value back_j, value z_j) noexcept nogil:
    return back_j * sigmoid_derivative(z_j)


# (18)  dE_n/dw_ji = e_j x_i, i = 0..D, x_D = 1: added to a row, as it is or times a factor
cdef inline void add_gradient_w(value *row, value error_j, const value *x, Py_ssize_t D) noexcept nogil:
    add_scaled(row, error_j, x, D)
    row[D] = row[D] + error_j


# Before a batch: u_ji <- momentum u_ji - decay w_ji. The batch takes its gradient off u, and then w_ji <- w_ji + u_ji:
# with momentum = decay = 0 that is (17).
cdef inline value carried_on(value u, value weight, value momentum, value decay) noexcept nogil:
    return momentum * u - decay * weight
