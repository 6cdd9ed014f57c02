"""Weights of the members of a mixture, from their losses on one sample after the other.

`cbackprop.reference.mixture_weights` does the same in NumPy. Weights are kept as logarithms, so that those of members
far behind do not underflow, and no loss is too large.
"""
from libc.math cimport INFINITY, exp, fmax, fmin, log

cdef double LARGEST = 1.7976931348623157e308


def update(double[::1] log_weights not None, double[::1] scale not None, const double[:, ::1] losses not None,
           double eta, bint relative, double share, const double[::1] sample_weight=None):
    """Update the logarithms of the weights with the losses of samples, in order.

    Parameters
    ----------
    log_weights : ndarray of shape (R,)
        Logarithms of weights that sum to 1. A member with -infinity takes no part.
    scale : ndarray of shape (2,)
        The mean loss so far, and the number of its samples: used and updated if eta is relative.
    losses : ndarray of shape (C, R)
        E_n of each member, one row a sample. NaN counts as infinity.
    eta : float
        Factor of the losses.
    relative : bool
        Whether losses are divided by their scale.
    share : float
        Fraction of the weights that is spread evenly after each sample.
    sample_weight : ndarray of shape (C,), optional
        Factor of the losses of each sample.
    """
    cdef Py_ssize_t R = log_weights.shape[0], n, r, members = 0
    cdef double rate, lowest, mean, largest, total, s_n, E_n
    cdef bint known = False
    cdef double[::1] p = log_weights.copy()    # their exponentials; without a share the logarithms, of which one is 0
    if losses.shape[1] != R or scale.shape[0] != 2:
        raise ValueError(f"losses have {losses.shape[1]} columns and scale {scale.shape[0]} numbers; they must have "
                         f"{R} and 2")
    if sample_weight is not None and sample_weight.shape[0] != losses.shape[0]:
        raise ValueError(f"sample_weight has {sample_weight.shape[0]} numbers; it must have {losses.shape[0]}")
    for r in range(R):
        members += log_weights[r] > -INFINITY
        if share > 0:
            p[r] = exp(p[r])
    for n in range(losses.shape[0]):
        s_n = 1 if sample_weight is None else sample_weight[n]
        lowest = INFINITY
        for r in range(R):
            if losses[n, r] < lowest and takes_part(p[r], share):    # NaN is not lower
                lowest = losses[n, r]
        if s_n == 0 or lowest == INFINITY:
            continue    # nothing to learn from it

        rate = eta * s_n
        if relative:
            # the sample itself counts, so that those before, if almost without error, leave no scale near 0
            mean = fmax(scale[0], scale[0] + (lowest - scale[0]) / (scale[1] + 1))
            known = scale[1] > 0 and mean > 0
            if scale[1] > 0 and mean == 0:    # some member was always right
                mean = INFINITY
                for r in range(R):
                    if 0 < losses[n, r] < mean and takes_part(p[r], share):
                        mean = losses[n, r]
            rate = rate / mean if scale[1] > 0 else 0
        rate = fmin(rate, LARGEST)

        # losses above the lowest: a common factor of the weights makes no difference
        largest, total, mean = -INFINITY, 0, 0
        for r in range(R):
            E_n = losses[n, r]
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
                    mean += exp(p[r]) * losses[n, r]
            elif log_weights[r] > -INFINITY:
                p[r] = (1 - share) / total * p[r] + share / members
        if relative:
            scale[1] += 1
            scale[0] += ((mean / total if known else lowest) - scale[0]) / scale[1]

    total = 0
    for r in range(R):
        p[r] = log(p[r]) if share > 0 else p[r]
        total += exp(p[r])
    total = log(total)
    for r in range(R):
        log_weights[r] = p[r] - total


cdef inline bint takes_part(double p, double share) noexcept:
    return p > 0 if share > 0 else p > -INFINITY
