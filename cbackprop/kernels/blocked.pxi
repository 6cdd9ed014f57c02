# The blocked engine: the updates (17) of the direct engine, sample after sample, at the speed of matrix products.
#
# Inside a block of B samples w enters only through its products with x. With w as it was at the start of the block,
# G_nm = sum_i x_ni x_mi + 1 (the 1 is x_D x_D), and e_mj = alpha dE_m/db_j, the samples before n have changed w_ji by
# -sum_{m<n} e_mj x_mi. So the hidden sum that the direct engine would find at sample n is
#
#     b_nj = P_nj - sum_{m<n} e_mj G_nm,   P_nj = sum_i w_ji x_ni             products, then corrections
#
# and after the block  w_ji <- w_ji - sum_n e_nj x_ni                         updates
#
# Between the two, learn_in_order() takes the samples one after the other; v changes at every sample, as always. The
# same sums as in the direct engine, rounding aside, but three passes over w a block instead of three a sample, and
# two of them are matrix products of small tiles that stay in registers.
#
# The samples of a mini-batch all see the same w and v. So there are no corrections, and what v adds is products and
# updates of the same tiles: a = z v', the sums over k in (18), and (16).
#
# Units stand side by side in lanes. A layer's weights are kept in panels of up to TILE_LANES lanes: for each input i
# the weights of the panel's units, then the next i; the bias last. So a panel is read from front to back, whatever
# the number of units is. Lanes beyond the last unit have a BELOW_ALL bias: z = 0 and y = 0 there, and so all errors.

from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free

cdef extern from "barrier.h":
    ctypedef struct meeting:
        long threads
    void meet(meeting *m) noexcept nogil

cdef extern from "lanes.h":
    enum: TILE_SAMPLES
    enum: TILE_LANES
    enum: LANES_BYTES
    void fetch(const real *row, Py_ssize_t n) noexcept nogil


cdef enum:
    LONGEST_BLOCK = 128    # a multiple of every TILE_SAMPLES
    BY_BLOCKS = 30_000_000 * LANES_BYTES    # operations between two looks at signals: wide registers take more at once
    STRIP = 32             # inputs whose weights of a panel stay in the first cache

cdef extern from *:
    """
    #define BELOW_ALL ((REAL)-1e30)
    """
    const real BELOW_ALL    # e^BELOW_ALL = 0, and products with 0 are 0, as they would not be with -inf


cdef struct Layer:
    Py_ssize_t inputs, units
    Py_ssize_t width             # lanes over all panels
    Py_ssize_t stride            # lanes from one sample to the next: odd, so that samples don't share cache sets
    Py_ssize_t panels
    lanes *weights               # panel after panel: [inputs + 1][panel width]
    lanes *changes               # the same, where changes are gathered


# Room for an epoch, allocated once
cdef struct Blocked:
    Layer hidden                 # w
    Layer output                 # v by columns, for batches
    lanes *v                     # v by rows: [K][hidden.stride]
    lanes *v_bias                # [output.width]
    Py_ssize_t block             # samples in a block, a multiple of TILE_SAMPLES
    bint online                  # sample by sample: learn_online
    bint gathered                # batches longer than a block, or changes that go on: gathered before weights change
    real momentum, l2
    lanes *e                     # [block][hidden.stride]: b (online P), then e
    lanes *z                     # [block][hidden.stride]; online, of one sample, like a and y
    lanes *a                     # [block][output.stride]
    lanes *y                     # [block][output.stride]: y, then its error
    const real **z_rows          # where each sample's z and y begin
    const real **y_rows
    real *rest                   # [block] in whole lanes: of softmax, for the logarithms of E_n
    real *gram                   # [block][block]
    void *memory
    meeting meeting              # of the threads
    patience looks
    bint stopping                # what all threads know of it when they have met


# Panel p begins at this lane: the lanes are dealt out evenly
cdef inline Py_ssize_t panel_start(const Layer *layer, Py_ssize_t p) noexcept nogil:
    return p * layer.width // layer.panels


