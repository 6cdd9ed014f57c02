# The samples-in-lanes engine: batches of a tiny network, one sample in each lane.
#
# With a handful of hidden units the blocked engine would leave most lanes empty. Here every symbol of the equations is
# a vector of samples instead: the direct engine's functions on a VecNet. Each lane holds the same w and v; the velocity
# is summed over its lanes at the end of a batch, so the same sums are taken in another order. Lanes without a sample
# have a learning rate of 0.

cdef struct LanesState:
    VecNet net
    vec *x                       # [D]
    vec *weights                 # w, then v, in each lane; then the sums of squares of row-wise AdaGrad
    vec *velocity                # what a batch adds to them
    Py_ssize_t size              # elements of w and v
    Py_ssize_t squares           # of sums of squares: 0 if alpha is the same for all units
    SignalPoll poll
    void *memory


cdef Py_ssize_t carve_lanes(LanesState *state, char *memory) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef Py_ssize_t used = carve(net, memory)
    state.size = net.M * (net.D + 1) + net.K * (net.M + 1)
    state.x = <vec *> arena_alloc(memory, &used, net.D * sizeof(vec))
    state.weights = <vec *> arena_alloc(memory, &used, (state.size + state.squares) * sizeof(vec))
    state.velocity = <vec *> arena_alloc(memory, &used, (state.size + state.squares) * sizeof(vec))
    return used


cdef bint lanes_init(LanesState *state, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Functions functions,
                     const LearningRule *rule) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef char *memory
    net.D, net.M, net.K, net.functions = D, M, K, functions
    state.squares = M + K if rule.adaptive else 0
    memory = arena_create(carve_lanes(state, NULL), &state.memory)
    if memory == NULL:
        return False
    carve_lanes(state, memory)
    net.x = state.x
    set_rows(net.w, state.weights, M, D + 1)
    set_rows(net.v, state.weights + M * (D + 1), K, M + 1)
    set_rows(net.u_w, state.velocity, M, D + 1)
    set_rows(net.u_v, state.velocity + M * (D + 1), K, M + 1)
    set_interval(&state.poll, D, M, K, POLL_OPS_DIRECT)
    return True


# x and t of up to LANES samples from `first` on, the last one repeated; their weights, 0 for repetitions
cdef inline vec gather_samples(LanesState *state, const SampleSet *samples, Py_ssize_t first,
                               Py_ssize_t end) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef vec weight
    cdef const real *x
    cdef Py_ssize_t n, i, k, row
    cdef int lane
    if samples.t == NULL:
        for k in range(net.K):
            net.t[k] = vec_broadcast(0)
    for lane in range(LANES):
        n = min(first + lane, end - 1)
        row = row_of(samples, n)
        x = inputs_of(samples, n)
        (<real *> &weight)[lane] = weight_of(samples, n) if first + lane < end else 0
        for i in range(net.D):
            (<real *> (state.x + i))[lane] = x[i]
        if samples.t == NULL:
            (<real *> (net.t + samples.labels[row]))[lane] = 1
        else:
            for k in range(net.K):
                (<real *> (net.t + k))[lane] = samples.t[row * net.K + k]
    return weight


cdef inline void record_losses(const VecNet *net, const SampleSet *samples, Py_ssize_t first,
                               Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t n
    if samples.losses != NULL:
        for n in range(first, min(first + LANES, end)):
            record_loss(samples, n, (<const real *> &net.E_n)[n - first])


# Row-wise AdaGrad with the mean gradient of a batch in the velocity: u_ji <- alpha_j u_ji, and for v
cdef void adapt_lanes(LanesState *state, real learning_rate) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef vec *s = state.weights + state.size
    cdef vec *change = state.velocity + state.size
    cdef vec alpha = vec_broadcast(learning_rate)
    cdef Py_ssize_t j, k
    for j in range(net.M):
        adapt_row_in_lanes(net.u_w[j], s[j], &change[j], alpha, net.D)
    for k in range(net.K):
        adapt_row_in_lanes(net.u_v[k], s[net.M + k], &change[net.M + k], alpha, net.M)


cdef inline void adapt_row_in_lanes(vec *u, vec s, vec *change, vec alpha, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    change[0] = mean_square_of_gradient(u, n)
    alpha = adaptive_rate(alpha, s + change[0])
    for i in range(n + 1):
        u[i] = u[i] * alpha


# The update (17) by the samples from `first` to `end`, summed over the lanes of the velocity. Returns the sum of E_n.
cdef double batch_update(LanesState *state, const SampleSet *samples, Py_ssize_t first, Py_ssize_t end,
                         real learning_rate, real total_weight) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef bint adaptive = state.squares > 0
    cdef vec total = vec_broadcast(0)
    cdef Py_ssize_t c
    for c in range(state.size):
        state.velocity[c] = vec_broadcast(0)
    net.learning_rate = vec_broadcast((ONE if adaptive else learning_rate) / total_weight)
    while first < end:
        net.weight = gather_samples(state, samples, first, end)
        backpropagate(net)
        update_velocities(net)
        total += net.E_n * net.weight
        record_losses(net, samples, first, end)
        first += LANES
        if should_stop(&state.poll, LANES):
            break
    for c in range(state.size):
        state.velocity[c] = vec_broadcast(vec_reduce_add(state.velocity[c]))
    if adaptive:
        adapt_lanes(state, learning_rate)
    return vec_reduce_add(total)


# w <- w + u, if every weight and sum of squares stays finite
cdef bint apply_update(LanesState *state) noexcept nogil:
    cdef vec difference = vec_broadcast(0)
    cdef Py_ssize_t c
    for c in range(state.size + state.squares):
        state.velocity[c] += state.weights[c]
        difference += state.velocity[c] - state.velocity[c]
    if not vec_reduce_add(difference) == 0:
        return False
    memcpy(state.weights, state.velocity, (state.size + state.squares) * sizeof(vec))
    return True


# (17) batch after batch. Returns the sum of E_n; NaN where it or a weight is not finite, with the weights from before
# that batch. An interrupted batch is discarded.
cdef double learn_in_lanes(LanesState *state, const SampleSet *samples, const LearningRule *rule) noexcept nogil:
    cdef Py_ssize_t first = 0, size
    cdef double total = 0
    cdef real total_weight
    while first < samples.count:
        size = min(rule.batch_size, samples.count - first)
        total_weight = weight_of_batch(samples, first, size) if rule.batch_size > 1 else 1
        if total_weight > 0:
            total += batch_update(state, samples, first, first + size, rule.learning_rate, total_weight)
            if state.poll.stop:
                break
            if not (isfinite(total) and apply_update(state)):
                return NAN
        first += size
    return total
