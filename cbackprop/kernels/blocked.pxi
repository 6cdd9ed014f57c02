# The blocked engine: the updates (17) of the direct engine, sample after sample, at the speed of matrix products.
#
# Inside a block of B samples w enters only through its products with x. With w as it was at the start of the block,
# G_nm = sum_i x_ni x_mi + 1 (the 1 is x_D x_D), and e_mj = alpha dE_m/db_j, the samples before n have changed w_ji by
# -sum_{m<n} e_mj x_mi. So the pre-activation that the direct engine would find at sample n is
#
#     b_nj = P_nj - sum_{m<n} e_mj G_nm,   P_nj = sum_i w_ji x_ni             products, then corrections
#
# and after the block  w_ji <- w_ji - sum_n e_nj x_ni                         updates
#
# Between the two, block_recurrence() takes the samples one after the other; v changes at every sample, as always. The
# sums are those of the direct engine, rounding aside, but with three passes over w for a block instead of three for a
# sample, and two of them are matrix products in register tiles. Errors carry the factor alpha from the start.
#
# With a penalty, each sample first shrinks all weights but the biases by the factor s = 1 - alpha l2:
#
#     b_nj = s^n (P_nj - w_jD) + w_jD - sum_{m<n} e_mj (s^(n-1-m) (G_nm - 1) + 1)
#     w_ji <- s^B w_ji - sum_n s^(B-1-n) e_nj x_ni,  w_jD <- w_jD - sum_n e_nj

cdef extern from "threads.h":
    ctypedef struct Barrier:
        long threads
    void barrier_wait(Barrier *barrier) noexcept nogil
    void run_team(Barrier *barrier, Py_ssize_t threads, void (*work)(void *, Py_ssize_t) noexcept nogil,
                  void *data) noexcept nogil
    long process_id() noexcept nogil

cdef enum:
    MAX_BLOCK = 128    # a multiple of every TILE_SAMPLES
    MAX_WIDTH_TOGETHER = 16    # vectors of hidden units
    MAX_INPUTS_PREFETCHED = 64
    REDUCTION = 30             # products of vectors that take as long as the sum over the lanes of one
    PASSES = 20                # products of all samples that take as long as the passes over a gradient
    POLL_OPS_BLOCKED = 30_000_000 * VEC_BYTES    # operations from one poll to the next; wide vectors do more at once

# Weights and scratch for an epoch, allocated once
cdef struct BlockedState:
    Layer hidden                 # w
    Layer output                 # v by columns, for batches
    Functions functions
    vec *v                       # v by rows: [K, padded][hidden.stride]
    vec *v_bias                  # [output.width]
    Py_ssize_t block             # samples in a block, a multiple of TILE_SAMPLES
    bint online                  # sample by sample: learn_online ...
    bint fused                   # ... or, in blocks of one sample, learn_fused
    bint accumulates             # updates are formed in the velocity: batches longer than a block, momentum, l2
    bint adaptive                # alpha by row-wise AdaGrad, with sums of squares ...
    vec *s_w                     # ... [hidden.width]
    vec *s_v                     # ... [output.width]
    vec *alpha_v                 # [output.width], for batches
    vec *changes                 # [block][output.stride], for small batches: alpha times the errors in y
    real *gram_z                 # [block][block], for small batches: the Gram matrix of z
    bint finish_batches          # an interrupted batch is finished, not discarded
    vec *e                       # [block][hidden.stride]: b (online P), then e
    vec *z                       # [block][hidden.stride]; online, of one sample, like a and y
    vec *a                       # [block][output.stride]
    vec *y                       # [block][output.stride]: y, then its error
    real *t                      # [K], padded
    const real **z_rows          # where z and y of each sample begin
    const real **y_rows
    real *sum_exp_minus_1        # [block], padded: for the logarithms in E_n
    real *gram                   # [block][block]
    real *shrinkage              # [block + 1]: powers of 1 - alpha l2
    void *memory
    Barrier barrier
    SignalPoll poll
    bint stopping                # what the first thread found in its poll, shared at the next barrier


