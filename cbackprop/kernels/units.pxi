# (13) to (18) of one sample with hidden units, and outputs, side by side in the lanes of vectors: what the lanes and
# the blocked engine, and calls for one sample, do between b and e. The sums over j are taken in vectors, whose lanes
# are added last; everything else is the equation, LANES elements at a time.
#
# Each operation here waits for the one before, so the chain from b to e is kept short. Exponentials are taken without
# shifting them into their range: whether they lie in it is seen beside the chain, and only those that do not are
# shifted. y_k = e_k / S with e_k = e^a_k and S = sum_l e_l is not formed, since
#
#     y_k - t_k = (e_k - t_k S) / S
#
# and the division by S, one factor of all errors, is done while the sum over k in (18) is.

cdef enum:
    MAX_WIDTH_TOGETHER = 16    # vectors of hidden units
    TOGETHER = 4               # networks
    TILE_WIDTH = 4             # vectors of hidden units whose sums are in registers

cdef extern from *:
    """
    /* |a_k| whose exponentials, and the products of errors with them, neither overflow nor become subnormal */
    #define MAX_LOGIT (sizeof(REAL) == 4 ? (REAL)40 : (REAL)300)
    """
    const real MAX_LOGIT

# The layers of a network from z on. Padding units have weights of 0; their z is masked.
cdef struct Units:
    Py_ssize_t M, K
    Functions functions
    vec *mask                    # [width]: which lanes are hidden units
    vec *output_mask             # [output_width]: which are outputs
    vec **v                      # [K] rows of whole vectors; padded to a multiple of QUARTER by the last
    vec *bias                    # [output_width], v_kM
    vec *s_w                     # [width], sums of squares of row-wise AdaGrad; NULL if alpha is the same for all units
    vec *s_v                     # [output_width]

# The symbols of one sample, whose memory is the engine's: vectors of hidden units and of outputs
cdef struct Symbols:
    vec *b                       # [width]
    vec *z
    vec *e                       # alpha_j dE_n/db_j
    vec *a                       # [output_width]
    vec *t                       # with softmax outputs and a class index, masks of its lane
    vec *error                   # of (12)
    vec *change                  # alpha_k (y_k - t_k)
    Py_ssize_t label             # the class index, or -1 with a row of targets
    vec others                   # with softmax outputs and a class index t, -error_t; and e^a_t, or NaN
    real e_t


cdef void carve_symbols(Symbols *s, Py_ssize_t width, Py_ssize_t output_width, char *memory,
                        Py_ssize_t *used) noexcept nogil:
    s.b, s.z, s.e = carve_vecs(memory, used, width), carve_vecs(memory, used, width), carve_vecs(memory, used, width)
    s.a, s.t = carve_vecs(memory, used, output_width), carve_vecs(memory, used, output_width)
    s.error, s.change = carve_vecs(memory, used, output_width), carve_vecs(memory, used, output_width)


