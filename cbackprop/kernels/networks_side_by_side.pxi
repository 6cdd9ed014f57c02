# The side-by-side engine: an ensemble of networks that learn the same samples online, in the blocked order.
#
# G of a block depends on x alone, so all networks share it, and the rows of x while they are in the cache. Sample after
# sample each network takes its part of the order, which waits for one operation after the other, so that those of
# several networks overlap. Each has its own panels and sums: what it learns does not depend on the others.

cdef struct SideBySideState:
    Py_ssize_t count
    BlockedState *nets           # [count]
    LearningRule *rules          # [count]
    SampleSet *samples           # [count]: the same samples, with the weights and the losses of each network
    double *totals               # [count], of E_n of a block


# States for networks of one shape, with the Gram matrix of the first. False if there is no memory.
cdef bint side_by_side_init(SideBySideState *state, Py_ssize_t R, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K,
                            Py_ssize_t block, Functions functions, const LearningRule *rule) noexcept nogil:
    cdef Py_ssize_t r
    state.nets = <BlockedState *> calloc(R, sizeof(BlockedState))
    state.rules = <LearningRule *> calloc(R, sizeof(LearningRule))
    state.samples = <SampleSet *> calloc(R, sizeof(SampleSet))
    state.totals = <double *> calloc(R, sizeof(double))
    if state.nets == NULL or state.rules == NULL or state.samples == NULL or state.totals == NULL:
        return False
    state.count = R
    for r in range(R):
        state.rules[r] = rule[0]
        if not blocked_init(&state.nets[r], D, M, K, block, functions, rule):
            return False
        state.nets[r].gram = state.nets[0].gram
    set_interval(&state.nets.poll, D, M, K, POLL_OPS_BLOCKED // R)    # a sample takes as long as R
    return True


cdef void side_by_side_free(SideBySideState *state) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(state.count):
        free(state.nets[r].memory)
    free(state.nets)
    free(state.rules)
    free(state.samples)
    free(state.totals)


# (17) sample by sample, block after block, of all networks. The sums of E_n are added to sums.
cdef void learn_side_by_side(SideBySideState *state, double *sums) noexcept nogil:
    cdef BlockedState *nets = state.nets
    cdef const SampleSet *samples = state.samples
    cdef const real *rows[MAX_BLOCK]
    cdef Py_ssize_t first = 0, size, n, p, r
    while first < samples.count:
        size = min(nets.block, samples.count - first)
        gather_rows(samples, first, size, rows)
        for r in range(state.count):
            for p in range(nets[r].hidden.panels):
                layer_sums(&nets[r].hidden, rows, nets[r].e, p, size)
        gram(nets, rows, size, 0)
        memset(state.totals, 0, state.count * sizeof(double))
        for n in range(size):
            for r in range(state.count):
                state.totals[r] += sample_in_order(&nets[r], &samples[r], &state.rules[r], first, size, n)
        for r in range(state.count):
            sums[r] += state.totals[r] + sum_of_logs(&nets[r], &samples[r], first, size)
            for p in range(nets[r].hidden.panels):
                layer_updates(&nets[r].hidden, nets[r].hidden.weights, rows, nets[r].e, p, 0, nets[r].hidden.inputs,
                              size)
        if should_stop(&nets.poll, size):
            break
        first += size
