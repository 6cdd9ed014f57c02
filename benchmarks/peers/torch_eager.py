"""Idiomatic PyTorch: modules, autograd, the fused optimizer (the fastest on a CPU); of sparse rows, an `EmbeddingBag`
with sparse gradients and the plain optimizer, since the fused one takes no sparse gradients.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..work import Job, Work, each, predicting, with_bias

torch.set_num_threads(1)

HIDDEN = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class Sum(nn.EmbeddingBag):
    """The hidden layer of sparse rows of ones: sums of rows of an embedding, as many for each sample, and a bias."""

    def __init__(self, D: int, M: int):
        super().__init__(D, M, mode="sum", sparse=True)
        self.bias = nn.Parameter(torch.empty(M))

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        return super().forward(indices) + self.bias


def model_of(work: Work, Hidden: type = nn.Linear) -> nn.Sequential:
    D, M, K = work.x.shape[1], len(work.w), len(work.v)
    dtype = torch.from_numpy(work.w[:1]).dtype
    model = nn.Sequential(Hidden(D, M), HIDDEN[work.functions.hidden](), nn.Linear(M, K)).to(dtype)
    restore(model, work)
    return model


def layers(model: nn.Sequential) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (units, inputs) and biases of both layers, the tensors themselves."""
    hidden, _, output = model
    return [(hidden.weight.T if isinstance(hidden, Sum) else hidden.weight, hidden.bias), (output.weight, output.bias)]


@torch.no_grad()
def restore(model: nn.Sequential, work: Work) -> None:
    for (weights, bias), layer in zip(layers(model), (work.w, work.v), strict=True):
        weights.copy_(torch.from_numpy(layer[:, :-1].copy()))
        bias.copy_(torch.from_numpy(layer[:, -1].copy()))


def weights_of(model: nn.Sequential) -> tuple:
    return tuple(with_bias(weights.detach().numpy(), bias.detach().numpy()) for weights, bias in layers(model))


def learning_job(work: Work, model: nn.Sequential, x: torch.Tensor, fused: bool) -> Job:
    if work.functions.output == "linear":  # MSELoss is the mean over the outputs; E_n is half the sum
        loss, learning_rate = nn.MSELoss(), work.learning_rate * len(work.v) / 2
    else:
        loss, learning_rate = nn.CrossEntropyLoss(), work.learning_rate
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, fused=fused)
    batches = (part.split(work.batch_size) for part in (x, torch.from_numpy(work.t)))

    def learn(x_n, t_n):
        optimizer.zero_grad()
        loss(model(x_n), t_n).backward()
        optimizer.step()

    run = each(learn, list(zip(*batches, strict=True)), work.epochs)
    return Job(run, lambda: weights_of(model), lambda: restore(model, work))


def fit(work: Work) -> Job:
    return learning_job(work, model_of(work), torch.from_numpy(work.x), fused=True)


def fit_sparse(work: Work) -> Job:
    indices = torch.from_numpy(work.x.indices.reshape(work.x.shape[0], -1)).long()
    return learning_job(work, model_of(work, Sum), indices, fused=False)


learn_one = fit  # `fit` is a Python loop over samples already


def output_of(work: Work) -> Callable:
    return (lambda a: a) if work.functions.output == "linear" else partial(torch.softmax, dim=1)


def predict_proba_one(work: Work) -> Job:
    model, output = model_of(work), output_of(work)
    rows = torch.from_numpy(work.x).split(1)
    return predicting(torch.inference_mode()(lambda: torch.cat([output(model(x_n)) for x_n in rows])))


def predict_proba(work: Work) -> Job:
    model, output = model_of(work), output_of(work)
    x = torch.from_numpy(work.x)
    return predicting(torch.inference_mode()(lambda: output(model(x))))
