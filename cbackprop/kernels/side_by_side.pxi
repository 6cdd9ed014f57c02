# The side-by-side engine: batches of a tiny network, one sample in each lane.
#
# With a handful of hidden units the blocked engine would leave most lanes empty. Here every value of the equations is
# lanes of samples instead: the code is the direct engine's, add_gradients() on lanes for add_gradients() on one real.
# Each lane holds the same w and v; the lanes of the gradient are summed at the end of a batch, so the same sums are
# taken in another order. Lanes without a sample have the factor 0.

cdef struct SideBySide:
    Py_ssize_t D, M, K
    lanes *w                 # [M][D + 1], each spread over lanes; v [K][M + 1] follows
    lanes *v
    lanes *dw                # like w; dv follows
    lanes *dv
    lanes *x                 # [D] of as many samples as there are lanes
    lanes *t                 # [K]
    lanes *scratch
    patience looks


cdef Py_ssize_t side_by_side_lanes(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    return 2 * (M * (D + 1) + K * (M + 1)) + D + K + scratch_size(M, K)


cdef void lay_side_by_side(SideBySide *net, lanes *memory) noexcept nogil:
    net.w = memory
    net.v = net.w + net.M * (net.D + 1)
    net.dw = net.v + net.K * (net.M + 1)
    net.dv = net.dw + net.M * (net.D + 1)
    net.x = net.dv + net.K * (net.M + 1)
    net.t = net.x + net.D
    net.scratch = net.t + net.K


# The mean gradient (3) of `count` samples times -learning_rate, summed over its lanes, in dw and dv. The sum of E_n.
cdef double gather_gradient(SideBySide *net, const real *x, const real *t, const Py_ssize_t *labels,
                            const real *sample_weight, const Py_ssize_t *order, Py_ssize_t count, real learning_rate,
                            real together) noexcept nogil:
    cdef Py_ssize_t size = net.v - net.w + net.K * (net.M + 1)
    cdef Py_ssize_t first = 0, n, i, k, c
    cdef lanes weight, label, E_n, total = lanes_spread(0)
    cdef int l
    for c in range(size):
        net.dw[c] = lanes_spread(0)
    while first < count:
        for l in range(LANES):
            n = order[min(first + l, count - 1)]
            (<real *> &weight)[l] = weight_of(sample_weight, n) if first + l < count else 0
            for i in range(net.D):
                (<real *> (net.x + i))[l] = x[n * net.D + i]
            (<real *> &label)[l] = label_of(labels, n)
            if t != NULL:
                for k in range(net.K):
                    (<real *> (net.t + k))[l] = t[n * net.K + k]
        if t == NULL:
            for k in range(net.K):
                net.t[k] = lanes_equal(label, k)
        E_n = add_gradients(net.x, net.t, 0, net.w, net.v, weight * (-learning_rate / together), net.dw, net.dv,
                            net.scratch, net.D, net.M, net.K)
        total = total + E_n * weight
        first += LANES
        if stopped(&net.looks, LANES):
            break
    for c in range(size):
        net.dw[c] = lanes_spread(lanes_sum(net.dw[c]))
    return lanes_sum(total)


# (17) with what was gathered, if every weight stays finite
cdef bint add_gathered(const SideBySide *net) noexcept nogil:
    cdef Py_ssize_t size = net.v - net.w + net.K * (net.M + 1), c
    cdef lanes change = lanes_spread(0)
    for c in range(size):
        net.dw[c] = net.w[c] + net.dw[c]
        change = change + (net.dw[c] - net.dw[c])
    if not lanes_sum(change) == 0:
        return False
    memcpy(net.w, net.dw, size * sizeof(lanes))
    return True


# (17) for samples in the given order, batch after batch. The sum of E_n; NaN if learning left the finite numbers,
# with the weights from before the batch at fault.
cdef double learn_side_by_side(SideBySide *net, const real *x, const real *t, const Py_ssize_t *labels,
                               const real *sample_weight, const Py_ssize_t *order, Py_ssize_t count,
                               Py_ssize_t batch_size, real learning_rate) noexcept nogil:
    cdef Py_ssize_t first = 0, size
    cdef real together
    cdef double total = 0
    while first < count:
        size = min(batch_size, count - first)
        together = batch_weight(sample_weight, order, first, size, batch_size)
        if together > 0:
            total += gather_gradient(net, x, t, labels, sample_weight, order + first, size, learning_rate, together)
            if net.looks.stop:    # the batch has no effect
                break
            if not (isfinite(total) and add_gathered(net)):
                return NAN
        first += size
    return total
