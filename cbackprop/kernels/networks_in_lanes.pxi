# The lanes engine with networks in lanes: small networks of one shape that learn the same class indices.
#
# A vector holds the same number of all networks in place of the units of one. So no lane is padding, and the passes of
# lanes.pxi and units.pxi are those of a network with as many vectors as units. The sums over units have the order that
# they have in lanes, so a network learns the same bits by itself and with others. Where some e^a_k would leave its
# range, learn_block() learns them all instead.

cdef enum:
    MAX_WEIGHTS_TOGETHER = 256    # of a network, w and v: so many vectors stay in the first-level cache

cdef struct Networks:
    LanesNet *const *nets
    int count
    LanesNet all                         # their layers: as many vectors as units
    vec weights[MAX_WEIGHTS_TOGETHER]    # w by input, v by output, padded, and its biases
    vec squares[MAX_WIDTH + MAX_OUTPUT_WIDTH]
    vec mask[MAX_WIDTH]
    vec *v[MAX_OUTPUT_WIDTH]
    vec learning_rate
    bint weighted                        # some samples have weights
    vec odds[SAMPLES_PER_BLOCK]          # against the class index


# How many networks from the first of `count` on can be learned in lanes; 0 where they are too few to be faster
cdef int networks_in_lanes(LanesNet *const *nets, Py_ssize_t count) noexcept nogil:
    cdef const LanesNet *net = nets[0]
    cdef const Units *units = &net.units
    cdef int size = 0
    if (units.M * (net.D + 1) + units.K * (padded(units.M) + 1) > MAX_WEIGHTS_TOGETHER or units.M > MAX_WIDTH
            or units.K > min(<Py_ssize_t> LANES, <Py_ssize_t> MAX_OUTPUT_WIDTH)
            or net.samples.labels == NULL or units.functions.output != SOFTMAX or net.rule.l2 != 0):
        return 0
    while size < min(count, <Py_ssize_t> LANES) and is_alike(net, nets[size]):
        size += 1
    return size if size > 1 and 2 * size >= LANES else 0


cdef inline bint is_alike(const LanesNet *net, const LanesNet *other) noexcept nogil:
    return (net.units.M == other.units.M and net.units.K == other.units.K
            and net.units.functions.hidden == other.units.functions.hidden
            and net.units.functions.output == other.units.functions.output
            and net.samples.labels == other.samples.labels and net.rule.l2 == other.rule.l2
            and net.rule.adaptive == other.rule.adaptive)


cdef void networks_init(Networks *group, LanesNet *const *nets, int count) noexcept nogil:
    cdef LanesNet *all = &group.all
    cdef Py_ssize_t D = nets[0].D, M = nets[0].units.M, K = nets[0].units.K, c
    memset(group, 0, sizeof(Networks))    # lanes without a network, too
    group.nets, group.count, all[0] = nets, count, nets[0][0]
    all.w, all.stride, all.width, all.output_width = <real *> group.weights, M * LANES, M, K
    all.units.v, all.units.mask, all.units.bias = group.v, group.mask, group.weights + M * (D + 1) + K * padded(M)
    all.units.s_w, all.units.s_v = group.squares if all.rule.adaptive else NULL, group.squares + M
    for c in range(K):
        group.v[c] = group.weights + M * (D + 1) + c * padded(M)
    set_masks(group.mask, M * LANES)
    for c in range(count):
        (<real *> &group.learning_rate)[c] = nets[c].rule.learning_rate
        group.weighted = group.weighted or nets[c].samples.sample_weight != NULL
    copy_networks(group, True)


# From the arrays of all networks to their lanes, or back
cdef void copy_networks(Networks *group, bint load) noexcept nogil:
    cdef const LanesNet *net
    cdef Py_ssize_t D = group.all.D, M = group.all.units.M, K = group.all.units.K, i, k
    cdef int r
    cdef real *lane
    for r in range(group.count):
        net, lane = group.nets[r], <real *> group.weights + r
        for i in range(D + 1):
            lane = copy_numbers(lane, net.w + i * net.stride, M, load)
        for k in range(K):
            copy_numbers(<real *> group.v[k] + r, <real *> net.units.v[k], M, load)
        copy_numbers(<real *> group.all.units.bias + r, <real *> net.units.bias, K, load)
        if net.units.s_w != NULL:
            lane = copy_numbers(<real *> group.squares + r, <real *> net.s_w, M, load)
            copy_numbers(lane, <real *> net.s_v, K, load)


# Returns where the lane continues
cdef inline real *copy_numbers(real *lane, real *numbers, Py_ssize_t count, bint load) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(count):
        if load:
            lane[c * LANES] = numbers[c]
        else:
            numbers[c] = lane[c * LANES]
    return lane + count * LANES


# The sum of LANES vectors, in the order of vec_reduce_add() and vec_sum_of_lanes()
cdef inline vec sum_as_of_lanes(vec *sum) noexcept nogil:
    cdef int half = LANES // 2, lane
    while half > 0:
        for lane in range(half):
            sum[lane] = sum[lane] + sum[lane + half]
        half //= 2
    return sum[0]


