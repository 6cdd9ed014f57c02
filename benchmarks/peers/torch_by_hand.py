"""PyTorch without autograd: every operation in place or into an existing tensor, each update in one pass over the
weights (addr_, addmm_). The bias is a column of w and v; x and z end in a 1.
"""

import torch

from ..work import Job, Work, batches, learning, predicting, targets, with_one

torch.set_num_threads(1)


def sigmoid_slope(z, out):
    torch.addcmul(z, z, z, value=-1, out=out)


def softmax_error(a, t, out):
    torch.softmax(a, -1, out=out)
    out.sub_(t)


# the hidden function in place, its derivative; the error y - t, and y
HIDDEN = {"sigmoid": (torch.Tensor.sigmoid_, sigmoid_slope), "relu": (torch.Tensor.relu_, torch.sign)}
ERROR = {"softmax": softmax_error, "linear": torch.sub}
OUTPUT = {"softmax": lambda a: a.softmax(-1), "linear": lambda a: a}


def batch_update(w, v, B, learning_rate, functions):
    """The update by a batch: x (B, D+1), t (B, K)."""
    M, K = len(w), len(v)
    z_and_one = torch.ones(B, M + 1, dtype=w.dtype)
    z, b = z_and_one[:, :M], torch.empty(B, M, dtype=w.dtype)
    a, y = torch.empty(B, K, dtype=w.dtype), torch.empty(B, K, dtype=w.dtype)
    e, slope = torch.empty(B, M, dtype=w.dtype), torch.empty(B, M, dtype=w.dtype)
    w_T, v_T, v_of_z, y_T, e_T = w.T, v.T, v[:, :M], y.T, e.T
    (hidden, derivative), error = HIDDEN[functions.hidden], ERROR[functions.output]

    def learn(x, t):
        torch.mm(x, w_T, out=b)
        hidden(b)
        z.copy_(b)
        torch.mm(z_and_one, v_T, out=a)
        error(a, t, out=y)
        torch.mm(y, v_of_z, out=e)
        derivative(b, out=slope)
        e.mul_(slope)
        v.addmm_(y_T, z_and_one, alpha=-learning_rate / B)
        w.addmm_(e_T, x, alpha=-learning_rate / B)

    return learn


def online_update(w, v, learning_rate, functions):
    """The update by one sample: x (D+1,), t (K,)."""
    M, K = len(w), len(v)
    z_and_one = torch.ones(M + 1, dtype=w.dtype)
    z, a, y = z_and_one[:M], torch.empty(K, dtype=w.dtype), torch.empty(K, dtype=w.dtype)
    e, slope, v_of_z_T = torch.empty(M, dtype=w.dtype), torch.empty(M, dtype=w.dtype), v[:, :M].T
    (hidden, derivative), error = HIDDEN[functions.hidden], ERROR[functions.output]

    def learn(x, t):
        torch.mv(w, x, out=z)
        hidden(z)
        torch.mv(v, z_and_one, out=a)
        error(a, t, out=y)
        torch.mv(v_of_z_T, y, out=e)
        derivative(z, out=slope)
        e.mul_(slope)
        v.addr_(y, z_and_one, alpha=-learning_rate)
        w.addr_(e, x, alpha=-learning_rate)

    return learn


def weights_of(work: Work) -> tuple:
    return torch.from_numpy(work.w.copy()), torch.from_numpy(work.v.copy())


def fit(work: Work) -> Job:
    w, v = weights_of(work)
    x, t = torch.from_numpy(with_one(work.x)), torch.from_numpy(targets(work))
    if work.batch_size == 1:
        parts = list(zip(x.unbind(), t.unbind(), strict=True))
        learn = online_update(w, v, work.learning_rate, work.functions)
    else:
        parts = [(x[part], t[part]) for part in batches(work)]
        learn = batch_update(w, v, work.batch_size, work.learning_rate, work.functions)

    @torch.inference_mode()
    def run():
        for _ in range(work.epochs):
            for x_n, t_n in parts:
                learn(x_n, t_n)

    return learning(run, work, w.numpy(), v.numpy())


def learn_one(work: Work) -> Job:
    w, v = weights_of(work)
    learn = online_update(w, v, work.learning_rate, work.functions)
    samples = list(zip(torch.from_numpy(work.x).unbind(), torch.from_numpy(targets(work)).unbind(), strict=True))
    x_and_one = torch.ones(w.shape[1], dtype=w.dtype)
    x = x_and_one[:-1]

    @torch.inference_mode()
    def run():
        for x_n, t_n in samples:
            x.copy_(x_n)
            learn(x_and_one, t_n)

    return learning(run, work, w.numpy(), v.numpy())


def predict_proba_one(work: Work) -> Job:
    w, v = weights_of(work)
    w, w_bias, v, v_bias = w[:, :-1].contiguous(), w[:, -1].clone(), v[:, :-1].contiguous(), v[:, -1].clone()
    (hidden, _), output = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    rows = torch.from_numpy(work.x).unbind()

    @torch.inference_mode()
    def predict():
        return [output(torch.addmv(v_bias, v, hidden(torch.addmv(w_bias, w, x_n)))) for x_n in rows]

    return predicting(predict, lambda y: (torch.stack(y).numpy(),))


def predict_proba(work: Work) -> Job:
    w, v = weights_of(work)
    w_T, w_bias, v_T, v_bias = w[:, :-1].contiguous().T, w[:, -1].clone(), v[:, :-1].contiguous().T, v[:, -1].clone()
    (hidden, _), output = HIDDEN[work.functions.hidden], OUTPUT[work.functions.output]
    x = torch.from_numpy(work.x)

    @torch.inference_mode()
    def predict():
        return [output(torch.addmm(v_bias, hidden(torch.addmm(w_bias, x, w_T)), v_T))]

    return predicting(predict, lambda y: (y[0].numpy(),))