# b_nj = start_j + sum_i w_ji x_ni of TILE_SAMPLES samples
cdef inline void product_tile(const lanes *w, Py_ssize_t w_stride, const lanes *start, const real *const *x,
                              lanes *b, Py_ssize_t b_stride, Py_ssize_t D, int width) noexcept nogil:
    cdef lanes sum[TILE_SAMPLES][TILE_LANES]
    cdef Py_ssize_t i
    cdef int n, j
    for n in range(TILE_SAMPLES):
        for j in range(width):
            sum[n][j] = start[j]
    for i in range(D):
        for n in range(TILE_SAMPLES):
            for j in range(width):
                sum[n][j] = sum[n][j] + w[i * w_stride + j] * x[n][i]
    for n in range(TILE_SAMPLES):
        for j in range(width):
            b[n * b_stride + j] = sum[n][j]


# w_ji <- w_ji - sum_n e_nj x_ni of `rows` inputs, from i on; the sum by itself first, so that it rounds as finely as
# small numbers do
cdef inline void update_tile(lanes *w, const real *const *x, const lanes *e, Py_ssize_t e_stride, Py_ssize_t i,
                             Py_ssize_t count, int rows, int width) noexcept nogil:
    cdef lanes sum[TILE_SAMPLES][TILE_LANES]
    cdef Py_ssize_t n
    cdef int r, j
    for r in range(rows):
        for j in range(width):
            sum[r][j] = lanes_spread(0)
    for n in range(count):
        for r in range(rows):
            for j in range(width):
                sum[r][j] = sum[r][j] + e[n * e_stride + j] * x[n][i + r]
    for r in range(rows):
        for j in range(width):
            w[(i + r) * width + j] = w[(i + r) * width + j] - sum[r][j]


cdef inline void products_of_width(const lanes *w, Py_ssize_t w_stride, const lanes *start, const real *const *x,
                                   lanes *b, Py_ssize_t b_stride, Py_ssize_t D, Py_ssize_t count,
                                   int width) noexcept nogil:
    cdef Py_ssize_t n = 0
    while n < count:
        product_tile(w, w_stride, start, x + n, b + n * b_stride, b_stride, D, width)
        n += TILE_SAMPLES


cdef inline void updates_of_width(lanes *w, const real *const *x, const lanes *e, Py_ssize_t e_stride, Py_ssize_t i,
                                  Py_ssize_t end, Py_ssize_t count, int width) noexcept nogil:
    while i + TILE_SAMPLES <= end:
        update_tile(w, x, e, e_stride, i, count, TILE_SAMPLES, width)
        i += TILE_SAMPLES
    while i < end:
        update_tile(w, x, e, e_stride, i, count, 1, width)
        i += 1


# The tiles are compiled for each width by itself, so that their sums live in registers
cdef void products(const lanes *w, Py_ssize_t w_stride, const lanes *start, const real *const *x, lanes *b,
                   Py_ssize_t b_stride, Py_ssize_t D, Py_ssize_t count, Py_ssize_t width) noexcept nogil:
    if width == 1:
        products_of_width(w, w_stride, start, x, b, b_stride, D, count, 1)
    elif width == 2:
        products_of_width(w, w_stride, start, x, b, b_stride, D, count, 2)
    else:
        products_of_width(w, w_stride, start, x, b, b_stride, D, count, TILE_LANES)


cdef void updates(lanes *w, const real *const *x, const lanes *e, Py_ssize_t e_stride, Py_ssize_t begin,
                  Py_ssize_t end, Py_ssize_t count, Py_ssize_t width) noexcept nogil:
    if width == 1:
        updates_of_width(w, x, e, e_stride, begin, end, count, 1)
    elif width == 2:
        updates_of_width(w, x, e, e_stride, begin, end, count, 2)
    else:
        updates_of_width(w, x, e, e_stride, begin, end, count, TILE_LANES)


