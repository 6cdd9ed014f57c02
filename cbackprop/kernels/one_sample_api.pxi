# The C functions of the chosen kernels that cbackprop._one_sample calls, passed in a capsule. Addresses are void, since
# the table has one type for both precisions. Inputs are checked to be finite here, where their type is known.
cdef struct OneSampleAPI:
    Py_ssize_t (*size)(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil
    # a network in `memory`, zeroed, of so many bytes; aligned to 64
    void (*init)(void *memory, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, int hidden, int output) noexcept nogil
    # where its weights are
    void (*bind)(void *memory, void *w, void *v) noexcept nogil
    # E_n before the update; infinity, and no update, if it or a weight would not be finite; NOT_FINITE if x is not.
    # Targets are t, or if that is NULL a class index.
    double (*learn_one)(void *memory, const void *x, const void *t, Py_ssize_t label,
                        double learning_rate) noexcept nogil
    # the index of the largest y_k, and y; NOT_FINITE if x or y is not finite
    Py_ssize_t (*predict_one)(void *memory, const void *x, void *y) noexcept nogil

cdef enum:
    NOT_FINITE = -1
