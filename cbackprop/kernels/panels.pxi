# The weights of a layer in panels: units side by side in vectors.
#
# A panel holds up to TILE_VECS vectors of units: for each input i the weights of the panel's units, then the next i;
# the bias last. So a panel is read from front to back, whatever the number of units. Padding units have weights of 0
# and activations masked to 0, so that their errors are 0 and their weights stay 0.

cdef enum:
    TRANSPOSE_TILE = 32    # inputs whose weights of a panel stay in the first-level cache

cdef struct Layer:
    Py_ssize_t inputs, units
    Py_ssize_t width             # vectors over all panels
    Py_ssize_t stride            # vectors from one sample to the next: odd, so that samples don't share cache sets
    Py_ssize_t panels
    vec *weights                 # panel after panel: [inputs + 1][panel width]
    vec *velocity                # the same, where updates are accumulated
    vec *squares                 # [width], sums of squares of row-wise AdaGrad ...
    vec *alpha                   # ... and for batches the rates
    vec *mask                    # [width]: which lanes are units


cdef void carve_layer(Layer *layer, Py_ssize_t inputs, Py_ssize_t units, bint accumulates, bint adaptive, char *memory,
                      Py_ssize_t *used) noexcept nogil:
    cdef Py_ssize_t size
    layer.inputs, layer.units = inputs, units
    layer.width = padded(units) // LANES
    layer.stride = layer.width | 1
    layer.panels = (layer.width + TILE_VECS - 1) // TILE_VECS
    size = (inputs + 1) * layer.width * sizeof(vec)
    layer.weights = <vec *> arena_alloc(memory, used, size)
    layer.velocity = <vec *> arena_alloc(memory, used, size if accumulates else 0)
    layer.squares = carve_vecs(memory, used, layer.width if adaptive else 0)
    layer.alpha = carve_vecs(memory, used, layer.width if adaptive else 0)
    layer.mask = carve_vecs(memory, used, layer.width)


# The first vector of panel p: the vectors are distributed evenly
cdef inline Py_ssize_t panel_start(const Layer *layer, Py_ssize_t p) noexcept nogil:
    return p * layer.width // layer.panels


# b, or a (13), of `count` samples and one panel
cdef void layer_sums(const Layer *layer, const real *const *x, vec *sums, Py_ssize_t p,
                     Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p)
    cdef Py_ssize_t width = panel_start(layer, p + 1) - start
    cdef vec *panel = layer.weights + start * (layer.inputs + 1)
    products(VecRows(panel, width), panel + layer.inputs * width, x, VecRows(sums + start, layer.stride), layer.inputs,
             count, width)


# (17) for one panel and the inputs from `begin` to `end`; the bias has x_D = 1, or z_M = 1, for its input
cdef void layer_updates(const Layer *layer, vec *weights, const real *const *x, vec *errors, Py_ssize_t p,
                        Py_ssize_t begin, Py_ssize_t end, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p), n, j
    cdef Py_ssize_t width = panel_start(layer, p + 1) - start
    cdef vec *panel = weights + start * (layer.inputs + 1)
    updates(panel, x, VecRows(errors + start, layer.stride), begin, end, count, width)
    if end == layer.inputs:
        for n in range(count):
            for j in range(width):
                panel[end * width + j] = panel[end * width + j] - errors[n * layer.stride + start + j]


# From the user's weights to panels, and back, by tiles of some inputs, since one side is read along and the other
# across. Padding stays 0.
cdef void copy_layer(const Layer *layer, vec *panels, const Rows *rows, bint to_panels) noexcept nogil:
    cdef Py_ssize_t inputs = layer.inputs, p, i, j, start, width, begin
    cdef Py_ssize_t unit = 1 if rows.columns else rows.stride
    cdef Py_ssize_t input = rows.stride if rows.columns else 1
    cdef real *panel
    cdef real *w_ji
    for p in range(layer.panels):
        start = panel_start(layer, p) * LANES
        width = panel_start(layer, p + 1) * LANES - start
        panel = <real *> panels + start * (inputs + 1)
        begin = 0
        while begin <= inputs:
            for j in range(min(width, layer.units - start)):
                for i in range(begin, min(begin + TRANSPOSE_TILE, inputs + 1)):
                    w_ji = rows.first + (start + j) * unit + i * input
                    if to_panels:
                        panel[i * width + j] = w_ji[0]
                    else:
                        w_ji[0] = panel[i * width + j]
            begin += TRANSPOSE_TILE


# Where panel p begins, and in it the weights of input i
cdef inline vec *panel_of(const Layer *layer, vec *panels, Py_ssize_t p, Py_ssize_t i) noexcept nogil:
    cdef Py_ssize_t start = panel_start(layer, p)
    return panels + start * (layer.inputs + 1) + i * (panel_start(layer, p + 1) - start)


# The weights of a panel, and their velocity, for an update of the inputs from `begin` to `end`; with the last of them
# comes the bias
cdef inline Columns columns_of(const Layer *layer, Py_ssize_t p, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    cdef Columns c
    cdef Py_ssize_t start = panel_start(layer, p)
    c.width, c.inputs = panel_start(layer, p + 1) - start, layer.inputs + 1
    c.stride = c.width * LANES
    c.w, c.u = <real *> panel_of(layer, layer.weights, p, 0), <real *> panel_of(layer, layer.velocity, p, 0)
    c.s, c.alpha = layer.squares + start, layer.alpha + start
    c.begin, c.end = begin, end + (end == layer.inputs)
    return c
