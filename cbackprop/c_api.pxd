# For Cython code outside of this library: cimport cbackprop.c_api

cdef class Handle:
    cdef readonly object network
    cdef void *pointer    # NULL but in a `with`


# One update (17). x has D contiguous numbers of the network's dtype; t has K, or is NULL, and label is a class index.
# Returns E_n before the update, without the weight. Nothing is learned, and the result is infinity if E_n or a weight
# would not be finite, and -1 if an input is not, or the label is not in 0..K-1.
cdef double learn(void *handle, const void *x, const void *t, Py_ssize_t label, double weight) noexcept nogil

# Writes the K outputs to y. Returns the index of the largest, or -1 if x or y is not finite.
cdef Py_ssize_t predict(void *handle, const void *x, void *y) noexcept nogil