# sum_j p_j q_j in the order of units in lanes; n is a multiple of LANES
cdef inline vec dot_as_in_lanes(const vec *p, const vec *q, Py_ssize_t n) noexcept nogil:
    cdef vec sum[LANES]
    cdef Py_ssize_t j = LANES
    cdef int lane
    for lane in range(LANES):
        sum[lane] = vec_broadcast(0) + p[lane] * q[lane]
    while j < n:
        for lane in range(LANES):
            sum[lane] = sum[lane] + p[j + lane] * q[j + lane]
        j += LANES
    return sum_as_of_lanes(sum)


# (13), and the errors of softmax outputs as in softmax_error_in_lanes(). False where some e^a_k would leave its range.
cdef inline bint output_errors_of_networks(const Units *net, Symbols *s, vec *odds, vec *S) noexcept nogil:
    cdef vec others[LANES]
    cdef vec limit = vec_broadcast(MAX_LOGIT), e_t, a_k
    cdef Py_ssize_t k
    for k in range(LANES):
        others[k] = vec_broadcast(0)
    for k in range(net.K):
        a_k = net.bias[k] + dot_as_in_lanes(net.v[k], s.z, padded(net.M))
        if not vec_within(a_k, limit):
            return False
        s.error[k] = others[k] = exp_in_range(a_k)
    e_t = s.error[s.label]
    s.error[s.label] = others[s.label] = vec_broadcast(0)
    s.others = sum_as_of_lanes(others)
    odds[0] = s.others / e_t
    S[0] = s.others + e_t
    return True


# learn_block() of all networks. False where it must be used; then what the group has learned is invalid.
cdef bint learn_block_of_networks(Networks *group, Py_ssize_t first, Py_ssize_t size) noexcept nogil:
    cdef LanesNet *all = &group.all
    cdef Units *units = &all.units
    cdef const SampleSet *samples = &all.samples
    cdef Py_ssize_t M = units.M, K = units.K, n, j, k
    cdef LanesScratch scratch
    cdef Symbols s = symbols_of(&scratch)
    cdef vec gram, S, factor, weight = vec_broadcast(1)
    cdef const real *x
    cdef const real *x_m = inputs_of(samples, first)
    cdef int r
    for j in range(padded(M)):
        s.z[j] = s.e[j] = vec_broadcast(0)
    for n in range(first, first + size):
        x = inputs_of(samples, n)
        pass_over_w(pass_of(all, &s, x, x_m), True, True, M)
        gram = vec_broadcast(ONE + dot(x_m, x, all.D))
        for j in range(M):
            s.b[j] = s.b[j] - s.e[j] * gram
        hidden_in_lanes(units, s.b, s.z, M)
        s.label = label_of(samples, n)
        if not output_errors_of_networks(units, &s, &group.odds[n - first], &S):
            return False
        for r in range(group.count if group.weighted else 0):
            (<real *> &weight)[r] = weight_of(&group.nets[r].samples, n)
        factor = (weight if all.rule.adaptive else group.learning_rate * weight) / S
        for k in range(K):
            s.change[k] = (vec_broadcast(0) - s.others if k == s.label else s.error[k]) * factor
        hidden_error_in_lanes(units, <const vec *> s.error, s.label, s.others, s.z, factor, s.e, M)
        if all.rule.adaptive:
            adapt_in_lanes(s.change, units.s_v, (dot_as_in_lanes(s.z, s.z, padded(M)) + ONE) / vec_broadcast(M + 1),
                           group.learning_rate, K)
            adapt_in_lanes(s.e, units.s_w, vec_broadcast(mean_square(x, all.D)), group.learning_rate, M)
        update_v_in_lanes(units, <const vec *> s.change, s.z, 0, M, K)
        x_m = x
    pass_over_w(pass_of(all, &s, NULL, x_m), False, True, M)
    return True


# (17) of a group of networks, sample by sample. False, with nothing learned, where learn_block() must be used.
cdef bint learn_networks(LanesNet *const *nets, int count, SignalPoll *poll) noexcept nogil:
    cdef Networks group
    cdef real logs[SAMPLES_PER_BLOCK]
    cdef double E[SAMPLES_PER_BLOCK]
    cdef Py_ssize_t first = 0, size, n
    cdef int r
    networks_init(&group, nets, count)
    memset(E, 0, sizeof(E))
    while first < nets[0].samples.count:
        size = min(nets[0].samples.count - first, <Py_ssize_t> SAMPLES_PER_BLOCK)
        if not learn_block_of_networks(&group, first, size):
            for r in range(count):
                nets[r].total = 0
            return False
        for r in range(count):
            for n in range(size):
                logs[n] = (<const real *> &group.odds[n])[r]
            nets[r].total += sum_of_errors(E, logs, &nets[r].samples, first, size)
        first += size
        if should_stop(poll, size * count):
            break
    copy_networks(&group, False)
    return True
