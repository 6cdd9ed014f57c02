"""Learning sample by sample from Cython, numba and C: two functions that take a `Handle` of a network.

They are the kernels of `Network.learn_one` and `Network.predict_one`, without Python: they need no GIL, allocate
nothing and raise nothing. `c_api.pxd` declares them for Cython; numba finds them by
``numba.extending.get_cython_function_address``.

Targets are not checked. Each thread needs a network, and a handle, of its own.
"""
from ._network import Network

include "kernels/one_sample_api.pxi"
include "kernels/loan.pxi"


cdef class Handle:
    """A context in which `learn` and `predict` work on a network, which is locked meanwhile.

    Parameters
    ----------
    network : Network
        The network, which has other calls raise RuntimeError until the context ends. Its weights must be writable.

    Attributes
    ----------
    network : Network
        The network.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop.c_api import Handle
    >>> network = cbackprop.Network(2, 3, 2, rng=0)
    >>> with Handle(network) as handle:
    ...     handle.address > 0
    True
    """

    def __init__(self, network):
        if not isinstance(network, Network):
            raise TypeError(f"network is of type {type(network).__name__}; it must be a Network")
        if self.pointer != NULL:
            raise RuntimeError("the handle is in use; it must not be initialized again")
        self.network = network

    @property
    def address(self):
        """What `learn` and `predict` take, as a number: for numba and ctypes."""
        if self.pointer == NULL:
            raise RuntimeError("a handle has an address only in a with statement")
        return <size_t> self.pointer

    def __enter__(self):
        if self.pointer != NULL:
            raise RuntimeError("the handle is in use already; each with statement needs one of its own")
        self.pointer = <void *> <size_t> self.network._lend()
        return self

    def __exit__(self, *error):
        if self.pointer != NULL:
            self.pointer = NULL
            self.network._take_back()


cdef double learn(void *handle, const void *x, const void *t, Py_ssize_t label, double weight) noexcept nogil:
    cdef Loan *loan = <Loan *> handle
    if t == NULL and not 0 <= label < loan.K:
        return NOT_FINITE
    loan.inputs.x = x
    return loan.api.learn_one(loan.net, &loan.inputs, t, label, loan.learning_rate[0], weight)


cdef Py_ssize_t predict(void *handle, const void *x, void *y) noexcept nogil:
    cdef Loan *loan = <Loan *> handle
    loan.inputs.x = x
    return loan.api.predict_one(loan.net, &loan.inputs, y)
