"""ONNX Runtime: predictions of the network exported by `cbackprop.onnx.to_onnx`."""

import onnxruntime

from cbackprop.onnx import to_onnx

from ..work import Job, Work, predicting, together
from .library import network_of


def session_of(work: Work) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = to_onnx(network_of(work)).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def output_of(work: Work) -> list[str]:
    return ["variable" if work.functions.output == "linear" else "probabilities"]


def predict_proba_one(work: Work) -> Job:
    session, output = session_of(work), output_of(work)
    rows = [work.x[n : n + 1] for n in range(len(work.x))]
    return predicting(lambda: [session.run(output, {"X": x_n})[0][0] for x_n in rows], together)


def predict_proba(work: Work) -> Job:
    session, output = session_of(work), output_of(work)
    return predicting(lambda: session.run(output, {"X": work.x}))
