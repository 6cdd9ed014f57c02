# Online learning with few units, in blocks of one sample (see blocked.pxi). One pass over w subtracts the update of the
# sample before and, from w as it was before that, takes the products with x. What the update changes in b is e_j G, so
# the pass need not wait for e:
#
#     b_nj = sum_i w_ji x_ni - e_mj G_nm,   w_ji <- w_ji - e_mj x_mi,   m = n - 1
#
# The hidden units are in one panel, whose width is a constant, and the outputs in one vector: z, a, y and e stay in
# registers.


# (17) for w, of the sample m before, and z_nj
cdef inline void fused_pass(const BlockedState *net, const real *x_m, const real *x, const vec *e, vec *z,
                            int width) noexcept nogil:
    cdef vec *w = net.hidden.weights
    cdef Py_ssize_t D = net.hidden.inputs, i = 0
    cdef real gram = dot(1, x_m, x, D)
    cdef vec b[2][TILE_VECS]
    cdef vec w_i
    cdef int c, j
    for j in range(width):
        w_i = w[D * width + j]
        b[0][j], b[1][j] = w_i, vec_broadcast(0)
        w[D * width + j] = w_i - e[j]
    while i + 2 <= D:
        for c in range(2):
            for j in range(width):
                w_i = w[(i + c) * width + j]
                b[c][j] = b[c][j] + w_i * x[i + c]
                w[(i + c) * width + j] = w_i - e[j] * x_m[i + c]
        i += 2
    if i < D:
        for j in range(width):
            w_i = w[i * width + j]
            b[0][j] = b[0][j] + w_i * x[i]
            w[i * width + j] = w_i - e[j] * x_m[i]
    for j in range(width):
        z[j] = vec_mask(h(net.functions.hidden, (b[0][j] + b[1][j]) - e[j] * gram), net.hidden.mask[j])


cdef inline double learn_fused_of_width(BlockedState *net, const SampleSet *samples, const LearningRule *rule,
                                        int width) noexcept nogil:
    cdef Py_ssize_t D = net.hidden.inputs, first = 0, size, n
    cdef const real *x
    cdef const real *x_m = inputs_of(samples, 0)
    cdef vec z[TILE_VECS]
    cdef vec e[TILE_VECS]
    cdef vec last_e[TILE_VECS]    # whose address is passed on; e stays in registers
    cdef vec a, y
    cdef real mean_square_x = 0
    cdef double total = 0
    cdef int j
    for j in range(width):
        e[j] = vec_broadcast(0)
    while first < samples.count and not net.poll.stop:
        size = min(net.block, samples.count - first)
        for n in range(size):
            x = inputs_of(samples, first + n)
            fused_pass(net, x_m, x, e, z, width)
            if net.adaptive:
                mean_square_x = mean_square_row(x, D)
            total += outputs_in_order(net, samples, rule, first, n, mean_square_x, z, &a, &y, e, 0, width, 1)
            x_m = x
        total += sum_of_logs(net, samples, first, size)
        should_stop(&net.poll, size)
        first += size
    for j in range(width):
        last_e[j] = e[j]
    layer_updates(&net.hidden, net.hidden.weights, &x_m, last_e, 0, 0, D, 1)
    return total


# (17) sample by sample. Returns the sum of E_n.
cdef double learn_fused(BlockedState *net, const SampleSet *samples, const LearningRule *rule) noexcept nogil:
    if net.hidden.width == 1:
        return learn_fused_of_width(net, samples, rule, 1)
    if net.hidden.width == 2:
        return learn_fused_of_width(net, samples, rule, 2)
    return learn_fused_of_width(net, samples, rule, TILE_VECS)
