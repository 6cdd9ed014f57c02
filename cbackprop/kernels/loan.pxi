# What c_api needs of a network that it has locked; x is yet to be set
cdef struct Loan:
    OneSampleAPI *api
    void *net
    Inputs inputs
    const double *learning_rate
    Py_ssize_t K
