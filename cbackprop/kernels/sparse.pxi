# The sparse engine: rows of which few inputs are not 0. It works on the user's own w, of which a sample touches only
# the weights of its non-zeros, with either order in memory:
#
#   order="F"   the units of an input lie side by side, so that each non-zero takes few cache lines
#   order="C"   the inputs of a unit do: each non-zero takes a cache line for each unit
#
# Updates are those of the direct engine without the terms that are 0: i runs over the non-zeros of a row, and duplicate
# indices add up. w is updated in place, without a copy to restore, so an update is made only if every weight stays
# finite.
#
# An L2 penalty shrinks all weights of w at every update. They are stored divided by a common factor instead, `scale`,
# and only the factor shrinks: w_ji is scale times what is stored at (j, i), biases apart.

cdef extern from *:
    """
    #define MIN_SCALE 1e-6 /* stored weights are multiplied by a smaller factor, lest they overflow */
    """
    const double MIN_SCALE

cdef enum:
    ROWS_AHEAD = 2         # samples whose weights are prefetched
    NON_ZEROS_AHEAD = 8    # and, after these, whose non-zeros are
    ROWS = 4               # samples whose rows are held

cdef struct SparseRow:
    const real *x                # [nnz], non-zeros
    Py_ssize_t *at               # [nnz], where the weights of their inputs begin
    Py_ssize_t nnz
    bint valid                   # all inputs exist

cdef struct SparseNet:
    Net net                      # without the tables of the rows of w
    real *w                      # w_ji is at w[i * input_stride + j * unit_stride]
    Py_ssize_t input_stride, unit_stride
    Py_ssize_t lines             # cache lines of the weights of an input
    double scale                 # of l2
    real alpha                   # of (17), for errors e that do not carry it
    SparseRow rows[ROWS]         # of sample n at n % ROWS
    real *sums                   # [D], 0, for row-wise AdaGrad
    Py_ssize_t gathered          # samples before this one have been gathered
    real *e                      # [batch_size][M], of a batch
    real *dv                     # [K][M+1], its update of v
    Py_ssize_t *slots            # [D], for row-wise AdaGrad: 1 + the place of an input in what follows, or 0
    Py_ssize_t *inputs           # [most_inputs], of a batch
    real *dw                     # [most_inputs + 1][M], its mean gradient, of the biases last
    Py_ssize_t most_inputs


# ----------------------------------------------------------------------------------------------------- the equations


# b_j = sum_i w_ji x_i, x_D = 1, where w_ji is at w[at[i] + j * stride]
cdef void hidden_sum_sparse(const real *w, const SparseRow *row, Py_ssize_t bias, Py_ssize_t stride, real scale,
                            real *b, Py_ssize_t M) noexcept nogil:
    cdef const Py_ssize_t *at = row.at
    cdef const real *x = row.x
    cdef vec sums[4]
    cdef vec zero = vec_broadcast(0)
    cdef real b_j, x_i
    cdef Py_ssize_t nnz = row.nnz, i, j = 0, c
    if stride == 1:
        while j + 4 * LANES <= M:
            for c in range(4):
                sums[c] = zero
            for i in range(nnz):
                x_i = scale * x[i]
                for c in range(4):
                    sums[c] += (<const vec *> (w + at[i] + j))[c] * x_i
            for c in range(4):
                (<vec *> (b + j))[c] = sums[c] + (<const vec *> (w + bias + j))[c]
            j += 4 * LANES
        while j + LANES <= M:
            sums[0], sums[1], sums[2], sums[3] = zero, zero, zero, zero
            i = 0
            if nnz >= LANES:    # fewer are added one after the other
                while i + 4 <= nnz:
                    for c in range(4):
                        sums[c] += (<const vec *> (w + at[i + c] + j))[0] * (scale * x[i + c])
                    i += 4
            while i < nnz:
                sums[0] += (<const vec *> (w + at[i] + j))[0] * (scale * x[i])
                i += 1
            (<vec *> (b + j))[0] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + (<const vec *> (w + bias + j))[0]
            j += LANES
    while j < M:
        b_j = 0
        for i in range(nnz):
            b_j += w[at[i] + j * stride] * (scale * x[i])
        b[j] = b_j + w[bias + j * stride]
        j += 1


