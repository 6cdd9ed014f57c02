cimport numpy as cnp

from ._running cimport RunningScaler


cdef class Standardization:
    cdef readonly RunningScaler inputs, targets
    cdef readonly str missing
    cdef readonly bint required
    cdef cnp.ndarray before
    cdef double filler

    cdef int check(self, cnp.ndarray x) noexcept
    cdef void keep(self) noexcept nogil
    cdef void take_back(self) noexcept nogil
