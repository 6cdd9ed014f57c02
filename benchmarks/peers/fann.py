"""FANN, a library in C (Debian: libfann-dev): sigmoid units and linear outputs, since it has no softmax.

Online learning by its own loop over the samples. It takes h' of z clipped to 0.01 to 0.99, so its weights are not
compared. Those of large networks are its own, since its function that sets weights looks for each among all.
"""

import ctypes

import numpy as np

from ..work import Functions, Job, Work, only

SIGMOID, LINEAR = 3, 0  # its numbers of functions
MAX_WEIGHTS_SET = 100_000
REAL = {"float32": ctypes.c_float, "float64": ctypes.c_double}
try:
    LIBRARIES = {"float32": ctypes.CDLL("libfloatfann.so.2"), "float64": ctypes.CDLL("libdoublefann.so.2")}
except OSError as error:
    raise ImportError(str(error)) from None
for library in LIBRARIES.values():
    library.fann_create_standard_array.restype = library.fann_create_train.restype = ctypes.c_void_p


class Samples(ctypes.Structure):
    """The start of its struct of samples."""

    _fields_ = [("errors", ctypes.c_void_p * 3), ("sizes", ctypes.c_uint * 3), ("x", ctypes.c_void_p),
                ("t", ctypes.c_void_p)]  # fmt: skip


def fit(work: Work) -> Job:
    only(work.batch_size == 1 and work.functions == Functions("sigmoid", "linear"))
    library, real = LIBRARIES[work.x.dtype.name], REAL[work.x.dtype.name]
    (N, D), M, K = work.x.shape, len(work.w), len(work.v)
    network = ctypes.c_void_p(library.fann_create_standard_array(3, (ctypes.c_uint * 3)(D, M, K)))
    library.fann_set_activation_function_hidden(network, SIGMOID)
    library.fann_set_activation_function_output(network, LINEAR)
    library.fann_set_activation_steepness_output(network, real(1))  # that of hidden units is 0.5: 1 / (1 + e^-b)
    library.fann_set_train_error_function(network, LINEAR)
    library.fann_set_learning_rate(network, ctypes.c_float(work.learning_rate))

    handle = ctypes.c_void_p(library.fann_create_train(N, D, K))
    samples = Samples.from_address(handle.value)
    for rows, array in ((samples.x, work.x), (samples.t, work.t)):  # which lie one after the other
        ctypes.memmove(ctypes.c_void_p.from_address(rows), array.ctypes, array.nbytes)

    connection = np.dtype([("from", np.uint32), ("to", np.uint32), ("weight", work.x.dtype)])
    connections = np.empty(work.w.size + work.v.size, connection)
    library.fann_get_connection_array(network, connections.ctypes)
    connections["weight"] = np.concatenate([work.w, work.v], axis=None)

    def restore() -> None:
        if len(connections) <= MAX_WEIGHTS_SET:
            library.fann_set_weight_array(network, connections.ctypes, len(connections))

    return Job(lambda: library.fann_train_epoch_incremental(network, handle), restore=restore)
