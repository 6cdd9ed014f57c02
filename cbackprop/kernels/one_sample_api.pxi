# The C functions of the chosen kernels that cbackprop._one_sample calls, passed in a capsule. Addresses are void, since
# the table has one type for both precisions. Inputs are checked to be finite here, where their type is known.
from libc.stdint cimport int32_t, int64_t

# The inputs of one sample: all of them or, with one of two kinds of indices, those that are not 0
cdef struct Inputs:
    const void *x
    const int32_t *indices32
    const int64_t *indices64
    Py_ssize_t count
    void *places                 # of weights, an address for each input: scratch memory

# Where the weights are and, unless they are NULL, accumulators
cdef struct Weights:
    void *w
    void *v
    Py_ssize_t unit_stride, input_stride    # w_ji is at w[j * unit_stride + i * input_stride]
    Py_ssize_t output_stride                # v_kj is at v[k * output_stride + j]
    void *s_w
    void *s_v

cdef struct OneSampleAPI:
    Py_ssize_t (*size)(Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil
    # a network in `memory`, zeroed, of so many bytes; aligned to 64
    void (*init)(void *memory, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, int hidden, int output) noexcept nogil
    void (*bind)(void *memory, const Weights *weights) noexcept nogil
    # E_n before the update; infinity, and no update, if it or a weight would not be finite; NOT_FINITE if x is not, or
    # an index is out of range. Targets are t, or if that is NULL a class index.
    double (*learn_one)(void *memory, const Inputs *inputs, const void *t, Py_ssize_t label,
                        double learning_rate, double weight) noexcept nogil
    # the index of the largest y_k, and y; NOT_FINITE if x or y is not finite, or an index is out of range
    Py_ssize_t (*predict_one)(void *memory, const Inputs *inputs, void *y) noexcept nogil

cdef enum:
    NOT_FINITE = -1