# (18)  dE_n/dw_ji = e_j x_i, x_D = 1: added to dw, times `factor`; -alpha makes it (17)
cdef void gradient_w_sparse(real *dw, real factor, const real *e, const SparseRow *row, Py_ssize_t bias,
                            Py_ssize_t stride, double scale, Py_ssize_t M) noexcept nogil:
    cdef const Py_ssize_t *at = row.at
    cdef const real *x = row.x
    cdef real factor_of_x = <real> (factor / scale), e_j
    cdef vec e_vec
    cdef Py_ssize_t nnz = row.nnz, i, j = 0
    if stride == 1:
        while j + LANES <= M:
            e_vec = (<const vec *> (e + j))[0]
            (<vec *> (dw + bias + j))[0] += factor * e_vec
            e_vec = factor_of_x * e_vec
            for i in range(nnz):
                (<vec *> (dw + at[i] + j))[0] += e_vec * x[i]
            j += LANES
    while j < M:
        dw[bias + j * stride] += factor * e[j]
        e_j = factor_of_x * e[j]
        for i in range(nnz):
            dw[at[i] + j * stride] += e_j * x[i]
        j += 1


# ---------------------------------------------------------------------------------------------------------- the rows


# Prefetches the weights of an input
cdef inline void prefetch_input(const SparseNet *net, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t step = 64 // sizeof(real) if net.unit_stride == 1 else net.unit_stride, c
    for c in range(net.lines):
        prefetch_row(net.w + at + c * step, 1)


# 1/(D+1) sum_i x_i^2, x_D = 1, for row-wise AdaGrad, where an input that comes several times has the sum of its values.
# In a row in order none does.
cdef void set_mean_square(SparseNet *net, const SparseRow *row) noexcept nogil:
    cdef Py_ssize_t c = 1
    if net.net.s_w == NULL:
        return
    while c < row.nnz and row.at[c - 1] < row.at[c]:
        c += 1
    net.net.mean_square_x = (ONE + (dot(row.x, row.x, row.nnz) if c >= row.nnz
                                    else sum_of_distinct_squares(net, row))) / (net.net.D + 1)


# sum_i x_i^2 of inputs in any order, each with the sum of its values
cdef real sum_of_distinct_squares(const SparseNet *net, const SparseRow *row) noexcept nogil:
    cdef real *sums = net.sums
    cdef real total = 0
    cdef Py_ssize_t c, i
    for c in range(row.nnz):
        sums[row.at[c] // net.input_stride] += row.x[c]
    for c in range(row.nnz):
        i = row.at[c] // net.input_stride
        total += sums[i] * sums[i]
        sums[i] = 0
    return total


# Where the weights of sample n are. Inputs are checked here, too, since another thread may change them meanwhile.
cdef inline void gather_row(const SparseNet *net, const SampleSet *samples, Py_ssize_t n,
                            SparseRow *row) noexcept nogil:
    cdef Py_ssize_t begin = samples.indptr[row_of(samples, n)], c
    cdef int64_t i
    row.nnz = samples.indptr[row_of(samples, n) + 1] - begin
    row.x = samples.x + begin
    row.valid = True
    for c in range(row.nnz):
        i = input_of(samples, begin + c)
        if not 0 <= i < net.net.D:
            row.valid, i = False, 0
        row.at[c] = i * net.input_stride
        prefetch_input(net, row.at[c])


# Prefetches the non-zeros of sample n, which lie anywhere if samples are shuffled
cdef inline void prefetch_nonzeros(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t begin = samples.indptr[row_of(samples, n)], nnz = samples.indptr[row_of(samples, n) + 1] - begin
    prefetch_row(samples.x + begin, nnz)
    if samples.indices32 != NULL:
        prefetch_row(<const real *> (samples.indices32 + begin), nnz * sizeof(int32_t) // sizeof(real))
    else:
        prefetch_row(<const real *> (samples.indices64 + begin), nnz * sizeof(int64_t) // sizeof(real))


# The row of sample n, of samples that are taken one after the other. Prefetches the weights of the next ones, and the
# non-zeros of those after them.
cdef inline const SparseRow *next_row(SparseNet *net, const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    while net.gathered < min(n + 1 + ROWS_AHEAD, samples.count):
        gather_row(net, samples, net.gathered, &net.rows[net.gathered % ROWS])
        net.gathered += 1
        if net.gathered + NON_ZEROS_AHEAD < samples.count:
            prefetch_nonzeros(samples, net.gathered + NON_ZEROS_AHEAD)
    return &net.rows[n % ROWS]


# ------------------------------------------------------------------------------------------------------------- passes


# b, z, a and y of one sample
cdef inline void forward_sparse(SparseNet *net, const SparseRow *row) noexcept nogil:
    hidden_sum_sparse(net.w, row, net.net.D * net.input_stride, net.unit_stride, <real> net.scale, net.net.b,
                      net.net.M)
    forward_from_sums(&net.net)


# E_n of sample n, and e
cdef inline void backpropagate_sparse(SparseNet *net, const SampleSet *samples, Py_ssize_t n,
                                      const SparseRow *row) noexcept nogil:
    load_target(samples, n, net.net.t)
    forward_sparse(net, row)
    compute_errors(&net.net)
    if not row.valid:
        net.net.E_n = NAN


# alpha of (17), or with row-wise AdaGrad, whose mean square is set, e_j <- alpha_j e_j and alpha = 1
cdef inline void adapt_rates_sparse(SparseNet *net) noexcept nogil:
    cdef Net *dense = &net.net
    cdef Py_ssize_t j
    if dense.s_w == NULL:
        set_rates(dense)
        net.alpha = dense.learning_rate * dense.weight
        return
    adapt_rates_of_units(dense)
    for j in range(dense.M):
        dense.e[j] = dense.alpha_w[j] * dense.e[j]
    net.alpha = 1


# (17) for w, of one sample
cdef inline void update_w_sparse(SparseNet *net, const SparseRow *row, const real *e) noexcept nogil:
    gradient_w_sparse(net.w, -net.alpha, e, row, net.net.D * net.input_stride, net.unit_stride, net.scale, net.net.M)


# (17) for v and w
cdef inline void update_weights_sparse(SparseNet *net, const SparseRow *row) noexcept nogil:
    cdef Net *dense = &net.net
    update_v(dense.v, dense.y, dense.t, dense.z, dense.alpha_v, dense.M, dense.K)
    update_w_sparse(net, row, dense.e)
    store_squares(dense)


# Whether all weights of a row stay finite if (17) is applied
cdef bint sparse_update_is_finite(const SparseNet *net, const SparseRow *row) noexcept nogil:
    cdef real largest_e = <real> (net.alpha * max_abs(net.net.e, net.net.M) / net.scale)
    return update_is_finite(&net.net, largest_e, max_abs(row.x, row.nnz))


# The same of one sample, whose target is set, only if E_n and all weights stay finite. Returns E_n, or infinity.
cdef double step_row_if_finite(SparseNet *net, const SparseRow *row) noexcept nogil:
    set_mean_square(net, row)
    forward_sparse(net, row)
    compute_errors(&net.net)
    adapt_rates_sparse(net)
    if not sparse_update_is_finite(net, row):
        return INFINITY
    update_weights_sparse(net, row)
    return net.net.E_n


# (17) sample by sample. Returns the sum of E_n, each before its own update; NaN where it or a weight would not be
# finite, with the weights from before that sample.
cdef double learn_online_sparse(SparseNet *state, const SampleSet *samples, const LearningRule *rule,
                                SignalPoll *poll) noexcept nogil:
    cdef SparseNet local = state[0]
    cdef SparseNet *net = &local
    cdef Net *dense = &net.net
    cdef const SparseRow *row
    cdef real decay = decay_of(rule, 1)
    cdef double total = 0
    cdef Py_ssize_t n
    net.gathered, dense.learning_rate = 0, rule.learning_rate
    for n in range(samples.count):
        row = next_row(net, samples, n)
        dense.weight = weight_of(samples, n)
        set_mean_square(net, row)
        backpropagate_sparse(net, samples, n, row)
        adapt_rates_sparse(net)
        total += dense.weight * dense.E_n
        record_loss(samples, n, dense.E_n)
        if not (isfinite(total) and decay <= 1 and sparse_update_is_finite(net, row)):
            total = NAN
            break
        if decay != 0:
            decay_sparse(net, decay)
        update_weights_sparse(net, row)
        if should_stop(poll, 1):
            break
    apply_scale(net)
    return total


# (17) with the mean gradient (3) of a batch, whose errors all come before the first update. Returns the sum of E_n, or
# NaN, as above; an interrupted batch is discarded.
cdef double learn_batch_sparse(SparseNet *net, const SampleSet *samples, const LearningRule *rule, Py_ssize_t first,
                               Py_ssize_t size, real total_weight, SignalPoll *poll) noexcept nogil:
    cdef real decay = decay_of(rule, total_weight)
    cdef real factor = (ONE if rule.adaptive else rule.learning_rate) / total_weight
    cdef double total = batch_errors_sparse(net, samples, first, size, factor, poll)
    if poll.stop:
        return total
    if not (isfinite(total) and decay <= 1):
        return NAN
    if not rule.adaptive:
        update_batch_sparse(net, samples, first, size, decay)
        return total
    return total if adapt_batch_sparse(net, samples, first, size, rule.learning_rate, decay) else NAN


# The errors of a batch, each times its share of the update, and the update of v. Returns the sum of E_n; NaN if it or
# an updated weight would not be finite.
cdef double batch_errors_sparse(SparseNet *net, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                                real factor, SignalPoll *poll) noexcept nogil:
    cdef Net *dense = &net.net
    cdef const SparseRow *row
    cdef double total = 0
    cdef real *e
    cdef real largest = 0
    cdef Py_ssize_t M = dense.M, K = dense.K, n, j, k
    memset(net.dv, 0, K * (M + 1) * sizeof(real))
    net.gathered, dense.learning_rate = first, factor
    for n in range(first, first + size):
        row = next_row(net, samples, n)
        backpropagate_sparse(net, samples, n, row)
        dense.weight = weight_of(samples, n)
        set_rates(dense)
        total += dense.weight * dense.E_n
        record_loss(samples, n, dense.E_n)
        e = net.e + (n - first) * M
        for j in range(M):
            e[j] = dense.alpha_w[j] * dense.e[j]
        if not (isfinite(total) and all_finite(e, M) and sums_are_finite(dense)):
            return NAN
        update_v(dense.u_v, dense.y, dense.t, dense.z, dense.alpha_v, M, K)
        largest = maximum(largest, <real> (max_abs(e, M) * maximum(max_abs(row.x, row.nnz), ONE) / net.scale))
        if should_stop(poll, 1):
            return total
    for k in range(K):
        if not (all_finite(dense.u_v[k], M + 1) and max_abs(dense.u_v[k], M + 1) < MAX_UPDATE):
            return NAN
    return total if largest < MAX_UPDATE else NAN


# (17) for v and w, of a whole batch, whose errors carry alpha
cdef void update_batch_sparse(SparseNet *net, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                              real decay) noexcept nogil:
    cdef Py_ssize_t n, k
    net.alpha = 1
    if decay != 0:
        decay_sparse(net, decay)
    for k in range(net.net.K):
        end_update(net.net.v[k], net.net.u_v[k], net.net.M + 1)
    net.gathered = first
    for n in range(first, first + size):
        update_w_sparse(net, next_row(net, samples, n), net.e + (n - first) * net.net.M)


# The same with row-wise AdaGrad, for which the gradients of an input that comes several times are added up first.
# False, with nothing changed, if not all stays finite.
cdef bint adapt_batch_sparse(SparseNet *net, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                             real learning_rate, real decay) noexcept nogil:
    cdef Net *dense = &net.net
    cdef Py_ssize_t M = dense.M, K = dense.K, count = gather_gradients(net, samples, first, size), c, j, k
    cdef Py_ssize_t bias = dense.D * net.input_stride
    cdef const real *dw
    for j in range(M):
        dense.next_s_w[j] = 0
    for c in range(count + 1):
        dw = net.dw + (c if c < count else net.most_inputs) * M
        for j in range(M):
            dense.next_s_w[j] += dw[j] * dw[j]
    for j in range(M):
        dense.next_s_w[j] = sum_of_squares(dense.s_w[j], ONE, dense.next_s_w[j] / (dense.D + 1))
        dense.alpha_w[j] = adaptive_rate(learning_rate, dense.next_s_w[j])
    for k in range(K):
        dense.next_s_v[k] = sum_of_squares(dense.s_v[k], ONE, dot(dense.u_v[k], dense.u_v[k], M + 1) / (M + 1))
        dense.alpha_v[k] = adaptive_rate(learning_rate, dense.next_s_v[k])
    if not squares_are_finite(dense):
        return False
    if decay != 0:
        decay_sparse(net, decay)
    for k in range(K):
        begin_update(dense.u_v[k], dense.v[k], dense.alpha_v[k], 0, M)
        end_update(dense.v[k], dense.u_v[k], M + 1)
    for c in range(count + 1):
        dw = net.dw + (c if c < count else net.most_inputs) * M
        for j in range(M):
            if c < count:
                net.w[net.inputs[c] + j * net.unit_stride] -= dense.alpha_w[j] * dw[j] / <real> net.scale
            else:
                net.w[bias + j * net.unit_stride] -= dense.alpha_w[j] * dw[j]
    store_squares(dense)
    return True


# The mean gradient of a batch in dw, given its errors. Returns how many inputs it has.
cdef Py_ssize_t gather_gradients(SparseNet *net, const SampleSet *samples, Py_ssize_t first,
                                 Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t M = net.net.M, count = 0, n, c, j, i
    cdef const SparseRow *row
    cdef const real *e
    cdef real *biases = net.dw + net.most_inputs * M
    cdef real *dw
    memset(biases, 0, M * sizeof(real))
    net.gathered = first
    for n in range(first, first + size):
        row = next_row(net, samples, n)
        e = net.e + (n - first) * M
        for j in range(M):
            biases[j] += e[j]
        for c in range(row.nnz):
            i = row.at[c] // net.input_stride
            if net.slots[i] == 0:
                net.inputs[count] = row.at[c]
                memset(net.dw + count * M, 0, M * sizeof(real))
                count += 1
                net.slots[i] = count
            dw = net.dw + (net.slots[i] - 1) * M
            for j in range(M):
                dw[j] += e[j] * row.x[c]
    for c in range(count):
        net.slots[net.inputs[c] // net.input_stride] = 0
    return count


# The decay of an L2 penalty: v at once, w by its scale; biases have none
cdef inline void decay_sparse(SparseNet *net, real decay) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(net.net.K):
        decay_velocity(net.net.v[k], net.net.v[k], 1, decay, net.net.M)
    net.scale *= 1 - <double> decay
    if net.scale < MIN_SCALE:
        apply_scale(net)


# Multiplies the stored weights by their scale, which becomes 1
cdef void apply_scale(SparseNet *net) noexcept nogil:
    cdef Py_ssize_t D = net.net.D, M = net.net.M, i, j
    cdef real scale = <real> net.scale
    if net.scale == 1:
        return
    if net.unit_stride == 1:
        for i in range(D):
            decay_velocity(net.w + i * net.input_stride, net.w + i * net.input_stride, scale, 0, M)
    else:
        for j in range(M):
            decay_velocity(net.w + j * net.unit_stride, net.w + j * net.unit_stride, scale, 0, D)
    net.scale = 1


# -------------------------------------------------------------------------------------------------------------- memory


# Where the weights are, which are not copied: w by unit or, if it is by columns, by input
cdef inline void bind_weights(SparseNet *net, const Weights *weights) noexcept nogil:
    cdef Py_ssize_t size = net.net.M * sizeof(real)
    net.w, net.scale = <real *> weights.w, 1
    net.input_stride, net.unit_stride = weights.input_stride, weights.unit_stride
    net.lines = net.net.M
    if net.unit_stride == 1:    # one more where an input does not begin with a line
        net.lines = size // 64
        if size % 64 != 0 or <uintptr_t> net.w % 64 != 0 or net.input_stride * sizeof(real) % 64 != 0:
            net.lines += 1
    set_rows(net.net.v, <real *> weights.v, net.net.K, weights.output_stride)
    net.net.s_w, net.net.s_v = <real *> weights.s_w, <real *> weights.s_v


# For rows of up to `longest` non-zeros
cdef Py_ssize_t carve_sparse(SparseNet *net, const LearningRule *rule, Py_ssize_t longest,
                             char *memory) noexcept nogil:
    cdef Py_ssize_t D = net.net.D, M = net.net.M, K = net.net.K, used = carve(&net.net, memory), n
    cdef Py_ssize_t batch_size = rule.batch_size
    cdef bint gathers = rule.adaptive and batch_size > 1
    for n in range(ROWS):
        net.rows[n].at = <Py_ssize_t *> arena_alloc(memory, &used, longest * sizeof(Py_ssize_t))
    net.sums = <real *> arena_alloc(memory, &used, D * sizeof(real) if rule.adaptive else 0)
    net.e = <real *> arena_alloc(memory, &used, batch_size * M * sizeof(real) if batch_size > 1 else 0)
    net.dv = <real *> arena_alloc(memory, &used, K * (M + 1) * sizeof(real))
    net.most_inputs = min(D, batch_size * longest) if gathers else 0
    net.slots = <Py_ssize_t *> arena_alloc(memory, &used, D * sizeof(Py_ssize_t) if gathers else 0)
    net.inputs = <Py_ssize_t *> arena_alloc(memory, &used, net.most_inputs * sizeof(Py_ssize_t) if gathers else 0)
    net.dw = <real *> arena_alloc(memory, &used, (net.most_inputs + 1) * M * sizeof(real) if gathers else 0)
    return used


# --------------------------------------------------------------------------------------------------------------- class


cdef class SparseEngine(SampleEngine):
    """Learns from sparse rows of up to `block` non-zeros, on the user's own arrays, with w by rows or by columns."""

    cdef SparseNet net
    cdef const SparseRow *row                # of the sample at hand
    cdef real[:, ::1] memory_of_dw

    def __cinit__(self, *sizes, **settings):
        cdef Net *net = &self.net.net
        assert self.rule.momentum == 0
        net.D, net.M, net.K, net.functions = self.D, self.M, self.K, self.functions
        carve_sparse(&self.net, &self.rule, self.block,
                     self.allocate(carve_sparse(&self.net, &self.rule, self.block, NULL)))
        set_rows(net.u_v, self.net.dv, self.K, self.M + 1)
        set_interval(&self.poll, self.block, self.M, self.K, POLL_OPS)
        self.one = net
        self.supports = ("forward", "gradient", "sparse")

    cdef bint suits(self, const Rows *rows) noexcept:
        return not rows[1].columns

    cdef int bind(self) except -1:
        cdef Weights weights = weights_in(self.rows)
        bind_weights(&self.net, &weights)
        return 0

    # An update is made only if all stays finite
    cdef double learn_or_restore(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        cdef double total
        if self.rule.batch_size == 1:
            return learn_online_sparse(&self.net, samples, &self.rule, &self.poll)
        total = self.learn_batches(samples)
        apply_scale(&self.net)
        return total

    cdef double learn_batch(self, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                            real total_weight) noexcept nogil:
        return learn_batch_sparse(&self.net, samples, &self.rule, first, size, total_weight, &self.poll)

    cdef int save(self) except -1:
        return 0

    cdef bint forward_sample(self, const SampleSet *samples, Py_ssize_t n) noexcept nogil:
        if n == 0:
            self.net.gathered = 0
        self.row = next_row(&self.net, samples, n)
        forward_sparse(&self.net, self.row)
        return self.row.valid

    # The gradient lies in memory as w does
    cdef tuple gradients(self):
        cdef Rows *w = &self.rows[0]
        self.memory_of_dw = np.zeros((w.count, w.stride), DTYPE)
        dw = np.asarray(self.memory_of_dw)[:, :w.length]
        return dw.T if w.columns else dw, np.asarray(<real[:self.K, :self.M + 1]> self.net.dv)

    cdef void add_gradient(self) noexcept nogil:
        cdef const Net *net = self.one
        gradient_v(net.u_v, net.y, net.t, net.z, net.M, net.K)
        gradient_w_sparse(&self.memory_of_dw[0, 0], 1, net.e, self.row, net.D * self.net.input_stride,
                          self.net.unit_stride, 1, net.M)

    cdef double gradient_of_set(self, const SampleSet *samples) noexcept nogil:
        cdef const Rows *w = &self.rows[0]
        cdef real *dw = &self.memory_of_dw[0, 0]
        cdef double E
        cdef Py_ssize_t c
        memset(self.net.dv, 0, self.K * (self.M + 1) * sizeof(real))
        E = self.pass_over(samples, True)
        for c in range(w.count * w.stride):
            dw[c] /= samples.count
        mean_gradient(self.one.u_v, samples.count, self.M, self.K)
        return E