cdef Py_ssize_t carve_blocked(BlockedState *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                              char *memory) noexcept nogil:
    cdef Py_ssize_t used = 0, block = net.block
    cdef Py_ssize_t held = 1 if net.online else block    # samples whose outputs are held at once
    cdef bint by_gram = net.adaptive and not net.online and not net.accumulates
    carve_layer(&net.hidden, D, M, net.accumulates, memory, &used)
    carve_layer(&net.output, M, K, net.accumulates, memory, &used)
    net.e = <vec *> arena_alloc(memory, &used, block * net.hidden.stride * sizeof(vec))
    net.v = <vec *> arena_alloc(memory, &used, padded(K) * net.hidden.stride * sizeof(vec))
    net.z = <vec *> arena_alloc(memory, &used, held * net.hidden.stride * sizeof(vec))
    net.v_bias = <vec *> arena_alloc(memory, &used, net.output.width * sizeof(vec))
    net.a = <vec *> arena_alloc(memory, &used, held * net.output.stride * sizeof(vec))
    net.y = <vec *> arena_alloc(memory, &used, held * net.output.stride * sizeof(vec))
    net.t = <real *> arena_alloc(memory, &used, net.output.width * sizeof(vec))
    net.z_rows = <const real **> arena_alloc(memory, &used, held * sizeof(real *))
    net.y_rows = <const real **> arena_alloc(memory, &used, held * sizeof(real *))
    net.alpha_v = <vec *> arena_alloc(memory, &used, net.output.width * sizeof(vec) if net.adaptive else 0)
    net.sum_exp_minus_1 = <real *> arena_alloc(memory, &used, padded(block) * sizeof(real))
    net.gram = <real *> arena_alloc(memory, &used, block * block * sizeof(real) if net.online or by_gram else 0)
    net.gram_z = <real *> arena_alloc(memory, &used, block * block * sizeof(real) if by_gram else 0)
    net.changes = <vec *> arena_alloc(memory, &used, block * net.output.stride * sizeof(vec) if by_gram else 0)
    net.shrinkage = <real *> arena_alloc(memory, &used, (block + 1) * sizeof(real))
    return used


