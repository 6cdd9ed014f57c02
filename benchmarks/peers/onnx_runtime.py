"""ONNX Runtime: predictions of the network exported by `cbackprop.onnx.to_onnx`, without the label.

Slower: `run` with arrays by name, instead of inputs and outputs bound beforehand.
"""

import numpy as np
import onnxruntime
from onnx.utils import Extractor

from cbackprop.onnx import to_onnx

from ..work import Job, Work
from .library import network_of


def session_of(work: Work) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = to_onnx(network_of(work))
    y = model.graph.output[-1].name
    model = Extractor(model).extract_model(["X"], [y]).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bound(session: onnxruntime.InferenceSession, x: np.ndarray, y: np.ndarray):
    binding = session.io_binding()
    for bind, name, array in (
        (binding.bind_input, session.get_inputs()[0].name, x),
        (binding.bind_output, session.get_outputs()[0].name, y),
    ):
        bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    return binding


def predict_proba_one(work: Work) -> Job:
    session = session_of(work)
    y, x_n = np.empty((len(work.x), len(work.v)), work.x.dtype), np.empty_like(work.x[:1])
    y_n = np.empty_like(y[:1])
    run, binding, rows = session.run_with_iobinding, bound(session, x_n, y_n), list(work.x)

    def predict():
        for n, row in enumerate(rows):
            x_n[:] = row
            run(binding)
            y[n] = y_n

    return Job(predict, lambda: (y,))


def predict_proba(work: Work) -> Job:
    session, y = session_of(work), np.empty((len(work.x), len(work.v)), work.x.dtype)
    binding = bound(session, work.x, y)
    return Job(lambda: session.run_with_iobinding(binding), lambda: (y,))
