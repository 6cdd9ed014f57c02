# The C functions that cbackprop._one_sample calls in the chosen kernels, handed over in a capsule: addresses are void,
# since the table has one type for both precisions. Inputs are checked to be finite here, where their type is known.
ctypedef double (*learn_one_t)(const void *x, const void *t, Py_ssize_t label, void *w, void *v, double learning_rate,
                               void *scratch, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil
ctypedef Py_ssize_t (*predict_one_t)(const void *x, const void *w, const void *v, void *scratch, void *y,
                                     Py_ssize_t D, Py_ssize_t M, Py_ssize_t K) noexcept nogil
ctypedef Py_ssize_t (*scratch_bytes_t)(Py_ssize_t M, Py_ssize_t K) noexcept nogil

cdef struct OneSampleTable:
    learn_one_t learn_one          # E_n before the update; -1 if x is not finite
    predict_one_t predict_one      # y, and the index of its largest; -1 if x or y is not finite
    scratch_bytes_t scratch_bytes

cdef enum:
    NOT_FINITE = -1
