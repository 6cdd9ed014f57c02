# The samples-in-lanes engine: batches of a tiny network, one sample in each lane.
#
# With a handful of hidden units other engines would leave most lanes empty. Here every symbol of the equations is a
# vector of samples instead. Each lane holds the same w and v; their update u is summed over its lanes at the end of a
# batch, so the same sums are taken in another order. Lanes without a sample have a learning rate of 0.

cdef struct LanesState:
    Py_ssize_t D, M, K
    Functions functions
    vec *weights                 # w, then v, in each lane; then the sums of squares of row-wise AdaGrad
    vec *update                  # what a batch adds to them
    Py_ssize_t size              # elements of w and v
    Py_ssize_t squares           # of sums of squares: 0 if alpha is the same for all units
    vec **w                      # the rows of weights ...
    vec **v
    vec **u_w                    # ... and of their update
    vec **u_v
    vec *x                       # [D]
    vec *b                       # [M]
    vec *z
    vec *e
    vec *a                       # [K]
    vec *y
    vec *t
    vec *alpha                   # [max(M, K)]


cdef Py_ssize_t carve_state(LanesState *s, char *memory) noexcept nogil:
    cdef Py_ssize_t D = s.D, M = s.M, K = s.K, used = 0
    s.size = M * (D + 1) + K * (M + 1)
    s.weights = carve_vecs(memory, &used, s.size + s.squares)
    s.update = carve_vecs(memory, &used, s.size + s.squares)
    s.x = carve_vecs(memory, &used, D)
    s.b, s.z, s.e = carve_vecs(memory, &used, M), carve_vecs(memory, &used, M), carve_vecs(memory, &used, M)
    s.a, s.y, s.t = carve_vecs(memory, &used, K), carve_vecs(memory, &used, K), carve_vecs(memory, &used, K)
    s.alpha = carve_vecs(memory, &used, max(M, K))
    s.w = <vec **> arena_alloc(memory, &used, 2 * (M + K) * sizeof(vec *))
    s.v, s.u_w, s.u_v = s.w + M, s.w + M + K, s.w + 2 * M + K
    return used


# x and t of up to LANES samples from `first` on, the last one repeated; their weights, 0 for repetitions
cdef inline vec gather_samples(const LanesState *s, const SampleSet *samples, Py_ssize_t first,
                               Py_ssize_t end) noexcept nogil:
    cdef vec weight
    cdef const real *x
    cdef const real *t
    cdef Py_ssize_t n, i, k
    cdef int lane
    for k in range(s.K):
        s.t[k] = vec_broadcast(0)
    for lane in range(LANES):
        n = min(first + lane, end - 1)
        x, t = inputs_of(samples, n), target_of(samples, n)
        (<real *> &weight)[lane] = weight_of(samples, n) if first + lane < end else 0
        for i in range(s.D):
            (<real *> (s.x + i))[lane] = x[i]
        if t == NULL:
            (<real *> (s.t + label_of(samples, n)))[lane] = 1
        else:
            for k in range(s.K):
                (<real *> (s.t + k))[lane] = t[k]
    return weight


# The equations, of as many samples as there are lanes, with alpha times their weights. Returns E_n.
cdef inline vec backpropagate_samples(const LanesState *s, vec alpha) noexcept nogil:
    cdef Py_ssize_t D = s.D, M = s.M, K = s.K, j
    cdef vec max_a, sum_exp_minus_1, E_n
    hidden_sum(s.w, <const vec *> s.x, s.b, D, M)
    hidden_output(s.functions.hidden, <const vec *> s.b, s.z, M)
    output_sum(s.v, <const vec *> s.z, s.a, M, K)
    sum_exp_minus_1 = output_function(s.functions.output, s.a, s.y, &max_a, K)
    E_n = sample_error(s.functions.output, <const vec *> s.t, <const vec *> s.a, max_a, sum_exp_minus_1, K)
    hidden_error(s.e, <const vec *> s.y, <const vec *> s.t, s.v, <const vec *> s.z, s.functions.hidden, M, K)
    for j in range(max(M, K)):
        s.alpha[j] = alpha
    update_v(s.u_v, <const vec *> s.y, <const vec *> s.t, <const vec *> s.z, <const vec *> s.alpha, M, K)
    update_w(s.u_w, <const vec *> s.e, <const vec *> s.x, <const vec *> s.alpha, D, M)
    return E_n


