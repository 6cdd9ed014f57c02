# The samples that a pass works on: inputs, targets or class indices, sample weights, and an order. Already validated.
# Inputs are dense rows or, with `indptr`, sparse ones in compressed form (CSR): the non-zeros of a row, and their i.
from libc.stdint cimport int32_t, int64_t

cdef struct SampleSet:
    const real *x                  # [N][D], or the non-zeros, row after row
    const Py_ssize_t *indptr       # [N+1], where each row begins in x; NULL where rows are dense
    const int32_t *indices32       # the input i of each non-zero, in one of two types; the other is NULL
    const int64_t *indices64
    const real *t                  # [N][K]; NULL where targets are class indices
    const Py_ssize_t *labels       # [N]; NULL where targets are rows of t, or where there are none
    const real *sample_weight      # [N]; NULL where all samples have weight 1
    const Py_ssize_t *order        # [count], which rows and in which order; NULL for 0, 1, 2, ...
    double *losses                 # where each E_n goes; NULL where only their sum is wanted
    Py_ssize_t count, D, K
    Py_ssize_t longest             # non-zeros of the longest row


cdef inline Py_ssize_t row_of(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    return n if samples.order == NULL else samples.order[n]


cdef inline const real *inputs_of(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    return samples.x + row_of(samples, n) * samples.D


# The input i of the non-zero x[c]
cdef inline int64_t input_of(const SampleSet *samples, Py_ssize_t c) noexcept nogil:
    return samples.indices32[c] if samples.indices32 != NULL else samples.indices64[c]


cdef inline real weight_of(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    return 1 if samples.sample_weight == NULL else samples.sample_weight[row_of(samples, n)]


cdef inline void record_loss(const SampleSet *samples, Py_ssize_t n, double E_n) noexcept nogil:
    if samples.losses != NULL:
        samples.losses[n] = E_n


cdef inline bint have_targets(const SampleSet *samples) noexcept nogil:
    return samples.t != NULL or samples.labels != NULL


# t_k for all k: a row of targets, or if that is NULL 1 at the class index and 0 elsewhere; t is padded to whole vectors
cdef inline void set_target(real *t, const real *row, Py_ssize_t label, Py_ssize_t K) noexcept nogil:
    cdef Py_ssize_t k
    if row == NULL:
        for k in range(padded(K) // LANES):
            (<vec *> t)[k] = vec_broadcast(0)
        t[label] = 1
    else:
        for k in range(K):
            t[k] = row[k]


# The row of targets of sample n, or NULL, and its class index
cdef inline const real *target_of(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    if samples.t == NULL:
        return NULL
    return samples.t + row_of(samples, n) * samples.K


cdef inline Py_ssize_t label_of(const SampleSet *samples, Py_ssize_t n) noexcept nogil:
    return 0 if samples.labels == NULL else samples.labels[row_of(samples, n)]


cdef inline void load_target(const SampleSet *samples, Py_ssize_t n, real *t) noexcept nogil:
    set_target(t, target_of(samples, n), label_of(samples, n), samples.K)


# The sum of the weights of a batch, by which its gradient is divided. One sample by itself has its weight as a factor
# of the learning rate.
cdef double weight_of_batch(const SampleSet *samples, Py_ssize_t first, Py_ssize_t size,
                            Py_ssize_t batch_size) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t n
    if batch_size == 1:
        return 1
    if samples.sample_weight == NULL:
        return size
    for n in range(first, first + size):
        total += weight_of(samples, n)
    return total


# sum_n E_n, each times the sample's weight, of which (1) without its logarithm is in E and the argument of that, less
# 1, in logs: logarithms are taken in vectors of samples, so that their memory is padded
cdef double sum_of_errors(const double *E, real *logs, const SampleSet *samples, Py_ssize_t first,
                          Py_ssize_t count) noexcept nogil:
    cdef double total = 0, E_n
    cdef Py_ssize_t n
    for n in range(count, padded(count)):
        logs[n] = 0
    for n in range(padded(count) // LANES):
        (<vec *> logs)[n] = log1p((<vec *> logs)[n])
    for n in range(count):
        E_n = E[n] + logs[n]
        total += E_n * weight_of(samples, first + n)
        record_loss(samples, first + n, E_n)
    return total
