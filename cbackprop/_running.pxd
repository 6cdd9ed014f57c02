cimport numpy as cnp


cdef class Scaler:
    cdef readonly Py_ssize_t size
    cdef readonly double limit, window
    cdef readonly cnp.ndarray statistics
    cdef scaled(self, x, bint learn)


cdef class RunningScaler(Scaler):
    cdef void standardize(self, const void *x, int type, void *z, int z_type, double missing, bint learn) noexcept nogil
    cdef void restore_numbers(self, void *y, int type) noexcept nogil
    cdef cnp.ndarray checked(self, x)
    cdef void merge(self, const double *x, const double *weights, Py_ssize_t N) noexcept


# A number in an array of float32 or float64, by the number of its type
cdef inline double number(const void *numbers, Py_ssize_t k, int type) noexcept nogil:
    return (<const float *> numbers)[k] if type == cnp.NPY_FLOAT else (<const double *> numbers)[k]


cdef inline void set_number(void *numbers, Py_ssize_t k, int type, double value) noexcept nogil:
    if type == cnp.NPY_FLOAT:
        (<float *> numbers)[k] = <float> value
    else:
        (<double *> numbers)[k] = value
