# The blocked engine: the updates (17) of the direct engine, sample after sample, at the speed of matrix products.
#
# Inside a block of B samples w enters only through its products with x. With w as it was at the start of the block,
# G_nm = sum_i x_ni x_mi + 1 (the 1 is x_D x_D), and e_mj = alpha dE_m/db_j, the samples before n have changed w_ji by
# -sum_{m<n} e_mj x_mi. So the hidden sum that the direct engine would find at sample n is
#
#     b_nj = sum_i w_ji x_ni  -  sum_{m<n} e_mj G_nm                          products(), then corrections
#
# and after the block  w_ji <- w_ji - sum_n e_nj x_ni                         updates()
#
# Between the two, learn_in_order() takes the samples one after the other; v changes at every sample, as always. The
# same sums as in the direct engine, rounding aside, but three passes over w a block instead of three a sample, and
# two of them are matrix products of small tiles that stay in registers. A mini-batch is a block whose samples all see
# the same w and v: no corrections, and v changes at its end.
#
# Hidden units stand side by side in lanes. w is kept in panels of up to TILE_LANES lanes: for each i, w_ji of the
# panel's hidden units j, then the next i; the bias, i = D, last. So a panel is read from front to back, whatever M is.
# Lanes beyond M have the bias -inf: z = 0 in them, and with it every gradient.

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


cdef enum:
    LONGEST_BLOCK = 128    # a multiple of every TILE_SAMPLES


# Room for an epoch, allocated once
cdef struct Blocked:
    Py_ssize_t D, M, K
    Py_ssize_t block             # samples in a block, a multiple of TILE_SAMPLES
    Py_ssize_t width             # lanes over all panels
    Py_ssize_t panels
    void *memory
    lanes *w                     # panel after panel: [D + 1][panel width]
    bint gathered                # a batch is longer than a block: its gradient is gathered in dw before w changes
    lanes *dw                    # like w
    lanes *e                     # panel after panel: [block][panel width]; b, then e
    Py_ssize_t v_width           # lanes from one row of v to the next: odd, so that rows don't share cache sets
    lanes *v                     # [K][v_width]
    lanes *dv                    # the same, for batches
    real *v_bias                 # [K], and its gradient
    real *dv_bias
    real *gram                   # [block][block]
    lanes *z                     # [width], of one sample
    real *a                      # [K], in whole lanes
    real *y
    real *rest                   # [block] of softmax, for the logarithms of E_n
    real *one_hot
    meeting meeting              # of the threads


# Panel p begins at this lane: the lanes are dealt out evenly
cdef inline Py_ssize_t panel_start(const Blocked *net, Py_ssize_t p) noexcept nogil:
    return p * net.width // net.panels


# b_nj = w_jD + sum_i w_ji x_ni of TILE_SAMPLES samples and one panel
cdef inline void product_tile(const lanes *w, const real *const *x, lanes *b, Py_ssize_t D, int width) noexcept nogil:
    cdef lanes sum[TILE_SAMPLES][TILE_LANES]
    cdef Py_ssize_t i
    cdef int n, j
    for n in range(TILE_SAMPLES):
        for j in range(width):
            sum[n][j] = w[D * width + j]
    for i in range(D):
        for n in range(TILE_SAMPLES):
            for j in range(width):
                sum[n][j] = sum[n][j] + w[i * width + j] * x[n][i]
    for n in range(TILE_SAMPLES):
        for j in range(width):
            b[n * width + j] = sum[n][j]


# w_ji <- w_ji - sum_n e_nj x_ni of `rows` inputs and one panel
cdef inline void update_tile(lanes *w, const real *const *x, const lanes *e, Py_ssize_t i, Py_ssize_t count,
                             int rows, int width) noexcept nogil:
    cdef lanes sum[TILE_SAMPLES][TILE_LANES]
    cdef Py_ssize_t n
    cdef int r, j
    for r in range(rows):
        for j in range(width):
            sum[r][j] = w[(i + r) * width + j]
    for n in range(count):
        for r in range(rows):
            for j in range(width):
                sum[r][j] = sum[r][j] - e[n * width + j] * x[n][i + r]
    for r in range(rows):
        for j in range(width):
            w[(i + r) * width + j] = sum[r][j]


