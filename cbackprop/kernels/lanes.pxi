# The lanes engine: networks of few units, whose layers are a few vectors, learn on their own arrays.
#
# The units of a layer lie in the lanes of vectors (units.pxi), so w is used by columns: the weights of one input side
# by side. The updates are those of the direct engine, sample after sample, but one pass over w both subtracts the
# update of the sample m before and takes the products with x_n, from w as it was before that. What the update changes
# in b is e_j G, so that the pass need not wait for e:
#
#     b_nj = sum_i w_ji x_ni - e_mj G_nm,   G_nm = sum_i x_mi x_ni + 1,   w_ji <- w_ji - e_mj x_mi,   m = n - 1
#
# With a penalty, all weights but the biases are first multiplied by 1 - alpha l2.
#
# Each operation of one sample waits for the one before. Therefore several networks, if there are, are taken together:
# while one waits, the others are computed. One network is the case R = 1. What a network learns does not depend on the
# others.

cdef enum:
    MAX_WIDTH = 16             # vectors of hidden units
    MAX_OUTPUT_WIDTH = 8       # vectors of outputs
    SAMPLES_PER_BLOCK = 64     # after which the last update is made, signals may be handled, and logarithms are taken

cdef struct LanesNet:
    Units units
    Py_ssize_t D, width, output_width
    real *w                    # [D+1] columns of whole vectors ...
    Py_ssize_t stride          # ... so far apart
    LearningRule rule
    SampleSet samples          # with the weights and the losses of this network
    double total               # of E_n
    real *user_s_w             # accumulators, or NULL
    real *user_s_v
    vec *s_w                   # scratch of [width] and [output_width] vectors, for units.s_w and s_v
    vec *s_v

# What is in registers while a network learns; of several, in the first-level cache
cdef struct LanesScratch:
    vec b[MAX_WIDTH]
    vec z[MAX_WIDTH]
    vec e[MAX_WIDTH]
    vec a[MAX_OUTPUT_WIDTH]
    vec t[MAX_OUTPUT_WIDTH]
    vec error[MAX_OUTPUT_WIDTH]
    vec change[MAX_OUTPUT_WIDTH]


cdef inline Symbols symbols_of(LanesScratch *scratch) noexcept nogil:
    cdef Symbols s
    s.b, s.z, s.e = scratch.b, scratch.z, scratch.e
    s.a, s.t, s.error, s.change = scratch.a, scratch.t, scratch.error, scratch.change
    s.label, s.others, s.e_t = -1, vec_broadcast(0), NAN
    return s


# ------------------------------------------------------------------------------------------------- passes over w


# b_j = sum_i w_ji x_i + w_jD, if `sums`; and w_ji <- w_ji - e_j x_mi, if `updates`; of all i and so many vectors of
# units, which b, e and w begin with
cdef struct Pass:
    real *w
    Py_ssize_t stride, D
    const real *x
    const real *x_m
    vec *b
    const vec *e


cdef inline void pass_of_width(const Pass *p, bint sums, bint updates, int width) noexcept nogil:
    cdef vec sum[2][TILE_WIDTH]
    cdef vec e[TILE_WIDTH]    # in registers
    cdef vec *bias = <vec *> (p.w + p.D * p.stride)
    cdef Py_ssize_t i
    cdef int j
    for j in range(width):
        sum[0][j], sum[1][j] = bias[j], vec_broadcast(0)
        if updates:
            e[j] = p.e[j]
    for i in range(0, p.D - 1, 2):    # two sums, since each multiply-add waits for the one before
        pass_of_input(p, i, sums, updates, e, sum[0], width)
        pass_of_input(p, i + 1, sums, updates, e, sum[1], width)
    if p.D & 1:
        pass_of_input(p, p.D - 1, sums, updates, e, sum[0], width)
    for j in range(width):
        if updates:
            bias[j] = bias[j] - e[j]
        if sums:
            p.b[j] = sum[0][j] + sum[1][j]


cdef inline void pass_of_input(const Pass *p, Py_ssize_t i, bint sums, bint updates, const vec *e, vec *sum,
                               int width) noexcept nogil:
    cdef vec x_ni = vec_broadcast(p.x[i] if sums else 0), x_mi = vec_broadcast(p.x_m[i] if updates else 0), w_ji
    cdef vec *w_i = <vec *> (p.w + i * p.stride)
    cdef int j
    for j in range(width):
        w_ji = vec_in_register(w_i[j])
        if sums:
            sum[j] = sum[j] + w_ji * x_ni
        if updates:
            w_i[j] = w_ji - e[j] * x_mi


