# The direct engine: one sample after the other, in the article's order and on the user's own arrays, by the
# functions of equations.pxi as they stand there.
#
#   Forward from x, w, v;  the new v from z, y, t;  the new w from x, z, v, y, t;  both are stored.
#
# (18) needs the old v, so every e_j is formed before (17) touches v. Passes copy the network, so that the compiler can
# keep its pointers in registers.


# b, z, a and y of one sample
cdef inline void forward(Net *net) noexcept nogil:
    hidden_sum(net.w, net.x, net.b, net.D, net.M)
    forward_from_sums(net)


# z, a and y, given b
cdef void forward_from_sums(Net *net) noexcept nogil:
    hidden_output(net.functions.hidden, net.b, net.z, net.M)
    output_sum(net.v, net.z, net.a, net.M, net.K)
    net.sum_exp_minus_1 = output_function(net.functions.output, net.a, net.y, &net.max_a, net.K)


# E_n of one sample, and e
cdef inline void backpropagate(Net *net) noexcept nogil:
    forward(net)
    compute_errors(net)


# E_n and e, given y
cdef void compute_errors(Net *net) noexcept nogil:
    net.E_n = sample_error(net.functions.output, net.t, net.a, net.max_a, net.sum_exp_minus_1, net.K)
    hidden_error(net.e, net.y, net.t, net.v, net.z, net.functions.hidden, net.M, net.K)


# alpha of (17) for all units: the learning rate times the sample's weight
cdef inline void set_rates(Net *net) noexcept nogil:
    cdef Py_ssize_t j, k
    for j in range(net.M):
        net.alpha_w[j] = net.learning_rate * net.weight
    for k in range(net.K):
        net.alpha_v[k] = net.learning_rate * net.weight


# The same or, with sums of squares, that of row-wise AdaGrad; the weight is a factor of E_n, and so of its gradient
cdef void adapt_rates(Net *net) noexcept nogil:
    if net.s_w == NULL:
        set_rates(net)
        return
    net.mean_square_x = mean_square(net.x, net.D)
    adapt_rates_of_units(net)


cdef void adapt_rates_of_units(Net *net) noexcept nogil:
    cdef Py_ssize_t j, k
    net.mean_square_z = mean_square(net.z, net.M)
    for j in range(net.M):
        net.next_s_w[j] = sum_of_squares(net.s_w[j], net.weight * net.e[j], net.mean_square_x)
        net.alpha_w[j] = adaptive_rate(net.learning_rate, net.next_s_w[j]) * net.weight
    for k in range(net.K):
        net.next_s_v[k] = sum_of_squares(net.s_v[k], net.weight * output_error(net.y[k], net.t[k]), net.mean_square_z)
        net.alpha_v[k] = adaptive_rate(net.learning_rate, net.next_s_v[k]) * net.weight


cdef inline void store_squares(Net *net) noexcept nogil:
    cdef Py_ssize_t j, k
    if net.s_w == NULL:
        return
    for j in range(net.M):
        net.s_w[j] = net.next_s_w[j]
    for k in range(net.K):
        net.s_v[k] = net.next_s_v[k]


# (17) for v and w
cdef inline void update_weights(Net *net) noexcept nogil:
    update_v(net.v, net.y, net.t, net.z, net.alpha_v, net.M, net.K)
    update_w(net.w, net.e, net.x, net.alpha_w, net.D, net.M)
    store_squares(net)


# Whether b and a are finite: a weight that is not shows in them
cdef inline bint sums_are_finite(const Net *net) noexcept nogil:
    return all_finite(net.b, net.M) and all_finite(net.a, net.K)


# Whether the update (17) provably keeps all weights finite, without reading them: every change is below MAX_UPDATE.
# `largest_e` bounds |alpha_j e_j|.
cdef bint update_is_finite(const Net *net, real largest_e, real largest_x) noexcept nogil:
    cdef real largest_error = 0
    cdef Py_ssize_t k
    for k in range(net.K):
        largest_error = maximum(largest_error, net.alpha_v[k] * maximum(net.y[k] - net.t[k], net.t[k] - net.y[k]))
    return (isfinite(net.E_n) and sums_are_finite(net) and all_finite(net.e, net.M) and squares_are_finite(net)
            and largest_error * maximum(max_abs(net.z, net.M), ONE) < MAX_UPDATE
            and largest_e * maximum(largest_x, ONE) < MAX_UPDATE)


# Rates are checked, too: sums of squares that the caller made negative give NaN
cdef bint squares_are_finite(const Net *net) noexcept nogil:
    return net.s_w == NULL or (all_finite(net.next_s_w, net.M) and all_finite(net.next_s_v, net.K)
                               and all_finite(net.alpha_w, net.M) and all_finite(net.alpha_v, net.K))


