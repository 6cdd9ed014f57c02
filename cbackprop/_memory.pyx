"""Where arrays lie in memory, padding included (see _layout.py)."""
cimport numpy as cnp

import numpy as np

cnp.import_array()

cdef extern from "numpy/arrayobject.h":
    bint PyArray_ISONESEGMENT(cnp.ndarray)

CONTIGUOUS, NOT_CONTIGUOUS, NOT_ZERO = 0, 1, 2


cpdef Py_ssize_t span(cnp.ndarray array) noexcept:
    """Bytes from the beginning of the array to its end."""
    cdef Py_ssize_t longest = 0, axis
    for axis in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_DIM(array, axis) > 1:
            longest = max(longest, cnp.PyArray_DIM(array, axis) * cnp.PyArray_STRIDE(array, axis))
    return longest if longest > 0 else cnp.PyArray_NBYTES(array)


cpdef bint share(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two arrays lie in the same memory."""
    cdef const char *first_a = <const char *> cnp.PyArray_DATA(a)
    cdef const char *first_b = <const char *> cnp.PyArray_DATA(b)
    return first_a < first_b + span(b) and first_b < first_a + span(a)


def lines(cnp.ndarray array, int axis):
    """Whether the columns (axis 0) or rows (axis 1) of a matrix are contiguous, with zeros between them.

    Returns
    -------
    int
        CONTIGUOUS, always of a single line; NOT_ZERO, if there is something else between them; or NOT_CONTIGUOUS, also
        if they overlap, or if what lies between them, and after the last, is outside of the array's memory.
    """
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(array), length = cnp.PyArray_DIM(array, axis) * size
    cdef Py_ssize_t count = cnp.PyArray_DIM(array, 1 - axis), stride = cnp.PyArray_STRIDE(array, 1 - axis), line, i
    cdef const char *first = <const char *> cnp.PyArray_DATA(array)
    cdef const char *start
    cdef cnp.ndarray memory = array
    if cnp.PyArray_STRIDE(array, axis) != size or (count > 1 and (stride < length or stride % size != 0)):
        return NOT_CONTIGUOUS
    if count == 1 or stride == length:
        return CONTIGUOUS
    while isinstance((<object> memory).base, np.ndarray):
        memory = (<object> memory).base
    start = <const char *> cnp.PyArray_DATA(memory)
    if not (PyArray_ISONESEGMENT(memory) and start <= first
            and first + count * stride <= start + cnp.PyArray_NBYTES(memory)):
        return NOT_CONTIGUOUS
    for line in range(count):
        for i in range(length, stride):
            if first[line * stride + i] != 0:
                return NOT_ZERO
    return CONTIGUOUS