# Of all vectors, in tiles
cdef inline void pass_over_w(Pass p, bint sums, bint updates, Py_ssize_t width) noexcept nogil:
    while width >= TILE_WIDTH:
        pass_of_width(&p, sums, updates, TILE_WIDTH)
        p.w += TILE_WIDTH * LANES
        p.b += TILE_WIDTH
        p.e += TILE_WIDTH
        width -= TILE_WIDTH
    if width == 3:
        pass_of_width(&p, sums, updates, 3)
    elif width == 2:
        pass_of_width(&p, sums, updates, 2)
    elif width == 1:
        pass_of_width(&p, sums, updates, 1)


cdef inline Pass pass_of(const LanesNet *net, const Symbols *s, const real *x, const real *x_m) noexcept nogil:
    return Pass(net.w, net.stride, net.D, x, x_m, s.b, s.e)


# A penalty: w_ji <- (1 - decay) w_ji, i < D
cdef void shrink_w(const LanesNet *net) noexcept nogil:
    decay_velocity(net.w, net.w, ONE - decay_of(&net.rule, 1), 0, net.D * net.stride)


# ------------------------------------------------------------------------------------------------- online learning


# (17) of `count` networks by `size` samples from `first` on
cdef inline void learn_block(LanesNet *const *nets, Py_ssize_t first, Py_ssize_t size, int count, Py_ssize_t width,
                             Py_ssize_t output_width) noexcept nogil:
    cdef LanesScratch scratch[TOGETHER]
    cdef Symbols s[TOGETHER]
    cdef Rates rates[TOGETHER]
    cdef const Units *units[TOGETHER]
    cdef real logs[TOGETHER][SAMPLES_PER_BLOCK]
    cdef double E[TOGETHER][SAMPLES_PER_BLOCK]
    cdef LanesNet *net
    cdef Py_ssize_t D = nets[0].D, n, j
    cdef const real *x
    cdef const real *x_m = inputs_of(&nets[0].samples, first)
    cdef real gram
    cdef int r
    for r in range(count):
        s[r], units[r] = symbols_of(&scratch[r]), &nets[r].units
        rates[r] = Rates(nets[r].rule.learning_rate, 1, 0)
        for j in range(width):
            s[r].e[j] = vec_broadcast(0)
    for n in range(size):
        x = inputs_of(&nets[0].samples, first + n)
        gram = ONE + dot(x_m, x, D)
        for r in range(count):
            net = nets[r]
            if net.rule.l2 != 0 and n > 0:
                shrink_w(net)
            pass_over_w(pass_of(net, &s[r], x, x_m), True, True, width)
            for j in range(width):
                s[r].b[j] = s[r].b[j] - s[r].e[j] * gram
        for r in range(count):
            hidden_in_lanes(units[r], s[r].b, s[r].z, width)
        for r in range(count):
            load_in_lanes(nets[r], first + n, &s[r], &rates[r], output_width)
        backpropagate_in_lanes(units, s, rates, count, width, output_width)
        for r in range(count):
            net = nets[r]
            update_v_in_lanes(units[r], <const real *> s[r].change, s[r].z, decay_of(&net.rule, 1), width, output_width)
            E[r][n] = error_in_lanes(units[r], &s[r], &logs[r][n], output_width)
        x_m = x
    for r in range(count):
        net = nets[r]
        if net.rule.l2 != 0:
            shrink_w(net)
        pass_over_w(pass_of(net, &s[r], NULL, x_m), False, True, width)
        net.total += sum_of_errors(E[r], logs[r], &net.samples, first, size)


# The target and the weight of sample n
cdef inline void load_in_lanes(const LanesNet *net, Py_ssize_t n, Symbols *s, Rates *rates,
                               Py_ssize_t output_width) noexcept nogil:
    cdef const SampleSet *samples = &net.samples
    target_in_lanes(s, target_of(samples, n), label_of(samples, n), net.units.K, output_width)
    if samples.sample_weight != NULL:
        rates.weight = weight_of(samples, n)
    if net.units.s_w != NULL:
        rates.mean_square_x = mean_square(inputs_of(samples, n), net.D)


