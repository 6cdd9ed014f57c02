"""PyTorch without autograd: by_hand.py, with each update in one pass over the weights (addr_, addmm_). Of sparse rows,
the hidden layer sums rows of w by `embedding_bag`, and adds to them by `index_add_`.

Slower: torch.compile for one sample and small batches; for batches of 1024 and predictions, it is about as fast.
"""

from collections.abc import Callable

import torch

from ..work import Job, Work, each, learning, predicting, targets, without_bias
from . import by_hand
from .by_hand import Library

torch.set_num_threads(1)
inference = torch.inference_mode()


def sigmoid_slope(z, out):
    torch.addcmul(z, z, z, value=-1, out=out)


def error_of(output, rate, n_dims):
    def softmax_error(a, t):
        torch.softmax(a, -1, out=a)
        a.sub_(t)

    return softmax_error if output == "softmax" else torch.Tensor.sub_


def update_of(weights, errors, rate):
    errors_T = errors.T if errors.dim() == 2 else errors
    change = weights.addmm_ if errors.dim() == 2 else weights.addr_

    def update(x):
        change(errors_T, x, alpha=-rate)

    return update


# the hidden function in place, its derivative; y
HIDDEN = {"sigmoid": (torch.Tensor.sigmoid_, sigmoid_slope), "relu": (torch.Tensor.relu_, torch.sign)}
OUTPUT = {"softmax": lambda a: a.softmax(-1), "linear": lambda a: a}
TORCH = Library(torch.from_numpy, torch.mv, torch.mm, torch.mul, torch.Tensor.copy_, HIDDEN, error_of, update_of)


def fit(work: Work, make: Callable = by_hand.fit) -> Job:
    job = make(TORCH, work)
    return job._replace(run=inference(job.run))


def learn_one(work: Work) -> Job:
    return fit(work, by_hand.learn_one)


def fit_sparse(work: Work) -> Job:
    w, v = torch.from_numpy(work.w.T.copy()), torch.from_numpy(work.v.copy())
    M, D = len(work.w), work.x.shape[1]
    w_x, w_bias, v_z = w[:D], w[D], v[:, :M]
    (hidden, derivative), error = HIDDEN[work.functions.hidden], error_of(work.functions.output, 1, 2)
    indices = torch.from_numpy(work.x.indices.reshape(work.x.shape[0], -1)).long()
    rate = -work.learning_rate / work.batch_size

    def learn(i, t):
        z = hidden(torch.nn.functional.embedding_bag(i, w_x, mode="sum").add_(w_bias))
        y = torch.addmm(v[:, M], z, v_z.T)
        error(y, t)
        slope = torch.empty_like(z)
        derivative(z, out=slope)
        e = (y @ v_z).mul_(slope)
        v_z.addmm_(y.T, z, alpha=rate)
        v[:, M].add_(y.sum(0), alpha=rate)
        w_x.index_add_(0, i.flatten(), e.repeat_interleave(i.shape[1], 0), alpha=rate)
        w_bias.add_(e.sum(0), alpha=rate)

    parts = (part.split(work.batch_size) for part in (indices, torch.from_numpy(targets(work))))
    run = inference(each(learn, list(zip(*parts, strict=True)), work.epochs))
    return learning(run, work, w.numpy().T, v.numpy())


def without_biases(work: Work) -> list[torch.Tensor]:
    return [torch.from_numpy(part) for layer in (work.w, work.v) for part in without_bias(layer)]


def predict_proba_one(work: Work) -> Job:
    w, w_bias, v, v_bias = without_biases(work)
    (hidden, _), output = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    rows = torch.from_numpy(work.x).unbind()

    def predict():
        return torch.stack([output(torch.addmv(v_bias, v, hidden(torch.addmv(w_bias, w, x_n)))) for x_n in rows])

    return predicting(inference(predict))


def predict_proba(work: Work) -> Job:
    w, w_bias, v, v_bias = without_biases(work)
    (hidden, _), output = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    x = torch.from_numpy(work.x)
    return predicting(inference(lambda: output(torch.addmm(v_bias, hidden(torch.addmm(w_bias, x, w.T)), v.T))))