# One update (17), only if E_n and all weights stay finite. Returns E_n before it, or infinity.
cdef double step_if_finite(const Net *state) noexcept nogil:
    cdef Net local = state[0]
    cdef Net *net = &local
    backpropagate(net)
    adapt_rates(net)
    if not update_is_finite(net, max_abs(net.alpha_w, net.M) * max_abs(net.e, net.M), max_abs(net.x, net.D)):
        return INFINITY
    update_weights(net)
    return net.E_n


# Sample n of a set as the sample of a network
cdef inline void load_sample(Net *net, const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    net.x = inputs_of(samples, n)
    load_target(samples, n, net.t)


# (17) sample by sample. Returns the sum of E_n, each before its own update; where E_n is not finite, w and v stay.
cdef double learn_online_direct(const Net *state, const SampleSet *samples, const LearningRule *rule,
                                SignalPoll *poll) noexcept nogil:
    cdef Net local = state[0]
    cdef Net *net = &local
    cdef double total = 0
    cdef Py_ssize_t n
    net.learning_rate = rule.learning_rate
    for n in range(samples.count):
        load_sample(net, samples, n)
        net.weight = weight_of(samples, n)
        backpropagate(net)
        total += net.weight * net.E_n
        record_loss(samples, n, net.E_n)
        if isfinite(net.E_n):
            adapt_rates(net)
            update_weights(net)
        if should_stop(poll, 1):
            break
    return total


# (17) with the mean gradient (3) of a batch (rules.pxi). The penalty l2/2 sum of w_ji^2 is added to the sum of E_n. An
# interrupted batch is discarded; with momentum, where u continues from batch to batch, it is finished instead, unless
# it is the whole epoch, which the caller discards.
cdef double learn_batch_direct(const Net *state, const SampleSet *samples, const LearningRule *rule, Py_ssize_t first,
                               Py_ssize_t size, real total_weight, SignalPoll *poll) noexcept nogil:
    cdef Net local = state[0]
    cdef Net *net = &local
    cdef double total = 0
    cdef Py_ssize_t n
    begin_batch(net, rule, total_weight)
    for n in range(first, first + size):
        load_sample(net, samples, n)
        net.weight = weight_of(samples, n)
        backpropagate(net)
        total += net.weight * net.E_n
        record_loss(samples, n, net.E_n)
        if isfinite(net.E_n):    # (17) for the velocities
            set_rates(net)
            update_v(net.u_v, net.y, net.t, net.z, net.alpha_v, net.M, net.K)
            update_w(net.u_w, net.e, net.x, net.alpha_w, net.D, net.M)
        if should_stop(poll, 1) and (rule.momentum == 0 or size == samples.count):
            return total
    end_batch(net, rule, total_weight)
    return total


# u <- momentum u - decay w, or u <- 0 if rates adapt
cdef void begin_batch(Net *net, const LearningRule *rule, real total_weight) noexcept nogil:
    cdef real decay = 0 if rule.adaptive else decay_of(rule, total_weight)
    cdef Py_ssize_t j, k
    for j in range(net.M):
        begin_update(net.u_w[j], net.w[j], rule.momentum, decay, net.D)
    for k in range(net.K):
        begin_update(net.u_v[k], net.v[k], rule.momentum, decay, net.M)
    net.learning_rate = (ONE if rule.adaptive else rule.learning_rate) / total_weight


# w <- w + u
cdef void end_batch(Net *net, const LearningRule *rule, real total_weight) noexcept nogil:
    cdef real decay = decay_of(rule, total_weight)
    cdef Py_ssize_t j, k
    for j in range(net.M):
        if rule.adaptive:
            adapt_update(net.u_w[j], net.w[j], &net.s_w[j], rule.learning_rate, decay, net.D)
        end_update(net.w[j], net.u_w[j], net.D + 1)
    for k in range(net.K):
        if rule.adaptive:
            adapt_update(net.u_v[k], net.v[k], &net.s_v[k], rule.learning_rate, decay, net.M)
        end_update(net.v[k], net.u_v[k], net.M + 1)


# ------------------------------------------------------------------------------------------------------------ classes


cdef class SampleEngine(Engine):
    """Passes over all samples, of engines that take one after the other."""

    cdef Net *one                            # with the symbols of one sample

    # b, z, a and y of sample n. Returns whether its inputs exist
    cdef bint forward_sample(self, const SampleSet *samples, Py_ssize_t n) noexcept nogil:
        return False

    # The gradient (16) and (18) of that sample, added to that of others
    cdef void add_gradient(self) noexcept nogil:
        pass

    # Returns whether all b are finite, as they are not where x is not
    cdef bint forward_set(self, const SampleSet *samples, const Activations *out) noexcept nogil:
        cdef const Net *net = self.one
        cdef Py_ssize_t M = net.M, K = net.K, n
        cdef bint finite = True
        for n in range(samples.count):
            finite = self.forward_sample(samples, n) and finite and all_finite(net.b, M)
            if should_stop(&self.poll, 1):
                break
            if out.b != NULL:
                memcpy(out.b + n * M, net.b, M * sizeof(real))
                memcpy(out.z + n * M, net.z, M * sizeof(real))
            memcpy(out.a + n * K, net.a, K * sizeof(real))
            memcpy(out.y + n * K, net.y, K * sizeof(real))
        return finite

    # (2)  E, and the sums of (3) where they are wanted
    cdef double pass_over(self, const SampleSet *samples, bint gradients) noexcept nogil:
        cdef Net *net = self.one
        cdef double total = 0
        cdef bint valid
        cdef Py_ssize_t n
        for n in range(samples.count):
            valid = self.forward_sample(samples, n)
            load_target(samples, n, net.t)
            if gradients:
                compute_errors(net)
                if valid and isfinite(net.E_n):
                    self.add_gradient()
            else:
                net.E_n = sample_error(net.functions.output, net.t, net.a, net.max_a, net.sum_exp_minus_1, net.K)
            total += net.E_n if valid else NAN
            if should_stop(&self.poll, 1):
                break
        return mean_error(total, samples.count)

    cdef double loss_of_set(self, const SampleSet *samples) noexcept nogil:
        return self.pass_over(samples, False)


cdef class DirectEngine(SampleEngine):
    """Learns sample by sample, or batch by batch, on arrays whose rows are contiguous."""

    cdef Net net

    def __cinit__(self, *sizes, **settings):
        cdef Net *net = &self.net
        cdef Rows u_w, u_v
        net.D, net.M, net.K, net.functions = self.D, self.M, self.K, self.functions
        carve(net, self.allocate(carve(net, NULL)))
        if self.rule.momentum == 0:
            self.g = self.make()
            u_w, u_v = rows_of(self.g[0]), rows_of(self.g[1])
            set_rows(net.u_w, u_w.first, self.M, u_w.stride)
            set_rows(net.u_v, u_v.first, self.K, u_v.stride)
        self.one = net
        self.supports = ("forward", "gradient") if self.rule.momentum == 0 else ("forward",)

    cdef bint suits(self, const Rows *rows) noexcept:
        return not (rows[0].columns or rows[1].columns or rows[2].columns or rows[3].columns)

    cdef int bind(self) except -1:
        cdef Net *net = &self.net
        set_rows(net.w, self.rows[0].first, self.M, self.rows[0].stride)
        set_rows(net.v, self.rows[1].first, self.K, self.rows[1].stride)
        if self.rule.adaptive:
            net.s_w, net.s_v = self.rows[2].first, self.rows[3].first
        if self.rule.momentum != 0:
            set_rows(net.u_w, self.rows[2].first, self.M, self.rows[2].stride)
            set_rows(net.u_v, self.rows[3].first, self.K, self.rows[3].stride)
        return 0

    cdef double learn_set(self, const SampleSet *samples, Py_ssize_t threads) noexcept nogil:
        if self.rule.batch_size == 1 and self.rule.momentum == 0 and self.rule.l2 == 0:
            return learn_online_direct(&self.net, samples, &self.rule, &self.poll)
        return self.learn_batches(samples)

    cdef double learn_batch(self, const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                            real total_weight) noexcept nogil:
        return learn_batch_direct(&self.net, samples, &self.rule, first, size, total_weight, &self.poll)

    cdef bint forward_sample(self, const SampleSet *samples, Py_ssize_t n) noexcept nogil:
        self.net.x = inputs_of(samples, n)
        forward(&self.net)
        return True

    cdef void add_gradient(self) noexcept nogil:
        cdef const Net *net = &self.net
        gradient_v(net.u_v, net.y, net.t, net.z, net.M, net.K)
        gradient_w(net.u_w, net.e, net.x, net.D, net.M)

    # In u
    cdef double gradient_of_set(self, const SampleSet *samples) noexcept nogil:
        cdef Net *net = &self.net
        cdef double E
        memset(net.u_w[0], 0, net.M * (net.D + 1) * sizeof(real))
        memset(net.u_v[0], 0, net.K * (net.M + 1) * sizeof(real))
        E = self.pass_over(samples, True)
        mean_gradient(net.u_w, samples.count, net.D, net.M)
        mean_gradient(net.u_v, samples.count, net.M, net.K)
        return E
