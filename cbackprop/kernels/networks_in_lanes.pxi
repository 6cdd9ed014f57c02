# The networks-in-lanes engine: an ensemble of tiny networks that learn the same samples, one network in each lane.
#
# A tiny network waits for one operation after the other. Here every symbol of the equations is a vector of networks:
# the direct engine's functions on a VecNet, so that LANES networks wait together. More networks are learned in groups
# of LANES, one group after the other. Lanes do not mix, so what a network learns does not depend on the others; one
# that diverges becomes NaN in its own lane.

cdef enum:
    SAMPLES_PER_SUM = 64    # whose E_n are added up in the precision of the weights

cdef struct NetworksState:
    VecNet net                   # of the group at hand
    Py_ssize_t count, groups     # networks, and groups of LANES of them
    Py_ssize_t size, squares     # elements of w and v, and sums of squares, of a network: 0 if rates do not adapt
    bint accumulates             # updates are formed in the velocity: batches, l2
    vec *x                       # [D]
    vec *weights                 # [groups][size + squares]: w, v, s_w, s_v
    vec *velocity                # [size]
    vec *learning_rates          # [groups]
    SignalPoll poll
    void *memory


cdef Py_ssize_t carve_networks(NetworksState *state, char *memory) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef Py_ssize_t used = carve(net, memory)
    state.x = <vec *> arena_alloc(memory, &used, net.D * sizeof(vec))
    state.weights = <vec *> arena_alloc(memory, &used, state.groups * (state.size + state.squares) * sizeof(vec))
    state.velocity = <vec *> arena_alloc(memory, &used, state.size * sizeof(vec) if state.accumulates else 0)
    state.learning_rates = <vec *> arena_alloc(memory, &used, state.groups * sizeof(vec))
    return used


cdef bint networks_init(NetworksState *state, Py_ssize_t R, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                        Functions functions, const LearningRule *rule) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef char *memory
    net.D, net.M, net.K, net.functions = D, M, K, functions
    state.count, state.groups = R, (R + LANES - 1) // LANES
    state.size = M * (D + 1) + K * (M + 1)
    state.squares = M + K if rule.adaptive else 0
    state.accumulates = rule.batch_size > 1 or rule.l2 != 0
    memory = arena_create(carve_networks(state, NULL), &state.memory)
    if memory == NULL:
        return False
    carve_networks(state, memory)
    net.x = state.x
    if state.accumulates:
        set_rows(net.u_w, state.velocity, M, D + 1)
        set_rows(net.u_v, state.velocity + M * (D + 1), K, M + 1)
    set_interval(&state.poll, D, M, K, POLL_OPS_DIRECT)
    return True


