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
    cdef Py_ssize_t used = (sizeof(OneSample) + 63) // 64 * 64, width = padded(M) // LANES
    cdef Py_ssize_t output_width = padded(K) // LANES
    cdef Net *net = &one.sparse.net
    cdef Symbols *s = &one.symbols
    net.D, net.M, net.K = D, M, K
    used += carve(net, memory + used)
    one.sparse.sums = <real *> arena_alloc(memory, &used, D * sizeof(real))
    used += carve_lanes(&one.lanes, D, M, K, memory + used)
    s.b, s.z, s.e = (carve_vecs(memory, &used, width), carve_vecs(memory, &used, width),
                     carve_vecs(memory, &used, width))
    s.a, s.t, s.error, s.change = (carve_vecs(memory, &used, output_width), carve_vecs(memory, &used, output_width),
                                   carve_vecs(memory, &used, output_width), carve_vecs(memory, &used, output_width))
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


# b, z and a of a sample. Returns whether all b are finite, as they are not with a weight that is not.
cdef inline bint forward_in_lanes(OneSample *one, const real *x, Py_ssize_t width) noexcept nogil:
    cdef LanesNet *net = &one.lanes
    cdef Symbols *s = &one.symbols
    cdef bint finite
    enter_lanes(net)
    pass_over_w(pass_of(net, s, x, NULL), True, False, width)
    finite = all_finite(<const real *> s.b, net.units.M)
    hidden_in_lanes(&net.units, s.b, s.z, width)
    return finite


# One update (17) with units in lanes, as step_if_finite()
cdef inline double step_in_lanes(OneSample *one, const real *x, const Rates *rates, Py_ssize_t width,
                                 Py_ssize_t output_width) noexcept nogil:
    cdef LanesNet *net = &one.lanes
    cdef const Units *units = &net.units
    cdef Symbols *s = &one.symbols
    cdef bint finite = forward_in_lanes(one, x, width)
    cdef real sum_exp_minus_1, largest
    cdef double E_n
    backpropagate_in_lanes(&units, s, rates, 1, width, output_width)
    E_n = error_in_lanes(&net.units, s, &sum_exp_minus_1, output_width) + log1p(sum_exp_minus_1)
    finite = finite and all_finite(<const real *> s.a, net.units.K) and squares_in_lanes_are_finite(net)
    finite = finite and all_finite(<const real *> s.e, net.units.M) and all_finite(<const real *> s.change, net.units.K)
    largest = (maximum(max_abs(<real *> s.e, net.units.M), max_abs(<real *> s.change, net.units.K))
               * maximum(max_abs(x, net.D), maximum(max_abs(<real *> s.z, net.units.M), ONE)))
    if not (isfinite(E_n) and finite and largest < MAX_UPDATE):
        return INFINITY
    update_v_in_lanes(&net.units, <const real *> s.change, s.z, 0, width, output_width)
    pass_over_w(pass_of(net, s, NULL, x), False, True, width)
    leave_lanes(net)
    return E_n


cdef inline bint squares_in_lanes_are_finite(const LanesNet *net) noexcept nogil:
    return net.units.s_w == NULL or (all_finite(<const real *> net.s_w, net.units.M)
                                     and all_finite(<const real *> net.s_v, net.units.K))


cdef double learn_sample(OneSample *one, const Inputs *inputs, const real *t, Py_ssize_t label, real learning_rate,
                         real weight) noexcept nogil:
    cdef const real *x = <const real *> inputs.x
    cdef Net *net = &one.sparse.net
    cdef Rates rates
    if not all_finite(x, inputs.count):
        return NOT_FINITE
    if one.in_lanes and is_dense(inputs):
        rates = Rates(learning_rate, weight, 0)
        if one.lanes.units.s_w != NULL:
            rates.mean_square_x = mean_square(x, net.D)
        target_in_lanes(&one.symbols, t, label, net.K, one.lanes.output_width)
        if one.lanes.width == 1 and one.lanes.output_width == 1:
            return step_in_lanes(one, x, &rates, 1, 1)
        return step_in_lanes(one, x, &rates, one.lanes.width, one.lanes.output_width)
    net.learning_rate, net.weight = learning_rate, weight
    set_target(net.t, t, label, net.K)
    if one.by_rows and is_dense(inputs):
        net.x = x
        return step_if_finite(net)
    if not one_sample_row(&one.sparse, inputs):
        return NOT_FINITE
    return step_row_if_finite(&one.sparse, &one.sparse.rows[0])


cdef Py_ssize_t predict_sample(OneSample *one, const Inputs *inputs, real *y) noexcept nogil:
    cdef Net *net = &one.sparse.net
    cdef const real *x = <const real *> inputs.x
    cdef const real *a = net.a
    cdef real max_a = 0, not_finite
    cdef Py_ssize_t k
    if not all_finite(x, inputs.count):
        return NOT_FINITE
    if one.in_lanes and is_dense(inputs):
        a = <const real *> one.symbols.a
        forward_in_lanes(one, x, one.lanes.width)
        output_sum_in_lanes(&one.lanes.units, one.symbols.z, one.symbols.a, one.lanes.width, one.lanes.output_width)
        not_finite = output_in_vectors(net.functions.output, one.symbols.a, one.symbols.error, &max_a, net.K,
                                       one.lanes.output_width)
        memcpy(y, one.symbols.error, net.K * sizeof(real))
    else:
        if one.by_rows and is_dense(inputs):
            net.x = x
            forward(net)
        elif one_sample_row(&one.sparse, inputs):
            forward_sparse(&one.sparse, &one.sparse.rows[0])
        else:
            return NOT_FINITE
        max_a, not_finite = net.max_a, net.sum_exp_minus_1
        memcpy(y, net.y, net.K * sizeof(real))
    if isnan(not_finite):
        return NOT_FINITE
    for k in range(net.K):
        if a[k] == max_a:
            return k
    return 0


cdef double one_sample_learn(void *memory, const Inputs *inputs, const void *t, Py_ssize_t label,
                             double learning_rate, double weight) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef double E_n = learn_sample(<OneSample *> memory, inputs, <const real *> t, label, <real> learning_rate,
                                   <real> weight)
    restore_subnormals(control)
    return E_n


cdef Py_ssize_t one_sample_predict(void *memory, const Inputs *inputs, void *y) noexcept nogil:
    cdef unsigned int control = flush_subnormals()
    cdef Py_ssize_t k = predict_sample(<OneSample *> memory, inputs, <real *> y)
    restore_subnormals(control)
    return k


cdef OneSampleAPI one_sample_api
one_sample_api.size = one_sample_size
one_sample_api.init = one_sample_init
one_sample_api.bind = one_sample_bind
one_sample_api.learn_one = one_sample_learn
one_sample_api.predict_one = one_sample_predict
ONE_SAMPLE = PyCapsule_New(&one_sample_api, "cbackprop.one_sample", NULL)
