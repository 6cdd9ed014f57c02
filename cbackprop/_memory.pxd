cimport numpy as cnp

cpdef Py_ssize_t span(cnp.ndarray array) noexcept
cpdef bint share(cnp.ndarray a, cnp.ndarray b) noexcept
