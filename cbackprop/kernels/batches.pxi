# Mini-batches and forward passes of the blocked engine. All samples of a batch see the same w and v, so there are no
# corrections, and v takes products and updates of the same tiles: (13), the sums over k in (18), and (16).


# z of the samples of a block that starts at `first`, and one panel of hidden units. Meanwhile the inputs of the next
# block are prefetched, of long rows only the beginning: then the processor expects the rest.
cdef void hidden_outputs(const BlockedState *net, const SampleSet *samples, Py_ssize_t first, Py_ssize_t p,
                         Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t stride = net.hidden.stride, n, j
    for n in range(count):
        if p == 0 and first + count + n < samples.count:
            prefetch_row(inputs_of(samples, first + count + n), min(net.hidden.inputs, MAX_INPUTS_PREFETCHED))
        for j in range(panel_start(&net.hidden, p), panel_start(&net.hidden, p + 1)):
            net.z[n * stride + j] = vec_mask(h(net.units.functions.hidden, net.e[n * stride + j]), net.hidden.mask[j])


# a and y of `count` samples and, where there are targets, their errors times a factor, and the sum of E_n
cdef double outputs(BlockedState *net, const SampleSet *samples, Py_ssize_t first, Py_ssize_t count,
                    real factor) noexcept nogil:
    cdef Py_ssize_t K = net.output.units, width = net.output.width, stride = net.output.stride, p, n
    cdef bint targets = have_targets(samples)
    cdef vec *t = net.one.t
    cdef vec *a
    cdef vec *y
    cdef real max_a, weight
    for p in range(net.output.panels):
        layer_sums(&net.output, net.z_rows, net.a, p, count)
    for n in range(count):
        a, y = net.a + n * stride, net.y + n * stride
        net.sum_exp_minus_1[n] = output_in_vectors(net.units.functions.output, a, y, &max_a, K, width)
        if targets:
            load_target(samples, first + n, <real *> t)
            weight = weight_of(samples, first + n)
            net.E[n] = sum_of_error_terms_in_vectors(net.units.functions.output, t, a, max_a, width)
            output_errors_in_vectors(y, t, factor * weight, width)
    return sum_of_errors(net.E, net.sum_exp_minus_1, samples, first, count) if targets else 0


# (18)  e_nj = (sum_k (y_k - t_k) v_kj) h'(b_nj) of one panel of hidden units
cdef void hidden_errors(const BlockedState *net, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(&net.hidden, p), stride = net.hidden.stride, n, j
    cdef Py_ssize_t width = panel_start(&net.hidden, p + 1) - start
    cdef vec zero[TILE_VECS]
    cdef int hidden = net.units.functions.hidden
    for j in range(width):
        zero[j] = vec_broadcast(0)
    products(VecRows(net.v + start, stride), zero, net.y_rows, VecRows(net.e + start, stride), net.output.units, count,
             width)
    for n in range(count):
        for j in range(start, start + width):
            net.e[n * stride + j] = net.e[n * stride + j] * h_derivative(hidden, net.z[n * stride + j])


# Row-wise AdaGrad with the mean gradient of a small batch, which need not be formed: the sum of its squares is
#
#     sum_i (sum_n e_nj x_ni)^2 = sum_n e_nj (2 sum_{m<n} e_mj G_nm + e_nj G_nn)
#
# changes_nj <- alpha_j e_nj of one panel of units; changes may be e.
cdef void adapt_errors(const Layer *layer, Py_ssize_t p, vec *changes, const vec *e, const real *gram, Py_ssize_t block,
                       real learning_rate, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p), stride = layer.stride, n, m, j
    cdef Py_ssize_t width = panel_start(layer, p + 1) - start
    cdef vec squares[TILE_VECS]
    cdef vec alpha[TILE_VECS]
    cdef vec before[TILE_VECS]
    cdef vec *s = layer.squares
    cdef vec e_n
    for j in range(width):
        squares[j] = vec_broadcast(0)
    for n in range(count):
        for j in range(width):
            before[j] = vec_broadcast(0)
        for m in range(n):
            for j in range(width):
                before[j] = before[j] + e[m * stride + start + j] * gram[n * block + m]
        for j in range(width):
            e_n = e[n * stride + start + j]
            squares[j] = squares[j] + e_n * (before[j] + before[j] + e_n * gram[n * block + n])
    for j in range(width):
        s[start + j] = sum_of_squares(s[start + j], vec_broadcast(1), squares[j] / vec_broadcast(layer.inputs + 1))
        alpha[j] = adaptive_rate(vec_broadcast(learning_rate), s[start + j])
    for n in range(count):
        for j in range(width):
            changes[n * stride + start + j] = alpha[j] * e[n * stride + start + j]


# The same for all outputs, whose errors stay in y for (18)
cdef void adapt_outputs(BlockedState *net, const LearningRule *rule, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t n, m, p
    for n in range(0, count, 4):
        for m in range(0, n + 1, 4):
            gram_tile(net.z_rows + n, net.z_rows + m, net.gram_z + n * net.block + m, net.block, net.hidden.units)
    for p in range(net.output.panels):
        adapt_errors(&net.output, p, net.changes, net.y, net.gram_z, net.block, rule.learning_rate, count)


# (3) of the samples from `first` to `end`, times a factor for alpha / N, subtracted from the weights, or from the
# velocity if updates are accumulated. Returns the sum of E_n. Interrupted, it returns after a block, unless batches are
# to be finished.
cdef double batch_pass(BlockedState *net, const SampleSet *samples, const LearningRule *rule, Py_ssize_t first,
                       Py_ssize_t end, real factor, Py_ssize_t thread) noexcept nogil:
    cdef bint by_gram = net.adaptive and not net.accumulates
    cdef vec *changes = net.changes if by_gram else net.y
    cdef const real *rows[MAX_BLOCK]
    cdef vec *w = net.hidden.velocity if net.accumulates else net.hidden.weights
    cdef vec *v = net.output.velocity if net.accumulates else net.output.weights
    cdef Py_ssize_t size, p
    cdef double total = 0
    while first < end:
        size = min(net.block, end - first)
        gather_rows(samples, first, size, rows)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            layer_sums(&net.hidden, rows, net.e, p, size)
            hidden_outputs(net, samples, first, p, size)
        if by_gram:
            gram(net, rows, size, thread)
        barrier_wait(&net.barrier)
        if thread == 0:
            total += outputs(net, samples, first, size, factor)
            if by_gram:
                adapt_outputs(net, rule, size)
            poll_signals(net, size)
        barrier_wait(&net.barrier)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            hidden_errors(net, p, size)
            if by_gram:
                adapt_errors(&net.hidden, p, net.e, net.e, net.gram, net.block, rule.learning_rate, size)
            layer_updates(&net.hidden, w, rows, net.e, p, 0, net.hidden.inputs, size)
        for p in range(net.output.panels):
            layer_updates(&net.output, v, net.z_rows, changes, p, first_unit(net, thread), first_unit(net, thread + 1),
                          size)
        if by_gram:    # the next batch has another Gram matrix
            barrier_wait(&net.barrier)
        if net.stopping and not net.finish_batches:
            break
        first += size
    return total


# (17) batch after batch, each with its mean gradient (3); every E_n is taken before the update that uses its sample. An
# interrupted batch whose updates are accumulated is discarded; with momentum, where u continues from batch to batch, it
# is finished instead, unless it is the whole epoch, which the caller discards. Every thread calls it; the first returns
# the sum of E_n.
cdef double learn_batches(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                          Py_ssize_t thread) noexcept nogil:
    cdef real learning_rate = ONE if net.adaptive else rule.learning_rate
    cdef Py_ssize_t first = 0, size
    cdef real total_weight
    cdef double total = 0
    while first < samples.count:
        size = min(rule.batch_size, samples.count - first)
        total_weight = weight_of_batch(samples, first, size, rule.batch_size)
        if total_weight > 0:
            if net.accumulates:
                decay_layers(net, rule, total_weight, thread)
            total += batch_pass(net, samples, rule, first, first + size, learning_rate / total_weight, thread)
            if net.accumulates and net.stopping and not net.finish_batches:
                break
            if net.accumulates and net.adaptive:
                adapt_layers(net, rule, total_weight, thread)
            if net.accumulates:
                apply_velocities(net, thread)
            copy_output_rows(net, first_unit(net, thread), first_unit(net, thread + 1))
        if net.stopping:
            break
        first += size
    return total


# A thread's share of both layers: all weights of its own hidden units, in w by panels and in v by inputs
cdef inline Py_ssize_t count_shares(const BlockedState *net, Py_ssize_t thread) noexcept nogil:
    return first_panel(net, thread + 1) - first_panel(net, thread) + net.output.panels


cdef inline Columns share_of(const BlockedState *net, Py_ssize_t thread, Py_ssize_t number) noexcept nogil:
    if number < net.output.panels:
        return columns_of(&net.output, number, first_unit(net, thread), first_unit(net, thread + 1))
    return columns_of(&net.hidden, first_panel(net, thread) + number - net.output.panels, 0, net.hidden.inputs)


# u <- momentum u - decay w, or u <- 0 if rates adapt
cdef void decay_layers(const BlockedState *net, const LearningRule *rule, real total_weight,
                       Py_ssize_t thread) noexcept nogil:
    cdef real decay = 0 if net.adaptive else decay_of(rule, total_weight)
    cdef Columns c
    cdef Py_ssize_t p
    for p in range(count_shares(net, thread)):
        c = share_of(net, thread, p)
        begin_columns(&c, rule.momentum, decay)


# Row-wise AdaGrad with u the mean gradient, negated:  u <- alpha u - decay w. A unit of the output layer has weights in
# the shares of all threads, so one of them takes its squares.
cdef void adapt_layers(BlockedState *net, const LearningRule *rule, real total_weight,
                       Py_ssize_t thread) noexcept nogil:
    cdef Columns c
    cdef Py_ssize_t p
    barrier_wait(&net.barrier)
    for p in range(0 if thread == 0 else net.output.panels, count_shares(net, thread)):
        c = share_of(net, thread, p)
        adapt_columns(&c, rule.learning_rate)
    barrier_wait(&net.barrier)
    for p in range(count_shares(net, thread)):
        c = share_of(net, thread, p)
        scale_columns(&c, decay_of(rule, total_weight))


# w <- w + u
cdef void apply_velocities(const BlockedState *net, Py_ssize_t thread) noexcept nogil:
    cdef Columns c
    cdef Py_ssize_t p
    for p in range(count_shares(net, thread)):
        c = share_of(net, thread, p)
        end_columns(&c)


# One call of `learn`: what its threads have in common
cdef struct Task:
    BlockedState *net
    const SampleSet *samples
    const LearningRule *rule
    double total                 # of E_n


cdef void run_task(void *data, Py_ssize_t thread) noexcept nogil:
    cdef Task *task = <Task *> data
    cdef double total
    if task.net.online:
        total = learn_online(task.net, task.samples, task.rule, thread)
    else:
        total = learn_batches(task.net, task.samples, task.rule, thread)
    if thread == 0:
        task.total = total


# The sum of E_n where there are targets, and activations of all samples where they are wanted. `finite` becomes false
# if any b is not finite, which is how an x that is not finite shows.
cdef double forward_blocked(BlockedState *net, const SampleSet *samples, const Activations *out,
                            bint *finite) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, K = net.output.units
    cdef const real *rows[MAX_BLOCK]
    cdef Py_ssize_t first = 0, size, n, p
    cdef double total = 0
    while first < samples.count:
        size = min(net.block, samples.count - first)
        gather_rows(samples, first, size, rows)
        for p in range(net.hidden.panels):
            layer_sums(&net.hidden, rows, net.e, p, size)
            hidden_outputs(net, samples, first, p, size)
        finite[0] = finite[0] and all_finite(<const real *> net.e, size * net.hidden.stride * LANES)
        if should_stop(net.poll, size):
            break
        total += outputs(net, samples, first, size, 0)
        for n in range(size):
            if out.b != NULL:
                memcpy(out.b + (first + n) * M, net.e + n * net.hidden.stride, M * sizeof(real))
                memcpy(out.z + (first + n) * M, net.z_rows[n], M * sizeof(real))
            if out.y != NULL:
                memcpy(out.a + (first + n) * K, net.a + n * net.output.stride, K * sizeof(real))
                memcpy(out.y + (first + n) * K, net.y_rows[n], K * sizeof(real))
        first += size
    return total


# -------------------------------------------------------------------------------------------------------------- class


cdef class BlockedEngine(Engine):
    """Learns block by block, on a copy of the weights in panels of hidden units side by side."""

    cdef BlockedState state
    cdef Rows dw, dv

    def __cinit__(self, *sizes, **settings):
        cdef BlockedState *net = &self.state
        cdef Py_ssize_t D = self.D, M = self.M, K = self.K
        set_block(net, D, M, self.block, &self.rule)
        carve_blocked(net, D, M, K, self.allocate(carve_blocked(net, D, M, K, NULL)))
        init_blocked(net, self.functions)
        net.poll = &self.poll
        set_interval(net.poll, D, M, K, POLL_OPS_BLOCKED)
        self.supports = ("threads",)
        if not net.online:    # then, the outputs of one sample are held, not of a block
            self.supports += ("forward",)
        if net.accumulates and self.rule.momentum == 0:    # it uses the velocity
            self.supports += ("gradient",)

    def load(self, w, v, dict states=None):
        """Copy weights and states; without states, set these to 0."""
        cdef Rows[4] rows
        if self.states and not states:
            states = {self.states[0]: self.make_states()}
        self.copy(self.checked(w, v, states, rows), rows, True)
        self.loaded = self.writeable = True

    cdef int store_to(self, list arrays, const Rows *rows) except -1:
        return self.copy(arrays, rows, False)

    cdef int copy(self, list arrays, const Rows *rows, bint load) except -1:
        cdef BlockedState *net = &self.state
        cdef real *v_k
        cdef Py_ssize_t k
        copy_layer(&net.hidden, net.hidden.weights, &rows[0], load)
        if load:
            copy_layer(&net.output, net.output.weights, &rows[1], True)
            copy_output_rows(net, 0, self.M)
        for k in range(0 if load else self.K):    # sample by sample, v is learned by rows
            v_k = rows[1].first + k * rows[1].stride
            memcpy(v_k, net.units.v[k], self.M * sizeof(real))
            v_k[self.M] = (<const real *> net.units.bias)[k]
        if len(arrays) == 2:
            return 0
        if self.rule.adaptive and load:
            memcpy(net.hidden.squares, rows[2].first, self.M * sizeof(real))
            memcpy(net.output.squares, rows[3].first, self.K * sizeof(real))
        elif self.rule.adaptive:
            memcpy(rows[2].first, net.hidden.squares, self.M * sizeof(real))
            memcpy(rows[3].first, net.output.squares, self.K * sizeof(real))
        else:
            copy_layer(&net.hidden, net.hidden.velocity, &rows[2], load)
            copy_layer(&net.output, net.output.velocity, &rows[3], load)
        return 0

    cdef bint weights_are_finite(self) noexcept nogil:
        cdef const BlockedState *net = &self.state
        cdef const Layer *hidden = &net.hidden
        return (all_finite(<const real *> hidden.weights, (self.D + 1) * hidden.width * LANES)
                and all_finite(<const real *> net.v, self.K * hidden.stride * LANES)
                and all_finite(<const real *> net.units.bias, self.K)
                and (not net.adaptive or (all_finite(<const real *> hidden.squares, self.M)
                                          and all_finite(<const real *> net.output.squares, self.K))))

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        cdef BlockedState *net = &self.state
        cdef Task task = Task(net, samples, &self.rule, 0)
        net.finish_batches = self.rule.momentum != 0 and self.rule.batch_size < samples.count
        set_shrinkage(net, &self.rule)
        run_team(&net.barrier, threads, run_task, &task)
        return task.total

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        cdef Activations none
        cdef bint finite = True
        memset(&none, 0, sizeof(none))
        return mean_error(forward_blocked(&self.state, samples, &none, &finite), samples.count)

    cdef tuple gradients(self):
        self.g = self.make()
        self.dw, self.dv = rows_of(self.g[0]), rows_of(self.g[1])
        return self.g

    # (3), in the velocity: what an update (17) of the velocity 0 with alpha = -1 yields
    cdef double gradient_of_set(self, const SampleSet *samples) noexcept nogil:
        cdef BlockedState *net = &self.state
        cdef LearningRule no_momentum
        cdef double total
        memset(&no_momentum, 0, sizeof(no_momentum))
        net.finish_batches = False
        decay_layers(net, &no_momentum, 1, 0)
        total = batch_pass(net, samples, &no_momentum, 0, samples.count, <real> -1 / samples.count, 0)
        copy_layer(&net.hidden, net.hidden.velocity, &self.dw, False)
        copy_layer(&net.output, net.output.velocity, &self.dv, False)
        return mean_error(total, samples.count)

    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        cdef bint finite = True
        forward_blocked(&self.state, samples, out, &finite)
        return finite