# b, or a (13), of `count` samples and one panel of a layer
cdef void layer_sums(const Layer *layer, const real *const *x, lanes *sums, Py_ssize_t p,
                     Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p)
    cdef Py_ssize_t width = panel_start(layer, p + 1) - start
    cdef const lanes *weights = layer.weights + start * (layer.inputs + 1)
    products(weights, width, weights + layer.inputs * width, x, sums + start, layer.stride, layer.inputs, count, width)


# (17) for one panel of a layer and the inputs from begin to end; the bias has x_D = 1, or z_M = 1, for its input
cdef void layer_updates(const Layer *layer, lanes *weights, const real *const *x, const lanes *errors, Py_ssize_t p,
                        Py_ssize_t begin, Py_ssize_t end, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p), n, j
    cdef Py_ssize_t width = panel_start(layer, p + 1) - start
    cdef lanes *panel = weights + start * (layer.inputs + 1)
    updates(panel, x, errors + start, layer.stride, begin, end, count, width)
    if end == layer.inputs:
        for n in range(count):
            for j in range(width):
                panel[end * width + j] = panel[end * width + j] - errors[n * layer.stride + start + j]


# G_nm = sum_i x_ni x_mi + 1 of 4 x 4 pairs of samples
cdef inline void gram_tile(const real *const *x_n, const real *const *x_m, real *gram, Py_ssize_t block,
                           Py_ssize_t D) noexcept nogil:
    cdef lanes sum[4][4]
    cdef real last[4][4]
    cdef Py_ssize_t i = 0
    cdef int n, m
    for n in range(4):
        for m in range(4):
            sum[n][m] = lanes_spread(0)
            last[n][m] = 1
    while i + LANES <= D:
        for n in range(4):
            for m in range(4):
                sum[n][m] = sum[n][m] + (<const lanes *> (x_n[n] + i))[0] * (<const lanes *> (x_m[m] + i))[0]
        i += LANES
    while i < D:
        for n in range(4):
            for m in range(4):
                last[n][m] = last[n][m] + x_n[n][i] * x_m[m][i]
        i += 1
    for n in range(4):
        for m in range(4):
            gram[n * block + m] = lanes_sum(sum[n][m]) + last[n][m]