# The same with the sizes as constants, where they are small
cdef void learn_block_of(LanesNet *const *nets, Py_ssize_t first, Py_ssize_t size, int count) noexcept nogil:
    cdef Py_ssize_t width = nets[0].width, output_width = nets[0].output_width
    if output_width > 1 or width > TILE_WIDTH:
        learn_block(nets, first, size, 1, width, output_width)
    elif width == 1 and count > 1:
        learn_block(nets, first, size, count, 1, 1)
    elif width == 1:
        learn_block(nets, first, size, 1, 1, 1)
    elif width == 2 and count > 1:
        learn_block(nets, first, size, count, 2, 1)
    elif width == 2:
        learn_block(nets, first, size, 1, 2, 1)
    elif width == 3:
        learn_block(nets, first, size, 1, 3, 1)
    else:
        learn_block(nets, first, size, 1, 4, 1)


# How many networks from the first of `count` on are learned together
cdef int group_of(LanesNet *const *nets, Py_ssize_t count) noexcept nogil:
    cdef int size = 1
    if nets[0].width > 2 or nets[0].output_width > 1:
        return 1
    while size < min(count, <Py_ssize_t> TOGETHER) and (nets[size].width == nets[0].width
                                                        and nets[size].output_width == 1):
        size += 1
    return size


# (17) of all networks, sample by sample
cdef void learn_online_in_lanes(LanesNet *const *nets, Py_ssize_t count, SignalPoll *poll) noexcept nogil:
    cdef Py_ssize_t done = 0, first, size
    cdef int group
    while done < count:
        group = networks_in_lanes(nets + done, count - done)
        if group > 0 and learn_networks(nets + done, group, poll):
            done += group
            continue
        group = group_of(nets + done, count - done)
        first = 0
        while first < nets[0].samples.count:
            size = min(nets[0].samples.count - first, <Py_ssize_t> SAMPLES_PER_BLOCK)
            learn_block_of(nets + done, first, size, group)
            first += size
            if should_stop(poll, size * group):
                break
        done += group


# ------------------------------------------------------------------------------------------------- memory


# Vectors of a network, and where its weights are. Returns the bytes needed.
cdef Py_ssize_t carve_lanes(LanesNet *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, char *memory) noexcept nogil:
    cdef Py_ssize_t used = 0, width = padded(M) // LANES, output_width = padded(K) // LANES
    net.units.mask, net.units.output_mask = carve_vecs(memory, &used, width), carve_vecs(memory, &used, output_width)
    net.units.v = <vec **> arena_alloc(memory, &used, padded(K) * sizeof(vec *))
    net.D, net.units.M, net.units.K, net.width, net.output_width = D, M, K, width, output_width
    net.units.bias = carve_vecs(memory, &used, output_width)
    net.s_w, net.s_v = carve_vecs(memory, &used, width), carve_vecs(memory, &used, output_width)
    return used


cdef void init_lanes(LanesNet *net, Functions functions) noexcept nogil:
    net.units.functions = functions
    set_masks(net.units.mask, net.units.M)
    set_masks(net.units.output_mask, net.units.K)


# Whether vectors of units can be taken from such weights
cdef inline bint fits_lanes(const Weights *weights, Py_ssize_t M) noexcept nogil:
    return weights.unit_stride == 1 and weights.input_stride >= padded(M) and weights.output_stride >= padded(M)


cdef inline void bind_lanes(LanesNet *net, const Weights *weights) noexcept nogil:
    net.w, net.stride = <real *> weights.w, weights.input_stride
    set_unit_rows(net.units.v, <real *> weights.v, net.units.K, weights.output_stride)
    net.user_s_w, net.user_s_v = <real *> weights.s_w, <real *> weights.s_v
    net.units.s_w, net.units.s_v = net.s_w if weights.s_w != NULL else NULL, net.s_v


# What lies in the user's arrays one by one, and here in vectors: the biases, of QUARTER outputs at a time ...
cdef inline void load_biases(LanesNet *net, Py_ssize_t output_width) noexcept nogil:
    cdef sixteen_bytes parts[PARTS]
    cdef Py_ssize_t q, k
    cdef int part
    for q in range(output_width):
        for part in range(PARTS):
            k = q * LANES + part * QUARTER
            parts[part] = vec_of_each(net.units.v + k, net.units.M) if part == 0 or k < net.units.K else parts[part - 1]
        net.units.bias[q] = vec_join(parts)