# Which lanes of as many vectors as n units take are units
cdef void set_masks(vec *masks, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t q
    for q in range(padded(n) // LANES):
        masks[q] = vec_tail_mask(min(n - q * LANES, <Py_ssize_t> LANES))


# Where rows of vectors begin, so many numbers apart; the table is padded to whole vectors by the last
cdef inline void set_unit_rows(vec **rows, real *first, Py_ssize_t count, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(padded(count)):
        rows[row] = <vec *> (first + min(row, count - 1) * stride)


# z_j = h(b_j), and 0 of padding
cdef inline void hidden_in_lanes(const Units *net, vec *b, vec *z, Py_ssize_t width) noexcept nogil:
    cdef vec limit = vec_broadcast(EXP_MAX)
    cdef Py_ssize_t j
    for j in range(width):
        if not vec_within(b[j], limit):
            b[j] = b_in_range(net.functions.hidden, b[j])
        z[j] = vec_mask(h_in_range(net.functions.hidden, b[j]), net.mask[j])


# (13)  a_k = sum_j v_kj z_j, of QUARTER outputs at a time, whose sums over lanes are taken together; of many hidden
# units, one output at a time, since a long sum is faster in parts. Lanes beyond the last output repeat others.
cdef inline void output_sum_in_lanes(const Units *net, const vec *z, vec *a, Py_ssize_t width,
                                     Py_ssize_t output_width) noexcept nogil:
    cdef vec sum[QUARTER]
    cdef sixteen_bytes parts[PARTS]
    cdef vec *const *v
    cdef Py_ssize_t q, k, j
    cdef int part, c
    if width > MAX_WIDTH_TOGETHER:
        a[output_width - 1] = vec_broadcast(0)
        for k in range(net.K):
            (<real *> a)[k] = (<const real *> net.bias)[k] + dot(<const real *> net.v[k], <const real *> z,
                                                                 width * LANES)
        return
    for q in range(output_width):
        for part in range(PARTS):
            k = q * LANES + part * QUARTER
            if part > 0 and k >= net.K:
                parts[part] = parts[part - 1]
                continue
            v = net.v + k
            for c in range(QUARTER):
                sum[c] = vec_broadcast(0) + v[c][0] * z[0]    # rounded as those that follow
            for j in range(1, width):
                for c in range(QUARTER):
                    sum[c] = sum[c] + v[c][j] * z[j]
            parts[part] = vec_reduce_add_each(sum)
        a[q] = net.bias[q] + vec_join(parts)


# (12)  y_k - t_k, times S with softmax outputs; returns the factor alpha / S then, else alpha. 0 of padding.
cdef inline vec output_error_in_lanes(const Units *net, Symbols *s, real alpha, Py_ssize_t output_width) noexcept nogil:
    cdef Py_ssize_t k
    s.e_t = NAN
    if net.functions.output == SOFTMAX:
        return vec_broadcast(alpha) / softmax_error_in_lanes(net, s, exp_in_lanes(net, s, output_width), output_width)
    for k in range(output_width):
        s.error[k] = vec_mask(output_error(output_of_logit(net.functions.output, s.a[k]), s.t[k]), net.output_mask[k])
    return vec_broadcast(alpha)


# e_k = e^a_k, and 0 of padding, in s.error; with a_k too large for that, e^(a_k - max_a). Returns whether they are
# e^a_k.
cdef inline bint exp_in_lanes(const Units *net, Symbols *s, Py_ssize_t output_width) noexcept nogil:
    cdef vec limit = vec_broadcast(MAX_LOGIT), shift
    cdef bint within = True
    cdef Py_ssize_t k
    for k in range(output_width):
        within = within and vec_within(vec_mask(s.a[k], net.output_mask[k]), limit)
    if within:
        for k in range(output_width):
            s.error[k] = vec_mask(exp_in_range(s.a[k]), net.output_mask[k])
    else:
        shift = largest_of(s.a, net.K, output_width)
        for k in range(output_width):
            s.error[k] = vec_mask(exp(s.a[k] - shift), net.output_mask[k])
    return within


# With a class index t, S - e_t = O is the sum of the others: error_t is -O, and (1) is log(1 + O / e_t), with the odds
# against t; so nothing cancels. Then the error of t is left out of s.error. Returns S.
cdef inline vec softmax_error_in_lanes(const Units *net, Symbols *s, bint within,
                                       Py_ssize_t output_width) noexcept nogil:
    cdef vec sum
    cdef real e_t
    cdef Py_ssize_t k
    for k in range(0 if s.label < 0 else output_width):
        s.change[k] = s.error[k]
        s.error[k] = vec_mask_out(s.error[k], s.t[k])
    sum = s.error[0]
    for k in range(1, output_width):
        sum = sum + s.error[k]
    sum = vec_sum_of_lanes(sum)
    if s.label < 0:
        for k in range(output_width):
            s.error[k] = s.error[k] - s.t[k] * sum
        return sum
    e_t = (<real *> s.change)[s.label]
    s.others, s.e_t = sum, e_t if within else NAN
    return sum + vec_broadcast(e_t)


# The largest a_k, in all lanes
cdef inline vec largest_of(const vec *a, Py_ssize_t K, Py_ssize_t width) noexcept nogil:
    cdef vec largest = vec_mask_tail(a[width - 1], K - (width - 1) * LANES)
    cdef Py_ssize_t k
    for k in range(width - 1):
        largest = maximum(a[k], largest)
    return vec_max_of_lanes(largest)


# A number of one network in all lanes, or a vector of those of several
cdef inline vec in_all_lanes(scalar_or_vec a) noexcept nogil:
    if scalar_or_vec is real:
        return vec_broadcast(a)
    else:
        return a


# sum_k (y_k - t_k) v_kj, of `width` vectors of units from j on
cdef inline void error_sum_of_width(const Units *net, const scalar_or_vec *error, vec *e, Py_ssize_t j,
                                    int width) noexcept nogil:
    cdef vec sum[2][TILE_WIDTH]
    cdef vec error_k
    cdef Py_ssize_t k
    cdef int c
    for c in range(width):
        sum[0][c], sum[1][c] = vec_broadcast(0), vec_broadcast(0)
    for k in range(0, net.K - 1, 2):    # two sums, since each multiply-add waits for the one before
        error_k = in_all_lanes(error[k])
        for c in range(width):
            sum[0][c] = sum[0][c] + net.v[k][j + c] * error_k
        error_k = in_all_lanes(error[k + 1])
        for c in range(width):
            sum[1][c] = sum[1][c] + net.v[k + 1][j + c] * error_k
    if net.K & 1:
        error_k = in_all_lanes(error[net.K - 1])
        for c in range(width):
            sum[0][c] = sum[0][c] + net.v[net.K - 1][j + c] * error_k
    for c in range(width):
        e[j + c] = sum[0][c] + sum[1][c]


# (18)  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j), times a factor; 0 of padding. With softmax outputs and a class index t,
# error_t is 0, and -others v_tj is added last: so the sum over k need not wait for that over the lanes.
cdef inline void hidden_error_in_lanes(const Units *net, const scalar_or_vec *error, Py_ssize_t label, vec others,
                                       const vec *z, vec factor, vec *e, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t j = 0
    while width - j >= TILE_WIDTH:
        error_sum_of_width(net, error, e, j, TILE_WIDTH)
        j += TILE_WIDTH
    if width - j == 3:
        error_sum_of_width(net, error, e, j, 3)
    elif width - j == 2:
        error_sum_of_width(net, error, e, j, 2)
    elif width - j == 1:
        error_sum_of_width(net, error, e, j, 1)
    for j in range(width if label >= 0 else 0):
        e[j] = e[j] - net.v[label][j] * others
    for j in range(width):
        e[j] = e[j] * vec_mask(h_derivative(net.functions.hidden, z[j]), net.mask[j]) * factor


# (16) (17)  v_kj <- v_kj - change_k z_j, change_k = alpha (y_k - t_k), after the decay of a penalty; biases have none.
# One among the lanes of a row is written over in the end: it is in `bias`.
cdef inline void update_v_in_lanes(const Units *net, const scalar_or_vec *change, const vec *z, real decay,
                                   Py_ssize_t width, Py_ssize_t output_width) noexcept nogil:
    cdef vec change_k
    cdef vec *v
    cdef Py_ssize_t j, k
    for k in range(net.K):
        v, change_k = net.v[k], in_all_lanes(change[k])
        if decay != 0:
            for j in range(width):
                v[j] = v[j] - v[j] * decay
        for j in range(width):    # without a condition inside: then the compiler rounds all units alike
            v[j] = v[j] - z[j] * change_k
    for k in range(output_width):
        net.bias[k] = net.bias[k] - (<const vec *> change)[k]


# Row-wise AdaGrad: g_j <- alpha_j g_j, where g_j times the inputs is the gradient
cdef inline void adapt_in_lanes(vec *g, vec *s, vec mean_square, vec learning_rate, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(width):
        s[j] = sum_of_squares(s[j], g[j], mean_square)
        g[j] = adaptive_rate(learning_rate, s[j]) * g[j]


# 1/(M+1) sum_{j=0..M} z_j^2,  z_M = 1
cdef inline real mean_square_in_lanes(const vec *z, Py_ssize_t M, Py_ssize_t width) noexcept nogil:
    cdef vec sum = vec_broadcast(0)
    cdef Py_ssize_t j
    for j in range(width):
        sum = sum + z[j] * z[j]
    return (vec_reduce_add(sum) + ONE) / (M + 1)


# alpha of one sample: the learning rate; the weight of the sample; and 1/(D+1) sum_i x_i^2, for row-wise AdaGrad
cdef struct Rates:
    real learning_rate, weight, mean_square_x


# t_k: a row of targets, or if that is NULL a class index
cdef inline void target_in_lanes(Symbols *s, const real *row, Py_ssize_t label, Py_ssize_t K,
                                 Py_ssize_t output_width) noexcept nogil:
    cdef Py_ssize_t k
    if row == NULL:
        for k in range(output_width):
            s.t[k] = vec_lane_mask(label - k * LANES)
        s.label = label
    else:
        s.t[output_width - 1] = vec_broadcast(0)
        memcpy(s.t, row, K * sizeof(real))
        s.label = -1


# From z and t to the changes of v and e, of `count` networks: step by step, so that while one waits for an
# operation, the others are computed
cdef inline void backpropagate_in_lanes(const Units *const *nets, Symbols *s, const Rates *rates, int count,
                                        Py_ssize_t width, Py_ssize_t output_width) noexcept nogil:
    cdef const Units *net
    cdef vec factor[TOGETHER]
    cdef vec learning_rate, error
    cdef real alpha
    cdef Py_ssize_t k
    cdef int r
    for r in range(count):
        output_sum_in_lanes(nets[r], s[r].z, s[r].a, width, output_width)
    for r in range(count):
        net = nets[r]
        alpha = rates[r].weight if net.s_w != NULL else rates[r].learning_rate * rates[r].weight
        factor[r] = output_error_in_lanes(net, &s[r], alpha, output_width)
        for k in range(output_width):
            error = s[r].error[k] if s[r].label < 0 else s[r].error[k] - vec_mask(s[r].others, s[r].t[k])
            s[r].change[k] = error * factor[r]
    for r in range(count):
        net = nets[r]
        hidden_error_in_lanes(net, <const real *> s[r].error, s[r].label, s[r].others, s[r].z, factor[r], s[r].e, width)
        if net.s_w != NULL:
            learning_rate = vec_broadcast(rates[r].learning_rate)
            adapt_in_lanes(s[r].change, net.s_v, vec_broadcast(mean_square_in_lanes(s[r].z, net.M, width)),
                           learning_rate, output_width)
            adapt_in_lanes(s[r].e, net.s_w, vec_broadcast(rates[r].mean_square_x), learning_rate, width)


# E_n but for the logarithm in (1), whose argument less 1 is kept: logarithms are taken in vectors of samples
cdef inline double error_in_lanes(const Units *net, const Symbols *s, real *sum_exp_minus_1,
                                  Py_ssize_t output_width) noexcept nogil:
    cdef real max_a = 0
    cdef Py_ssize_t k
    if s.e_t > 0:
        sum_exp_minus_1[0] = (<const real *> &s.others)[0] / s.e_t
        return 0
    if s.label >= 0:
        for k in range(output_width):
            s.t[k] = vec_mask(vec_broadcast(1), s.t[k])
    mask_logits(net.functions.output, s.a, net.K, output_width)
    sum_exp_minus_1[0] = 0
    if net.functions.output == SOFTMAX:
        sum_exp_minus_1[0] = sum_exp_in_vectors(s.a, NULL, &max_a, output_width)
    return sum_of_error_terms_in_vectors(net.functions.output, s.t, s.a, max_a, output_width)