# The weights of network r, in its lane: element c at [c * LANES]
cdef inline real *network(const NetworksState *state, Py_ssize_t r) noexcept nogil:
    return <real *> (state.weights + r // LANES * (state.size + state.squares)) + r % LANES


# `size` elements of network r from `first` on, from or to an array
cdef void load_elements(const NetworksState *state, Py_ssize_t r, Py_ssize_t first, const real *array,
                        Py_ssize_t size) noexcept nogil:
    cdef real *elements = network(state, r) + first * LANES
    cdef Py_ssize_t c
    for c in range(size):
        elements[c * LANES] = array[c]


cdef void store_elements(const NetworksState *state, Py_ssize_t r, Py_ssize_t first, real *array,
                         Py_ssize_t size) noexcept nogil:
    cdef const real *elements = network(state, r) + first * LANES
    cdef Py_ssize_t c
    for c in range(size):
        array[c] = elements[c * LANES]


cdef bint network_is_finite(const NetworksState *state, Py_ssize_t r) noexcept nogil:
    cdef const real *elements = network(state, r)
    cdef real difference = 0
    cdef Py_ssize_t c
    for c in range(state.size + state.squares):
        difference += elements[c * LANES] - elements[c * LANES]
    return difference == 0


# Points the network at a group
cdef void bind_group(NetworksState *state, Py_ssize_t group) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef vec *weights = state.weights + group * (state.size + state.squares)
    set_rows(net.w, weights, net.M, net.D + 1)
    set_rows(net.v, weights + net.M * (net.D + 1), net.K, net.M + 1)
    if state.squares > 0:
        net.s_w, net.s_v = weights + state.size, weights + state.size + net.M


# x and t of sample n for all lanes, and the weight of each: that of the sample, or one for each network
cdef inline void load_for_networks(NetworksState *state, const SampleSet *samples, const real *weights, Py_ssize_t N,
                                   Py_ssize_t group, Py_ssize_t n) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef Py_ssize_t row = row_of(samples, n), i, k, r
    cdef const real *x = inputs_of(samples, n)
    cdef const real *t
    for i in range(net.D):
        state.x[i] = vec_broadcast(x[i])
    if samples.t == NULL:
        for k in range(net.K):
            net.t[k] = vec_broadcast(0)
        net.t[samples.labels[row]] = vec_broadcast(1)
    else:
        t = samples.t + row * net.K
        for k in range(net.K):
            net.t[k] = vec_broadcast(t[k])
    if weights == NULL:
        net.weight = vec_broadcast(weight_of(samples, n))
    else:
        for r in range(group * LANES, min((group + 1) * LANES, state.count)):
            (<real *> &net.weight)[r - group * LANES] = weights[r * N + row]


# E_n of sample n of the networks of a group
cdef inline void record_losses_of_networks(const NetworksState *state, double *losses, Py_ssize_t group,
                                           Py_ssize_t n) noexcept nogil:
    cdef const real *E_n = <const real *> &state.net.E_n
    cdef Py_ssize_t first = group * LANES, r
    if losses != NULL:
        for r in range(first, min(first + LANES, state.count)):
            losses[n * state.count + r] = E_n[r - first]


cdef inline void add_sums(const NetworksState *state, double *sums, Py_ssize_t group, const vec *total) noexcept nogil:
    cdef Py_ssize_t first = group * LANES, r
    for r in range(first, min(first + LANES, state.count)):
        sums[r] += (<const real *> total)[r - first]


# (17) of a group, sample by sample
cdef void learn_group_online(NetworksState *state, const SampleSet *samples, const real *weights, Py_ssize_t N,
                             Py_ssize_t group, double *losses, double *sums) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef Py_ssize_t first = 0, n
    cdef vec total
    net.learning_rate = state.learning_rates[group]
    while first < samples.count and not state.poll.stop:
        total = vec_broadcast(0)
        for n in range(first, min(first + SAMPLES_PER_SUM, samples.count)):
            load_for_networks(state, samples, weights, N, group, n)
            backpropagate(net)
            total += net.E_n * net.weight
            record_losses_of_networks(state, losses, group, n)
            adapt_rates(net)
            update_weights(net)
        add_sums(state, sums, group, &total)
        should_stop(&state.poll, SAMPLES_PER_SUM)
        first += SAMPLES_PER_SUM


# (17) of a group with the mean gradient (3) of each batch, formed in the velocity
cdef void learn_group_batches(NetworksState *state, const SampleSet *samples, const LearningRule *rule,
                              const real *weights, Py_ssize_t N, Py_ssize_t group, double *losses,
                              double *sums) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef Py_ssize_t first = 0, size, n, c
    cdef vec one = vec_broadcast(1), zero = vec_broadcast(0), total, total_weight, share
    while first < samples.count and not state.poll.stop:
        size = min(rule.batch_size, samples.count - first)
        total, total_weight = zero, zero
        for c in range(state.size):
            state.velocity[c] = zero
        net.learning_rate = one
        for n in range(first, first + size):
            load_for_networks(state, samples, weights, N, group, n)
            backpropagate(net)
            total += net.E_n * net.weight
            total_weight += net.weight
            record_losses_of_networks(state, losses, group, n)
            update_velocities(net)
            if should_stop(&state.poll, 1):
                return
        # one sample by itself has its weight as a factor of the learning rate; a batch without weight changes nothing
        share = one if rule.batch_size == 1 else select_nonnegative(-total_weight, zero, one / total_weight)
        update_group(state, rule, group, share)
        add_sums(state, sums, group, &total)
        first += size


# w <- w + alpha u - decay w of a group, where u is the mean gradient of a batch, negated: a share of the sum
cdef void update_group(NetworksState *state, const LearningRule *rule, Py_ssize_t group, vec share) noexcept nogil:
    cdef VecNet *net = &state.net
    cdef bint adaptive = state.squares > 0
    cdef vec alpha = state.learning_rates[group], decay = alpha * share * rule.l2
    cdef Py_ssize_t j, k
    for j in range(net.M):
        update_row_in_lanes(net.w[j], net.u_w[j], &net.s_w[j] if adaptive else NULL, alpha, share, decay, net.D)
    for k in range(net.K):
        update_row_in_lanes(net.v[k], net.u_v[k], &net.s_v[k] if adaptive else NULL, alpha, share, decay, net.M)


cdef inline void update_row_in_lanes(vec *w, vec *u, vec *s, vec alpha, vec share, vec decay,
                                     Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n + 1):
        u[i] = u[i] * share
    if s != NULL:
        s[0] += mean_square_of_gradient(u, n)
        alpha = adaptive_rate(alpha, s[0])
    for i in range(n):
        w[i] += alpha * u[i] - decay * w[i]
    w[n] += alpha * u[n]


# (17) of all networks, group by group. E_n of network r goes to losses[n][r], unless that is NULL, and is added, with
# the weight of its sample, to sums[r]. `weights`, unless it is NULL, has N weights for each network.
cdef void learn_networks(NetworksState *state, const SampleSet *samples, const LearningRule *rule,
                         const real *weights, Py_ssize_t N, double *losses, double *sums) noexcept nogil:
    cdef Py_ssize_t group
    for group in range(state.groups):
        bind_group(state, group)
        if state.accumulates:
            learn_group_batches(state, samples, rule, weights, N, group, losses, sums)
        else:
            learn_group_online(state, samples, weights, N, group, losses, sums)
