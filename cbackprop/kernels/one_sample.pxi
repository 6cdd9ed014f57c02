# Calls for one sample, on the user's own arrays, by the engine that takes them as they are: the direct one, the lanes
# or, of inputs given by their indices and of w by columns without padding, the sparse one. A sample is learned only if
# E_n and all weights stay finite.
from cpython.pycapsule cimport PyCapsule_New

cdef struct OneSample:
    SparseNet sparse             # in which is the network of the direct engine
    LanesNet lanes
    Symbols symbols              # of the lanes
    bint by_rows, in_lanes       # what suits w and v


cdef Py_ssize_t carve_one_sample(OneSample *one, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, char *memory) noexcept nogil:
    cdef Py_ssize_t used = (sizeof(OneSample) + 63) // 64 * 64
    cdef Net *net = &one.sparse.net
    net.D, net.M, net.K = D, M, K
    used += carve(net, memory + used)
    one.sparse.sums = <real *> arena_alloc(memory, &used, D * sizeof(real))
    used += carve_lanes(&one.lanes, D, M, K, memory + used)
    carve_symbols(&one.symbols, one.lanes.width, one.lanes.output_width, memory, &used)
    return used


cdef Py_ssize_t one_sample_size(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil:
    cdef OneSample one
    return carve_one_sample(&one, D, M, K, NULL)


cdef void one_sample_init(void *memory, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, int hidden,
                          int output) noexcept nogil:
    cdef OneSample *one = <OneSample *> memory
    carve_one_sample(one, D, M, K, <char *> memory)
    one.sparse.net.functions.hidden, one.sparse.net.functions.output = hidden, output
    init_lanes(&one.lanes, one.sparse.net.functions)


cdef void one_sample_bind(void *memory, const Weights *weights) noexcept nogil:
    cdef OneSample *one = <OneSample *> memory
    bind_weights(&one.sparse, weights)
    one.by_rows, one.in_lanes = weights.input_stride == 1, fits_lanes(weights, one.lanes.units.M)
    if one.by_rows:
        set_rows(one.sparse.net.w, <real *> weights.w, one.sparse.net.M, weights.unit_stride)
    if one.in_lanes:
        bind_lanes(&one.lanes, weights)


# The row of a sample for the sparse engine: where the weights of each input are. False if an index is out of range.
cdef bint one_sample_row(SparseNet *net, const Inputs *inputs) noexcept nogil:
    cdef SparseRow *row = &net.rows[0]
    cdef Py_ssize_t i
    row.at = <Py_ssize_t *> inputs.places
    cdef Py_ssize_t[2] indptr
    cdef SampleSet samples
    if is_dense(inputs):
        row.x, row.nnz, row.valid = <const real *> inputs.x, inputs.count, True
        for i in range(row.nnz):
            row.at[i] = i * net.input_stride
    else:
        memset(&samples, 0, sizeof(samples))
        indptr[0], indptr[1] = 0, inputs.count
        samples.x, samples.indptr = <const real *> inputs.x, indptr
        samples.indices32, samples.indices64 = inputs.indices32, inputs.indices64
        gather_row(net, &samples, 0, row)
    return row.valid


cdef inline bint is_dense(const Inputs *inputs) noexcept nogil:
    return inputs.indices32 == NULL and inputs.indices64 == NULL


# b and z of a sample. Returns 0, or NaN in some lane if not all b are finite, as they are not with an input or a weight
# that is not.
cdef inline vec forward_in_lanes(LanesNet *net, Symbols *s, const real *x, Py_ssize_t width,
                                 Py_ssize_t output_width) noexcept nogil:
    cdef vec not_finite = vec_broadcast(0)
    cdef Py_ssize_t j
    load_biases(net, output_width)
    pass_over_w(pass_of(net, s, x, NULL), True, False, width)
    for j in range(width):
        not_finite = not_finite + vec_mask(s.b[j] - s.b[j], net.units.mask[j])
    hidden_in_lanes(&net.units, s.b, s.z, width)
    return not_finite


# One update (17) with units in lanes, as step_if_finite()
cdef inline double step_in_lanes(LanesNet *net, Symbols *s, const real *x, const Rates *rates, Py_ssize_t width,
                                 Py_ssize_t output_width) noexcept nogil:
    cdef const Units *units = &net.units
    cdef vec not_finite
    cdef real sum_exp_minus_1
    cdef double E_n
    cdef Py_ssize_t k
    load_squares(net)
    not_finite = forward_in_lanes(net, s, x, width, output_width)
    backpropagate_in_lanes(&units, s, rates, 1, width, output_width)
    for k in range(output_width):
        not_finite = not_finite + (s.a[k] - s.a[k])
    E_n = error_in_lanes(units, s, &sum_exp_minus_1, output_width)
    if not (isfinite(E_n + sum_exp_minus_1) and vec_within(not_finite, vec_broadcast(0))
            and squares_in_lanes_are_finite(net)
            and changes_in_lanes_are_finite(s, max_abs(x, net.D), width, output_width)):
        if units.s_w != NULL:    # also of padding, which is never loaded again
            net.s_w[width - 1] = net.s_v[output_width - 1] = vec_broadcast(0)
        return INFINITY
    pass_over_w(pass_of(net, s, NULL, x), False, True, width)
    if units.M % LANES:    # z_M = 1, so that biases are updated with the others
        s.z[width - 1] = s.z[width - 1] + vec_mask(vec_broadcast(1), vec_lane_mask(units.M % LANES))
    update_v_in_lanes(units, <const real *> s.change, s.z, 0, width, output_width)
    if units.M % LANES == 0:
        store_biases(net)
    store_squares_in_lanes(net)
    return E_n + log1p(sum_exp_minus_1)    # last, since nothing waits for the logarithm


# Whether no weight changes by MAX_UPDATE or more
cdef inline bint changes_in_lanes_are_finite(const Symbols *s, real largest_x, Py_ssize_t width,
                                             Py_ssize_t output_width) noexcept nogil:
    cdef vec largest = vec_broadcast(maximum(largest_x, ONE)), limit = vec_broadcast(MAX_UPDATE)
    cdef bint within = True
    cdef Py_ssize_t j
    for j in range(width):
        if not vec_within(s.z[j], largest):
            largest = vec_max_of_lanes(maximum(s.z[j], maximum(-s.z[j], largest)))
    for j in range(width):
        within = within and vec_within(s.e[j] * largest, limit)
    for j in range(output_width):
        within = within and vec_within(s.change[j] * largest, limit)
    return within


cdef inline bint squares_in_lanes_are_finite(const LanesNet *net) noexcept nogil:
    return net.units.s_w == NULL or (all_finite(<const real *> net.s_w, net.units.M)
                                     and all_finite(<const real *> net.s_v, net.units.K))


# The same with the sizes as constants and the symbols in registers
cdef inline double step_in_registers(LanesNet *net, const real *x, const real *t, Py_ssize_t label,
                                     const Rates *rates, Py_ssize_t width) noexcept nogil:
    cdef LanesScratch scratch
    cdef Symbols s = symbols_of(&scratch)
    target_in_lanes(&s, t, label, net.units.K, 1)
    return step_in_lanes(net, &s, x, rates, width, 1)


cdef inline double learn_sample_in_lanes(OneSample *one, const real *x, const real *t, Py_ssize_t label,
                                         real learning_rate, real weight) noexcept nogil:
    cdef LanesNet *net = &one.lanes
    cdef Rates rates = Rates(learning_rate, weight, 0)
    if net.units.s_w != NULL:
        rates.mean_square_x = mean_square(x, net.D)
    if net.output_width == 1 and net.width == 1:
        return step_in_registers(net, x, t, label, &rates, 1)
    if net.output_width == 1 and net.width == 2:
        return step_in_registers(net, x, t, label, &rates, 2)
    if net.output_width == 1 and net.width == 3:
        return step_in_registers(net, x, t, label, &rates, 3)
    target_in_lanes(&one.symbols, t, label, net.units.K, net.output_width)
    return step_in_lanes(net, &one.symbols, x, &rates, net.width, net.output_width)


cdef double learn_sample(OneSample *one, const Inputs *inputs, const real *t, Py_ssize_t label, real learning_rate,
                         real weight) noexcept nogil:
    cdef const real *x = <const real *> inputs.x
    cdef Net *net = &one.sparse.net
    cdef double E_n
    if one.in_lanes and is_dense(inputs):
        E_n = learn_sample_in_lanes(one, x, t, label, learning_rate, weight)
        return E_n if E_n != INFINITY or all_finite(x, net.D) else NOT_FINITE
    if not all_finite(x, inputs.count):
        return NOT_FINITE
    net.learning_rate, net.weight = learning_rate, weight
    set_target(net.t, t, label, net.K)
    if one.by_rows and is_dense(inputs):
        net.x = x
        return step_if_finite(net)
    if not one_sample_row(&one.sparse, inputs):
        return NOT_FINITE
    return step_row_if_finite(&one.sparse, &one.sparse.rows[0])


# y with units in lanes, and the index of the largest
cdef inline Py_ssize_t outputs_in_lanes(LanesNet *net, Symbols *s, const real *x, real *y, Py_ssize_t width,
                                        Py_ssize_t output_width) noexcept nogil:
    cdef const Units *units = &net.units
    cdef real max_a, not_finite
    cdef Py_ssize_t k
    if not vec_within(forward_in_lanes(net, s, x, width, output_width), vec_broadcast(0)) and not all_finite(x, net.D):
        return NOT_FINITE
    output_sum_in_lanes(units, s.z, s.a, width, output_width)
    not_finite = output_in_vectors(units.functions.output, s.a, s.error, &max_a, units.K, output_width)
    for k in range(units.K):
        y[k] = (<const real *> s.error)[k]
    if isnan(not_finite):
        return NOT_FINITE
    return first_equal_in_vectors(s.a, max_a, output_width)


# The same with the sizes as constants and the symbols in registers
cdef inline Py_ssize_t outputs_in_registers(LanesNet *net, const real *x, real *y, Py_ssize_t width) noexcept nogil:
    cdef LanesScratch scratch
    cdef Symbols s = symbols_of(&scratch)
    return outputs_in_lanes(net, &s, x, y, width, 1)


cdef inline Py_ssize_t predict_sample_in_lanes(OneSample *one, const real *x, real *y) noexcept nogil:
    cdef LanesNet *net = &one.lanes
    if net.output_width == 1 and net.width == 1:
        return outputs_in_registers(net, x, y, 1)
    if net.output_width == 1 and net.width == 2:
        return outputs_in_registers(net, x, y, 2)
    if net.output_width == 1 and net.width == 3:
        return outputs_in_registers(net, x, y, 3)
    return outputs_in_lanes(net, &one.symbols, x, y, net.width, net.output_width)


cdef Py_ssize_t predict_sample(OneSample *one, const Inputs *inputs, real *y) noexcept nogil:
    cdef Net *net = &one.sparse.net
    cdef const real *x = <const real *> inputs.x
    cdef Py_ssize_t k
    if one.in_lanes and is_dense(inputs):
        return predict_sample_in_lanes(one, x, y)
    if not all_finite(x, inputs.count):
        return NOT_FINITE
    if one.by_rows and is_dense(inputs):
        net.x = x
        forward(net)
    elif one_sample_row(&one.sparse, inputs):
        forward_sparse(&one.sparse, &one.sparse.rows[0])
    else:
        return NOT_FINITE
    memcpy(y, net.y, net.K * sizeof(real))
    if isnan(net.sum_exp_minus_1):
        return NOT_FINITE
    for k in range(net.K):
        if net.a[k] == net.max_a:
            return k
    return 0


cdef double one_sample_learn(void *memory, const Inputs *inputs, const void *t, Py_ssize_t label,
                             double learning_rate, double weight) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef double E_n = learn_sample(<OneSample *> memory, inputs, <const real *> t, label, <real> learning_rate,
                                   <real> weight)
    set_control(control)
    return E_n


cdef Py_ssize_t one_sample_predict(void *memory, const Inputs *inputs, void *y) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef Py_ssize_t k = predict_sample(<OneSample *> memory, inputs, <real *> y)
    set_control(control)
    return k


cdef OneSampleAPI one_sample_api
one_sample_api.size = one_sample_size
one_sample_api.init = one_sample_init
one_sample_api.bind = one_sample_bind
one_sample_api.learn_one = one_sample_learn
one_sample_api.predict_one = one_sample_predict
ONE_SAMPLE = PyCapsule_New(&one_sample_api, "cbackprop.one_sample", NULL)
