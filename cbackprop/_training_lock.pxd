cimport numpy as cnp

cdef list held_locks  # instances of TrainingLock; usually empty


cdef class TrainingLock:
    cdef cnp.ndarray w, v
    cdef unsigned long thread
    cdef int begin(self) except -1
    cdef int end(self) except -1


cdef int check_unlocked(cnp.ndarray w, cnp.ndarray v) except -1


cdef inline bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef const char *first_a = <const char *> cnp.PyArray_DATA(a)
    cdef const char *first_b = <const char *> cnp.PyArray_DATA(b)
    return first_a < first_b + cnp.PyArray_NBYTES(b) and first_b < first_a + cnp.PyArray_NBYTES(a)
