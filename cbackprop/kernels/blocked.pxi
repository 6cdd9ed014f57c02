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
    MAX_INPUTS_PREFETCHED = 64
    REDUCTION = 30             # products of vectors that take as long as the sum over the lanes of one
    PASSES = 20                # products of all samples that take as long as the passes over a gradient
    POLL_OPS_BLOCKED = 30_000_000 * VEC_BYTES    # operations from one poll to the next; wide vectors do more at once

# Weights and scratch for an epoch, allocated once
cdef struct BlockedState:
    Layer hidden                 # w
    Layer output                 # v by columns, for batches
    vec *v                       # v by rows: [K][hidden.stride]
    Units units                  # the same, for one sample ...
    Symbols one                  # ... and its symbols
    Py_ssize_t block             # samples in a block, a multiple of TILE_SAMPLES
    bint online                  # sample by sample
    bint accumulates             # updates are formed in the velocity: batches longer than a block, momentum, l2
    bint adaptive                # alpha by row-wise AdaGrad
    vec *changes                 # [block][output.stride], for small batches: alpha times the errors in y
    real *gram_z                 # [block][block], for small batches: the Gram matrix of z
    bint finish_batches          # an interrupted batch is finished, not discarded
    vec *e                       # [block][hidden.stride]: b (online P), then e
    vec *z                       # [block][hidden.stride]; online none, nor a and y
    vec *a                       # [block][output.stride]
    vec *y                       # [block][output.stride]: y, then its error
    real *t                      # [K], padded
    const real **z_rows          # where z and y of each sample begin
    const real **y_rows
    double *E                    # [block], E_n but for the logarithms ...
    real *sum_exp_minus_1        # ... whose arguments are these and 1, [block], padded
    real *gram                   # [block][block]
    real *shrinkage              # [block + 1]: powers of 1 - alpha l2
    Barrier barrier
    SignalPoll *poll             # of the engine
    bint stopping                # what the first thread found in its poll, shared at the next barrier


cdef Py_ssize_t carve_blocked(BlockedState *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                              char *memory) noexcept nogil:
    cdef Py_ssize_t used = 0, block = net.block, width, output_width
    cdef Py_ssize_t held = 0 if net.online else block    # samples whose outputs are held at once
    cdef bint by_gram = net.adaptive and not net.online and not net.accumulates
    carve_layer(&net.hidden, D, M, net.accumulates, net.adaptive, memory, &used)
    carve_layer(&net.output, M, K, net.accumulates, net.adaptive, memory, &used)
    width, output_width = net.hidden.width, net.output.width
    net.e = carve_vecs(memory, &used, block * net.hidden.stride)
    net.v = carve_vecs(memory, &used, K * net.hidden.stride)
    net.units.v = <vec **> arena_alloc(memory, &used, padded(K) * sizeof(vec *))
    net.units.bias = carve_vecs(memory, &used, output_width)
    net.units.output_mask = carve_vecs(memory, &used, output_width)
    carve_symbols(&net.one, width, output_width, memory, &used)
    net.z = carve_vecs(memory, &used, held * net.hidden.stride)
    net.a = carve_vecs(memory, &used, held * net.output.stride)
    net.y = carve_vecs(memory, &used, held * net.output.stride)
    net.z_rows = <const real **> arena_alloc(memory, &used, held * sizeof(real *))
    net.y_rows = <const real **> arena_alloc(memory, &used, held * sizeof(real *))
    net.E = <double *> arena_alloc(memory, &used, block * sizeof(double))
    net.sum_exp_minus_1 = <real *> arena_alloc(memory, &used, padded(block) * sizeof(real))
    net.gram = <real *> arena_alloc(memory, &used, block * block * sizeof(real) if net.online or by_gram else 0)
    net.gram_z = <real *> arena_alloc(memory, &used, block * block * sizeof(real) if by_gram else 0)
    net.changes = carve_vecs(memory, &used, block * net.output.stride if by_gram else 0)
    net.shrinkage = <real *> arena_alloc(memory, &used, (block + 1) * sizeof(real))
    return used


# Whether the sums of squares of a batch's mean gradient take less time from the products of its B samples with each
# other, of x and of z, than from the gradient, which is written, read twice and added to the weights
cdef bint gram_is_faster(Py_ssize_t B, Py_ssize_t D, Py_ssize_t M) noexcept nogil:
    return <double> B * B * (D + M + REDUCTION * LANES) <= PASSES * <double> M * D


