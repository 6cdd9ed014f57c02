"""JAX: a whole epoch in one compiled scan; for one-sample calls, a compiled step with donated weights."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..work import Functions, Job, Work, targets

jax.config.update("jax_enable_x64", True)  # otherwise float64 silently becomes float32
jax.config.update("jax_cpu_enable_async_dispatch", False)  # a second thread only costs on one processor


class Settings(NamedTuple):
    """What is compiled in."""

    functions: Functions
    learning_rate: float


# the hidden function and its derivative; y, and the error of each sample
HIDDEN = {"sigmoid": (jax.nn.sigmoid, lambda z: z * (1 - z)), "relu": (jax.nn.relu, lambda z: z > 0)}
OUTPUT = {"softmax": jax.nn.softmax, "linear": lambda a: a}
ERROR = {
    "softmax": lambda a, t: -(t * jax.nn.log_softmax(a)).sum(-1),
    "linear": lambda a, t: ((a - t) ** 2).sum(-1) / 2,
}


def logits(weights, x, hidden):
    w, w_bias, v, v_bias = weights
    return HIDDEN[hidden][0](x @ w.T + w_bias) @ v.T + v_bias


def loss(weights, x, t, functions):
    return ERROR[functions.output](logits(weights, x, functions.hidden), t).mean()


def learn_batch(weights, batch, settings):
    gradients = jax.grad(loss)(weights, *batch, settings.functions)
    return jax.tree.map(lambda weight, gradient: weight - settings.learning_rate * gradient, weights, gradients)


def learn_sample(weights, sample, settings):
    """The gradient written out: up to four times as fast as jax.grad for one sample; no faster for batches."""
    (w, w_bias, v, v_bias), (x, t) = weights, sample
    h, derivative = HIDDEN[settings.functions.hidden]
    z = h(w @ x + w_bias)
    y = OUTPUT[settings.functions.output](v @ z + v_bias)
    change_a = settings.learning_rate * (y - t)
    change_b = (change_a @ v) * derivative(z)
    return w - change_b[:, None] * x, w_bias - change_b, v - change_a[:, None] * z, v_bias - change_a


@partial(jax.jit, static_argnums=(3, 4))
def epochs(weights, x, t, settings, epochs):
    learn = learn_sample if x.ndim == 2 else learn_batch

    def step(weights, part):
        return learn(weights, part, settings), None

    def epoch(_, weights):
        return lax.scan(step, weights, (x, t))[0]

    return lax.fori_loop(0, epochs, epoch, weights)


@partial(jax.jit, static_argnums=3, donate_argnums=0)
def one_step(weights, x, t, settings):
    return learn_sample(weights, (x, t), settings)


@partial(jax.jit, static_argnums=2)
def outputs(weights, x, functions):
    return OUTPUT[functions.output](logits(weights, x, functions.hidden))


def settings_of(work: Work) -> Settings:
    return Settings(work.functions, work.learning_rate)


def start(work: Work) -> tuple:
    return tuple(jnp.array(part) for weights in (work.w, work.v) for part in (weights[:, :-1], weights[:, -1]))


def as_arrays(weights) -> tuple:
    w, w_bias, v, v_bias = map(np.asarray, weights)
    return np.column_stack([w, w_bias]), np.column_stack([v, v_bias])


class Weights:
    """Holds the current arrays, since JAX arrays are immutable."""

    def __init__(self, work: Work):
        self.work = work
        self.restore()

    def restore(self):
        self.now = jax.block_until_ready(start(self.work))


def fit(work: Work) -> Job:
    weights = Weights(work)
    N, B = len(work.x), work.batch_size
    settings = settings_of(work)
    shape = (N,) if B == 1 else (N // B, B)  # a sample is a vector, a batch a matrix
    x, t = jnp.array(work.x.reshape(*shape, -1)), jnp.array(targets(work).reshape(*shape, -1))

    def run():
        weights.now = jax.block_until_ready(epochs(weights.now, x, t, settings, work.epochs))

    return Job(run, lambda: as_arrays(weights.now), weights.restore)


def learn_one(work: Work) -> Job:
    weights, settings = Weights(work), settings_of(work)
    samples = list(zip(jnp.array(work.x), jnp.array(targets(work)), strict=True))

    def run():
        for x_n, t_n in samples:
            weights.now = one_step(weights.now, x_n, t_n, settings)
        jax.block_until_ready(weights.now)

    return Job(run, lambda: as_arrays(weights.now), weights.restore)


def predict_proba_one(work: Work) -> Job:
    weights = start(work)
    rows = list(jnp.array(work.x))
    y = []

    def run():
        y[:] = [outputs(weights, x_n, work.functions) for x_n in rows]
        jax.block_until_ready(y)

    return Job(run, lambda: (np.array(y),))


def predict_proba(work: Work) -> Job:
    weights = start(work)
    x = jnp.array(work.x)
    y = []

    def run():
        y[:] = [jax.block_until_ready(outputs(weights, x, work.functions))]

    return Job(run, lambda: (np.asarray(y[0]),))
