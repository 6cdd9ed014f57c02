"""Weights of the members of a mixture, from their losses on one sample after the other.

`cbackprop.reference.mixture_weights` does the same in NumPy. Weights are kept as logarithms, so that those of members
far behind do not underflow, and no loss is too large.
"""
from libc.math cimport INFINITY, exp, fmax, fmin, log

cdef double LARGEST = 1.7976931348623157e308


def update(double[::1] log_weights not None, double[::1] scale not None, const double[:, ::1] losses not None,
           double eta, bint relative, double share, const double[::1] sample_weight=None):
    """Update the logarithms of the weights, shape (R,), with the losses of samples, (C, R), in order.

    See `cbackprop.reference.mixture_weights`. A NaN among the losses counts as infinity.
    """
    cdef Py_ssize_t R = count(log_weights), N = losses.shape[0]
    cdef double[::1] p = log_weights.copy()
    cdef const double *weights = NULL
    if losses.shape[1] != R or scale.shape[0] != 2:
        raise ValueError(f"losses have {losses.shape[1]} columns and scale {scale.shape[0]} numbers; they must have "
                         f"{R} and 2")
    if sample_weight is not None and sample_weight.shape[0] != N:
        raise ValueError(f"sample_weight has {sample_weight.shape[0]} numbers; it must have {N}")
    if N == 0:
        return
    if sample_weight is not None:
        weights = &sample_weight[0]
    update_weights(&log_weights[0], &scale[0], &losses[0, 0], R, N, eta, relative, share, weights, &p[0])


cdef void update_weights(double *log_weights, double *scale, const double *losses, Py_ssize_t R, Py_ssize_t N,
                         double eta, bint relative, double share, const double *sample_weight,
                         double *p) noexcept nogil:
    # p, scratch, holds the weights; without a share their logarithms, up to a constant that makes the largest 0
    cdef Py_ssize_t n, r, members = 0
    cdef double rate, lowest, mean, largest, total, s_n, E_n
    cdef bint known = False
    for r in range(R):
        members += log_weights[r] > -INFINITY
        p[r] = exp(log_weights[r]) if share > 0 else log_weights[r]
    for n in range(N):
        s_n = 1 if sample_weight == NULL else sample_weight[n]
        lowest = INFINITY
        for r in range(R):
            if losses[r] < lowest and takes_part(p[r], share):    # NaN is not lower
                lowest = losses[r]
        if s_n == 0 or lowest == INFINITY:
            losses += R
            continue    # nothing to learn from it

        rate = eta * s_n
        if relative:
            # the sample itself counts, so that those before, if almost without error, leave no scale near 0
            mean = fmax(scale[0], scale[0] + (lowest - scale[0]) / (scale[1] + 1))
            known = scale[1] > 0 and mean > 0
            if scale[1] > 0 and mean == 0:    # some member was always right
                mean = INFINITY
                for r in range(R):
                    if 0 < losses[r] < mean and takes_part(p[r], share):
                        mean = losses[r]
            rate = rate / mean if scale[1] > 0 else 0
        rate = fmin(rate, LARGEST)

        # losses above the lowest: a common factor of the weights makes no difference
        largest, total, mean = -INFINITY, 0, 0
        for r in range(R):
            E_n = losses[r] if takes_part(p[r], share) else INFINITY    # others may have erred less
            if share > 0:
                p[r] = p[r] * exp(-rate * (E_n - lowest)) if E_n < INFINITY else 0
                total += p[r]
                mean += p[r] * E_n if p[r] > 0 else 0
            else:
                p[r] = p[r] - rate * (E_n - lowest) if E_n < INFINITY else -INFINITY
                if p[r] > largest:
                    largest = p[r]
        for r in range(R):
            if share == 0:
                p[r] -= largest
                if relative and p[r] > -INFINITY:
                    total += exp(p[r])
                    mean += exp(p[r]) * losses[r]
            elif log_weights[r] > -INFINITY:
                p[r] = (1 - share) * (p[r] / total) + share / members    # the total may be subnormal
        if relative:
            scale[1] += 1
            scale[0] += ((mean / total if known else lowest) - scale[0]) / scale[1]
        losses += R

    total = 0
    for r in range(R):
        p[r] = log(p[r]) if share > 0 else p[r]
        total += exp(p[r])
    total = log(total)
    for r in range(R):
        log_weights[r] = p[r] - total


cdef Py_ssize_t count(const double[::1] log_weights) except -1:
    if log_weights.shape[0] == 0:
        raise ValueError("log_weights is empty; it must have a number for each member")
    return log_weights.shape[0]


def drop(double[::1] log_weights not None, const double[::1] dropped not None):
    """Give the weight 0 to members that have been dropped, those where `dropped` is not 0; some other must remain."""
    cdef Py_ssize_t R = count(log_weights)
    if dropped.shape[0] != R:
        raise ValueError(f"dropped has {dropped.shape[0]} numbers; it must have {R}")
    drop_members(&log_weights[0], &dropped[0], R)


cdef void drop_members(double *log_weights, const double *dropped, Py_ssize_t R) noexcept nogil:
    cdef Py_ssize_t r
    cdef double largest = -INFINITY, total = 0
    for r in range(R):
        if dropped[r] != 0:
            log_weights[r] = -INFINITY
        largest = fmax(largest, log_weights[r])
    if largest == -INFINITY:    # those left had all lost their weight to the dropped ones
        largest = 0
        for r in range(R):
            if dropped[r] == 0:
                log_weights[r] = 0
    for r in range(R):
        total += exp(log_weights[r] - largest)
    for r in range(R):
        log_weights[r] -= largest + log(total)


cdef inline bint takes_part(double p, double share) noexcept nogil:
    return p > 0 if share > 0 else p > -INFINITY
