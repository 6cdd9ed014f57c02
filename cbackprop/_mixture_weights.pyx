"""Weights of the members of a mixture, from their losses on one sample after the other.

`cbackprop.reference.mixture_weights` does the same in NumPy. Weights are kept as logarithms, so that those of members
far behind do not underflow, and no loss is too large.
"""
cimport numpy as cnp
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport INFINITY, exp, fmax, fmin, log

import numpy as np

cnp.import_array()

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
    cdef Py_ssize_t R = log_weights.shape[0]
    if losses.shape[1] != R or scale.shape[0] != 2:
        raise ValueError(f"losses have {losses.shape[1]} columns and scale {scale.shape[0]} numbers; they must have "
                         f"{R} and 2")
    if sample_weight is not None and sample_weight.shape[0] != losses.shape[0]:
        raise ValueError(f"sample_weight has {sample_weight.shape[0]} numbers; it must have {losses.shape[0]}")
    if losses.shape[0] > 0:
        update_rows(log_weights, &scale[0], &losses[0, 0], losses.shape[0], eta, relative, share,
                    NULL if sample_weight is None else &sample_weight[0])


def update_one(double[::1] log_weights not None, list losses not None, double eta, double share,
               double sample_weight=1):
    """Update the logarithms of the weights with the losses of one sample, by an eta that is not relative."""
    cdef Py_ssize_t R = log_weights.shape[0], r
    cdef double *row
    if len(losses) != R:
        raise ValueError(f"there are {len(losses)} losses; there must be {R}")
    row = <double *> PyMem_Malloc(R * sizeof(double))
    if row == NULL:
        raise MemoryError
    for r in range(R):
        row[r] = losses[r]
    update_rows(log_weights, NULL, row, 1, eta, False, share, &sample_weight)
    PyMem_Free(row)


cdef int update_rows(double[::1] log_weights, double *scale, const double *losses, Py_ssize_t C, double eta,
                     bint relative, double share, const double *sample_weight) except -1:
    cdef Py_ssize_t R = log_weights.shape[0], n, r, members = 0
    cdef double rate, lowest, mean, largest, total, s_n, E_n
    cdef bint known = False
    cdef double *p = <double *> PyMem_Malloc(R * sizeof(double))    # weights; without a share logarithms, the largest 0
    if p == NULL:
        raise MemoryError
    for r in range(R):
        p[r] = log_weights[r]
        members += log_weights[r] > -INFINITY
        if share > 0:
            p[r] = exp(p[r])
    for n in range(C):
        s_n = 1 if sample_weight == NULL else sample_weight[n]
        lowest = INFINITY
        for r in range(R):
            if losses[n * R + r] < lowest and takes_part(p[r], share):    # NaN is not lower
                lowest = losses[n * R + r]
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
                    if 0 < losses[n * R + r] < mean and takes_part(p[r], share):
                        mean = losses[n * R + r]
            rate = rate / mean if scale[1] > 0 else 0
        rate = fmin(rate, LARGEST)

        # losses above the lowest: a common factor of the weights makes no difference
        largest, total, mean = -INFINITY, 0, 0
        for r in range(R):
            E_n = losses[n * R + r]
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
                    mean += exp(p[r]) * losses[n * R + r]
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
    PyMem_Free(p)
    return 0


cdef inline bint takes_part(double p, double share) noexcept:
    return p > 0 if share > 0 else p > -INFINITY


def mean(const double[::1] log_weights not None, list outputs not None):
    """Return the mean of the members' outputs by their weights: of floats, or of arrays of float64 of one shape."""
    cdef Py_ssize_t R = log_weights.shape[0], r, i
    cdef double p, number = 0
    cdef cnp.ndarray y, result
    if len(outputs) != R:
        raise ValueError(f"there are {len(outputs)} outputs; there must be {R}")
    if isinstance(outputs[0], float):
        for r in range(R):
            number += exp(log_weights[r]) * <double> outputs[r]
        return number
    y = outputs[0]
    result = cnp.PyArray_ZEROS(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), cnp.NPY_DOUBLE, 0)
    for r in range(R):
        y, p = cnp.PyArray_GETCONTIGUOUS(cnp.PyArray_FROM_OT(outputs[r], cnp.NPY_DOUBLE)), exp(log_weights[r])
        if cnp.PyArray_SIZE(y) != cnp.PyArray_SIZE(result):
            raise ValueError(f"output {r} has shape {np.shape(y)}; it must be {np.shape(result)}")
        for i in range(cnp.PyArray_SIZE(result)):
            (<double *> cnp.PyArray_DATA(result))[i] += p * (<const double *> cnp.PyArray_DATA(y))[i]
    return result