# The update (17) by the samples from `first` to `end`, summed over the lanes of u. Returns the sum of E_n.
cdef double batch_update(LanesState *s, const SampleSet *samples, Py_ssize_t first, Py_ssize_t end, real alpha,
                         SignalPoll *poll) noexcept nogil:
    cdef vec total = vec_broadcast(0), weight, E_n
    cdef Py_ssize_t c, n
    for c in range(s.size):
        s.update[c] = vec_broadcast(0)
    while first < end and not poll.stop:
        weight = gather_samples(s, samples, first, end)
        E_n = backpropagate_samples(s, weight * alpha)
        total += E_n * weight
        for n in range(first, min(first + LANES, end)):
            record_loss(samples, n, (<const real *> &E_n)[n - first])
        first += LANES
        should_stop(poll, LANES)
    for c in range(s.size):
        s.update[c] = vec_broadcast(vec_reduce_add(s.update[c]))
    return vec_reduce_add(total)


# Row-wise AdaGrad with the mean gradient of a batch, negated, in u: u_ji <- alpha_j u_ji, and for v; the sums of
# squares have their update, too
cdef void adapt_samples(LanesState *s, real learning_rate) noexcept nogil:
    cdef vec *u = s.update
    cdef vec alpha
    cdef Py_ssize_t row, i, n
    for row in range(s.M + s.K):
        n = s.D + 1 if row < s.M else s.M + 1
        s.update[s.size + row] = dot(<const vec *> u, <const vec *> u, n) / vec_broadcast(n)
        alpha = adaptive_rate(vec_broadcast(learning_rate), s.weights[s.size + row] + s.update[s.size + row])
        for i in range(n):
            u[i] = u[i] * alpha
        u += n


# w <- w + u, if every weight and sum of squares stays finite
cdef bint apply_update(LanesState *s) noexcept nogil:
    cdef Py_ssize_t count = s.size + s.squares, c
    for c in range(count):
        s.update[c] += s.weights[c]
    if not all_finite(<const real *> s.update, count * LANES):
        return False
    memcpy(s.weights, s.update, count * sizeof(vec))
    return True


# -------------------------------------------------------------------------------------------------------------- class


cdef class SamplesInLanesEngine(Engine):
    """Learns batches of a tiny network, one sample in each lane, on a copy of the weights in every lane."""

    cdef LanesState state

    def __cinit__(self, *sizes, **settings):
        cdef Py_ssize_t D = self.D, M = self.M, K = self.K
        cdef LanesState *s = &self.state
        assert self.rule.momentum == 0 and self.rule.l2 == 0
        s.D, s.M, s.K, s.functions, s.squares = D, M, K, self.functions, M + K if self.rule.adaptive else 0
        carve_state(s, self.allocate(carve_state(s, NULL)))
        set_rows(s.w, s.weights, M, D + 1)
        set_rows(s.v, s.weights + M * (D + 1), K, M + 1)
        set_rows(s.u_w, s.update, M, D + 1)
        set_rows(s.u_v, s.update + M * (D + 1), K, M + 1)
        self.supports = ("epochs",)

    cdef int bind(self) except -1:
        return 0

    # From and to the copies that the base class has made, in the order of their elements in a lane
    cdef void copy(self, bint load) noexcept nogil:
        cdef const Rows *rows = self.rows
        cdef vec *weight = self.state.weights
        cdef Py_ssize_t a, row, i
        cdef real *number
        for a in range(4):
            for row in range(rows[a].count):
                for i in range(rows[a].length):
                    number = rows[a].first + row * rows[a].stride + i
                    if load:
                        weight[0] = vec_broadcast(number[0])
                    else:
                        number[0] = (<real *> weight)[0]
                    weight += 1

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        cdef double total
        self.copy(True)
        total = self.learn_batches(samples)
        self.copy(False)
        return total    # all weights are finite

    # An interrupted batch is discarded
    cdef double learn_batch(self, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                            real total_weight) noexcept nogil:
        cdef real alpha = (ONE if self.rule.adaptive else self.rule.learning_rate) / total_weight
        cdef double total = batch_update(&self.state, samples, first, first + size, alpha, &self.poll)
        if self.poll.stop:
            return total
        if self.rule.adaptive:
            adapt_samples(&self.state, self.rule.learning_rate)
        return total if isfinite(total) and apply_update(&self.state) else NAN