# G_nm for all m < n of a block: this thread's rows of tiles
cdef void gram(const Blocked *net, const real *const *x, Py_ssize_t count, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t n = 4 * thread, m
    while n < count:
        m = 0
        while m <= n:
            gram_tile(x + n, x + m, net.gram + n * net.block + m, net.block, net.hidden.inputs)
            m += 4
        n += 4 * net.meeting.threads


# z_nj = h(P_nj - sum_{m<n} e_mj G_nm) of some lanes of hidden units
cdef inline void corrected(const lanes *e, Py_ssize_t stride, const real *gram_n, Py_ssize_t n, lanes *z,
                           int width) noexcept nogil:
    cdef lanes b[TILE_LANES]
    cdef Py_ssize_t m
    cdef int j
    for j in range(width):
        b[j] = e[n * stride + j]
    for m in range(n):
        for j in range(width):
            b[j] = b[j] - e[m * stride + j] * gram_n[m]
    for j in range(width):
        z[j] = sigmoid(b[j])


# z, a (13) and y of sample n of a block, after those before it; and what softmax returns
cdef inline real outputs_in_order(Blocked *net, Py_ssize_t n, real *a, real *y, real *largest) noexcept nogil:
    cdef const real *gram_n = net.gram + n * net.block
    cdef Py_ssize_t stride = net.hidden.stride, p, k, start, width
    for p in range(net.hidden.panels):
        start = panel_start(&net.hidden, p)
        width = panel_start(&net.hidden, p + 1) - start
        if width == 1:
            corrected(net.e + start, stride, gram_n, n, net.z + start, 1)
        elif width == 2:
            corrected(net.e + start, stride, gram_n, n, net.z + start, 2)
        else:
            corrected(net.e + start, stride, gram_n, n, net.z + start, TILE_LANES)
    for k in range(net.output.units):
        a[k] = dot((<real *> net.v_bias)[k], <const real *> (net.v + k * stride), <const real *> net.z,
                   net.hidden.width * LANES)
    return softmax(a, y, largest, net.output.units)


# (18)  e_nj = (sum_k (y_k - t_k) v_kj) h'(b_nj) for all j, given y_k - t_k times a factor, and (16) taken off v. Each
# v_kj is read before it is written.
cdef inline void hidden_errors_in_order(Blocked *net, Py_ssize_t n, const real *y) noexcept nogil:
    cdef Py_ssize_t stride = net.hidden.stride, j, k
    cdef lanes *v
    cdef lanes z, back
    for j in range(net.hidden.width):
        z = net.z[j]
        back = lanes_spread(0)
        v = net.v + j
        for k in range(net.output.units):
            back = back + v[0] * y[k]
            v[0] = v[0] - z * y[k]
            v += stride
        net.e[n * stride + j] = hidden_error(back, z)


# Online: the samples of a block, one after the other, from P to e. The sum of E_n.
# Memory has little to do meanwhile, so the rows of the next block are asked for.
cdef double learn_in_order(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels,
                           const real *sample_weight, const Py_ssize_t *order, Py_ssize_t first, Py_ssize_t count,
                           Py_ssize_t end, real learning_rate) noexcept nogil:
    cdef Py_ssize_t K = net.output.units, n, k, label
    cdef real *a = <real *> net.a
    cdef real *y = <real *> net.y
    cdef const real *t_n
    cdef real largest, weight
    cdef double total = 0
    for n in range(count):
        if first + count + n < end:
            fetch(x + order[first + count + n] * net.hidden.inputs, net.hidden.inputs)
        t_n = row_of(t, order[first + n], K)
        label = label_of(labels, order[first + n])
        weight = weight_of(sample_weight, order[first + n])
        net.rest[n] = outputs_in_order(net, n, a, y, &largest)
        total += weight * cross_entropy_above_log(t_n, label, a, largest, K)
        output_errors(y, t_n, label, learning_rate * weight, K)
        for k in range(net.output.width):
            net.v_bias[k] = net.v_bias[k] - net.y[k]
        hidden_errors_in_order(net, n, y)
    return total + sum_of_logs(net, sample_weight, order, first, count)


# sum_n log(1 + rest_n), each times the sample's weight
cdef double sum_of_logs(Blocked *net, const real *sample_weight, const Py_ssize_t *order, Py_ssize_t first,
                        Py_ssize_t count) noexcept nogil:
    cdef real *logs = net.rest
    cdef double total = 0
    cdef Py_ssize_t n = 0
    while n < count:    # room is for whole lanes
        (<lanes *> (logs + n))[0] = log_one_plus((<lanes *> (logs + n))[0])
        n += LANES
    for n in range(count):
        total += logs[n] * weight_of(sample_weight, sample(order, first + n))
    return total


# z of `count` samples and one panel of hidden units
cdef void hidden_outputs(const Blocked *net, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t stride = net.hidden.stride, n, j
    for n in range(count):
        for j in range(panel_start(&net.hidden, p), panel_start(&net.hidden, p + 1)):
            net.z[n * stride + j] = sigmoid(net.e[n * stride + j])


# In a batch: a and y of `count` samples and, where there are targets, their errors and the sum of E_n
cdef double outputs(Blocked *net, const real *t, const Py_ssize_t *labels, const real *sample_weight,
                    const Py_ssize_t *order, Py_ssize_t first, Py_ssize_t count, real factor) noexcept nogil:
    cdef Py_ssize_t K = net.output.units, stride = net.output.stride, p, n, label
    cdef bint targets = t != NULL or labels != NULL
    cdef const real *t_n
    cdef real *a
    cdef real *y
    cdef real largest, weight
    cdef double total = 0
    for p in range(net.output.panels):
        layer_sums(&net.output, net.z_rows, net.a, p, count)
    for n in range(count):
        a, y = <real *> (net.a + n * stride), <real *> (net.y + n * stride)
        net.rest[n] = softmax(a, y, &largest, K)
        if targets:
            t_n = row_of(t, sample(order, first + n), K)
            label = label_of(labels, sample(order, first + n))
            weight = weight_of(sample_weight, sample(order, first + n))
            total += weight * cross_entropy_above_log(t_n, label, a, largest, K)
            output_errors(y, t_n, label, factor * weight, K)
    return total + sum_of_logs(net, sample_weight, order, first, count) if targets else 0


# (18)  In a batch: e_nj = (sum_k (y_k - t_k) v_kj) h'(b_nj) of one panel of hidden units
cdef void hidden_errors(const Blocked *net, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(&net.hidden, p), stride = net.hidden.stride, n, j
    cdef Py_ssize_t width = panel_start(&net.hidden, p + 1) - start
    cdef lanes none[TILE_LANES]
    for j in range(width):
        none[j] = lanes_spread(0)
    products(net.v + start, stride, none, net.y_rows, net.e + start, stride, net.output.units, count, width)
    for n in range(count):
        for j in range(start, start + width):
            net.e[n * stride + j] = hidden_error(net.e[n * stride + j], net.z[n * stride + j])


cdef inline Py_ssize_t sample(const Py_ssize_t *order, Py_ssize_t n) noexcept nogil:
    return n if order == NULL else order[n]


# Rows of the samples from `first` on; the last tile is filled up with the last row
cdef inline void take_rows(const Blocked *net, const real *x, const Py_ssize_t *order, Py_ssize_t first,
                           Py_ssize_t count, const real **rows) noexcept nogil:
    cdef Py_ssize_t n
    for n in range((count + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES):
        rows[n] = x + sample(order, first + min(n, count - 1)) * net.hidden.inputs


# A thread's panels of hidden units: a unit belongs to one thread, and with it all its sums. All threads call what
# takes a thread, and meet where one needs what another has done; the first returns the sum of E_n.
cdef inline Py_ssize_t first_panel(const Blocked *net, Py_ssize_t thread) noexcept nogil:
    return thread * net.hidden.panels // net.meeting.threads


cdef inline Py_ssize_t first_unit(const Blocked *net, Py_ssize_t thread) noexcept nogil:
    return min(panel_start(&net.hidden, first_panel(net, thread)) * LANES, net.hidden.units)


# (17) sample by sample, block after block
cdef double learn_online(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels,
                         const real *sample_weight, const Py_ssize_t *order, Py_ssize_t end, real learning_rate,
                         Py_ssize_t thread) noexcept nogil:
    cdef const real *rows[LONGEST_BLOCK]
    cdef Py_ssize_t first = 0, size, p
    cdef double total = 0
    while first < end:
        size = min(net.block, end - first)
        take_rows(net, x, order, first, size, rows)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            layer_sums(&net.hidden, rows, net.e, p, size)
        gram(net, rows, size, thread)
        meet(&net.meeting)
        if thread == 0:
            total += learn_in_order(net, x, t, labels, sample_weight, order, first, size, end, learning_rate)
            net.stopping = stopped(&net.looks, size)
        meet(&net.meeting)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            layer_updates(&net.hidden, net.hidden.weights, rows, net.e, p, 0, net.hidden.inputs, size)
        if net.stopping:
            break
        first += size
    return total


# (3)  dE/dw_ji = (1/N) sum_n dE_n/dw_ji, and for v: of the samples from `begin` to `end`, with a factor for 1/N, taken
# off the weights, or off their changes if those are gathered. Returns the sum of E_n. Stopped, it leaves after a
# block, or after all of them if they are to be finished first.
cdef double descend(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels, const real *sample_weight,
                    const Py_ssize_t *order, Py_ssize_t begin, Py_ssize_t end, real factor,
                    bint finished_first, Py_ssize_t thread) noexcept nogil:
    cdef const real *rows[LONGEST_BLOCK]
    cdef lanes *w = net.hidden.changes if net.gathered else net.hidden.weights
    cdef lanes *v = net.output.changes if net.gathered else net.output.weights
    cdef Py_ssize_t first = begin, size, p
    cdef double total = 0
    while first < end:
        size = min(net.block, end - first)
        take_rows(net, x, order, first, size, rows)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            layer_sums(&net.hidden, rows, net.e, p, size)
            hidden_outputs(net, p, size)
        meet(&net.meeting)
        if thread == 0:
            total += outputs(net, t, labels, sample_weight, order, first, size, factor)
            net.stopping = stopped(&net.looks, size)
        meet(&net.meeting)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            hidden_errors(net, p, size)
            layer_updates(&net.hidden, w, rows, net.e, p, 0, net.hidden.inputs, size)
        for p in range(net.output.panels):
            layer_updates(&net.output, v, net.z_rows, net.y, p, first_unit(net, thread), first_unit(net, thread + 1),
                          size)
        if net.stopping and not finished_first:
            break
        first += size
    return total


# (17) batch after batch, each with its mean gradient (3). Every E_n is taken before the update that uses its sample.
# A gathered batch that is stopped in its midst has no effect. With momentum it is finished instead, since changes go on
# from batch to batch; but not the one batch of a whole epoch, whose weights and changes the caller drops.
cdef double learn_batches(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels,
                          const real *sample_weight, const Py_ssize_t *order, Py_ssize_t end, Py_ssize_t batch_size,
                          real learning_rate, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t first = 0, size
    cdef bint finished_first = net.momentum != 0 and batch_size < end
    cdef real together
    cdef double total = 0
    while first < end:
        size = min(batch_size, end - first)
        together = batch_weight(sample_weight, order, first, size, batch_size)
        if together > 0:
            if net.gathered:
                begin_changes(net, learning_rate * net.l2 / together, thread)
            total += descend(net, x, t, labels, sample_weight, order, first, first + size, learning_rate / together,
                             finished_first, thread)
            if net.gathered and net.stopping and not finished_first:
                break
            if net.gathered:
                add_changes(net, thread)
            take_output_weights(net, first_unit(net, thread), first_unit(net, thread + 1))
        if net.stopping:
            break
        first += size
    return total


# Where the weights of input `begin` start in panel p of a layer, in lanes. A thread's share of a panel are the inputs
# from `begin` to `end`, and the bias with the last of them.
cdef inline Py_ssize_t share_of(const Layer *layer, Py_ssize_t p, Py_ssize_t begin) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p)
    return start * (layer.inputs + 1) + begin * (panel_start(layer, p + 1) - start)


cdef void begin_share(const Layer *layer, Py_ssize_t p, Py_ssize_t begin, Py_ssize_t end, real momentum,
                      real decay) noexcept nogil:
    cdef Py_ssize_t first = share_of(layer, p, begin), last = share_of(layer, p, end)
    carry_on(<real *> (layer.changes + first), <const real *> (layer.weights + first), momentum, decay,
             (last - first) * LANES)
    if end == layer.inputs:
        carry_on(<real *> (layer.changes + last), <const real *> (layer.weights + last), momentum, 0,
                 (share_of(layer, p, end + 1) - last) * LANES)


cdef void add_share(const Layer *layer, Py_ssize_t p, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(share_of(layer, p, begin), share_of(layer, p, end + (end == layer.inputs))):
        layer.weights[c] = layer.weights[c] + layer.changes[c]


# What the changes begin with
cdef void begin_changes(const Blocked *net, real decay, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t p
    for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
        begin_share(&net.hidden, p, 0, net.hidden.inputs, net.momentum, decay)
    for p in range(net.output.panels):
        begin_share(&net.output, p, first_unit(net, thread), first_unit(net, thread + 1), net.momentum, decay)


# weights <- weights + changes
cdef void add_changes(const Blocked *net, Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t p
    for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
        add_share(&net.hidden, p, 0, net.hidden.inputs)
    for p in range(net.output.panels):
        add_share(&net.output, p, first_unit(net, thread), first_unit(net, thread + 1))


# v by rows from v by columns
cdef void take_output_weights(Blocked *net, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, p, j, k, start, width
    cdef const real *panel
    for p in range(net.output.panels):
        start = panel_start(&net.output, p) * LANES
        width = panel_start(&net.output, p + 1) * LANES - start
        panel = <const real *> net.output.weights + start * (M + 1)
        for k in range(min(width, net.output.units - start)):
            for j in range(begin, end):
                (<real *> (net.v + (start + k) * net.hidden.stride))[j] = panel[j * width + k]
            if end == M:
                (<real *> net.v_bias)[start + k] = panel[M * width + k]


# (2)  N E = sum_n E_n where there are targets; and b and z, and a and y, of all samples where they are wanted. An x
# that is not finite leaves some b that is not: then `finite` becomes false.
cdef double forward_blocked(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels, Py_ssize_t count,
                            real *b, real *z, real *a, real *y, bint *finite) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, K = net.output.units
    cdef const real *rows[LONGEST_BLOCK]
    cdef Py_ssize_t first = 0, size, n, p
    cdef double total = 0
    while first < count:
        size = min(net.block, count - first)
        take_rows(net, x, NULL, first, size, rows)
        for p in range(net.hidden.panels):
            layer_sums(&net.hidden, rows, net.e, p, size)
            hidden_outputs(net, p, size)
        finite[0] = finite[0] and all_finite(<const real *> net.e, size * net.hidden.stride * LANES)
        if stopped(&net.looks, size):
            break
        total += outputs(net, t, labels, NULL, NULL, first, size, 0)
        for n in range(size):
            if b != NULL:
                memcpy(b + (first + n) * M, net.e + n * net.hidden.stride, M * sizeof(real))
                memcpy(z + (first + n) * M, net.z_rows[n], M * sizeof(real))
            if y != NULL:
                memcpy(a + (first + n) * K, net.a + n * net.output.stride, K * sizeof(real))
                memcpy(y + (first + n) * K, net.y_rows[n], K * sizeof(real))
        first += size
    return total


# One allocation, cut into aligned pieces: bytes needed so far, rounded up to whole cache lines
cdef inline void *piece(char *memory, Py_ssize_t *used, Py_ssize_t size) noexcept nogil:
    cdef void *start = memory + used[0]
    used[0] += (size + 63) // 64 * 64
    return start


cdef void lay_out_layer(Layer *layer, Py_ssize_t inputs, Py_ssize_t units, bint gathered, char *memory,
                        Py_ssize_t *used) noexcept nogil:
    cdef Py_ssize_t size
    layer.inputs, layer.units = inputs, units
    layer.width = (units + LANES - 1) // LANES
    layer.stride = layer.width | 1
    layer.panels = (layer.width + TILE_LANES - 1) // TILE_LANES
    size = (inputs + 1) * layer.width * sizeof(lanes)
    layer.weights = <lanes *> piece(memory, used, size)
    layer.changes = <lanes *> piece(memory, used, size if gathered else 0)


cdef Py_ssize_t lay_out(Blocked *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, char *memory) noexcept nogil:
    cdef Py_ssize_t used = 0, block = net.block
    cdef Py_ssize_t together = 1 if net.online else block    # samples whose outputs are held at once
    lay_out_layer(&net.hidden, D, M, net.gathered, memory, &used)
    lay_out_layer(&net.output, M, K, net.gathered, memory, &used)
    net.e = <lanes *> piece(memory, &used, block * net.hidden.stride * sizeof(lanes))
    net.v = <lanes *> piece(memory, &used, K * net.hidden.stride * sizeof(lanes))
    net.z = <lanes *> piece(memory, &used, together * net.hidden.stride * sizeof(lanes))
    net.v_bias = <lanes *> piece(memory, &used, net.output.width * sizeof(lanes))
    net.a = <lanes *> piece(memory, &used, together * net.output.stride * sizeof(lanes))
    net.y = <lanes *> piece(memory, &used, together * net.output.stride * sizeof(lanes))
    net.z_rows = <const real **> piece(memory, &used, together * sizeof(real *))
    net.y_rows = <const real **> piece(memory, &used, together * sizeof(real *))
    net.rest = <real *> piece(memory, &used, (block + LANES) * sizeof(real))
    net.gram = <real *> piece(memory, &used, block * block * sizeof(real) if net.online else 0)
    return used


# Room for learning batches of one size, and for gradients and forward passes
cdef bint begin(Blocked *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size,
                Py_ssize_t block, real momentum, real l2) noexcept nogil:
    cdef char *memory
    cdef Py_ssize_t n
    cdef bint plain = momentum == 0 and l2 == 0
    net.momentum, net.l2 = momentum, l2
    net.block = (min(block, <Py_ssize_t> LONGEST_BLOCK) + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES
    net.online = batch_size == 1 and plain
    net.gathered = batch_size > net.block or not plain
    net.meeting.threads = 1
    net.memory = calloc(lay_out(net, D, M, K, NULL) + 64, 1)
    if net.memory == NULL:
        return False
    be_patient(&net.looks, D, M, K, BY_BLOCKS)
    memory = <char *> net.memory
    lay_out(net, D, M, K, memory + (64 - <uintptr_t> memory % 64))
    for n in range(1 if net.online else net.block):
        net.z_rows[n] = <const real *> (net.z + n * net.hidden.stride)
        net.y_rows[n] = <const real *> (net.y + n * net.output.stride)
    return True


# A layer's weights from and to the article's rows: some inputs of all units, then the next, as one side is read along
# its rows and the other across
cdef void load_layer(const Layer *layer, lanes *panels, const real *rows, real bias_beyond) noexcept nogil:
    cdef Py_ssize_t inputs = layer.inputs, p, i, j, start, width, begin, end
    cdef real *panel
    for p in range(layer.panels):
        start = panel_start(layer, p) * LANES
        width = panel_start(layer, p + 1) * LANES - start
        panel = <real *> panels + start * (inputs + 1)
        begin = 0
        while begin <= inputs:
            end = min(begin + STRIP, inputs + 1)
            for j in range(min(width, layer.units - start)):
                for i in range(begin, end):
                    panel[i * width + j] = rows[(start + j) * (inputs + 1) + i]
            begin = end
        for j in range(layer.units - start, width):
            for i in range(inputs):
                panel[i * width + j] = 0
            panel[inputs * width + j] = bias_beyond


cdef void store_layer(const Layer *layer, const lanes *panels, real *rows) noexcept nogil:
    cdef Py_ssize_t inputs = layer.inputs, p, i, j, start, width, begin, end
    cdef const real *panel
    for p in range(layer.panels):
        start = panel_start(layer, p) * LANES
        width = panel_start(layer, p + 1) * LANES - start
        panel = <const real *> panels + start * (inputs + 1)
        begin = 0
        while begin <= inputs:
            end = min(begin + STRIP, inputs + 1)
            for j in range(min(width, layer.units - start)):
                for i in range(begin, end):
                    rows[(start + j) * (inputs + 1) + i] = panel[i * width + j]
            begin = end


cdef void load_weights(Blocked *net, const real *w, const real *v) noexcept nogil:
    load_layer(&net.hidden, net.hidden.weights, w, BELOW_ALL)
    load_layer(&net.output, net.output.weights, v, BELOW_ALL)
    take_output_weights(net, 0, net.hidden.units)


cdef void store_weights(const Blocked *net, real *w, real *v) noexcept nogil:
    cdef Py_ssize_t M = net.hidden.units, k
    store_layer(&net.hidden, net.hidden.weights, w)
    for k in range(net.output.units):
        memcpy(v + k * (M + 1), net.v + k * net.hidden.stride, M * sizeof(real))
        v[k * (M + 1) + M] = (<const real *> net.v_bias)[k]