cdef inline void store_biases(LanesNet *net) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(net.units.K):
        (<real *> net.units.v[k])[net.units.M] = (<const real *> net.units.bias)[k]


# ... and the sums of squares
cdef inline void load_squares(LanesNet *net) noexcept nogil:
    if net.units.s_w != NULL:
        memcpy(net.s_w, net.user_s_w, net.units.M * sizeof(real))
        memcpy(net.s_v, net.user_s_v, net.units.K * sizeof(real))


cdef inline void store_squares_in_lanes(LanesNet *net) noexcept nogil:
    if net.units.s_w != NULL:
        memcpy(net.user_s_w, net.s_w, net.units.M * sizeof(real))
        memcpy(net.user_s_v, net.s_v, net.units.K * sizeof(real))


# ------------------------------------------------------------------------------------------------- class


cdef class LanesEngine(Engine):
    """Learns sample by sample with units in lanes, on arrays with w by columns and v by rows of whole vectors."""

    cdef LanesNet net

    def __cinit__(self, *sizes, **settings):
        cdef Py_ssize_t D = self.D, M = self.M, K = self.K
        carve_lanes(&self.net, D, M, K, self.allocate(carve_lanes(&self.net, D, M, K, NULL)))
        init_lanes(&self.net, self.functions)
        assert self.net.width <= MAX_WIDTH and self.net.output_width <= MAX_OUTPUT_WIDTH
        assert self.rule.batch_size == 1 and self.rule.momentum == 0

    cdef bint suits(self, const Rows *rows) noexcept:
        cdef Weights weights = weights_in(rows)
        return rows[0].columns and not rows[1].columns and fits_lanes(&weights, self.M)

    cdef tuple make(self):
        return (np.zeros((self.D + 1, padded(self.M)), DTYPE)[:, :self.M].T,
                np.zeros((self.K, padded(self.M + 1)), DTYPE)[:, :self.M + 1])

    cdef int bind(self) except -1:
        cdef Weights weights = weights_in(self.rows)
        bind_lanes(&self.net, &weights)
        # with the padding, which becomes NaN where weights do and is restored with them
        self.rows[0].length, self.rows[1].length = padded(self.M), max(padded(self.M), self.M + 1)
        return 0

    cdef void begin(self, const SampleSet *samples) noexcept nogil:
        self.net.samples, self.net.rule, self.net.total = samples[0], self.rule, 0
        load_biases(&self.net, self.net.output_width)
        load_squares(&self.net)

    # Returns the sum of E_n
    cdef double end(self) noexcept nogil:
        store_biases(&self.net)
        store_squares_in_lanes(&self.net)
        return self.net.total

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        cdef LanesNet *net = &self.net
        self.begin(samples)
        learn_online_in_lanes(&net, 1, &self.poll)
        return self.end()

    @staticmethod
    def learn_together(list engines not None, list samples not None, const Py_ssize_t[::1] order not None,
                       const double[::1] learning_rates not None, list sums not None, list losses not None):
        """Let engines learn sample by sample as `learn`, several at once, each with its own samples of the same inputs.

        Those of the same width, one after the other, are the fastest. For each engine there is an array of one number
        in `sums`, for its sum of E_n, and one for each E_n, or None, in `losses`.
        """
        cdef Py_ssize_t R = len(engines), r
        cdef LanesEngine engine, first = engines[0]
        cdef SampleSet ordered
        cdef double[::1] E
        cdef LanesNet **nets = <LanesNet **> calloc(R, sizeof(LanesNet *))
        if nets == NULL:
            raise MemoryError(f"no memory for {R} networks")
        try:
            for r in range(R):
                engine, E = <LanesEngine?> engines[r], losses[r]
                ordered = engine.in_order(samples[r], order)
                assert engine.D == first.D
                if E is not None:
                    assert E.shape[0] == ordered.count
                    ordered.losses = &E[0]
                engine.save()
                engine.rule.learning_rate = learning_rates[r]
                engine.begin(&ordered)
                nets[r] = &engine.net
            with nogil:
                enter_kernel(&first.poll)
                learn_online_in_lanes(nets, R, &first.poll)
                leave_kernel(&first.poll)
        finally:
            free(nets)
        for r in range(R):
            engine = engines[r]
            sums[r][0] = engine.kept_or_restored(engine.end())
        check_error()