# Whether the sums of squares of a batch's mean gradient take less time from the products of its B samples with each
# other, of x and of z, than from the gradient, which is written, read twice and added to the weights
cdef bint gram_is_faster(Py_ssize_t B, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    return <double> B * B * (D + M + REDUCTION * LANES) <= PASSES * <double> M * D


# Allocates the state for batches of one size, or for gradients and forward passes. False if there is no memory.
cdef bint blocked_init(BlockedState *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t block,
                       Functions functions, const LearningRule *rule) noexcept nogil:
    cdef bint plain = rule.momentum == 0 and rule.l2 == 0
    cdef char *memory
    cdef Py_ssize_t n
    net.block = (min(block, <Py_ssize_t> MAX_BLOCK) + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES
    net.online = rule.batch_size == 1 and rule.momentum == 0
    net.fused = net.online and plain and block == 1 and M <= TILE_VECS * LANES and K <= LANES
    net.adaptive = rule.adaptive
    net.accumulates = not net.online and (rule.batch_size > net.block or not plain
                                          or (rule.adaptive and not gram_is_faster(rule.batch_size, D, M)))
    net.barrier.threads = 1
    net.functions = functions
    memory = arena_create(carve_blocked(net, D, M, K, NULL), &net.memory)
    if memory == NULL:
        return False
    carve_blocked(net, D, M, K, memory)
    set_mask(&net.hidden)
    for n in range(1 if net.online else net.block):
        net.z_rows[n] = <const real *> (net.z + n * net.hidden.stride)
        net.y_rows[n] = <const real *> (net.y + n * net.output.stride)
    set_interval(&net.poll, D, M, K, POLL_OPS_BLOCKED)
    return True


# ------------------------------------------------------------------------------------------------------ the weights


cdef void load_panels(BlockedState *net, const real *w, const real *v) noexcept nogil:
    load_layer(&net.hidden, net.hidden.weights, w)
    load_layer(&net.output, net.output.weights, v)
    copy_output_rows(net, 0, net.hidden.units)


cdef void store_panels(const BlockedState *net, real *w, real *v) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, k
    store_layer(&net.hidden, net.hidden.weights, w)
    for k in range(net.output.units):
        memcpy(v + k * (M + 1), net.v + k * net.hidden.stride, M * sizeof(real))
        v[k * (M + 1) + M] = (<const real *> net.v_bias)[k]


# v by rows from v by columns, for the hidden units from `begin` to `end`
cdef void copy_output_rows(BlockedState *net, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, p, j, k, start, width
    cdef const real *panel
    for p in range(net.output.panels):
        start = panel_start(&net.output, p) * LANES
        width = panel_start(&net.output, p + 1) * LANES - start
        panel = <const real *> net.output.weights + start * (M + 1)
        for k in range(min(width, net.output.units - start)):
            for j in range(begin, end):
                (<real *> (net.v + (start + k) * net.hidden.stride))[j] = panel[j * width + k]
            if end == M:
                (<real *> net.v_bias)[start + k] = panel[M * width + k]


cdef bint panels_are_finite(const BlockedState *net) noexcept nogil:
    cdef const Layer *hidden = &net.hidden
    cdef Py_ssize_t K = net.output.units
    return (all_finite(<const real *> hidden.weights, (hidden.inputs + 1) * hidden.width * LANES)
            and all_finite(<const real *> net.v, K * hidden.stride * LANES)
            and all_finite(<const real *> net.v_bias, K))


# ------------------------------------------------------------------------------- what blocks and batches have in common


# Each hidden unit belongs to one thread, and with it all its sums, so results do not depend on the number of threads
cdef inline Py_ssize_t first_panel(const BlockedState *net, Py_ssize_t thread) noexcept nogil:
    return thread * net.hidden.panels // net.barrier.threads


cdef inline Py_ssize_t first_unit(const BlockedState *net, Py_ssize_t thread) noexcept nogil:
    return min(panel_start(&net.hidden, first_panel(net, thread)) * LANES, net.hidden.units)


# The inputs of the samples from `first` on; the last tile is filled up with the last row
cdef inline void gather_rows(const SampleSet *samples, Py_ssize_t first, Py_ssize_t count,
                             const real **rows) noexcept nogil:
    cdef Py_ssize_t n
    for n in range((count + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES):
        rows[n] = inputs_of(samples, first + min(n, count - 1))


# sum_n log(1 + sum_exp_minus_1), each times the sample's weight: the second term of (1), in vectors of samples. It is
# added to the losses of the samples, too.
cdef double sum_of_logs(BlockedState *net, const SampleSet *samples, Py_ssize_t first,
                        Py_ssize_t count) noexcept nogil:
    cdef real *logs = net.sum_exp_minus_1
    cdef double total = 0
    cdef Py_ssize_t n
    for n in range(padded(count) // LANES):
        (<vec *> logs)[n] = log1p((<vec *> logs)[n])
    for n in range(count):
        total += logs[n] * weight_of(samples, first + n)
        if samples.losses != NULL:
            samples.losses[first + n] += logs[n]
    return total


# Polls for signals, between two barriers at which the other threads wait. A signal handler may fork: the child has no
# other threads, so the first one continues with all the work.
cdef void poll_signals(BlockedState *net, Py_ssize_t samples) noexcept nogil:
    cdef bint alone = net.barrier.threads == 1
    cdef long process = 0 if alone else process_id()
    net.stopping = should_stop(&net.poll, samples)
    if not alone and process_id() != process:
        net.barrier.threads = 1


# ---------------------------------------------------------------------------------------------------- online learning


# G_nm for all m <= n of a block: this thread's rows of tiles
cdef void gram(const BlockedState *net, const real *const *x, Py_ssize_t count, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t n = 4 * thread, m
    while n < count:
        for m in range(0, n + 1, 4):
            gram_tile(x + n, x + m, net.gram + n * net.block + m, net.block, net.hidden.inputs)
        n += 4 * net.barrier.threads


# z_nj = h(P_nj - sum_{m<n} e_mj G_nm) of one panel of hidden units
cdef inline void corrected_activation(int hidden, const vec *e, Py_ssize_t stride, const real *gram_n, Py_ssize_t n,
                                      vec *z, const vec *mask, int width) noexcept nogil:
    cdef vec b[TILE_VECS]
    cdef Py_ssize_t m
    cdef int j
    for j in range(width):
        b[j] = e[n * stride + j]
    for m in range(n):
        for j in range(width):
            b[j] = b[j] - e[m * stride + j] * gram_n[m]
    for j in range(width):
        z[j] = vec_mask(h(hidden, b[j]), mask[j])


# z of sample n of a block, after those before it
cdef inline void hidden_in_order(BlockedState *net, Py_ssize_t n) noexcept nogil:
    cdef const real *gram_n = net.gram + n * net.block
    cdef Py_ssize_t stride = net.hidden.stride, p, start, width
    cdef const vec *mask = net.hidden.mask
    cdef int hidden = net.functions.hidden
    for p in range(net.hidden.panels):
        start = panel_start(&net.hidden, p)
        width = panel_start(&net.hidden, p + 1) - start
        if width == 1:
            corrected_activation(hidden, net.e + start, stride, gram_n, n, net.z + start, mask + start, 1)
        elif width == 2:
            corrected_activation(hidden, net.e + start, stride, gram_n, n, net.z + start, mask + start, 2)
        else:
            corrected_activation(hidden, net.e + start, stride, gram_n, n, net.z + start, mask + start, TILE_VECS)


# (13)  a_k = sum_j v_kj z_j in vectors along j, of QUARTER outputs at a time, whose sums over lanes are taken together;
# of many hidden units, one output at a time, since a long sum is faster in parts. z of padding is 0.
cdef inline void output_sums(const BlockedState *net, const vec *z, vec *a, Py_ssize_t width,
                             Py_ssize_t output_width) noexcept nogil:
    cdef vec sum[QUARTER]
    cdef sixteen_bytes parts[PARTS]
    cdef const vec *v
    cdef Py_ssize_t stride = net.hidden.stride, k, j
    cdef int part, c
    if width > MAX_WIDTH_TOGETHER:
        for k in range(net.output.units):
            (<real *> a)[k] = dot((<real *> net.v_bias)[k], <const real *> (net.v + k * stride), <const real *> z,
                                  width * LANES)
        return
    for k in range(output_width):
        for part in range(PARTS):
            v = net.v + (k * LANES + part * QUARTER) * stride
            for c in range(QUARTER):
                sum[c] = v[c * stride] * z[0]
            for j in range(1, width):
                for c in range(QUARTER):
                    sum[c] = sum[c] + v[c * stride + j] * z[j]
            parts[part] = vec_reduce_add_each(sum)
        a[k] = net.v_bias[k] + vec_join(parts)


# (18)  e_j = (sum_k (y_k - t_k) v_kj) h'(b_j) for all j, given y_k - t_k, times alpha or not, in y; and (17) with (16):
# v_kj <- v_kj - alpha_k (y_k - t_k) z_j - alpha l2 v_kj, given alpha_k (y_k - t_k) in changes and alpha l2 in decay. In
# vectors along j; each v_kj is read before it is written.
cdef inline void hidden_error_in_order(const BlockedState *net, const real *y, const real *changes, const vec *z,
                                       vec *e, real decay, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t stride = net.hidden.stride, j, k
    cdef vec *v
    cdef vec sum, change
    for j in range(width):
        sum = vec_broadcast(0)
        v = net.v + j
        for k in range(net.output.units):
            sum = sum + v[0] * y[k]
            change = z[j] * changes[k]
            if decay != 0:
                change = change + v[0] * decay
            v[0] = v[0] - change
            v += stride
        e[j] = sum * h_derivative(net.functions.hidden, z[j])


# The mean of z_j^2, j = 0..M, z_M = 1. z of padding is 0.
cdef inline real mean_square_in_vectors(const vec *z, Py_ssize_t M, Py_ssize_t width) noexcept nogil:
    cdef vec sum = vec_broadcast(0)
    cdef Py_ssize_t j
    for j in range(width):
        sum += z[j] * z[j]
    return (vec_reduce_add(sum) + ONE) / (M + 1)


# g_j <- alpha_j g_j by row-wise AdaGrad, in vectors along j
cdef inline void adapt_in_vectors(vec *changes, const vec *g, vec *s, real mean_square, real learning_rate,
                                  Py_ssize_t width) noexcept nogil:
    cdef vec mean = vec_broadcast(mean_square), alpha = vec_broadcast(learning_rate)
    cdef Py_ssize_t j
    for j in range(width):
        s[j] = sum_of_squares(s[j], g[j], mean)
        changes[j] = adaptive_rate(alpha, s[j]) * g[j]


# From z to e of sample n of the block that starts at `first`: (13), y, (12), and (17) for v. Returns E_n but for its
# logarithm, for which sum_exp_minus_1 is kept. mean_square_x is for row-wise AdaGrad, which leaves alpha_k (y_k - t_k)
# in a.
cdef inline double outputs_in_order(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                                    Py_ssize_t first, Py_ssize_t n, real mean_square_x, const vec *z, vec *a, vec *y,
                                    vec *e, real decay, Py_ssize_t width, Py_ssize_t output_width) noexcept nogil:
    cdef int output = net.functions.output
    cdef real max_a, weight = weight_of(samples, first + n)
    cdef double E_n
    cdef Py_ssize_t k
    load_target(samples, first + n, net.t)
    output_sums(net, z, a, width, output_width)
    net.sum_exp_minus_1[n] = output_function_in_vectors(output, a, y, &max_a, net.output.units, output_width)
    E_n = sum_of_error_terms_in_vectors(output, <const vec *> net.t, a, max_a, output_width)
    record_loss(samples, first + n, E_n)
    if net.adaptive:
        output_errors_in_vectors(y, <const vec *> net.t, weight, output_width)
        adapt_in_vectors(a, y, net.s_v, mean_square_in_vectors(z, net.hidden.units, width), rule.learning_rate,
                         output_width)
        for k in range(output_width):
            net.v_bias[k] = net.v_bias[k] - a[k]
        hidden_error_in_order(net, <const real *> y, <const real *> a, z, e, decay, width)
        adapt_in_vectors(e, e, net.s_w, mean_square_x, rule.learning_rate, width)
    else:
        output_errors_in_vectors(y, <const vec *> net.t, rule.learning_rate * weight, output_width)
        for k in range(output_width):
            net.v_bias[k] = net.v_bias[k] - y[k]
        hidden_error_in_order(net, <const real *> y, <const real *> y, z, e, decay, width)
    return weight * E_n


# Sample n of a block of `count`, after those before it, from P to e. Returns E_n but for its logarithm. Meanwhile the
# inputs of the next block are prefetched. A single vector of outputs stays in registers.
cdef inline double sample_in_order(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                                   Py_ssize_t first, Py_ssize_t count, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t width = net.hidden.width
    cdef real decay = rule.learning_rate * rule.l2
    cdef real mean_square_x = net.gram[n * net.block + n] / (net.hidden.inputs + 1)
    cdef vec *e = net.e + n * net.hidden.stride
    cdef vec a = vec_broadcast(0), y
    if first + count + n < samples.count:
        prefetch_row(inputs_of(samples, first + count + n), net.hidden.inputs)
    hidden_in_order(net, n)
    if net.output.width == 1:
        return outputs_in_order(net, samples, rule, first, n, mean_square_x, net.z, &a, &y, e, decay, width, 1)
    return outputs_in_order(net, samples, rule, first, n, mean_square_x, net.z, net.a, net.y, e, decay, width,
                            net.output.width)


# The samples of a block, one after the other. Returns the sum of E_n.
cdef double block_recurrence(BlockedState *net, const SampleSet *samples, const LearningRule *rule, Py_ssize_t first,
                             Py_ssize_t count) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t n
    for n in range(count):
        total += sample_in_order(net, samples, rule, first, count, n)
    return total + sum_of_logs(net, samples, first, count)


# (1 - alpha l2)^n: what the penalty leaves of a weight after n samples
cdef void set_shrinkage(BlockedState *net, const LearningRule *rule) noexcept nogil:
    cdef double s = 1 - <double> rule.learning_rate * rule.l2, power = 1
    cdef Py_ssize_t n
    for n in range(net.block + 1):
        net.shrinkage[n] = <real> power
        power *= s


# With s^n = shrinkage[n]: P_nj <- s^n (P_nj - w_jD) + w_jD of one panel
cdef void shrink_products(const BlockedState *net, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(&net.hidden, p), stride = net.hidden.stride, n, j
    cdef Py_ssize_t width = panel_start(&net.hidden, p + 1) - start
    cdef const vec *bias = net.hidden.weights + share_start(&net.hidden, p, net.hidden.inputs)
    cdef vec *P = net.e + start
    cdef real s
    for n in range(count):
        s = net.shrinkage[n]
        for j in range(width):
            P[n * stride + j] = P[n * stride + j] * s + bias[j] * (ONE - s)


# G_nm <- s^(n-1-m) (G_nm - 1) + 1 of this thread's rows of tiles
cdef void shrink_gram(const BlockedState *net, Py_ssize_t count, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t first = 4 * thread, n, m
    cdef real *gram_n
    cdef real s
    while first < count:
        for n in range(first, min(first + 4, count)):
            gram_n = net.gram + n * net.block
            for m in range(n):
                s = net.shrinkage[n - 1 - m]
                gram_n[m] = s * gram_n[m] + (ONE - s)
        first += 4 * net.barrier.threads


# w_ji <- s^B w_ji and e_nj <- s^(B-1-n) e_nj of one panel, before the update by e; the bias gets what the e_nj lose
cdef void shrink_panel(const BlockedState *net, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(&net.hidden, p), stride = net.hidden.stride, n, j
    cdef Py_ssize_t width = panel_start(&net.hidden, p + 1) - start
    cdef vec *panel = net.hidden.weights + share_start(&net.hidden, p, 0)
    cdef vec *bias = panel + net.hidden.inputs * width
    cdef vec *e = net.e + start
    cdef real s
    for n in range(count):
        s = net.shrinkage[count - 1 - n]
        for j in range(width):
            bias[j] = bias[j] - e[n * stride + j] * (ONE - s)
            e[n * stride + j] = e[n * stride + j] * s
    for j in range(net.hidden.inputs * width):
        panel[j] = panel[j] * net.shrinkage[count]


# (17) sample by sample, block after block. Every thread calls it; the first returns the sum of E_n.
cdef double learn_online(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                         Py_ssize_t thread) noexcept nogil:
    cdef const real *rows[MAX_BLOCK]
    cdef Py_ssize_t first = 0, size, p
    cdef double total = 0
    while first < samples.count:
        size = min(net.block, samples.count - first)
        gather_rows(samples, first, size, rows)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            layer_sums(&net.hidden, rows, net.e, p, size)
            if rule.l2 != 0:
                shrink_products(net, p, size)
        gram(net, rows, size, thread)
        if rule.l2 != 0:
            shrink_gram(net, size, thread)
        barrier_wait(&net.barrier)
        if thread == 0:
            total += block_recurrence(net, samples, rule, first, size)
            poll_signals(net, size)
        barrier_wait(&net.barrier)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            if rule.l2 != 0:
                shrink_panel(net, p, size)
            layer_updates(&net.hidden, net.hidden.weights, rows, net.e, p, 0, net.hidden.inputs, size)
        if net.stopping:
            break
        first += size
    return total
