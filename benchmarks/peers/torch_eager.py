"""Idiomatic PyTorch: modules, autograd, the fused optimizer (the fastest on a CPU)."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from ..work import Job, Work, predicting

torch.set_num_threads(1)

HIDDEN = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU}


def model_of(work: Work) -> torch.nn.Sequential:
    D, M, K = work.x.shape[1], len(work.w), len(work.v)
    dtype = torch.from_numpy(work.x[:1]).dtype
    model = torch.nn.Sequential(torch.nn.Linear(D, M), HIDDEN[work.functions.hidden](), torch.nn.Linear(M, K)).to(dtype)
    restore(model, work)
    return model


@torch.no_grad()
def restore(model, work: Work) -> None:
    for layer, weights in ((model[0], work.w), (model[2], work.v)):
        layer.weight.copy_(torch.from_numpy(weights[:, :-1].copy()))
        layer.bias.copy_(torch.from_numpy(weights[:, -1].copy()))


@torch.no_grad()
def weights_of(model) -> tuple:
    return tuple(np.column_stack([layer.weight.numpy(), layer.bias.numpy()]) for layer in (model[0], model[2]))


def fit(work: Work) -> Job:
    model = model_of(work)
    if work.functions.output == "linear":  # MSELoss is the mean over the outputs; E_n is half the sum
        loss, learning_rate = torch.nn.MSELoss(), work.learning_rate * len(work.v) / 2
    else:
        loss, learning_rate = torch.nn.CrossEntropyLoss(), work.learning_rate
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, fused=True)
    x, t = torch.from_numpy(work.x), torch.from_numpy(work.t)
    parts = list(zip(x.split(work.batch_size), t.split(work.batch_size), strict=True))

    def run():
        for _ in range(work.epochs):
            for x_n, t_n in parts:
                optimizer.zero_grad()
                loss(model(x_n), t_n).backward()
                optimizer.step()

    return Job(run, lambda: weights_of(model), lambda: restore(model, work))


learn_one = fit  # `fit` is a Python loop over samples already


def output_of(work: Work) -> Callable:
    return (lambda a: a) if work.functions.output == "linear" else partial(torch.softmax, dim=1)


def predict_proba_one(work: Work) -> Job:
    model, output = model_of(work), output_of(work)
    rows = torch.from_numpy(work.x).split(1)
    predict = torch.inference_mode()(lambda: [output(model(x_n))[0] for x_n in rows])
    return predicting(predict, lambda y: (torch.stack(y).numpy(),))


def predict_proba(work: Work) -> Job:
    model, output = model_of(work), output_of(work)
    x = torch.from_numpy(work.x)
    return predicting(torch.inference_mode()(lambda: [output(model(x))]), lambda y: (y[0].numpy(),))
