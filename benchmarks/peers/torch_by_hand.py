"""PyTorch without autograd: every operation in place or into an existing tensor, each update in one pass over the
weights (addr_, addmm_). The bias is a column of w and v; x and z end in a 1. Of sparse rows, the hidden layer sums rows
of w by `embedding_bag`, and adds to them by `index_add_`.

Slower: torch.compile for one sample and small batches; for batches of 1024 and predictions, it is about as fast.
"""

import torch

from ..work import Job, Work, batches, each, learning, predicting, targets, with_one, without_bias

torch.set_num_threads(1)
inference = torch.inference_mode()


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
    z = z_and_one[:, :M]
    b, e, slope = torch.empty(3, B, M, dtype=w.dtype)
    a, y = torch.empty(2, B, K, dtype=w.dtype)
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
    z, v_of_z_T = z_and_one[:M], v[:, :M].T
    e, slope = torch.empty(2, M, dtype=w.dtype)
    a, y = torch.empty(2, K, dtype=w.dtype)
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

    return learning(inference(each(learn, parts, work.epochs)), work, w.numpy(), v.numpy())


def fit_sparse(work: Work) -> Job:
    w, v = torch.from_numpy(work.w.T.copy()), torch.from_numpy(work.v.copy())
    M, D = len(work.w), work.x.shape[1]
    w_x, w_bias, v_z = w[:D], w[D], v[:, :M]
    (hidden, derivative), error = HIDDEN[work.functions.hidden], ERROR[work.functions.output]
    indices = torch.from_numpy(work.x.indices.reshape(work.x.shape[0], -1)).long()
    rate = -work.learning_rate / work.batch_size

    def learn(i, t):
        z = hidden(torch.nn.functional.embedding_bag(i, w_x, mode="sum").add_(w_bias))
        a = torch.addmm(v[:, M], z, v_z.T)
        y = torch.empty_like(a)
        error(a, t, out=y)
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


def learn_one(work: Work) -> Job:
    w, v = weights_of(work)
    learn = online_update(w, v, work.learning_rate, work.functions)
    samples = list(zip(torch.from_numpy(work.x).unbind(), torch.from_numpy(targets(work)).unbind(), strict=True))
    x_and_one = torch.ones(w.shape[1], dtype=w.dtype)
    x = x_and_one[:-1]

    def learn_copy(x_n, t_n):
        x.copy_(x_n)
        learn(x_and_one, t_n)

    return learning(inference(each(learn_copy, samples)), work, w.numpy(), v.numpy())


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