# What memory batches of one size take, or gradients and forward passes
cdef void set_block(BlockedState *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t block,
                    const LearningRule *rule) noexcept nogil:
    cdef bint plain = rule.momentum == 0 and rule.l2 == 0
    net.block = (min(block, <Py_ssize_t> MAX_BLOCK) + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES
    net.online = rule.batch_size == 1 and rule.momentum == 0
    net.adaptive = rule.adaptive
    net.accumulates = not net.online and (rule.batch_size > net.block or not plain
                                          or (rule.adaptive and not gram_is_faster(rule.batch_size, D, M)))


cdef void init_blocked(BlockedState *net, Functions functions) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, K = net.output.units, n
    net.barrier.threads = 1
    net.units.M, net.units.K, net.units.functions, net.units.mask = M, K, functions, net.hidden.mask
    set_masks(net.units.mask, M)
    set_masks(net.units.output_mask, K)
    set_unit_rows(net.units.v, <real *> net.v, K, net.hidden.stride * LANES)
    net.units.s_w, net.units.s_v = net.hidden.squares if net.adaptive else NULL, net.output.squares
    for n in range(0 if net.online else net.block):
        net.z_rows[n] = <const real *> (net.z + n * net.hidden.stride)
        net.y_rows[n] = <const real *> (net.y + n * net.output.stride)


# ------------------------------------------------------------------------------------------------------ the weights


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
                (<real *> net.units.v[start + k])[j] = panel[j * width + k]
            if end == M:
                (<real *> net.units.bias)[start + k] = panel[M * width + k]


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


# Polls for signals, between two barriers at which the other threads wait. A signal handler may fork: the child has no
# other threads, so the first one continues with all the work.
cdef void poll_signals(BlockedState *net, Py_ssize_t samples) noexcept nogil:
    cdef bint alone = net.barrier.threads == 1
    cdef long process = 0 if alone else process_id()
    net.stopping = should_stop(net.poll, samples)
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


# b_nj = P_nj - sum_{m<n} e_mj G_nm of one panel of hidden units
cdef inline void corrected_sum(const vec *e, Py_ssize_t stride, const real *gram_n, Py_ssize_t n, vec *result,
                               int width) noexcept nogil:
    cdef vec b[TILE_VECS]
    cdef Py_ssize_t m
    cdef int j
    for j in range(width):
        b[j] = e[n * stride + j]
    for m in range(n):
        for j in range(width):
            b[j] = b[j] - e[m * stride + j] * gram_n[m]
    for j in range(width):
        result[j] = b[j]


# b of sample n of a block, after those before it
cdef inline void sum_in_order(BlockedState *net, Py_ssize_t n) noexcept nogil:
    cdef const real *gram_n = net.gram + n * net.block
    cdef Py_ssize_t stride = net.hidden.stride, p, start, width
    for p in range(net.hidden.panels):
        start = panel_start(&net.hidden, p)
        width = panel_start(&net.hidden, p + 1) - start
        if width == 1:
            corrected_sum(net.e + start, stride, gram_n, n, net.one.b + start, 1)
        elif width == 2:
            corrected_sum(net.e + start, stride, gram_n, n, net.one.b + start, 2)
        else:
            corrected_sum(net.e + start, stride, gram_n, n, net.one.b + start, TILE_VECS)


# Sample n of a block of `count`, after those before it, from P to e. Meanwhile the inputs of the next block are
# prefetched.
cdef inline void sample_in_order(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                                 Py_ssize_t first, Py_ssize_t count, Py_ssize_t n,
                                 Py_ssize_t output_width) noexcept nogil:
    cdef Py_ssize_t width = net.hidden.width
    cdef Symbols *one = &net.one
    cdef const Units *units = &net.units
    cdef Rates rates
    if first + count + n < samples.count:
        prefetch_row(inputs_of(samples, first + count + n), net.hidden.inputs)
    rates.learning_rate, rates.weight = rule.learning_rate, weight_of(samples, first + n)
    rates.mean_square_x = net.gram[n * net.block + n] / (net.hidden.inputs + 1)
    one.e = net.e + n * net.hidden.stride
    sum_in_order(net, n)
    hidden_in_lanes(&net.units, one.b, one.z, width)
    target_in_lanes(one, target_of(samples, first + n), label_of(samples, first + n), net.units.K, output_width)
    backpropagate_in_lanes(&units, one, &rates, 1, width, output_width)
    update_v_in_lanes(&net.units, <const real *> one.change, one.z, decay_of(rule, 1), width, output_width)
    net.E[n] = error_in_lanes(&net.units, one, &net.sum_exp_minus_1[n], output_width)


# The samples of a block, one after the other. Returns the sum of E_n.
cdef double block_recurrence(BlockedState *net, const SampleSet *samples, const LearningRule *rule, Py_ssize_t first,
                             Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t n
    if net.output.width == 1:
        for n in range(count):
            sample_in_order(net, samples, rule, first, count, n, 1)
    else:
        for n in range(count):
            sample_in_order(net, samples, rule, first, count, n, net.output.width)
    return sum_of_errors(net.E, net.sum_exp_minus_1, samples, first, count)


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
    cdef const vec *bias = panel_of(&net.hidden, net.hidden.weights, p, net.hidden.inputs)
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
    cdef vec *panel = panel_of(&net.hidden, net.hidden.weights, p, 0)
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
