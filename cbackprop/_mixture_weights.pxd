cdef void update_weights(double *log_weights, double *scale, const double *losses, Py_ssize_t R, Py_ssize_t N,
                         double eta, bint relative, double share, const double *sample_weight,
                         double *p) noexcept nogil
cdef void drop_members(double *log_weights, const double *dropped, Py_ssize_t R) noexcept nogil