cdef inline void products_of_width(const lanes *w, const real *const *x, lanes *b, Py_ssize_t D, Py_ssize_t count,
                                   int width) noexcept nogil:
    cdef Py_ssize_t n = 0
    while n < count:
        product_tile(w, x + n, b + n * width, D, width)
        n += TILE_SAMPLES


cdef inline void updates_of_width(lanes *w, const real *const *x, const lanes *e, Py_ssize_t D, Py_ssize_t count,
                                  int width) noexcept nogil:
    cdef Py_ssize_t i = 0, n
    cdef int j
    while i + TILE_SAMPLES <= D:
        update_tile(w, x, e, i, count, TILE_SAMPLES, width)
        i += TILE_SAMPLES
    while i < D:
        update_tile(w, x, e, i, count, 1, width)
        i += 1
    for n in range(count):
        for j in range(width):
            w[D * width + j] = w[D * width + j] - e[n * width + j]


# The tiles are compiled for each width by itself, so that their sums live in registers
cdef void products(const Blocked *net, const real *const *x, Py_ssize_t p, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(net, p)
    cdef Py_ssize_t width = panel_start(net, p + 1) - start
    cdef const lanes *w = net.w + start * (net.D + 1)
    cdef lanes *b = net.e + start * net.block
    if width == 1:
        products_of_width(w, x, b, net.D, count, 1)
    elif width == 2:
        products_of_width(w, x, b, net.D, count, 2)
    else:
        products_of_width(w, x, b, net.D, count, TILE_LANES)


cdef void updates(const Blocked *net, const real *const *x, Py_ssize_t p, Py_ssize_t count,
                  lanes *weights) noexcept nogil:
    cdef Py_ssize_t start = panel_start(net, p)
    cdef Py_ssize_t width = panel_start(net, p + 1) - start
    cdef lanes *w = weights + start * (net.D + 1)
    cdef const lanes *e = net.e + start * net.block
    if width == 1:
        updates_of_width(w, x, e, net.D, count, 1)
    elif width == 2:
        updates_of_width(w, x, e, net.D, count, 2)
    else:
        updates_of_width(w, x, e, net.D, count, TILE_LANES)


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
            gram_tile(x + n, x + m, net.gram + n * net.block + m, net.block, net.D)
            m += 4
        n += 4 * net.meeting.threads


# z_nj = h(b_nj - sum_{m<corrections} e_mj G_nm) of one panel
cdef inline void hidden_outputs(const lanes *e, Py_ssize_t n, const real *gram_n, Py_ssize_t corrections, lanes *z,
                                int width) noexcept nogil:
    cdef lanes b[TILE_LANES]
    cdef Py_ssize_t m
    cdef int j
    for j in range(width):
        b[j] = e[n * width + j]
    for m in range(corrections):
        for j in range(width):
            b[j] = b[j] - e[m * width + j] * gram_n[m]
    for j in range(width):
        z[j] = sigmoid(b[j])


# z, a and y of sample n of the block, and what softmax returns
cdef inline real outputs(Blocked *net, Py_ssize_t n, Py_ssize_t corrections, real *largest) noexcept nogil:
    cdef const real *gram_n = net.gram + n * net.block
    cdef Py_ssize_t p, k, start, width
    cdef const lanes *e
    for p in range(net.panels):
        start = panel_start(net, p)
        width = panel_start(net, p + 1) - start
        e = net.e + start * net.block
        if width == 1:
            hidden_outputs(e, n, gram_n, corrections, net.z + start, 1)
        elif width == 2:
            hidden_outputs(e, n, gram_n, corrections, net.z + start, 2)
        else:
            hidden_outputs(e, n, gram_n, corrections, net.z + start, TILE_LANES)
    for k in range(net.K):
        net.a[k] = dot(net.v_bias[k], <const real *> (net.v + k * net.v_width), <const real *> net.z,
                       net.width * LANES)
    return softmax(net.a, net.y, largest, net.K)


# e_nj = (sum_k (y_k - t_k) v_kj) h'(b_nj) for all j, y_k - t_k times the factor, and (16) taken off `dv`:
# v itself if it changes at every sample, so each v_kj is read before it is written
cdef inline void hidden_errors(Blocked *net, Py_ssize_t n, lanes *dv) noexcept nogil:
    cdef Py_ssize_t p, j, k, start, width
    cdef const lanes *v_k
    cdef lanes *dv_k
    cdef lanes *e
    cdef lanes z, back
    for p in range(net.panels):
        start = panel_start(net, p)
        width = panel_start(net, p + 1) - start
        e = net.e + start * net.block + n * width
        for j in range(width):
            z = net.z[start + j]
            back = lanes_spread(0)
            v_k = net.v + start + j
            dv_k = dv + start + j
            for k in range(net.K):
                back = back + v_k[0] * net.y[k]
                dv_k[0] = dv_k[0] - z * net.y[k]
                v_k += net.v_width
                dv_k += net.v_width
            e[j] = hidden_error(back, z)


# The samples of a block, one after the other: from b without corrections to e. Online, every sample sees the updates
# of those before it; in a batch, all see the same w and v, and v's changes are gathered in dv. The sum of E_n.
cdef double learn_in_order(Blocked *net, const real *t, const Py_ssize_t *labels, const Py_ssize_t *order,
                           Py_ssize_t first, Py_ssize_t count, real factor, bint online) noexcept nogil:
    cdef lanes *dv = net.v if online else net.dv
    cdef real *dv_bias = net.v_bias if online else net.dv_bias
    cdef const real *t_n
    cdef real largest
    cdef double total = 0
    cdef Py_ssize_t n, k
    for n in range(count):
        net.rest[n] = outputs(net, n, n if online else 0, &largest)
        t_n = target_row(t, labels, net.one_hot, sample(order, first + n), net.K)
        total += cross_entropy_above_log(t_n, net.a, largest, net.K)
        for k in range(net.K):
            net.y[k] = factor * output_error(net.y[k], t_n[k])
            dv_bias[k] -= net.y[k]
        hidden_errors(net, n, dv)
    return total + sum_of_logs(net.rest, count)


# sum_n log(1 + rest_n)
cdef double sum_of_logs(const real *rest, Py_ssize_t count) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t n = 0
    while n + LANES <= count:
        total += lanes_sum(log_one_plus((<const lanes *> (rest + n))[0]))
        n += LANES
    while n < count:
        total += log_one_plus(rest[n])
        n += 1
    return total


cdef inline Py_ssize_t sample(const Py_ssize_t *order, Py_ssize_t n) noexcept nogil:
    return n if order == NULL else order[n]


# Rows of the samples from `first` on; the last tile is filled up with the last row
cdef inline void take_rows(const Blocked *net, const real *x, const Py_ssize_t *order, Py_ssize_t first,
                           Py_ssize_t count, const real **rows) noexcept nogil:
    cdef Py_ssize_t n
    for n in range(net.block):
        rows[n] = x + sample(order, first + min(n, count - 1)) * net.D


# A thread's panels: a hidden unit belongs to one thread, and with it all sums over i and n
cdef inline Py_ssize_t first_panel(const Blocked *net, Py_ssize_t thread) noexcept nogil:
    return thread * net.panels // net.meeting.threads


# Block after block: products, the samples in order, updates added to `weights`. All threads call this, and meet where
# one needs what another has done; the first returns the sum of E_n.
cdef double pass_over(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels, const Py_ssize_t *order,
                      Py_ssize_t begin, Py_ssize_t end, real factor, bint online, lanes *weights,
                      Py_ssize_t thread) noexcept nogil:
    cdef const real *rows[LONGEST_BLOCK]
    cdef Py_ssize_t first = begin, size, p
    cdef double total = 0
    while first < end:
        size = min(net.block, end - first)
        take_rows(net, x, order, first, size, rows)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            products(net, rows, p, size)
        if online:
            gram(net, rows, size, thread)
        meet(&net.meeting)
        if thread == 0:
            total += learn_in_order(net, t, labels, order, first, size, factor, online)
        meet(&net.meeting)
        for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
            updates(net, rows, p, size, weights)
        first += size
    return total


# (17) for samples in the given order, batch after batch: each batch's mean gradient (3), at once or, if the batch is
# longer than a block, gathered in dw first. The sum of E_n, each taken before the update that uses its sample.
cdef double learn_blocked(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels,
                          const Py_ssize_t *order, Py_ssize_t count, Py_ssize_t batch_size, real learning_rate,
                          Py_ssize_t thread) noexcept nogil:
    cdef Py_ssize_t first = 0, size, p
    cdef double total = 0
    if batch_size == 1:
        return pass_over(net, x, t, labels, order, 0, count, learning_rate, True, net.w, thread)
    while first < count:
        size = min(batch_size, count - first)
        total += pass_over(net, x, t, labels, order, first, first + size, learning_rate / size, False,
                           net.dw if net.gathered else net.w, thread)
        if net.gathered:
            for p in range(first_panel(net, thread), first_panel(net, thread + 1)):
                add_panel(net, p)
        if thread == 0:
            add_output_changes(net)
        meet(&net.meeting)
        first += size
    return total


# w <- w + dw of one panel; dw <- 0
cdef void add_panel(const Blocked *net, Py_ssize_t p) noexcept nogil:
    cdef Py_ssize_t c
    for c in range(panel_start(net, p) * (net.D + 1), panel_start(net, p + 1) * (net.D + 1)):
        net.w[c] = net.w[c] + net.dw[c]
        net.dw[c] = lanes_spread(0)


# v <- v + dv; dv <- 0
cdef void add_output_changes(Blocked *net) noexcept nogil:
    cdef Py_ssize_t c, k
    for c in range(net.K * net.v_width):
        net.v[c] = net.v[c] + net.dv[c]
        net.dv[c] = lanes_spread(0)
    for k in range(net.K):
        net.v_bias[k] += net.dv_bias[k]
        net.dv_bias[k] = 0


# b, z, a and y of all samples, each where it is wanted, and the sum of E_n where there are targets
cdef double forward_blocked(Blocked *net, const real *x, const real *t, const Py_ssize_t *labels, Py_ssize_t count,
                            real *b, real *z, real *a, real *y) noexcept nogil:
    cdef const real *rows[LONGEST_BLOCK]
    cdef Py_ssize_t first = 0, size, n, p
    cdef real largest
    cdef double total = 0
    while first < count:
        size = min(net.block, count - first)
        take_rows(net, x, NULL, first, size, rows)
        for p in range(net.panels):
            products(net, rows, p, size)
        for n in range(size):
            net.rest[n] = outputs(net, n, 0, &largest)
            if b != NULL:
                copy_hidden_sums(net, n, b + (first + n) * net.M)
                memcpy(z + (first + n) * net.M, net.z, net.M * sizeof(real))
            if y != NULL:
                memcpy(a + (first + n) * net.K, net.a, net.K * sizeof(real))
                memcpy(y + (first + n) * net.K, net.y, net.K * sizeof(real))
            if t != NULL or labels != NULL:
                total += cross_entropy_above_log(target_row(t, labels, net.one_hot, first + n, net.K),
                                                 net.a, largest, net.K)
        if t != NULL or labels != NULL:
            total += sum_of_logs(net.rest, size)
        first += size
    return total


cdef void copy_hidden_sums(const Blocked *net, Py_ssize_t n, real *b) noexcept nogil:
    cdef Py_ssize_t p, start, width
    for p in range(net.panels):
        start = panel_start(net, p)
        width = panel_start(net, p + 1) - start
        memcpy(b + start * LANES, net.e + start * net.block + n * width,
               min(width * LANES, net.M - start * LANES) * sizeof(real))


# One allocation, cut into aligned pieces: bytes needed so far, rounded up to whole cache lines
cdef inline void *piece(char *memory, Py_ssize_t *used, Py_ssize_t size) noexcept nogil:
    cdef void *start = memory + used[0]
    used[0] += (size + 63) // 64 * 64
    return start


cdef Py_ssize_t lay_out(Blocked *net, char *memory) noexcept nogil:
    cdef Py_ssize_t used = 0, lane = net.width * sizeof(lanes), K = net.K
    net.w = <lanes *> piece(memory, &used, (net.D + 1) * lane)
    net.dw = <lanes *> piece(memory, &used, (net.D + 1) * lane if net.gathered else 0)
    net.dv = <lanes *> piece(memory, &used, K * net.v_width * sizeof(lanes))
    net.dv_bias = <real *> piece(memory, &used, K * sizeof(real))
    net.e = <lanes *> piece(memory, &used, net.block * lane)
    net.v = <lanes *> piece(memory, &used, K * net.v_width * sizeof(lanes))
    net.z = <lanes *> piece(memory, &used, lane)
    net.v_bias = <real *> piece(memory, &used, K * sizeof(real))
    net.a = <real *> piece(memory, &used, whole_lanes(K) * sizeof(real))
    net.y = <real *> piece(memory, &used, whole_lanes(K) * sizeof(real))
    net.rest = <real *> piece(memory, &used, net.block * sizeof(real))
    net.one_hot = <real *> piece(memory, &used, K * sizeof(real))
    net.gram = <real *> piece(memory, &used, net.block * net.block * sizeof(real))
    return used


# Room for learning batches of one size, and for gradients and forward passes
cdef bint begin(Blocked *net, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t batch_size,
                Py_ssize_t block) noexcept nogil:
    cdef char *memory
    cdef Py_ssize_t size
    net.D, net.M, net.K = D, M, K
    net.width = (M + LANES - 1) // LANES
    net.v_width = net.width | 1
    net.panels = (net.width + TILE_LANES - 1) // TILE_LANES
    net.block = (min(block, <Py_ssize_t> LONGEST_BLOCK) + TILE_SAMPLES - 1) // TILE_SAMPLES * TILE_SAMPLES
    net.meeting.threads = 1
    net.gathered = batch_size > net.block
    size = lay_out(net, NULL) + 64
    net.memory = calloc(size, 1)
    if net.memory == NULL:
        return False
    memory = <char *> net.memory
    lay_out(net, memory + (64 - <uintptr_t> memory % 64))
    return True


# Rows of the article's w, from and to panels
cdef void load_weights(Blocked *net, const real *w, const real *v) noexcept nogil:
    cdef Py_ssize_t p, i, j, k, start, width
    cdef real *panel
    for p in range(net.panels):
        start = panel_start(net, p) * LANES
        width = panel_start(net, p + 1) * LANES - start
        panel = <real *> net.w + start * (net.D + 1)
        for j in range(min(width, net.M - start)):
            for i in range(net.D + 1):
                panel[i * width + j] = w[(start + j) * (net.D + 1) + i]
        for j in range(net.M - start, width):
            for i in range(net.D):
                panel[i * width + j] = 0
            panel[net.D * width + j] = -INFINITY
    for k in range(net.K):
        memcpy(net.v + k * net.v_width, v + k * (net.M + 1), net.M * sizeof(real))
        net.v_bias[k] = v[k * (net.M + 1) + net.M]


cdef void store_weights(const Blocked *net, const lanes *panels, const lanes *v_rows, const real *v_bias,
                        real *w, real *v) noexcept nogil:
    cdef Py_ssize_t p, i, j, k, start, width
    cdef const real *panel
    for p in range(net.panels):
        start = panel_start(net, p) * LANES
        width = panel_start(net, p + 1) * LANES - start
        panel = <const real *> panels + start * (net.D + 1)
        for j in range(min(width, net.M - start)):
            for i in range(net.D + 1):
                w[(start + j) * (net.D + 1) + i] = panel[i * width + j]
    for k in range(net.K):
        memcpy(v + k * (net.M + 1), v_rows + k * net.v_width, net.M * sizeof(real))
        v[k * (net.M + 1) + net.M] = v_bias[k]
